"""Outputs that could not be drawn are refused before anything is trained."""

import pytest

from drnbench import Axis, Curve, Data, DualKernel, Evaluate, Gap, Heatmap, Stage, Table, Tradeoff, Trial
from drnbench.config.study import build
from drnbench.errors import UsageError
from drnbench.planning import make
from drnbench.planning.expand import expand
from drnbench.store import Store


def plan(tmp_path, *outputs, evaluate=("photos/test",), metrics=("psnr_y",), scheme="paired", **fields):
    stage = Stage("train", scheme=scheme, data=Data("photos/train"), steps=5, patch=32)
    base = Trial(
        model={"n_blocks": 1, "n_feats": 2},
        scale=2,
        stages=[stage],
        evaluate=[Evaluate(s, metrics=metrics) for s in evaluate],
    )
    axes = [Axis("train.lam", [0, 1]), Axis("train.batch", [2, 4]), Axis("train.lr", [1e-3, 1e-4])]
    study = build({"base": base, "axes": axes, "seeds": 1, "outputs": outputs, **fields}, "s")
    return make(expand(study, "s", "?"), Store(tmp_path))


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (Curve(x="train.lam", y="psnry"), "s: Curve: no arm is measured in 'psnry': did you mean 'psnr_y'"),
        (Curve(x="train.lam", y="ssim_y"), "s: Curve: no arm is measured in 'ssim_y'"),
        (Tradeoff(x="macs", y="nope"), "s: Tradeoff: no arm is measured in 'nope'"),
        (Table(rows="train.lam", metrics=["psnrr"]), "s: Table: no arm is measured in 'psnrr'"),
        (Table(rows="train.lam", peers=["EDSRR"]), "s: Table: no published numbers of 'EDSRR': did you mean 'EDSR'"),
        (DualKernel(x="train.lam"), "s: DualKernel: D is looked at where dual_mae is measured"),
        (Gap(x="train.lam"), "s: Gap: two test sets are wanted"),
        (Gap(x="train.lam", train="photos/trian"), "s: Gap: no Evaluate has the source 'photos/trian'"),
    ],
)
def test_outputs_that_cannot_be_drawn_are_refused(tmp_path, output, message):
    with pytest.raises(UsageError, match=message):
        plan(tmp_path, output)


def test_a_dual_kernel_wants_an_arm_with_a_dual(tmp_path):
    with pytest.raises(UsageError, match="train at least one arm with a dual network"):
        plan(tmp_path, DualKernel(x="train.lr"), metrics=("psnr_y", "dual_mae"), scheme="supervised")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"outputs": [Heatmap(x="train.lam", y="train.batch")]}, "give the study one"),
        ({"outputs": [Heatmap(x="train.lr", y="train.lr")], "baseline": {"train.lam": 0}}, "wants two axes"),
        ({"baseline": {"train.lam": 0}, "subject": {"train.lam": 0}}, "the subject is the baseline itself"),
        ({"axes": [Axis("a", {"x": {"train.lr": 1.0}}), Axis("train.lr", [1.0])]}, "both set 'train.lr'"),
        ({"profiles": {"quick": {"axes": [0, 1]}}}, "axes takes a dictionary of axis paths"),
    ],
)
def test_a_study_that_contradicts_itself_is_refused(tmp_path, fields, message):
    with pytest.raises(UsageError, match=message):
        plan(tmp_path, **fields)


def test_outputs_that_can_be_drawn_are_planned(tmp_path):
    outputs = [
        Heatmap(x="train.batch", y="train.lr"), DualKernel(x="train.lr"), Gap(x="train.lam", test="photos/test"),
        Tradeoff(x="macs"), Table(rows="train.lam", peers=["EDSR"]),
    ]  # fmt: skip
    planned = plan(
        tmp_path,
        *outputs,
        evaluate=("photos/train", "photos/test"),
        metrics=("psnr_y", "dual_mae"),
        baseline={"train.lam": 0},
    ).record()
    gap = planned.outputs[2]
    assert (gap["train"], gap["test"]) == ("photos/train", "photos/test")
