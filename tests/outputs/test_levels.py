"""The level of intervals and tests, which a study that adds seeds has stricter, wherever a report names it."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from drnbench import Curve, Gap, Heatmap, Table, Tradeoff, Until
from drnbench.config.study import Study
from drnbench.outputs import report
from drnbench.store import Store
from tests.fake_store import fill, plan_of
from tests.helpers import PIXEL
from tests.outputs.conftest import gain, notes_of, rho_study
from tests.outputs.shapes import dual_study, gap_study
from tests.results.test_pooled import SETS
from tests.results.test_pooled import study as pooled_study

pytestmark = pytest.mark.usefixtures("figures_as_text")

SEEDS = {"97": Until(0.05), "95": 3}
"""Level of intervals, in percent -> seeds of a study that has it."""
STUDIES: dict[str, Callable[..., Study]] = {
    "sweep": lambda **fields: rho_study(
        margin={"psnr_y": 0.05}, primary={"adapt.rho": 0.3},
        outputs=[Table(rows="adapt.rho"), Curve(x="adapt.rho", y="psnr_y"), Tradeoff(x="parameters")], **fields,
    ),
    "no baseline drawn": lambda **fields: rho_study(outputs=[Curve(x="adapt.rho", y="ssim_y")], **fields),
    "heat map": lambda **fields: dual_study(
        axes=dual_study().axes[:3], outputs=[Table(rows="loss"), Heatmap(x="kernel", y="network")], **fields
    ),
    "gap": lambda **fields: gap_study(
        axes=gap_study().axes[1:], outputs=[Gap(x="loss", train="photos-train", test="photos/test")], **fields
    ),
    "several sets": lambda **fields: pooled_study(*SETS, **fields),
}  # fmt: skip


@pytest.fixture
def figures_as_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are saved as the texts that stand in them."""

    def save(figure: Figure, path: Path, **options: Any) -> None:
        words = "\n".join(text.get_text() for text in figure.findobj(Text))
        path.write_bytes(PIXEL if options["format"] == "png" else words.encode())

    monkeypatch.setattr(Figure, "savefig", save)


def written(store: Store, study: Study) -> Path:
    """The folder of a report."""
    fill(store, plan_of(study), gain, costs=True)
    report.write(store, "unpaired")
    return store.study("unpaired/quick")


def rows_of(file: Path) -> list[list[str]]:
    with file.open(encoding="utf-8", newline="") as lines:
        return list(csv.reader(lines))


def levels(words: str) -> set[str]:
    """The levels, in percent, of the intervals that are named in a text."""
    return set(re.findall(r"\b(9[57])(?:\.0)?\s*(?:\\,)?\\?%", words))


@pytest.mark.fast_variants(2)
@pytest.mark.parametrize("level", SEEDS)
@pytest.mark.parametrize("name", STUDIES)
def test_one_level_is_named_in_every_file(store: Store, name: str, level: str) -> None:
    folder = written(store, STUDIES[name](seeds=SEEDS[level]))
    for file in folder.iterdir():
        named = levels(file.read_text(encoding="utf-8", errors="replace"))
        assert named <= {level}, file.name
        assert named or file.name not in {"macros.tex", "report.html", "table_rho.md", "table_pooled.md"}
    for file in folder.glob("*.csv"):
        head, *rows = rows_of(file)
        if {"half_width", "delta_low"} & set(head):
            assert {row[head.index("confidence_percent")] for row in rows} == {level}, file.name
    results = json.loads((folder / "summary.json").read_text(encoding="utf-8"))["results"]
    assert {row["confidence_percent"] for row in results} == {int(level)}


@pytest.mark.fast_variants(1)
@pytest.mark.parametrize(("level", "tests"), [("97", "2 %"), ("95", "5 %")])
def test_the_level_of_tests_is_named_beside_p(store: Store, level: str, tests: str) -> None:
    folder = written(store, STUDIES["sweep"](seeds=SEEDS[level]))
    caption = notes_of(next(iter(folder.glob("table_*.md"))))
    assert f"one-sided tests at {tests}" in caption
    assert ("tests are at 2 %" in caption) == (level == "97")
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert ("the tests at 2 %" in page) == (level == "97")


@pytest.mark.parametrize(("level", "tests"), [("97", "2 %"), ("95", "5 %")])
def test_groups_of_methods_are_tested_at_the_level_of_the_study(store: Store, level: str, tests: str) -> None:
    folder = written(store, STUDIES["several sets"](seeds=SEEDS[level]))
    assert f"Wilcoxon-Holm at {tests}" in (folder / "table_pooled.md").read_text(encoding="utf-8")


@pytest.mark.fast_variants(1)
@pytest.mark.parametrize(
    ("overrides", "settings"),
    [({}, "unpaired, profile quick"), ({"pretrain.steps": 9}, "unpaired, profile quick with pretrain.steps=9")],
)
def test_every_csv_file_names_the_settings_in_its_last_column(
    store: Store, overrides: dict[str, Any], settings: str
) -> None:
    fill(store, plan_of(STUDIES["sweep"](), overrides=overrides), gain, costs=True)
    made = report.write(store, "unpaired")
    files = [file for file in made.files if file.suffix == ".csv"]
    assert {file.name for file in files} >= {"summary.csv", "costs.csv", "table_rho.csv"}
    for file in files:
        head, *rows = rows_of(file)
        assert head[-1] == "settings"
        assert {row[-1] for row in rows} == {settings}
        assert {len(row) for row in rows} == {len(head)}
