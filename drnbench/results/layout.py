"""Which axes move where an arm is scored, so that their values are columns, panels and points and not blocks.

A study may have an axis `kernel` whose value moves the kernel of the test set too: each arm of it is then scored on
conditions of its own, and nothing else tells its values apart better than the condition does.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from drnbench.results.scores import Arm, Condition, Scores

FIELDS = Condition._fields


class Slot(NamedTuple):
    """A condition without what an axis moves; `n` tells conditions of one arm apart that are then alike."""

    dataset: str | None
    kernel: str | None
    scale: int | None
    n: int = 0


def groups(scores: Scores, path: str) -> list[set[Condition]]:
    """Return the conditions of all arms of each value of an axis."""
    by_value: dict[str, set[Condition]] = {}
    for arm in scores.arms:
        if arm.kind == "grid":
            by_value.setdefault(repr(arm.values[path]), set()).update(arm.conditions)
    return list(by_value.values())


def moving(scores: Scores) -> list[str]:
    """Return the axes whose values are scored on disjoint sets of conditions."""
    paths = []
    for axis in scores.axes:
        sets = groups(scores, axis.path)
        if len(sets) > 1 and sum(map(len, sets)) == len(set.union(*sets)):
            paths.append(axis.path)
    return paths


def moved(scores: Scores, paths: Iterable[str]) -> frozenset[str]:
    """Return the fields of a condition that differ between the values of moving axes."""
    out = set()
    for path in paths:
        if path not in moving(scores):
            continue
        sets = groups(scores, path)
        for n, field in enumerate(FIELDS):
            if len({frozenset(condition[n] for condition in conditions) for conditions in sets}) > 1:
                out.add(field)
    return frozenset(out)


def slots(arm: Arm, fields: frozenset[str]) -> dict[Condition, Slot]:
    """Return each condition of an arm without some fields: the columns or panels that its values share with others'."""
    out: dict[Condition, Slot] = {}
    for condition in arm.conditions:
        slot = Slot(
            None if "dataset" in fields else condition.dataset,
            None if "kernel" in fields else condition.kernel,
            None if "scale" in fields else condition.scale,
        )
        out[condition] = slot._replace(n=sum(s[:3] == slot[:3] for s in out.values()))
    return out
