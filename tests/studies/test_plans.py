"""Every study asks a question, and every profile of it is a plan that can be run."""

import pytest

from drnbench.config.studyfile import load
from drnbench.errors import DataError
from drnbench.planning import make
from drnbench.store import Store
from tests.conftest import REPOSITORY
from tests.helpers import expand_study

STUDIES = sorted((REPOSITORY / "studies").glob("*.py"))
NAMED = {
    "dual_ablation", "lambda_sweep", "rho_sweep", "hr_dual", "kernel_adaptation", "method_comparison", "scale_sweep",
    "kernel_scale_grid", "generalization_gap", "real_frames", "dual_kernel", "dual_synth",
}  # fmt: skip


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    # One store for all: each set of images is decoded once.
    return Store(tmp_path_factory.mktemp("plans"))


def test_every_question_has_its_file_and_asks_it():
    assert {path.stem for path in STUDIES} >= NAMED
    for path in STUDIES:
        _, _, question, _ = load(path)
        assert question.endswith("?"), path.stem


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
# The public sets of `small` are searched for copies, which takes seconds.
@pytest.mark.parametrize("profile", ["quick", pytest.param("small", marks=pytest.mark.real), "paper"])
def test_every_profile_is_a_plan(path, profile, store, shared_data, monkeypatch):
    monkeypatch.setenv("DRNBENCH_DATA", str(shared_data))
    study, name, question, _ = load(path)
    expanded = expand_study(study, name, question, profile)
    seeds = {len(arm.trials) for arm in expanded.arms if arm.kind == "grid"}
    assert seeds == {3}, "a star needs three seeds"
    if profile == "paper" and not (shared_data / "DIV2K").is_dir():
        # The paper's sets are not everywhere; that is said, with where to put them.
        with pytest.raises(DataError, match=r"DF2K|DIV2K|Urban100|Manga109"):
            make(expanded, store)
        return
    plan = make(expanded, store)
    assert plan.record().study == path.stem
