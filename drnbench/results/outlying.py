"""Seeds whose scores lie far from those of the arm's other seeds, without being recorded as diverged; and seeds without effect.

A training can collapse and still end with finite values. Such a seed stays in every mean and every test: whether to leave
it out is the reader's decision, and a reader has to know of it. The rule is robust, so that several such seeds do not hide
each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from drnbench.evaluation import metrics
from drnbench.results.scores import Condition, Scores

if TYPE_CHECKING:
    import pandas as pd

MULTIPLE = 15
"""A seed is outlying from this many times the spread of the others on."""
LEAST_DB, LEAST_SHARE = 1.0, 0.1
"""The least distance of an outlying seed: in dB, and as a share of the arm's median in metrics without that unit."""
ANYWAY = 6
"""From so many times the least distance on, a seed is outlying whatever the spread."""
NORMAL = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation."""


class Outlier(NamedTuple):
    """Seeds of one arm that lie far from its others.

    Attributes:
        seeds: the outlying ones.
        distance: of the farthest of them to the median of the other seeds, in the metric's unit.
        all_seeds: nothing says which seeds are the outlying ones, as there are two or half of them are far off: `seeds` are
            all, from the lowest to the highest mean, and `distance` is that between these two.
        more: number of further columns (test sets and metrics) in which seeds of the arm are outlying.
        more_seeds: the outlying ones there that are not outlying here.

    """

    arm: str
    condition: Condition
    metric: str
    seeds: tuple[int, ...]
    distance: float
    all_seeds: bool
    more: int = 0
    more_seeds: tuple[int, ...] = ()


def outlying(scores: Scores) -> list[Outlier]:
    """Return the outlying seeds of each arm, on the first test set and in the first metric that show any, and how many more do.

    A seed is outlying where its mean over the images lies away from the median of its arm (with two seeds: from the other)
    by at least `MULTIPLE` times the spread of the others, and by at least 1 dB; or by at least 6 dB. The spread is 1.4826
    times the median absolute deviation: the larger of that of the arm's other seeds, from three seeds on, and of the median
    over the other arms.
    """
    arms: dict[str, list[Outlier]] = {}
    for outlier in outlying_everywhere(scores):
        arms.setdefault(outlier.arm, []).append(outlier)
    return [_summary(arms[arm.name]) for arm in scores.arms if arm.name in arms]


def outlying_everywhere(scores: Scores) -> list[Outlier]:
    """Return the outlying seeds of each arm in each column, by test set and metric."""
    columns: dict[tuple[Condition, str], dict[str, dict[int, float]]] = {}
    for (arm, condition, metric), table in scores.tables.items():
        if len(table) > 1:
            columns.setdefault((condition, metric), {})[arm] = _seed_means(table)
    return [
        outlier
        for condition in scores.conditions
        for metric in scores.metrics[condition]
        for outlier in _of_column(condition, metric, columns.get((condition, metric), {}))
    ]


def _summary(columns: list[Outlier]) -> Outlier:
    """Return the first column of an arm, with what the others show."""
    first, *others = columns
    more_seeds = {seed for outlier in others for seed in outlier.seeds} - {*first.seeds}
    return first._replace(more=len(others), more_seeds=tuple(sorted(more_seeds)))


def equal_seeds(scores: Scores) -> list[str]:
    """Return the arms of several seeds whose scores are the same for every seed, so that the seeds are no sample."""
    varies: dict[str, bool] = {}
    for (arm, _, _), table in scores.tables.items():
        if len(table) > 1:
            values = table.to_numpy("float64")
            varies[arm] = varies.get(arm, False) or not np.array_equal(
                values, values[[0] * len(values)], equal_nan=True
            )
    return [arm.name for arm in scores.arms if varies.get(arm.name) is False]


def _seed_means(table: pd.DataFrame) -> dict[int, float]:
    """Return the mean of each seed over the images that are finite in all; empty where there is none."""
    values = table.to_numpy("float64")
    finite = np.isfinite(values).all(0)
    return dict(zip(table.index.tolist(), values[:, finite].mean(1).tolist(), strict=True)) if finite.any() else {}


def _of_column(condition: Condition, metric: str, arms: Mapping[str, Mapping[int, float]]) -> list[Outlier]:
    in_db = metrics.get(metric).unit == "dB"
    outliers = []
    for arm, means in arms.items():
        if not means:
            continue
        least = LEAST_DB if in_db else LEAST_SHARE * abs(median(means.values()))
        reach = max(means.values()) - min(means.values())
        if reach < max(least, 1e-9):
            continue
        elsewhere = [_spread([*other.values()]) for name, other in arms.items() if name != arm and other]
        seeds = _far(means, least, median(elsewhere) if elsewhere else None)
        if 2 * len(seeds) >= len(means):
            outliers.append(
                Outlier(arm, condition, metric, tuple(sorted(means, key=means.__getitem__)), reach, all_seeds=True)
            )
        elif seeds:
            others = median(mean for seed, mean in means.items() if seed not in seeds)
            distance = max((means[seed] - others for seed in seeds), key=abs)
            outliers.append(Outlier(arm, condition, metric, seeds, distance, all_seeds=False))
    return outliers


def _far(means: Mapping[int, float], least: float, elsewhere: float | None) -> tuple[int, ...]:
    """Return the seeds that lie far from the centre of an arm; `elsewhere` is the spread of the other arms."""
    far = []
    for seed, mean in means.items():
        others = [value for other, value in means.items() if other != seed]
        spreads = [elsewhere] if elsewhere is not None else []
        spreads += [_spread(others)] if len(others) > 1 else []
        distance = abs(mean - (median(means.values()) if len(others) > 1 else others[0]))
        beyond = bool(spreads) and distance >= MULTIPLE * max(spreads)
        if distance >= ANYWAY * least or (beyond and distance >= least):
            far.append(seed)
    return tuple(far)


def _spread(values: list[float]) -> float:
    centre = median(values)
    return NORMAL * median(abs(value - centre) for value in values)
