"""Arms that have scores and are yet compared with nothing: which, in what, and why."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
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
    if scores.tables.get((arm.name, condition, metric)) is None:
        return f"{has} no scores{where} and {compared}{' there' if where else ''}"
    pair = paired(scores, arm, base, condition, metric)
    if pair is None:
        return f"{compared}{where}, as {base.name} has no scores there"
    seeds, images = pair[0].shape
    if not seeds or not images:
        return f"{has} no {'image' if seeds else 'seed'} in common with {base.name} and {compared}{where}"
    return f"{has} no image on which the scores are finite, also those of {base.name}, and {compared}{where}"


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
    groups: dict[tuple[str, str], list[tuple[Arm, Cell]]] = {}
    for arm in arms:
        cells = _cells(scores, results, arm, planned)
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


def _cells(scores: Scores, results: Results, arm: Arm, planned: Container[tuple[str, Condition, str]]) -> list[Cell]:
    """Return the comparisons of an arm with scores that the study asks for, or that other arms have."""
    if not any(name == arm.name for name, _, _ in scores.tables):
        return []
    compared = {(result.condition, result.metric) for result in results.values() if result.difference is not None}
    cells = []
    for condition in arm.conditions:
        base = scores.baseline_of(arm, condition)
        for metric in scores.metrics[condition] if base is not None else ():
            assert base is not None
            pair = [results.get((other.name, condition, metric)) for other in (arm, base)]
            asked = all((other.name, condition, metric) in planned for other in (arm, base))
            if (asked or (condition, metric) in compared) and not any(r is not None and r.equals_hr for r in pair):
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
