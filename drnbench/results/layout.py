"""The axes that move the conditions an arm is scored on: their values are columns, panels and points, and not blocks.

A study may have an axis `kernel` whose value moves the kernel of the test set too: each arm of it is then scored on
conditions of its own, and a condition says more than the value's name.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from drnbench.results.scores import Arm, Condition, Scores


class Slot(NamedTuple):
    """A condition without the fields that an axis moves; `n` numbers conditions of one arm that are then equal."""

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
    return [axis.path for axis in scores.axes if _disjoint(groups(scores, axis.path))]


def _disjoint(sets: list[set[Condition]]) -> bool:
    return len(sets) > 1 and sum(map(len, sets)) == len(set.union(*sets))


def moved(scores: Scores, paths: Iterable[str]) -> frozenset[str]:
    """Return the fields of a condition that differ between the values of moving axes."""
    fields = set()
    for path in set(paths) & set(moving(scores)):
        sets = groups(scores, path)
        for n, field in enumerate(Condition._fields):
            if len({frozenset(condition[n] for condition in conditions) for conditions in sets}) > 1:
                fields.add(field)
    return frozenset(fields)


def slots(arm: Arm, fields: frozenset[str]) -> dict[Condition, Slot]:
    """Return each condition of an arm without some fields: the columns or panels that its values share with others'."""
    by_condition: dict[Condition, Slot] = {}
    for condition in arm.conditions:
        slot = Slot(
            None if "dataset" in fields else condition.dataset,
            None if "kernel" in fields else condition.kernel,
            None if "scale" in fields else condition.scale,
        )
        by_condition[condition] = slot._replace(n=sum(other[:3] == slot[:3] for other in by_condition.values()))
    return by_condition
