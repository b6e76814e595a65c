"""Every file of a report says where its numbers come from, and says the same when it is written again."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from PIL import Image

from drnbench.outputs import report
from drnbench.render import latex
from drnbench.results import reading, summary
from drnbench.results.provenance import read_provenance
from drnbench.store import Status, Store, read_json, write_json
from tests.fake_store import fill, plan_of
from tests.outputs.conftest import gain, rho_study

ORIGIN = {
    "versions": {"drnbench": "0.1.0", "python": "3.11.7", "torch": "2.14.1", "numpy": "2.4.6", "pillow": "13.0.0",
                 "scikit-image": "0.26.0", "lpips": "0.1.4"},
    "git": {"commit": "0e11680d0a24a3a3dc22742c7069bff693e13b1d", "dirty": True},
    "hardware": {"processor": "A processor", "cores": 2, "system": "Linux"},
    "signature": {"device": "A processor, AVX512"},
    "peak_rss_mib": 518,
    "tiles": {"photos/test, bicubic": 512},
}  # fmt: skip
END = 1_700_000_000.0


@pytest.fixture
def recorded(tmp_path: Path) -> Store:
    """A store whose trials and stages say how they were made."""
    store = Store(tmp_path / "results")
    plan = plan_of(rho_study(), overrides={"adapt.steps": 90})
    fill(store, plan, gain, costs=True)
    path = store.study(plan.study.settings.location) / "plan.json"
    write_json(path, {**read_json(path), "file": "studies/unpaired.py"})
    for n, folder in enumerate(sorted([*store.root.glob("stages/*"), *store.root.glob("trials/*")], reverse=True)):
        name = "stage.json" if folder.parent.name == "stages" else "scores.json"
        write_json(folder / name, {**(read_json(folder / name) or {}), **ORIGIN})
        status = store.status(folder) or Status("done")
        status.started, status.finished = END - 100, END - n
        store.write_status(folder, status)
    return store


def made(store: Store) -> dict[str, bytes]:
    """The files of a report by name, and its record."""
    written = report.write(store, "unpaired")
    files = [*written.files, written.files[0].parent / "report.json"]
    return {file.name: file.read_bytes() for file in files}


FACTS = (
    "unpaired, profile quick with adapt.steps=90", "torch 2.14.1", "numpy 2.4.6", "pillow 13.0.0", "scikit-image 0.26.0",
    "lpips 0.1.4", "drnbench 0.1.0", "0e11680d0a24+", "A processor, AVX512 (2 cores, Linux)", "518 MiB", "0, 1, 2",
    "2023-11-14 22:13:20 UTC", "--profile quick --set adapt.steps=90",
    "photos/test, bicubic in 512 LR pixels: ",
)  # fmt: skip


@pytest.mark.usefixtures("unrendered")
def test_text_files_state_the_origin(recorded: Store) -> None:
    files = made(recorded)
    texts = {name: content.decode() for name, content in files.items() if name.endswith((".tex", ".md", ".html"))}
    assert set(texts) >= {"macros.tex", "table_rho.tex", "table_rho.md", "report.html"}
    for name, text in texts.items():
        for fact in (*FACTS, "adapt.rho=1 (0)"):
            assert fact in text, (name, fact)
        assert name == "report.html" or "'ρ=1' differs from 'ρ=0' in: adapt.rho=1 (0)" in text


@pytest.mark.usefixtures("unrendered")
def test_comments_stand_in_front_of_latex(recorded: Store) -> None:
    lines = made(recorded)["table_rho.tex"].decode().splitlines()
    first = next(n for n, line in enumerate(lines) if not line.startswith("%"))
    assert lines[first].startswith("\\begin{table")


@pytest.mark.real
def test_figures_hold_the_origin_in_their_metadata(recorded: Store) -> None:
    made(recorded)
    folder = next(recorded.root.glob("unpaired/*/report.html")).parent
    with Image.open(folder / "figure_psnr_y_rho.png") as picture:
        text = picture.info["Description"]
    pdf = (folder / "figure_psnr_y_rho.pdf").read_bytes()
    for fact in FACTS:
        assert fact in text
        assert fact.partition(" (")[0].encode("utf-16-be") in pdf  # brackets are escaped
    assert b"/CreationDate" not in pdf


@pytest.mark.real
def test_a_report_that_is_written_again_is_equal_byte_for_byte(recorded: Store) -> None:
    assert made(recorded) == made(recorded)


@pytest.mark.usefixtures("unrendered")
def test_summary_json_has_the_rows_of_summary_csv(recorded: Store) -> None:
    content = json.loads(made(recorded)["summary.json"])
    assert content["overrides"] == {"adapt.steps": 90}
    assert content["headline"]
    assert content["provenance"]["differences"][0] == {
        "arm": "ρ=0.1", "baseline": "ρ=0", "fields": {"adapt.rho": {"value": 0.1, "baseline": 0.0}},
    }  # fmt: skip
    rows = (next(recorded.root.glob("unpaired/*/summary.csv"))).read_text(encoding="utf-8").splitlines()
    columns = [*summary.COLUMNS, "confidence_percent", "settings"]
    assert rows[0].split(",") == columns
    assert list(content["results"][0]) == [*columns, "verdict", "contender", "higher_is_better"]
    assert len(content["results"]) == len(rows) - 1


@pytest.mark.parametrize("ending", ["\n", "\r", "\x0b", "\x85", "\u2028"])
def test_a_line_end_in_a_name_does_not_end_a_comment(store: Store, ending: str) -> None:
    study = rho_study(arms={f"a{ending}\\input{{x}}": {"adapt.lam": 0.3}}, control=None)
    fill(store, plan_of(study), gain)
    path = store.study("unpaired/quick") / "plan.json"
    plan = read_json(path)
    write_json(
        path, {**plan, "file": f"a{ending}\\input{{x}}.py", "overrides": {"evaluate.0.kernel": f"b{ending}\\par"}}
    )
    text = latex.comment(read_provenance(reading.read(store, "unpaired"), store).lines())
    assert "\\input{x}" in text
    assert all(line.startswith("% ") for line in text.splitlines())


@pytest.mark.usefixtures("unrendered")
def test_the_command_is_quoted_for_a_shell(store: Store) -> None:
    fill(store, plan_of(rho_study()), gain)
    path = store.study("unpaired/quick") / "plan.json"
    overrides = {"*.lam": 0.1, "evaluate.0.kernel": "a b; rm -rf $HOME", "stages": ["pretrain", "adapt"]}
    write_json(
        path, {**read_json(path), "file": "my studies/sweep.py", "overrides": overrides, "data_roots": ["../my images"]}
    )
    command = read_provenance(reading.read(store, "unpaired"), store).command
    words = shlex.split(command)
    assert words[:6] == ["python", "-m", "drnbench", "run", "my studies/sweep.py", "--profile"]
    assert words[-2:] == ["--data-root", "../my images"]
    assert "evaluate.0.kernel=a b; rm -rf $HOME" in words
    assert 'stages=["pretrain", "adapt"]' in words


def test_a_store_of_an_earlier_version_has_what_it_recorded(store: Store) -> None:
    fill(store, plan_of(rho_study()), gain)
    origin = read_provenance(reading.read(store, "unpaired"), store)
    assert (origin.date, origin.versions, origin.commits, origin.seconds) == (None, {}, (), None)
    assert ("trials", "16 of 16 done") in origin.facts()
