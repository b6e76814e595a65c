"""Several test sets at once: differences pooled over sets, and mean ranks of methods.

A pooled difference is the mean of the sets' differences, each set counting alike whatever its number of images: what a
reader makes of a row of columns. Seeds are shared by all sets; images are samples within each. Sets that are trained on, a
single image of them or all, take no part.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from drnbench.results.scores import Arm, Condition, Scores
from drnbench.results.statistics import Difference, Verdict, contrast, holm, test_level, verdict
from drnbench.results.summary import higher_is_better, minus, paired

LEAST_METHODS, MOST_METHODS, LEAST_SETS = 4, 20, 3
"""Fewer methods or test sets than this are not ranked, nor are more methods: every pair of them would be tested."""


class Setting(NamedTuple):
    """Several test sets under one kernel, at one scale, in one metric."""

    conditions: tuple[Condition, ...]
    metric: str


@dataclass(frozen=True)
class Pooled:
    """The difference of one arm to its baseline over several test sets.

    Attributes:
        difference: mean of the sets' differences; its images are those of all sets.
        p_holm: adjusted over all pooled differences of the study.

    """

    arm: str
    setting: Setting
    difference: Difference
    p_holm: float | None = None
    verdict: Verdict = ""


@dataclass(frozen=True)
class Ranks:
    """Mean ranks of methods over several test sets, 1 the best: a statement about these checkpoints on these images.

    Attributes:
        means: mean rank of each arm, the best first; ranks are taken by image, seeds averaged, and sets count alike.
        friedman: p of the Friedman test over all images, of no difference between the arms.
        groups: neighbouring arms no two of which differ by Wilcoxon's signed-rank test over all images, Holm-adjusted over
            all pairs, at the level of the study's tests; none within another.
        images: number over all sets.

    """

    setting: Setting
    means: dict[str, float]
    friedman: float
    groups: tuple[tuple[str, ...], ...]
    images: int


def pooled(scores: Scores) -> list[Pooled]:
    """Return the pooled differences of all arms that are compared on two test sets or more, tests adjusted together."""
    return scores.once(_pooled)


def _pooled(scores: Scores) -> list[Pooled]:
    cells = [cell for arm in scores.arms for cell in _of_arm(scores, arm)]
    # A constant difference has no p, and counts as one with p = 1.
    tested = [cell for cell in cells if cell.difference.level == "method" and not scores.arm(cell.arm).seedless]
    ps = [1.0 if cell.difference.p is None else cell.difference.p for cell in tested]
    adjusted = dict(zip(map(id, tested), holm(ps), strict=True))
    return [
        replace(
            cell,
            p_holm=(p := None if cell.difference.p is None else adjusted.get(id(cell))),
            verdict=verdict(cell.difference, p, higher_is_better=higher_is_better(cell.setting.metric)),
        )
        for cell in cells
    ]


def _of_arm(scores: Scores, arm: Arm) -> Iterator[Pooled]:
    for setting in _settings(scores, arm):
        pairs = []
        for condition in setting.conditions:
            base = scores.baseline_of(arm, condition)
            pairs.append(paired(scores, arm, base, condition, setting.metric) if base else None)
        both = [pair for pair in pairs if pair is not None]
        if len(both) < len(pairs):
            continue  # one set is not scored yet: a mean of the others is another quantity
        seeds = sorted(set.intersection(*(set(values.index) for values, _ in both)))
        tables = [minus(values.loc[seeds], base_values.loc[seeds]) for values, base_values in both]
        weights = [1 / len(tables)] * len(tables)
        difference = contrast(tables, weights, higher_is_better=higher_is_better(setting.metric), alpha=scores.alpha)
        if difference is not None:
            yield Pooled(arm.name, setting, difference)


def _settings(scores: Scores, arm: Arm) -> Iterator[Setting]:
    """Yield the settings in which an arm is scored on two test sets or more, none of which is trained on."""
    by_kernel: dict[tuple[str, int], list[Condition]] = {}
    for condition in arm.conditions:
        if condition not in scores.once(_trained_on):
            by_kernel.setdefault((condition.kernel, condition.scale), []).append(condition)
    for conditions in by_kernel.values():
        if len({condition.dataset for condition in conditions}) > 1:
            shared = [set(scores.metrics[condition]) for condition in conditions]
            for metric in scores.metrics[conditions[0]]:
                if all(metric in metrics for metrics in shared):
                    yield Setting(tuple(conditions), metric)


def _trained_on(scores: Scores) -> frozenset[Condition]:
    """Return the test sets of which some arm is trained on an image: by name, or by the copies that a plan has detected."""
    stages = (stage for trial in scores.plan.trials for stage in (trial.config or {}).get("stages", []))
    data = (part for stage in stages for part in (stage["data"], stage.get("unpaired")) if part)
    names = {name for part in data for name in part["source"].split("+")}
    overlaps = scores.plan.overlap.sources if scores.plan.overlap else []
    return frozenset(
        condition for condition, source in scores.sources.items() if source in overlaps or names & {*source.split("+")}
    )


def ranks(scores: Scores) -> list[Ranks]:
    """Return mean ranks in every setting with four methods and three test sets; references and controls are not ranked."""
    by_setting: dict[Setting, list[str]] = {}
    for arm in scores.arms:
        if arm.kind != "reference" and not scores.is_control(arm):
            for setting in _settings(scores, arm):
                if len(setting.conditions) >= LEAST_SETS and all(
                    (arm.name, condition, setting.metric) in scores.tables for condition in setting.conditions
                ):
                    by_setting.setdefault(setting, []).append(arm.name)
    result = [
        _ranks(scores, setting, arms)
        for setting, arms in by_setting.items()
        if LEAST_METHODS <= len(arms) <= MOST_METHODS
    ]
    return [ranked for ranked in result if ranked is not None]


def _ranks(scores: Scores, setting: Setting, arms: Sequence[str]) -> Ranks | None:
    import pandas as pd
    from scipy import stats

    sign = -1 if higher_is_better(setting.metric) else 1
    sets = []
    for condition in setting.conditions:
        means = {arm: scores.tables[arm, condition, setting.metric].mean(axis="index") for arm in arms}
        values = pd.DataFrame(means).to_numpy(dtype="float64")
        sets.append(sign * values[np.isfinite(values).all(1)])
    if any(len(values) == 0 for values in sets):
        return None
    mean = np.mean([stats.rankdata(values, axis=1).mean(0) for values in sets], axis=0)
    order = [int(n) for n in np.argsort(mean, kind="stable")]
    values = np.concatenate(sets)[:, order]
    pairs = list(itertools.combinations(range(len(arms)), 2))
    ps = holm([_wilcoxon(values[:, a] - values[:, b]) for a, b in pairs])
    apart = {pair for pair, p in zip(pairs, ps, strict=True) if p < test_level(scores.alpha)}
    names = [arms[n] for n in order]
    groups = tuple(tuple(names[start:end]) for start, end in _groups(len(arms), apart))
    friedman = 1.0 if np.ptp(values, axis=1).max() == 0 else float(stats.friedmanchisquare(*values.T).pvalue)
    return Ranks(setting, {arms[n]: float(mean[n]) for n in order}, friedman, groups, len(values))


def _wilcoxon(differences: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
    from scipy import stats

    return float(stats.wilcoxon(differences).pvalue) if differences.any() else 1.0


def _groups(count: int, apart: set[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the longest runs, as (start, end), within which no pair is apart; of two or more, none within another."""
    runs: list[tuple[int, int]] = []
    for start in range(count):
        end = start + 1
        while end < count and not any((a, end) in apart for a in range(start, end)):
            end += 1
        if end - start > 1 and (not runs or end > runs[-1][1]):
            runs.append((start, end))
    return runs
