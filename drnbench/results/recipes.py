"""Recipes of training in words: optimiser, learning rate, clipping, averaged weights and loss where they are not the default."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from drnbench.results import labels
from drnbench.training.schedule import in_steps

NAMED = 4
"""Up to so many arms are named."""
Stage = Mapping[str, Any]
"""A stage as plan.json has it; one that an earlier version wrote lacks the fields that are newer."""


def recipe(stage: Stage) -> str:
    """Return `warm-up 50 steps, EMA 0.999 scored, loss l1+0.05*fft`; empty for the defaults."""
    return ", ".join(_parts(stage))


def _parts(stage: Stage) -> Iterator[str]:
    steps = int(stage["steps"])
    if stage.get("optimiser", "adam") == "adamw":
        decay = stage["weight_decay"]
        yield f"AdamW with weight decay {0.01 if decay is None else decay:g}"
    if stage.get("schedule", "cosine") == "multistep":
        reached = [str(in_steps(milestone, steps)) for milestone in stage["milestones"]]
        yield f"learning rate times {stage['gamma']:g} at step {labels.listing(reached)}"
    elif stage.get("schedule", "cosine") == "constant":
        yield "constant learning rate"
    if warmup := in_steps(stage.get("warmup", 0), steps):
        yield f"warm-up {warmup} steps"
    if (norm := stage.get("clip_norm")) is not None:
        yield f"gradients clipped to norm {norm:g}"
    if (value := stage.get("clip_value")) is not None:
        yield f"gradients clipped to ±{value:g}"
    if ema := stage.get("ema", 0):
        yield f"EMA {ema:g} {'scored' if stage['score_ema'] else 'kept, last-step weights scored'}"
    if (loss := stage.get("loss", "l1")) != "l1":
        yield f"loss {loss}"


def recipe_lines(stages: Iterable[tuple[str, Stage]]) -> list[str]:
    """Return a line for each recipe that is not the default: `train of 'EMA': EMA 0.999 scored`.

    Args:
        stages: name of the arm and one of its stages.

    """
    arms: dict[tuple[str, str], dict[str, None]] = {}
    for arm, stage in stages:
        if words := recipe(stage):
            arms.setdefault((stage["name"], words), {})[arm] = None
    return [f"{name} of {labels.listing(list(names), NAMED)}: {words}" for (name, words), names in arms.items()]
