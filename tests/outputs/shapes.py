"""Studies of every shape that the report must draw."""

from __future__ import annotations

from typing import Any

from drnbench import DualKernel, Gap, Heatmap, Table, Tradeoff
from drnbench.config.study import Axis, Study
from drnbench.config.trial import Data, Evaluate, Stage, Trial
from tests.fake_store import ADAPT, PRETRAIN, base

LOSS = {"off": {"pretrain.scheme": "supervised"}, "on": {"pretrain.scheme": "paired"}}
NETWORKS = {"S": {"model": {"n_feats": 8}}, "L": {"model": {"n_feats": 16}}}
SKEWED = "anisotropic:angle=45.0,sigma_x=3.0,sigma_y=1.0"
KERNELS = {
    "bd": {"evaluate.0.kernel": "bd"},
    "gaussian": {"evaluate.0.kernel": "gaussian:sigma=2.0"},
    "skewed": {"evaluate.0.kernel": SKEWED},
}


def one_stage(**fields: Any) -> Trial:
    evaluate = [Evaluate("photos/test", metrics=("psnr_y", "ssim_y"))]
    return base(**{"stages": [PRETRAIN], "evaluate": evaluate, **fields})


def dual_study(**fields: Any) -> Study:
    """Dual on against off, in each network, kernel and scale."""
    wanted: dict[str, Any] = {
        "base": one_stage(),
        "axes": [
            Axis("network", NETWORKS), Axis("loss", LOSS), Axis("kernel", KERNELS), Axis("scale", [2, 4]),
        ],
        "seeds": 3,
        "baseline": {"loss": "off"},
        "subject": {"loss": "on"},
        "outputs": [
            Table(rows="loss", costs=("parameters", "macs", "seconds")),
            Heatmap(x="kernel", y="scale"),
            Tradeoff(x="parameters"),
        ],
    }  # fmt: skip
    return Study(**{**wanted, **fields})


def adapt_study(**fields: Any) -> Study:
    """Source only, adapted, true pairs, on each kernel; the baseline and the control are cells of the grid."""
    kinds = {
        "source": {"adapt.rho": 0.0},
        "adapted": {"adapt.rho": 0.5},
        "pairs": {"adapt.scheme": "paired", "adapt.rho": 0.0},
    }
    kernels = {
        "bd": {"adapt.unpaired.kernel": "bd", "evaluate.0.kernel": "bd"},
        "skewed": {"adapt.unpaired.kernel": SKEWED, "evaluate.0.kernel": SKEWED},
    }
    evaluate = [Evaluate("photos/test", metrics=("psnr_y", "ssim_y", "dual_mae"))]
    wanted: dict[str, Any] = {
        "base": base(stages=[PRETRAIN, ADAPT], evaluate=evaluate),
        "axes": [Axis("training", kinds), Axis("kernel", kernels)],
        "seeds": 3,
        "baseline": {"training": "source"},
        "control": {"training": "pairs"},
        "subject": {"training": "adapted"},
        "outputs": [Table(rows="training"), DualKernel(x="kernel")],
    }
    return Study(**{**wanted, **fields})


def gap_study(**fields: Any) -> Study:
    """Training images against test images, with few and with many training images."""
    sizes = {str(n): {"train.data.count": n, "evaluate.1.count": n} for n in (2, 8, 32)}
    stage = Stage("train", scheme="paired", data=Data("photos-train"), steps=40)
    loss = {"off": {"train.scheme": "supervised"}, "on": {"train.scheme": "paired"}}
    wanted: dict[str, Any] = {
        "base": base(stages=[stage], evaluate=[Evaluate("photos/test"), Evaluate("photos-train")]),
        "axes": [Axis("size", sizes, label="images"), Axis("loss", loss)],
        "seeds": 3,
        "baseline": {"loss": "off"},
        "outputs": [Table(rows="size"), Gap(x="size", train="photos-train", test="photos/test")],
    }
    return Study(**{**wanted, **fields})


def real_study(**fields: Any) -> Study:
    """Frames of a real camera: nobody has HR."""
    evaluate = [Evaluate("photos-frames", kernel="real", metrics=("lr_psnr",))]
    wanted: dict[str, Any] = {
        "base": base(evaluate=evaluate),
        "axes": [Axis("adapt.rho", [0, 0.3, 0.5], label="ρ")],
        "seeds": 3,
        "baseline": {"adapt.rho": 0},
        "outputs": [Table(rows="adapt.rho")],
    }
    return Study(**{**wanted, **fields})
