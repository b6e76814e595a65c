"""Every study of the project runs from its file to its report, and the report answers in words."""

import json
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.helpers import call

STUDIES = sorted((REPOSITORY / "studies").glob("*.py"))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    # One store for all: what two studies share is trained once.
    return tmp_path_factory.mktemp("studies") / "results"


@pytest.mark.real
@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_it_runs_and_answers_its_question_in_words(path: Path, store):
    done = call("run", path, "--profile", "tiny", "--results", store, "--tracking-uri", "off")
    assert done.returncode == 0, done.stderr
    folder = store / path.stem
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert report["incomplete"] == 0
    assert report["headline"] in done.stdout
    assert "No scores" not in report["headline"]
    plan = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
    # A figure of every kind that the study declares, and its table in every form.
    drawn = {p.stem for p in folder.glob("figure_*.png")}
    for output in plan["outputs"]:
        if output["kind"] == "table":
            stem = output["rows"].rpartition(".")[2]
            assert {p.suffix for p in folder.glob(f"table_{stem}.*")} == {".md", ".tex", ".csv"}
        else:
            word = {"curve": output.get("y"), "dualkernel": "dual", "tradeoff": "against"}.get(
                output["kind"], output["kind"]
            )
            assert any(word in name for name in drawn), (output, drawn)
