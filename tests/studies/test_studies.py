"""Every study of the project runs from its file to its report, and every profile of it is a plan that can be run."""

import json
from pathlib import Path

import pytest

from drnbench.errors import DataError
from drnbench.plan import make
from drnbench.store import Store
from drnbench.study import expand
from drnbench.studyfile import load
from tests.conftest import REPOSITORY
from tests.house import call

STUDIES = sorted((REPOSITORY / "studies").glob("*.py"))
NAMED = {
    "dual_ablation", "lambda_sweep", "rho_sweep", "hr_dual", "kernel_adaptation", "method_comparison", "scale_sweep",
    "kernel_scale_grid", "generalization_gap", "real_frames", "dual_kernel", "dual_synth",
}  # fmt: skip


def test_every_question_has_its_file_and_asks_it():
    assert {path.stem for path in STUDIES} >= NAMED
    for path in STUDIES:
        _, _, question = load(path)
        assert question.endswith("?"), path.stem


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
@pytest.mark.parametrize("profile", ["quick", "small", "paper"])
def test_every_profile_is_a_plan(path, profile, tmp_path, shared_data, monkeypatch):
    monkeypatch.setenv("DRNBENCH_DATA", str(shared_data))
    study, name, question = load(path)
    expanded = expand(study, name, question, profile)
    seeds = {len(arm.trials) for arm in expanded.arms if arm.kind == "grid"}
    assert seeds == {3}, "a star needs three seeds"
    if profile == "paper" and not (shared_data / "DIV2K").is_dir():
        # The paper's sets are not everywhere; that is said, with where to put them.
        with pytest.raises(DataError, match=r"DF2K|DIV2K|Urban100|Manga109"):
            make(expanded, Store(tmp_path / profile))
        return
    plan = make(expanded, Store(tmp_path / profile))
    assert json.loads(json.dumps(plan.to_json(), allow_nan=False))["study"] == path.stem


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
            word = {"curve": output.get("y"), "dualkernel": "dual", "gap": "gap"}.get(output["kind"], output["kind"])
            assert any(word in name for name in drawn), (output, drawn)
