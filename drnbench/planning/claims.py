"""Claims that a study declares in advance: its primary comparison and its margins of equivalence, checked by the plan."""

from __future__ import annotations

from typing import Any

from drnbench.config.outputs import measured_metrics
from drnbench.config.search import AXIS
from drnbench.config.study import Primary
from drnbench.errors import UsageError, nearest
from drnbench.planning.graph import Plan
from drnbench.results import labels
from drnbench.results.comparison import of_record
from drnbench.results.kernel_means import PREFIX
from drnbench.results.plan_record import PrimaryRecord
from drnbench.results.scores import Arm, Condition, Scores

NAMED = 4
"""Up to so many arms are named."""
SELECTED = ("winner", "front")
"""First words of the names of arms that a search selects."""


def primary_cell(plan: Plan) -> PrimaryRecord | None:
    """Return the cell of the primary comparison; None where the study declares none.

    Raises:
        UsageError: it names no arm, or several; the arm is not scored so, or compared with nothing; a margin is for a
            metric in which nothing is measured.

    """
    study = plan.study.study
    measured = measured_metrics(plan.trials)
    for metric in study.margin:
        if metric not in measured:
            raise UsageError(
                f"{plan.study.name}: margin: no arm is measured in {metric!r}: {nearest(metric, measured)}"
            )
    if study.primary is None or _selected_later(plan, study.primary.arm):
        return None
    where, scores = f"{plan.study.name}: primary", of_record(plan.record()).scores
    arm = _arm(scores, study.primary, where)
    condition = _condition(scores, arm, study.primary, where)
    metrics = scores.metrics[condition]
    metric = study.primary.metric or metrics[0]
    if metric not in metrics:
        raise UsageError(f"{where}: {condition.label} is not measured in {metric!r}: {nearest(metric, metrics)}")
    base = scores.baseline_of(arm, condition)
    if base is None or arm.seedless or base.seedless:
        others = [repr(other.name) for other in scores.arms if _is_compared(scores, other, condition)]
        remedy = f"name another arm: {labels.listing(others, NAMED)}" if others else "no arm is"
        raise UsageError(f"{where}: {arm.name} on {condition.label} is compared with no trained baseline; {remedy}")
    return PrimaryRecord(arm=arm.name, metric=metric, **condition._asdict())


def _is_compared(scores: Scores, arm: Arm, condition: Condition) -> bool:
    base = scores.baseline_of(arm, condition) if condition in arm.conditions else None
    return base is not None and not arm.seedless and not base.seedless


def _selected_later(plan: Plan, arm: str | dict[str, Any]) -> bool:
    """Return True if an arm is one that the study's search has not selected yet."""
    arms = {arm.name for arm in plan.study.arms}
    searches = any(axis.path == AXIS for axis in plan.study.study.axes)
    return searches and isinstance(arm, str) and arm not in arms and arm.partition(" ")[0] in SELECTED


def _arm(scores: Scores, primary: Primary, where: str) -> Arm:
    names = [arm.name for arm in scores.arms]
    if isinstance(primary.arm, str):
        if primary.arm not in names:
            raise UsageError(f"{where}: no arm is called {primary.arm!r}: {nearest(primary.arm, names)}")
        return scores.arm(primary.arm)
    matching = [arm for arm in scores.arms if arm.has(primary.arm)]
    if len(matching) != 1:
        several = f": {', '.join(arm.name for arm in matching)}; give the values of the other axes, too"
        raise UsageError(f"{where}: {primary.arm} is {len(matching)} arms of the grid{several if matching else ''}")
    return matching[0]


def _condition(scores: Scores, arm: Arm, primary: Primary, where: str) -> Condition:
    if not arm.conditions:
        raise UsageError(f"{where}: every seed of {arm.name} is excluded")
    for condition in sorted(arm.conditions, key=lambda condition: condition != scores.primary_of(arm)):
        if primary.dataset in {None, condition.dataset} and primary.kernel in {
            None,
            condition.kernel,
            condition.kernel.removeprefix(PREFIX),
        }:
            return condition
    scored = "; ".join(f"{condition.dataset}, {condition.kernel}" for condition in arm.conditions)
    wanted = ", ".join(part for part in (primary.dataset, primary.kernel) if part)
    raise UsageError(f"{where}: {arm.name} is not scored on {wanted}; it is on {scored}")
