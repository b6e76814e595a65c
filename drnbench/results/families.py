"""Families of tests: which p-values are adjusted together by Holm's method.

A family is all cells of a declared table, every trained arm on every condition in every metric of the table against its
baseline; without a declared table, all cells of the study. A cell of several tables keeps its largest adjusted p. The
one comparison that a study declares in advance is tested alone, and is in no family.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from drnbench.results.plan_record import PlanRecord
from drnbench.results.scores import Condition
from drnbench.results.statistics import holm

Cell = tuple[str, Condition, str]
"""(arm, condition, metric)."""


def primary_cell(plan: PlanRecord) -> Cell | None:
    """Return the comparison that is declared in advance; None where there is none."""
    primary = plan.primary
    if primary is None:
        return None
    return primary.arm, Condition(primary.dataset, primary.kernel, primary.scale), primary.metric


def adjusted(plan: PlanRecord, ps: Mapping[Cell, float | None]) -> dict[Cell, tuple[float | None, int]]:
    """Return the adjusted p of every compared cell, with the size of the family that it comes from.

    A cell without a p (a constant difference) counts in its family as one with p = 1, so that a family does not depend on
    the rounding of differences that do not vary, and gets no adjusted p.

    Args:
        plan: with its tables and the primary comparison.
        ps: p-values of the compared cells; None where a difference does not vary.

    """
    primary = primary_cell(plan)
    result = {cell: (1.0 if p is None else p, 1) for cell, p in ps.items() if cell == primary}
    others = {cell: 1.0 if p is None else p for cell, p in ps.items() if cell != primary}
    for family in _families(plan, others):
        for cell, p in zip(family, holm([others[cell] for cell in family]), strict=True):
            result[cell] = max(result.get(cell, (p, 0)), (p, len(family)))
    return {cell: (None if ps[cell] is None else p, size) for cell, (p, size) in result.items()}


def _families(plan: PlanRecord, cells: Iterable[Cell]) -> list[Sequence[Cell]]:
    """Return the cells of each declared table; cells of none are one family with all others."""
    cells = list(cells)
    shown = [table["metrics"] for table in plan.outputs if table["kind"] == "table"]  # no metrics are all
    families: list[Sequence[Cell]] = [
        [cell for cell in cells if not metrics or cell[2] in metrics] for metrics in shown
    ]
    if set(cells) - {cell for family in families for cell in family}:
        families.append(cells)
    return families
