"""The text of a new study file: commented, and ready to run on the embedded photographs."""

from __future__ import annotations

import ast
import math
import re
from dataclasses import dataclass

from drnbench.config.overrides import parse_value
from drnbench.errors import UsageError

TEMPLATE = '''\
"""{question}

The first paragraph is the question: it stands above the report. Below it is room for how settings were chosen.
"""

from drnbench import Axis, Curve, Data, Evaluate, Stage, Study, Table, Trial

# One stage of training. Data: a name of `drnbench list datasets`, a folder of HR images, or several joined by `+`; the kernel
# is the degradation that makes LR images of it (`drnbench list kernels`). Other fields: scheme, lam (weight of the dual
# loss), rho (share of unpaired images), lr, precision, validations ... `drnbench.config.trial` describes all of them.
train = Stage("train", data=Data("{train}", kernel="bicubic"), steps=500, batch=4, patch=64, lr=2e-3)

study = Study(
    # What all arms share. Methods: `drnbench list methods`. `model` has sizes of the network.
    base=Trial(
        method="{method}",
        model={model},
        scale={scale},
        stages=[train],
        evaluate=[Evaluate("{test}", metrics=("psnr_y", "ssim_y"))],
    ),
    # What is varied: any field by its path, such as train.lam, train.steps, model.n_feats. Several axes make a grid.
    axes=[Axis("{axis}", {values})],
    # Arms beside the grid, by name: fields that differ from the base.
    # arms={{"no dual": {{"train.scheme": "supervised"}}}},
    # Each arm is trained once a seed; differences need at least two, and three to earn a star.
    seeds={seeds},
    # Differences are taken to this arm.
    baseline={{"{axis}": {baseline}}},
    # Say in advance what you will claim: the one comparison that is tested alone, and a difference that means nothing.
    # primary={{"{axis}": ...}},
    # margin={{"psnr_y": 0.05}},
    outputs=[Table(rows="{axis}"), Curve(x="{axis}", y="psnr_y")],
    # Sizes of the study, for `run --profile NAME`; tiny (to see that it runs) and quick (as written above) are always there.
    profiles={{
        "small": {{"train.data.source": "T91+BSDS200", "train.steps": 20_000, "*.batch": 16,
                  "evaluate": [Evaluate("Set5"), Evaluate("Set14")]}},
    }},
)
'''


@dataclass(frozen=True)
class Answers:
    """The parts of a new study that differ from one to the next.

    Attributes:
        question: one sentence, without a line break.
        method: as `list methods` names it.
        scale: 2, 3, 4 or 8.
        train, test: sets of images.
        axis: path of the field that is varied.
        values: of the axis, with commas; the first is the baseline.
        seeds: number of them.
    """

    question: str = "How much dual regression is right: which weight of the dual loss gives the best SR?"
    method: str = "drn"
    scale: int = 4
    train: str = "photos/train"
    test: str = "photos/test"
    axis: str = "train.lam"
    values: str = "0, 0.1, 1"
    seeds: int = 3


def text(answers: Answers) -> str:
    """Return the study file.

    Raises:
        UsageError: an answer that no study can have.
    """
    # A comma before a name and an equals sign goes on with the parameters of a kernel.
    values = [parse_value(part.strip()) for part in re.split(r",(?!\s*\w+=)", answers.values) if part.strip()]
    if len(values) < 2 or set("[]{}") & set(answers.values):
        raise UsageError(f"values {answers.values!r}: give at least two, with commas, such as 0, 0.1, 1")
    if any(isinstance(value, float) and not math.isfinite(value) for value in values):
        raise UsageError(f"values {answers.values!r}: give numbers that are finite")
    if not (re.fullmatch(r"[\w*]+(\.[\w*]+)+", answers.axis) or answers.axis in {"scale", "method"}):
        raise UsageError(f"axis {answers.axis!r}: give the path of a field, such as train.lam, model.n_feats or scale")
    for name, answer in (("method", answers.method), ("training images", answers.train), ("test images", answers.test)):
        if not answer or not answer.isprintable() or '"' in answer or "\\" in answer:
            raise UsageError(f"{name} {answer!r}: give a name or a path without quotes and backslashes")
    question = " ".join(answers.question.split()).replace("\\", "").replace('"', "'")
    written = TEMPLATE.format(
        question=question or "What does it change?", train=answers.train, method=answers.method, scale=answers.scale,
        test=answers.test, axis=answers.axis, values=values, seeds=answers.seeds, baseline=repr(values[0]),
        model='{"n_blocks": 1, "n_feats": 8}' if answers.method == "drn" else "{}",
    )  # fmt: skip
    ast.parse(written)
    return written
