"""Every study asks a question, and every profile of it is a plan that can be run."""

import pytest
from PIL import Image

import drnbench
from drnbench.config.studyfile import load
from drnbench.config.trial import Data, Evaluate, Stage, Trial
from drnbench.datasets.catalogue import sizes
from drnbench.datasets.sources import resolve
from drnbench.errors import DataError
from drnbench.evaluation.perceptual import LpipsAlex
from drnbench.planning import make
from drnbench.schemes.losses import Perceptual
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


@pytest.fixture
def no_weights_needed(monkeypatch):
    """No key depends on the weights of LPIPS, which a machine that only plans may lack."""
    for needs_weights in (LpipsAlex, Perceptual):
        monkeypatch.setattr(needs_weights, "check_available", lambda *_: None)


@pytest.mark.usefixtures("no_weights_needed")
@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
@pytest.mark.parametrize("profile", ["quick", "small", "paper"])
def test_every_profile_is_a_plan_over_sets_of_their_real_sizes(path, profile, store, tmp_path, monkeypatch):
    monkeypatch.setenv("DRNBENCH_DATA", str(tmp_path))  # the sets themselves are not needed
    plan = drnbench.plan(path, profile=profile, results=store.root)
    assert plan.record().study == path.stem
    assert {len(arm.trials) for arm in plan.study.arms if arm.kind == "grid" and not arm.excluded} == {3}, (
        "a star needs three seeds"
    )
    assert bool(plan.absent) == any("planned from the catalogue" in warning for warning in plan.warnings)


@pytest.mark.usefixtures("no_weights_needed")
@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
@pytest.mark.real  # the public sets are searched for copies, which takes seconds
def test_the_small_profile_is_a_plan_of_the_sets_themselves(path, store, shared_data, monkeypatch):
    monkeypatch.setenv("DRNBENCH_DATA", str(shared_data))
    study, name, question, _ = load(path)
    assert make(expand_study(study, name, question, "small"), store).record().study == path.stem


def test_a_run_wants_the_sets_themselves(store, tmp_path, monkeypatch):
    monkeypatch.setenv("DRNBENCH_DATA", str(tmp_path))
    with pytest.raises(DataError, match="DF2K"):
        drnbench.run(STUDIES[0], profile="paper", results=store.root, tracking_uri="off")


@pytest.mark.parametrize("fields", [{"patch": 384}, {"patch": 64, "unpaired_patch": 368}])
def test_a_patch_that_no_image_can_give_is_refused_with_the_largest_image(fields, store, tmp_path, monkeypatch):
    monkeypatch.setenv("DRNBENCH_DATA", str(tmp_path))
    unpaired = Data("T91", kernel="bd")
    stage = Stage("adapt", scheme="unpaired", rho=0.5, data=Data("DF2K"), unpaired=unpaired, steps=1, **fields)
    trial = Trial(scale=2, stages=[stage], evaluate=[Evaluate("Set5")])
    study = drnbench.Study(base=trial, seeds=1)
    with pytest.raises(DataError) as error:
        drnbench.plan(study, name="too-large", results=store.root)
    message = str(error.value)
    assert "adapt.unpaired: every image of T91 is too small" in message
    assert "367x387" in message
    assert "\n" not in message


@pytest.mark.parametrize("name", ["Set5", "Set14", "B100", "BSDS200", "T91", "RealSRSet", "clip_city"])
def test_the_catalogue_states_the_sizes_of_the_sets(name, shared_data, monkeypatch):
    monkeypatch.setenv("DRNBENCH_DATA", str(shared_data))
    images = resolve(name).images
    shapes = []
    for image in images:
        with Image.open(image.path) as file:
            shapes.append(file.size)
    (entry,) = sizes(name)
    assert entry.images == len(images)
    assert {min(entry.smallest), min(entry.largest)} == {min(map(min, shapes)), max(map(min, shapes))}
    assert {entry.smallest, entry.largest} <= set(shapes)
