"""KernelGAN as a stage: its kernel is the D of the stage after it, a killed stage goes on, and its cost is planned."""

import pytest
import torch

from drnbench import Axis, Data, Evaluate, Stage, Study, Trial
from drnbench.errors import DivergedError, UsageError
from drnbench.evaluation.dual import load_dual
from drnbench.models.weights import load_checkpoint
from drnbench.planning.build import make
from drnbench.planning.keys import Keys
from drnbench.store import Store
from drnbench.training.loop import train
from drnbench.zeroshot.internal_gan import InternalGAN
from tests.helpers import expand_study, same

CPU = torch.device("cpu")
TARGET = "anisotropic:sigma_x=2.0,sigma_y=1.0,angle=30"
UNPAIRED = Data("photos/unpaired", kernel=TARGET, crop=64)
SHARED = {"data": Data("photos/train", crop=32), "patch": 16, "batch": 2, "validations": 0}
PRETRAIN = Stage("pretrain", scheme="paired", steps=1, **SHARED)
ESTIMATE = Stage("estimate", scheme="kernelgan", steps=4, unpaired=UNPAIRED, unpaired_patch=52, augment=False,
                 options={"n_feats": 2}, **SHARED)  # fmt: skip
ADAPT = Stage("adapt", scheme="unpaired", steps=2, rho=0.5, unpaired=UNPAIRED, augment=False,
              unpaired_dual="estimated", **SHARED)  # fmt: skip


def trial(*stages):
    return Trial(method="drn", model={"n_blocks": 1, "n_feats": 4}, scale=2, stages=stages,
                 evaluate=[Evaluate("photos/test", kernel=TARGET, metrics=("psnr_y", "dual_mae"), crop=48, count=1)])  # fmt: skip


def run(store, units, stop=lambda unit, emitted: False):
    for unit in units:
        emitted = []
        train(unit, store, CPU, emitted.append, lambda u=unit, e=emitted: stop(u, e), checkpoint_s=0.0)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("kernelgan"))
    units = Keys(store.cache).stages(trial(PRETRAIN, ESTIMATE, ADAPT), "s")
    run(store, units)
    return store, units


def state(trained, number):
    store, units = trained
    return load_checkpoint(store.stage(units[number].key) / "checkpoint.pt")


def test_the_next_stage_has_the_estimate_as_its_d_and_the_pairs_keep_theirs(trained):
    before, estimate, after = (state(trained, number) for number in range(3))
    assert same(estimate["model"], before["model"]), "P is not touched"
    assert same(estimate["extra"]["dual"], before["extra"]["dual"])
    assert not same(after["extra"]["dual"], before["extra"]["dual"])
    assert same(after["extra"]["dual_estimated_unpaired"], estimate["extra"]["dual_estimated"])
    assert float(estimate["extra"]["dual_estimated"]["weights"].count_nonzero()) > 1
    store, units = trained
    impulse = torch.zeros(1, 3, 40, 40)
    impulse[..., 20, 20] = 255
    assert load_dual(store.stage(units[2].key), 2, CPU)(impulse).max() > 0


def test_a_stopped_stage_ends_with_the_same_bits(trained, tmp_path):
    store, units = Store(tmp_path), trained[1][:2]
    run(store, units, stop=lambda unit, emitted: unit.stage.name == "estimate" and {"saved": 2} not in emitted)
    run(store, units)
    assert same(load_checkpoint(store.stage(units[1].key) / "checkpoint.pt")["extra"], state(trained, 1)["extra"])


@pytest.mark.parametrize(
    ("weight", "message"), [(float("nan"), r"a weight is not finite after step 1; lower lr = 0\.0"), (0.0, "lower lr")]
)
def test_a_stage_that_diverges_in_its_last_step_is_filed_as_such(tmp_path, monkeypatch, weight, message):
    step = InternalGAN.step

    def diverging(gan, *images, **noise):
        losses = step(gan, *images, **noise)
        with torch.no_grad():
            next(gan.generator.parameters()).fill_(weight)
        return losses

    monkeypatch.setattr(InternalGAN, "step", diverging)
    store = Store(tmp_path)
    (unit,) = Keys(store.cache).stages(trial(ESTIMATE.model_copy(update={"steps": 1})), "s")
    with pytest.raises(DivergedError, match=message):
        run(store, [unit])
    assert not (store.stage(unit.key) / "checkpoint.pt").exists()


def test_the_plan_counts_it_as_any_other_stage(tmp_path):
    axis = Axis(
        "D", {"none": {"stages": ["pretrain", "adapt"], "adapt.rho": 0.0, "adapt.unpaired_dual": None}, "estimated": {}}
    )
    study = Study(base=trial(PRETRAIN, ESTIMATE, ADAPT), axes=[axis], seeds=1, baseline={"D": "none"})
    plan = make(expand_study(study, "s", "?"), Store(tmp_path))
    assert [[plan.stages[key].unit.stage.name for key in planned.stages] for planned in plan.trials[:2]] == [
        ["pretrain", "adapt"], ["pretrain", "estimate", "adapt"],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "warned"),
    [
        ({"augment": True}, True), ({"augment": True, "dual": "estimated", "unpaired_dual": None}, True),
        ({"augment": True, "scheme": "paired", "rho": 0.0, "dual": "estimated", "unpaired_dual": None}, True),
        ({}, False), ({"augment": True, "unpaired_dual": "linear"}, False), ({"augment": True, "rho": 0.0}, False),
    ],
)  # fmt: skip
def test_the_plan_warns_where_flips_turn_the_kernel_of_an_estimate(tmp_path, fields, warned):
    base = trial(PRETRAIN, ESTIMATE, ADAPT.model_copy(update=fields))
    study = Study(base=base, axes=[Axis("seed of all", {"a": {}})], seeds=2)
    warnings = [line for line in make(expand_study(study, "s", "?"), Store(tmp_path)).warnings if "flips" in line]
    assert len(warnings) == warned
    assert all("adapt" in line and "augment=False" in line and "\n" not in line for line in warnings)


@pytest.mark.parametrize(
    ("stages", "match"),
    [
        ((PRETRAIN, ADAPT), "'kernelgan' before it"),
        ((PRETRAIN, ADAPT.model_copy(update={"unpaired_dual": "chain", "dual": "estimated"})), "'kernelgan' before it"),
        ((PRETRAIN, ESTIMATE.model_copy(update={"augment": True})), "augment = False"),
        ((PRETRAIN, ESTIMATE.model_copy(update={"unpaired": None})), "unpaired=Data"),
        ((PRETRAIN, ESTIMATE.model_copy(update={"unpaired_patch": 32})), "unpaired_patch = 128"),
    ],
)
def test_what_cannot_be_estimated_is_refused_before_work(tmp_path, stages, match):
    with pytest.raises(UsageError, match=match):
        Keys(tmp_path).stages(trial(*stages), "s")


@pytest.mark.parametrize(
    ("kernel", "fits"),
    [
        ("bicubic", True), ("bd", True), ("gaussian:sigma=1.2", True), ("nearest:offset=zero", False),
        ("gaussian:sigma=1.2,phase=zero", False), (TARGET, False), ("anisotropic:sigma_x=2.0,sigma_y=1.0", False),
    ],
)  # fmt: skip
def test_a_kernel_that_flips_would_turn_is_no_d_of_flipped_patches(tmp_path, kernel, fits):
    known = ADAPT.model_copy(update={"unpaired_dual": "known", "unpaired_dual_kernel": kernel})
    Keys(tmp_path).stages(trial(PRETRAIN, known), "s")
    flipped = trial(PRETRAIN, known.model_copy(update={"augment": True}))
    if fits:
        Keys(tmp_path).stages(flipped, "s")
    else:
        with pytest.raises(UsageError, match="augment = False"):
            Keys(tmp_path).stages(flipped, "s")
