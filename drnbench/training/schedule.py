"""The learning rate, the decay of averaged weights and the validations of a stage, each a function of the step."""

from __future__ import annotations

import bisect
import math
from fractions import Fraction

from drnbench.config.trial import Stage


def learning_rate(stage: Stage, step: int) -> float:
    """Return the learning rate of a step (from 0): the schedule's, times (step + 1) / warm-up steps while that is below 1.

    cosine: from `lr` to `lr_min` over the stage; constant: `lr`; multistep: `lr` times `gamma` from each milestone on.
    """
    rate, warmup = _scheduled(stage, step), in_steps(stage.warmup, stage.steps)
    return rate * (step + 1) / warmup if step + 1 < warmup else rate


def _scheduled(stage: Stage, step: int) -> float:
    if stage.schedule == "constant":
        return stage.lr
    if stage.schedule == "multistep":
        return stage.lr * float(stage.gamma ** bisect.bisect_right(milestones(stage), step))
    return stage.lr_min + (stage.lr - stage.lr_min) * (1 + math.cos(math.pi * step / stage.steps)) / 2


def milestones(stage: Stage) -> list[int]:
    """Return the milestones in steps."""
    return [in_steps(milestone, stage.steps) for milestone in stage.milestones]


def in_steps(value: float, steps: int) -> int:
    """Return a number of steps; a value below 1 is a share of `steps`, rounded down in exact decimals.

    >>> in_steps(250, 1000), in_steps(0.29, 100)
    (250, 29)
    """
    return math.floor(position(value, steps))


def position(value: float, steps: int) -> Fraction:
    """Return a number of steps or a share of `steps` in steps, not rounded."""
    return Fraction(repr(value)) * (steps if value < 1 else 1)


def average_decay(stage: Stage, step: int) -> float:
    """Return the decay of the averaged weights after a step (from 1): min(`ema`, (1 + step) / (10 + step)).

    A short training is thus no average with its initial weights; as TensorFlow's ExponentialMovingAverage with `num_updates`.
    """
    return min(stage.ema, (1 + step) / (10 + step))


def validation_steps(stage: Stage) -> set[int]:
    """Return the steps after which the held-out images are scored: evenly spaced, the last at the end."""
    count = stage.validations if stage.holdout else 0
    return {math.ceil(k * stage.steps / count) for k in range(1, count + 1)}
