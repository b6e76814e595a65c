"""The arms that a figure shows where it has no room for all."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from drnbench.outputs.table import rows_axis
from drnbench.results import layout
from drnbench.results.scores import Arm, Scores

ARMS = 7
"""Arms that a page has room for, bicubic aside."""


def representative(scores: Scores) -> list[Arm]:
    """Return bicubic, the arms of the grid that differ from the baseline on the main axis alone, and named arms.

    The arm of the comparison declared in advance is among them. At most ARMS + 1; where there are more, the baseline, that
    arm, the control and the ends stay and the rest is thinned evenly.
    """
    condition, _ = scores.primary
    arms = [arm for arm in scores.arms if condition in arm.conditions]
    base = scores.baseline or next((arm for arm in arms if arm.kind == "grid"), arms[0])
    fixed = [axis.path for axis in scores.axes if axis.path not in _varied(scores)]
    grid = [arm for arm in arms if arm.kind == "grid" and all(arm.values[p] == base.values.get(p) for p in fixed)]
    declared = scores.plan.primary.arm if scores.plan.primary else None
    trained = [arm for arm in arms if arm in grid or arm.kind == "named" or arm.name == declared]
    kept = {declared, *(arm.name for arm in (*grid[:1], *grid[-1:]))} | (
        {scores.plan.baseline, scores.plan.control} if grid else set()
    )
    return [*(arm for arm in arms if arm.kind == "reference"), *_thinned(trained, kept)]


def _varied(scores: Scores) -> set[str | None]:
    """Return the axes along which arms are shown: the rows of the first table, and what moves the conditions."""
    varied = {rows_axis(scores), *layout.moving(scores)}
    if set(scores.plan.baseline_values) < {axis.path for axis in scores.axes}:
        # What is compared within each cell is what a figure must show.
        varied |= set(scores.compared_on)
    return varied


def _thinned(arms: list[Arm], kept: AbstractSet[str | None]) -> list[Arm]:
    """Return at most ARMS arms in their order: those that are kept, and others at even distances."""
    if len(arms) <= ARMS:
        return arms
    others = [arm for arm in arms if arm.name not in kept]
    room = max(0, ARMS - (len(arms) - len(others)))
    spread = {others[round((n + 0.5) * len(others) / room - 0.5)].name for n in range(room)}
    return [arm for arm in arms if arm.name in kept or arm.name in spread]
