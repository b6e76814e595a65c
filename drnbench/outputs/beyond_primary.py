"""Sentences on the comparisons beyond the primary metric and test set, so that no significant loss is left to a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from drnbench.outputs.verdicts import amount, by_gain, correction, kind_of, testable
from drnbench.outputs.wording import Name, compared, equivalences, half_width, superlative, tally
from drnbench.render import text
from drnbench.results import labels
from drnbench.results.pooled import Setting, pooled
from drnbench.results.scores import Condition, Scores
from drnbench.results.statistics import Equivalence, direction
from drnbench.results.summary import Result, Results, higher_is_better

EQUIVALENCES: tuple[Equivalence, ...] = ("equivalent", "not worse", "undecided", "not judged")
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
                cell = list(filter(testable, compared([results.get((result.arm, condition, metric))])))
                if cell and condition != result.condition:
                    columns.setdefault(condition, {}).setdefault(metric, []).extend(cell)
    if len(columns) > CONDITIONS:
        every = [result for by_metric in columns.values() for cells in by_metric.values() for result in cells]
        return [_counted(f"On {len(columns)} further test sets, of {len(every)} differences", every, name)]
    return [_one_condition(condition, by_metric, name) for condition, by_metric in columns.items()]


def all_test_sets(scores: Scores, judged: Sequence[Result], name: Name) -> list[str]:
    """Return the differences of the arms over all test sets at once, in the metric that they are judged in.

    They are tested as in `table_pooled`; [] with one test set. Arguments as for `other_metrics`.
    """
    columns: dict[Setting, list[Result]] = {}
    tests = pooled(scores)
    metrics = {(result.arm, result.condition): result.metric for result in judged}
    for test in tests:
        condition = next(
            (c for c in test.setting.conditions if metrics.get((test.arm, c)) == test.setting.metric), None
        )
        if condition is not None:
            higher = higher_is_better(test.setting.metric)
            result = Result(
                test.arm, condition, test.setting.metric, seedless=scores.arm(test.arm).seedless, difference=test.difference,
                p_holm=test.p_holm, claim=direction(test.difference, test.p_holm, higher_is_better=higher),
            )  # fmt: skip
            if testable(result):
                columns.setdefault(test.setting, []).append(result)
    size = sum(test.difference.level == "method" and not scores.arm(test.arm).seedless for test in tests)
    adjusted = f", after Holm's correction over {size} pooled differences" if size > 1 else ""
    return [
        f"{_pooled_on(setting)}{adjusted}: {tally(cells, name)}{_ends(cells, name)}."
        for setting, cells in columns.items()
    ]


def _ends(cells: Sequence[Result], name: Name) -> str:
    """Write the largest and the smallest of several differences none of which is significant."""
    kinds = set(map(kind_of, cells))
    if len(cells) < 2 or "" not in kinds or kinds - {"", "equal"}:
        return ""
    best, *_, worst = by_gain(cells)
    first, last = superlative("best", best), superlative("worst", worst)
    return f" ({first} {name(best)} with {amount(best)}; {last} {name(worst)} with {amount(worst)})"


def _pooled_on(setting: Setting) -> str:
    first = setting.conditions[0]
    sets = labels.listing([condition.dataset for condition in setting.conditions])
    return f"Over {sets} together, {labels.kernel(first.kernel)} ×{first.scale}, in {text.style(setting.metric).label}"


def all_scores(scores: Scores, results: Results) -> list[str]:
    """Return how many scores differ from the baseline, for a headline whose answer is of something else."""
    arms = {arm.name for arm in scores.subject if not arm.seedless}
    every = [r for r in compared(results.values()) if r.arm in arms and testable(r)]
    if not every:
        return []
    subject = f"Of {text.count(len(every), 'difference')} in score to {scores.baseline_label}"
    return [_counted(subject, every, lambda result: result.arm)]


def _one_condition(condition: Condition, by_metric: Mapping[str, list[Result]], name: Name) -> str:
    every = [result for cells in by_metric.values() for result in cells]
    if len(every) > 1 and all(kind_of(result) in ("", "equal") for result in every):
        metrics = labels.listing([text.style(metric).label for metric in by_metric])
        margins = equivalences(by_metric, name)
        of_arms = text.count(len({result.arm for result in every}), "arm")
        return (
            f"On {condition.label} none of {len(every)} differences of {of_arms} in {metrics} is significant{margins}."
        )
    parts = [f"in {text.style(metric).label}: {tally(cells, name)}" for metric, cells in by_metric.items()]
    return f"On {condition.label}, {'; '.join(parts)}."


def _counted(subject: str, every: Sequence[Result], name: Name) -> str:
    """Return the numbers of gains and losses over many test sets, with the largest loss by its half-widths."""
    worse = [result for result in every if result.claim == "worse"]
    better = sum(result.claim == "better" for result in every)
    constant = sum(kind_of(result) == "constant" for result in every)
    counts = f"{better or 'none'} significantly better, {len(worse) or 'none'} worse{correction(every)}"
    counts += f", {constant} by the same amount on every seed and image" if constant else ""
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
