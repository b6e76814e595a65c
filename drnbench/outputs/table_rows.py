"""The skeleton of a table: which arms share a row, and which conditions share a column group."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from drnbench.render import text
from drnbench.results import layout
from drnbench.results.plan_record import AxisRecord
from drnbench.results.scores import Arm, Condition, Scores
from drnbench.results.summary import Result, Results

Kind = Literal["reference", "grid", "named"]
KINDS: tuple[Kind, ...] = ("reference", "grid", "named")
"""Kinds of rows from above: bicubic first, as the field has it."""


@dataclass
class Line:
    """A row: one arm, or one for each condition where an axis that moves the conditions is spread over the columns.

    Attributes:
        labels: values of the other axes, then the row's own.
        block: values of the other axes; empty where it is no row of the grid.
        conditions: the only ones shown; None: all. A reference of several kernels has a row for each.
        contends: its scores compete for the best of a column.

    """

    labels: list[str]
    arms: list[Arm]
    kind: Kind
    block: tuple[Any, ...] = ()
    conditions: frozenset[Condition] | None = None
    contends: bool = True

    @property
    def seedless(self) -> bool:
        """True if all of its arms are untrained."""
        return all(arm.seedless for arm in self.arms)


@dataclass(frozen=True)
class Group:
    """Columns under one head: the conditions whose results stand there, one for each row."""

    head: str
    conditions: tuple[Condition, ...]


@dataclass(frozen=True)
class Skeleton:
    """Rows and column groups of a table.

    Attributes:
        others: the axes whose values stand before the row's own.
        across: paths of the axes whose values are columns.

    """

    others: list[AxisRecord]
    lines: list[Line]
    groups: list[Group]
    across: list[str]


def skeleton(scores: Scores, rows: str | None, columns: str = "kernel") -> Skeleton:
    """Lay a table out: rows are one axis; the others are blocks, or columns where they move the conditions."""
    moving = layout.moving(scores)
    across = [path for path in moving if path != rows]
    others = [axis for axis in scores.axes if axis.path != rows and axis.path not in across]
    fields = layout.moved(scores, [rows] if rows in moving and rows is not None else [])
    lines = _lines(scores, rows, others, across, by_condition=bool(fields))
    return Skeleton(others, lines, _groups(scores, columns, fields), across)


def find(line: Line, group: Group, metric: str, results: Results) -> Result | None:
    """Return the one result that a row has under a column, if it is scored there."""
    keys = (
        (arm.name, condition, metric)
        for condition in group.conditions
        if line.conditions is None or condition in line.conditions
        for arm in line.arms
    )
    return next((results[key] for key in keys if key in results), None)


def _lines(
    scores: Scores, rows: str | None, others: list[AxisRecord], across: list[str], *, by_condition: bool
) -> list[Line]:
    """Return the rows in order: bicubic, the grid in blocks of the other axes, named arms.

    Args:
        scores: of the study.
        rows: path of the axis whose values are the rows.
        others: axes of the blocks.
        across: paths of the axes of the columns.
        by_condition: the rows' axis moves the conditions, and bicubic has a row for each of its values.

    """
    merged: dict[tuple[Any, ...], Line] = {}
    for arm in scores.arms:
        if arm.kind == "grid":
            candidates = [_grid_line(arm, rows, others)]
        elif arm.kind == "reference" and by_condition and rows is not None:
            candidates = list(_reference_lines(scores, arm, rows, others))
        else:
            # One bicubic of all scales, where the scales are columns.
            one_for_all = arm.kind == "reference" and scores.scale_axes & set(across)
            labels = [*_blank(others), "bicubic" if one_for_all else arm.name]
            candidates = [Line(labels, [arm], "reference" if arm.kind == "reference" else "named")]
        for line in candidates:
            key = line.kind, line.block, line.labels[-1]
            if key not in merged:
                merged[key] = line
                continue
            merged[key].arms += line.arms
            if line.conditions is not None:
                merged[key].conditions = (merged[key].conditions or frozenset()) | line.conditions
    ordered = _ordered(scores, list(merged.values()), others)
    _mark_baselines(scores, ordered, rows, others)
    for line in ordered:
        line.contends = all(scores.is_contender(arm) for arm in line.arms)
    for before, line in reversed(list(itertools.pairwise(ordered))):
        if line.block and line.block == before.block:
            line.labels[: len(others)] = _blank(others)
    return ordered


def _blank(others: list[AxisRecord]) -> list[str]:
    return [""] * len(others)


def _grid_line(arm: Arm, rows: str | None, others: list[AxisRecord]) -> Line:
    block = tuple(arm.values[axis.path] for axis in others)
    label = arm.name if rows is None else text.shown(arm.values[rows], rows)
    labels = [text.shown(value, axis.path) for value, axis in zip(block, others, strict=True)]
    return Line([*labels, label], [arm], "grid", block)


def _reference_lines(scores: Scores, arm: Arm, rows: str, others: list[AxisRecord]) -> Iterator[Line]:
    """Yield a row of the reference for each value of the rows' axis that it is scored for."""
    by_value: dict[str, set[Condition]] = {}
    for other in scores.arms:
        if other.kind == "grid":
            by_value.setdefault(text.shown(other.values[rows], rows), set()).update(other.conditions)
    for value, conditions in by_value.items():
        if scored := conditions & set(arm.conditions):
            label = f"bicubic, {text.title(scores, rows)}={value}"
            yield Line([*_blank(others), label], [arm], "reference", conditions=frozenset(scored))


def _ordered(scores: Scores, lines: list[Line], others: list[AxisRecord]) -> list[Line]:
    """Return the lines with the rows' axis running fastest, whichever order the study names its axes in."""
    values = {axis.path: axis.values for axis in scores.axes}

    def rank(line: Line) -> tuple[int, list[int]]:
        block = [values[axis.path].index(value) for axis, value in zip(others, line.block, strict=False)]
        return KINDS.index(line.kind), block

    return sorted(lines, key=rank)


def _mark_baselines(scores: Scores, lines: list[Line], rows: str | None, others: list[AxisRecord]) -> None:
    """Mark the rows that are baselines, in the column of an axis that makes them so."""
    paths = [*(axis.path for axis in others), rows]
    compared = [n for n, path in enumerate(paths) if path in scores.compared_on]
    column = compared[-1] if compared else -1
    for line in lines:
        if line.kind == "grid" and scores.baseline and all(scores.is_baseline(arm) for arm in line.arms):
            line.labels[column] += " (baseline)"


def _groups(scores: Scores, columns: str, fields: frozenset[str]) -> list[Group]:
    """Return the column groups in evaluation order; `fields` of a condition belong to the rows, not to the columns."""
    slots: dict[layout.Slot, list[Condition]] = {}
    for arm in scores.arms:
        if arm.kind == "reference":
            continue  # scored wherever an arm is
        for condition, slot in layout.slots(arm, fields).items():
            if condition not in slots.setdefault(slot, []):
                slots[slot].append(condition)
    slots = slots or {layout.Slot(*condition): [condition] for condition in scores.conditions}
    groups = [Group(_head(scores, slot, slots, columns), tuple(conditions)) for slot, conditions in slots.items()]
    return sorted(groups, key=lambda group: group.conditions[0].scale) if columns == "scale" else groups


def _head(scores: Scores, slot: layout.Slot, slots: dict[layout.Slot, list[Condition]], columns: str) -> str:
    """Return the shortest head of a group that is unique among all."""
    if columns == "scale" and slot.scale is not None:
        several = len({(other.dataset, other.kernel) for other in slots}) > 1
        head = f"×{slot.scale}" + (f", {text.slot_label(scores, slot)}" if several else "")
    else:
        one_kernel = len({other.kernel for other in slots}) == 1 and slot.dataset is not None
        head = str(slot.dataset if columns == "dataset" and one_kernel else text.slot_label(scores, slot))
        head += f" ×{slot.scale}" if len({other.scale for other in slots}) > 1 else ""
    return f"{head} ({slot.n + 1})" if slot.n else head
