"""Text of any length and kind in a study: the report is whole, or loses the part that fails and nothing else."""

import json
import re
import warnings
from typing import Any

import pytest

from drnbench import Axis, Curve, Exclude, Table
from drnbench.errors import UsageError
from drnbench.outputs import outputs, report
from drnbench.outputs.base import Output
from drnbench.outputs.stored_report import current
from drnbench.store import Store
from drnbench.tracking import names
from tests.fake_store import fill, plan_of
from tests.outputs.conftest import gain, notes_of, rho_study

TEXTS = {
    "a word of 2,500 letters": "a" * 2500, "25 lines": "does it run, say? " * 140, "ideographs": "中文" * 300,
    "emoji": "👩‍🔬🚀" * 40, "right to left": "مرحبا \u202eabc", "control": "a\x00\x1b[31mb\x07\x7f", "half a surrogate": "x\ud800y",
    "line ends": "a\r\nb\tc\u2028d", "markup": r"<b>|*_$%&#^~\input{x}`'\"<!--", "combining": "e" + "\u0301" * 300,
    "a path": "../../../etc/passwd",
}  # fmt: skip


SURROGATE = "half a surrogate"
"""No file can hold it: refused where it is declared."""


def named(text: str, **fields: Any) -> Any:
    return rho_study(
        axes=[Axis("adapt.rho", [0.0, 0.5], label=text[:800])], seeds=2, exclude=[Exclude({"adapt.rho": 0.5}, text)],
        arms={"true pairs": {"adapt.scheme": "paired"}, f"arm {text}": {"adapt.lam": 0.5}}, baseline={"adapt.rho": 0.0},
        outputs=[Table(rows="adapt.rho"), Curve(x="adapt.rho", y="psnr_y")], **fields,
    )  # fmt: skip


def test_a_text_that_no_file_can_hold_is_refused_where_it_is_declared() -> None:
    with pytest.raises(UsageError, match="string"):
        named(TEXTS[SURROGATE])


@pytest.mark.fast_variants(2)
@pytest.mark.parametrize("kind", sorted(TEXTS.keys() - {SURROGATE}))
def test_a_report_of_any_text_is_whole(store: Store, kind: str) -> None:
    fill(store, plan_of(named(TEXTS[kind]), question=TEXTS[kind]), gain)
    with warnings.catch_warnings(record=True) as collapsed:
        warnings.simplefilter("always")
        made = report.write(store, "unpaired")
    assert made.failed == []
    assert [str(w.message) for w in collapsed if "collapsed" in str(w.message)] == []
    assert {path.suffix for path in made.files} >= {".csv", ".md", ".tex", ".pdf", ".png", ".html", ".json"}
    assert all(path.is_file() and len(path.name) < 200 for path in made.files)
    folder = store.study("unpaired/quick")
    json.loads((folder / "summary.json").read_text())
    table = (folder / "table_rho.md").read_text()
    rows = [line for line in table.splitlines() if line.startswith("|")]
    assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows}) == 1
    shown = made.headline + made.table
    assert not re.search("[\x00\ud800-\udfff\x07]", shown + table)
    assert "\x1b[31m" not in shown


@pytest.mark.usefixtures("unrendered")
def test_a_long_question_is_cut_at_a_word_in_captions_and_whole_in_the_page(store: Store) -> None:
    question = "Does it run or not, say? " * 100
    fill(store, plan_of(rho_study(), question=question.strip()), gain)
    report.write(store, "unpaired")
    folder = store.study("unpaired/quick")
    caption = notes_of(folder / "table_rho.md")
    assert re.search(r"(say\?|run|it|or|not|Does)…", caption)
    assert len(caption) < 2500
    assert question.strip() in (folder / "report.html").read_text()


class Broken(Output):
    """An output that raises in one of its methods."""

    def tables(self, study: Any) -> Any:
        raise KeyError("no such column")


@pytest.mark.usefixtures("unrendered")
def test_an_output_that_fails_costs_itself_alone(store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    fill(store, plan_of(rho_study()), gain)
    whole = {path.name for path in report.write(store, "unpaired").files}
    monkeypatch.setattr(outputs.get("curve"), "figures", lambda *_: 1 / 0)
    made = report.write(store, "unpaired")
    (line,) = made.failed
    assert "figures of the output Curve" in line
    assert "ZeroDivisionError" in line
    assert next(tmp_path.glob("drnbench-fault-*.txt")).read_text().count("ZeroDivisionError")
    lost = whole - {path.name for path in made.files}
    assert lost
    assert all(name.startswith("figure_") for name in lost)
    assert current(store, "unpaired/quick") is None  # the next run tries again


@pytest.mark.fast_variants(2)
@pytest.mark.usefixtures("unrendered")
@pytest.mark.parametrize("part", ["latex.render", "markdown.render", "html.render", "style.save", "compose.headline"])
def test_a_part_that_cannot_be_written_costs_itself_alone(
    store: Store, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    def fails(*_: Any) -> Any:
        raise ValueError("max() arg is an empty sequence")

    fill(store, plan_of(rho_study()), gain)
    whole = report.write(store, "unpaired").files
    monkeypatch.setattr(f"drnbench.outputs.report.{part}", fails)
    made = report.write(store, "unpaired")
    assert made.failed
    assert all("max() arg" in line for line in made.failed)
    assert len(made.files) > len(whole) / 3


@pytest.mark.parametrize("kind", TEXTS)
def test_names_and_values_that_mlflow_takes(kind: str) -> None:
    validation = pytest.importorskip("mlflow.utils.validation")
    text = TEXTS[kind]
    for name in names.params({"method": text, text: {text: text}}, text, {text: text}):
        validation._validate_param_name(name)
    for value in names.params({"method": text}, text, {}).values():
        assert len(value) <= names.PARAM_LENGTH
        value.encode()
        assert "\0" not in value
