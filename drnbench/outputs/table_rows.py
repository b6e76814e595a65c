"""The skeleton of a table: which arms share a row, and which conditions share a column group."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any

from drnbench.render import text
from drnbench.results import layout
from drnbench.results.plan_record import AxisRecord
from drnbench.results.scores import Arm, Condition, Scores
from drnbench.results.summary import Result, Results


@dataclass
class Line:
    """A row: one arm, or one for each condition where an axis that moves the conditions is spread over the columns.

    Attributes:
        labels: values of the other axes, then the row's own.
        conditions: the only conditions shown; None: all. A reference of several kernels has a row for each.

    """

    labels: list[str]
    arms: list[Arm]
    kind: str
    block: tuple[Any, ...] = field(default_factory=tuple)
    conditions: frozenset[Condition] | None = None

    @property
    def seedless(self) -> bool:
        """Whether nobody trains anything of it."""
        return all(arm.seedless for arm in self.arms)


@dataclass(frozen=True)
class Group:
    """Columns under one head: the conditions whose results stand there, one for each row."""

    head: str
    conditions: tuple[Condition, ...]


@dataclass(frozen=True)
class Skeleton:
    """Rows and column groups of a table, and the axes whose values stand before the row's own."""

    others: list[AxisRecord]
    lines: list[Line]
    groups: list[Group]
    across: list[str]


def skeleton(scores: Scores, rows: str | None, columns: str = "kernel") -> Skeleton:
    """Lay a table out: rows are one axis; the others are blocks, or columns where they move the conditions."""
    moving = layout.moving(scores)
    across = [path for path in moving if path != rows]
    others = [a for a in scores.axes if a.path != rows and a.path not in across]
    fields = layout.moved(scores, [rows] if rows in moving and rows is not None else [])
    return Skeleton(others, _lines(scores, rows, others, across, fields), _groups(scores, columns, fields), across)


def _lines(
    scores: Scores, rows: str | None, others: list[AxisRecord], across: list[str], fields: frozenset[str]
) -> list[Line]:
    """Bicubic first, as the field has it; then the grid in blocks of the other axes; then named arms."""
    lines: dict[tuple[Any, ...], Line] = {}
    blank = [""] * len(others)
    for arm in scores.arms:
        if arm.kind == "grid":
            block = tuple(arm.values[a.path] for a in others)
            label = arm.name if rows is None else text.shown(arm.values[rows], rows)
            labels = [*(text.shown(v, a.path) for v, a in zip(block, others, strict=True)), label]
            lines.setdefault(("grid", block, label), Line(labels, [], "grid", block)).arms.append(arm)
            continue
        # One bicubic of all scales, where the scales are columns.
        label = "bicubic" if arm.kind == "reference" and scores.scale_axes & set(across) else arm.name
        if arm.kind == "reference" and fields and rows is not None:
            for value, conditions in _by_value(scores, rows).items():
                if shared := conditions & set(arm.conditions):
                    reference = f"bicubic, {text.title(scores, rows)}={value}"
                    key = (arm.kind, reference)
                    line = lines.setdefault(key, Line([*blank, reference], [], arm.kind, conditions=frozenset()))
                    line.conditions = (line.conditions or frozenset()) | shared
                    line.arms.append(arm)
        else:
            lines.setdefault((arm.kind, label), Line([*blank, label], [], arm.kind)).arms.append(arm)
    ordered = _ordered(scores, list(lines.values()), others)
    _mark(scores, ordered, rows, others)
    for before, line in reversed(list(itertools.pairwise(ordered))):
        if line.block and line.block == before.block:
            line.labels[: len(others)] = blank
    return ordered


def _by_value(scores: Scores, path: str) -> dict[str, set[Condition]]:
    out: dict[str, set[Condition]] = {}
    for arm in scores.arms:
        if arm.kind == "grid":
            out.setdefault(text.shown(arm.values[path], path), set()).update(arm.conditions)
    return out


def _ordered(scores: Scores, lines: list[Line], others: list[AxisRecord]) -> list[Line]:
    """The rows' axis runs fastest, whichever order the study names its axes in."""
    axes = {a.path: a.values for a in scores.axes}
    rank = {"reference": 0, "grid": 1, "named": 2}
    return sorted(
        lines,
        key=lambda line: (
            rank[line.kind],
            [axes[a.path].index(v) for a, v in zip(others, line.block, strict=False)],
        ),
    )


def _mark(scores: Scores, lines: list[Line], rows: str | None, others: list[AxisRecord]) -> None:
    """Say which rows are baselines, in the column of an axis that makes them so."""
    shown = [a.path for a in others] + [rows]
    telling = [n for n, path in enumerate(shown) if path in scores.compared_on]
    at = -1 if not telling or telling[-1] == len(shown) - 1 else telling[-1]
    for line in lines:
        if line.kind == "grid" and scores.baseline and all(scores.is_baseline(arm) for arm in line.arms):
            line.labels[at] += " (baseline)"


def _groups(scores: Scores, columns: str, fields: frozenset[str]) -> list[Group]:
    """Column groups in evaluation order; `fields` of a condition belong to the rows and not to the columns."""
    by_slot: dict[layout.Slot, list[Condition]] = {}
    for arm in scores.arms:
        if arm.kind == "reference":
            continue  # scored wherever an arm is
        for condition, slot in layout.slots(arm, fields).items():
            listed = by_slot.setdefault(slot, [])
            if condition not in listed:
                listed.append(condition)
    if not by_slot:
        by_slot = {layout.Slot(*condition): [condition] for condition in scores.conditions}
    several = len({(s.dataset, s.kernel) for s in by_slot}) > 1
    scales = len({s.scale for s in by_slot}) > 1
    out = []
    for slot, conditions in by_slot.items():
        if columns == "scale" and slot.scale is not None:
            head = f"×{slot.scale}" + (f", {text.slot_label(scores, slot)}" if several else "")
        else:
            same = len({s.kernel for s in by_slot}) == 1 and slot.dataset is not None
            short = slot.dataset if columns == "dataset" and same else text.slot_label(scores, slot)
            head = f"{short} ×{slot.scale}" if scales else str(short)
        out.append(Group(head + (f" ({slot.n + 1})" if slot.n else ""), tuple(conditions)))
    if columns == "scale":
        out.sort(key=lambda group: group.conditions[0].scale)
    return out


def find(line: Line, group: Group, metric: str, results: Results) -> Result | None:
    """Return the one result that a row has under a column, if it is scored there."""
    for condition in group.conditions:
        if line.conditions is None or condition in line.conditions:
            for arm in line.arms:
                if (arm.name, condition, metric) in results:
                    return results[arm.name, condition, metric]
    return None
