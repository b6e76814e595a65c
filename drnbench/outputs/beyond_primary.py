"""Sentences on the comparisons beyond the primary metric and test set, so that no significant loss is left to a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from drnbench.outputs.verdicts import amount, correction, verdict_of
from drnbench.outputs.wording import Name, compared, equivalences, half_width, tally
from drnbench.render import text
from drnbench.results import labels
from drnbench.results.scores import Condition, Scores
from drnbench.results.statistics import Equivalence
from drnbench.results.summary import Result, Results

EQUIVALENCES: tuple[Equivalence, ...] = ("equivalent", "not worse", "undecided")
CONDITIONS = 2
"""So many further test sets are named one by one; over more, differences are counted."""


def other_metrics(scores: Scores, results: Results, judged: Sequence[Result], name: Name) -> list[str]:
    """Return what arms show in the other metrics of the test set that they are judged on, a sentence a metric.

    Args:
        scores: of the study.
        results: of every arm, condition and metric.
        judged: the results that the headline speaks of: one an arm.
        name: of a result's arm.

    """
    columns: dict[str, list[Result]] = {}
    for result in judged:
        for metric in scores.metrics[result.condition]:
            if metric != result.metric:
                cell = compared([results.get((result.arm, result.condition, metric))])
                columns.setdefault(metric, []).extend(cell)
    return [f"In {text.style(metric).label}: {tally(cells, name)}." for metric, cells in columns.items() if cells]


def other_test_sets(scores: Scores, results: Results, judged: Sequence[Result], name: Name) -> list[str]:
    """Return what arms show on other test sets in every metric; arguments as for `other_metrics`."""
    columns: dict[Condition, dict[str, list[Result]]] = {}
    for result in judged:
        for condition in scores.arm(result.arm).conditions:
            for metric in scores.metrics[condition]:
                cell = compared([results.get((result.arm, condition, metric))])
                if cell and condition != result.condition:
                    columns.setdefault(condition, {}).setdefault(metric, []).extend(cell)
    if len(columns) > CONDITIONS:
        every = [result for by_metric in columns.values() for cells in by_metric.values() for result in cells]
        return [_counted(f"On {len(columns)} further test sets, of {len(every)} differences", every, name)]
    return [_one_condition(condition, by_metric, name) for condition, by_metric in columns.items()]


def all_scores(scores: Scores, results: Results) -> list[str]:
    """Return how many scores differ from the baseline, for a headline whose answer is of something else."""
    arms = {arm.name for arm in scores.subject if not arm.seedless}
    every = [result for result in compared(results.values()) if result.arm in arms]
    if not every:
        return []
    subject = f"Of {text.count(len(every), 'difference')} in score to {scores.baseline_label}"
    return [_counted(subject, every, lambda result: result.arm)]


def _one_condition(condition: Condition, by_metric: Mapping[str, list[Result]], name: Name) -> str:
    every = [result for cells in by_metric.values() for result in cells]
    if len(every) > 1 and not any(verdict_of(result) for result in every):
        metrics = labels.listing([text.style(metric).label for metric in by_metric])
        margins = equivalences(by_metric, name)
        return f"On {condition.label} none of {len(every)} differences in {metrics} is significant{margins}."
    parts = [f"in {text.style(metric).label}: {tally(cells, name)}" for metric, cells in by_metric.items()]
    return f"On {condition.label}, {'; '.join(parts)}."


def _counted(subject: str, every: Sequence[Result], name: Name) -> str:
    """Return the numbers of gains and losses over many test sets, with the largest loss by its half-widths."""
    worse = [result for result in every if verdict_of(result) == "worse"]
    better = sum(verdict_of(result) == "better" for result in every)
    counts = f"{better or 'none'} significantly better, {len(worse) or 'none'} worse{correction(every)}"
    kinds = Counter(result.equivalence for result in every)
    margins = [f"{kinds[kind]} {kind}" for kind in EQUIVALENCES if kinds[kind]]
    within = f"; within the margin: {', '.join(margins)}" if margins else ""
    if not worse:
        return f"{subject}: {counts}{within}."
    worst = max(worse, key=_in_half_widths)
    where = f"{worst.condition.label} in {text.style(worst.metric).label}"
    return f"{subject}: {counts} (such as {name(worst)} on {where} with {amount(worst)}){within}."


def _in_half_widths(result: Result) -> float:
    half = half_width(result)
    return abs(result.difference.mean) / half if result.difference and half else 0.0
