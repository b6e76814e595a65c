"""Every study of the project runs from its file to its report, and the report answers in words."""

import json
from pathlib import Path

import pytest

from drnbench.cli import main
from tests.conftest import REPOSITORY

STUDIES = sorted((REPOSITORY / "studies").glob("*.py"))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    # One store for all: what two studies share is trained once.
    return tmp_path_factory.mktemp("studies") / "results"


@pytest.mark.real
@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_it_runs_and_answers_its_question_in_words(path: Path, store, capsys):
    # In this process, so that all studies share one server of workers, which imports PyTorch once.
    status = main(["run", str(path), "--profile", "tiny", "--results", str(store), "--tracking-uri", "off"])
    output = capsys.readouterr()
    assert status == 0, output.err
    folder = store / path.stem / "tiny"
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert report["incomplete"] == 0
    assert report["headline"] in output.out
    assert "No scores" not in report["headline"]
    plan = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
    # A figure of every kind that the study declares, and its table in every form.
    drawn = {p.stem for p in folder.glob("figure_*.png")}
    for output in plan["outputs"]:
        if output["kind"] == "table":
            stem = output["rows"].rpartition(".")[2]
            assert {p.suffix for p in folder.glob(f"table_{stem}.*")} == {".md", ".tex", ".csv"}
        else:
            word = {"curve": output.get("y"), "dualkernel": "dual", "tradeoff": "against", "zoom": "crops"}.get(
                output["kind"], output["kind"]
            )
            assert any(word in name for name in drawn), (output, drawn)
