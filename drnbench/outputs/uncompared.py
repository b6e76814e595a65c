"""Arms that have scores and are yet compared with nothing: which, in what, and why."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from drnbench.outputs.verdicts import NAMED
from drnbench.render import text
from drnbench.results import labels
from drnbench.results.condition_names import ConditionNames
from drnbench.results.scores import Arm, Condition, Scores
from drnbench.results.summary import Results, paired


def reason(
    scores: Scores, arm: Arm, base: Arm, condition: Condition, metric: str, where: str = "", *, several: bool = False
) -> str:
    """Write why an arm has no difference to its baseline: `has no seed in common with ρ=0 and is not compared`.

    Args:
        scores: of the study.
        arm: which has no difference there.
        base: its baseline.
        condition: test set.
        metric: its name.
        where: test sets and metrics of which that is said, where it is not so everywhere.
        several: the verb is in the plural.

    """
    has, compared = ("have", "are not compared") if several else ("has", "is not compared")
    baseline = base.name
    if sum(map(scores.is_baseline, scores.arms)) > 1:
        baseline = "their baselines" if several else "its baseline"
    if scores.tables.get((arm.name, condition, metric)) is None:
        return f"{has} no scores{where} and {compared}{' there' if where else ''}"
    pair = paired(scores, arm, base, condition, metric)
    if pair is None:
        return (
            f"{compared}{where}, as {baseline} {'have' if several and baseline != base.name else 'has'} no scores there"
        )
    seeds, images = pair[0].shape
    if not seeds or not images:
        return f"{has} no {'image' if seeds else 'seed'} in common with {baseline} and {compared}{where}"
    return f"{has} no image that is finite in every seed, also of {baseline}, and {compared}{where}"


def sentences(scores: Scores, results: Results, arms: Iterable[Arm]) -> list[str]:
    """Return which arms are not compared, or not on some test sets or in some metrics; [] where all are.

    An arm without any score is waited for, or failed, which is said elsewhere; one that equals HR has no finite PSNR; and a
    metric that the baseline is not to be scored in, as one of D, makes no comparison.

    Args:
        scores: of the study.
        results: of every arm, condition and metric.
        arms: those that the headline speaks of.

    """
    names = ConditionNames(scores.plan)
    planned = {(t.arm, names.condition(t.scale, e), e.metric) for t in scores.plan.trials for e in t.wanted}
    compared = {(result.condition, result.metric) for result in results.values() if result.difference is not None}
    scored = {arm for arm, _, _ in scores.tables}
    groups: dict[tuple[str, str], list[tuple[Arm, Cell]]] = {}
    for arm in (arm for arm in arms if arm.name in scored):
        cells = [
            cell
            for cell in _cells(scores, results, arm)
            if (cell.condition, cell.metric) in compared
            or all((other.name, cell.condition, cell.metric) in planned for other in (arm, cell.base))
        ]
        whys: dict[str, list[Cell]] = {}
        for cell in cells:
            if results[arm.name, cell.condition, cell.metric].difference is None:
                whys.setdefault(reason(scores, arm, cell.base, cell.condition, cell.metric), []).append(cell)
        for why, lacking in whys.items():
            groups.setdefault((why, _where(lacking, cells)), []).append((arm, lacking[0]))
    parts = []
    for (_, where), members in groups.items():
        arm, cell = members[0]
        words = reason(scores, arm, cell.base, cell.condition, cell.metric, where, several=len(members) > 1)
        parts.append(f"{labels.listing([member.name for member, _ in members], NAMED)} {words}.")
    return parts


class Cell(NamedTuple):
    """A comparison that an arm is to have."""

    base: Arm
    condition: Condition
    metric: str


def _cells(scores: Scores, results: Results, arm: Arm) -> list[Cell]:
    """Return an arm with each baseline of its own, wherever neither of them equals HR."""
    cells = []
    for condition in arm.conditions:
        base = scores.baseline_of(arm, condition)
        for metric in scores.metrics[condition] if base is not None else ():
            assert base is not None
            pair = (results.get((other.name, condition, metric)) for other in (arm, base))
            if not any(result is not None and result.equals_hr for result in pair):
                cells.append(Cell(base, condition, metric))
    return cells


def _where(lacking: Sequence[Cell], cells: Sequence[Cell]) -> str:
    """Write ` in SSIM-Y`, ` on Set5, bd ×4`, ` in SSIM-Y on Set5, bd ×4`; nothing where it is all of an arm's cells."""
    if len(lacking) == len(cells):
        return ""
    metrics = dict.fromkeys(cell.metric for cell in lacking)
    conditions = dict.fromkeys(cell.condition for cell in lacking)
    in_metrics = f" in {labels.listing([text.style(metric).label for metric in metrics])}"
    on_conditions = f" on {labels.listing([condition.label for condition in conditions], NAMED)}"
    if len(lacking) == sum(cell.metric in metrics for cell in cells):
        return in_metrics
    return (
        on_conditions
        if len(lacking) == sum(cell.condition in conditions for cell in cells)
        else in_metrics + on_conditions
    )
