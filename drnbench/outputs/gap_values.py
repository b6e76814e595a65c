"""The gap of each arm between its training images and test images, and its difference to the baseline's gap.

A gap has an interval over the seeds: it speaks of these images, which differ between the two sets. Its difference to the
baseline's gap is paired by seed and image on either side, and follows the rules of every difference.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from drnbench.render import text
from drnbench.results.scores import Arm, Condition, Scores
from drnbench.results.statistics import ALPHA, STAR_SEEDS, Difference, contrast, half_width, holm, one_sample_t
from drnbench.results.summary import minus, paired

if TYPE_CHECKING:
    import pandas as pd

    from drnbench.outputs.gap import Gap


@dataclass(frozen=True)
class GapValue:
    """One arm's gap on one pair of conditions.

    Attributes:
        value: mean over seeds of (mean over training images - mean over test images).
        half: of the interval of the study's level, t over seeds; None under two seeds.
        delta, low, high: mean difference to the baseline's gap, paired by seed and image, with its interval; None
            where there is no baseline, and no interval under two seeds.
        p, p_holm: of no such difference, and adjusted over all gaps that are compared.
        bicubic: what bicubic reaches on the same images: the part of the gap that is the images' difference alone.

    """

    arm: str
    train: Condition
    test: Condition
    metric: str
    train_mean: float
    test_mean: float
    value: float
    half: float | None
    seeds: int
    delta: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    bicubic: float | None = None
    p_holm: float | None = None

    @property
    def sign(self) -> int:
        """1 where the gap is significantly larger than the baseline's, -1 where it is smaller, 0 where it is neither."""
        if self.delta is None or self.p_holm is None or self.p_holm >= ALPHA:
            return 0
        return 1 if self.delta > 0 else -1

    @property
    def starred(self) -> bool:
        """True where the difference to the baseline's gap earns a star."""
        return self.sign != 0 and self.seeds >= STAR_SEEDS


Gaps = dict[tuple[str, Condition], GapValue]
"""(arm, test condition) -> gap."""


def gaps(scores: Scores, output: Gap) -> Gaps:
    """Return the gap of every arm that is scored on training and on test images; tests are one family."""
    metric = output.metric
    values = {
        (arm.name, test): gap
        for arm in scores.arms
        for train, test in _pairs(scores, arm, output)
        if (gap := _gap(scores, arm, train, test, metric)) is not None
    }
    tests = {cell: gap.p for cell, gap in values.items() if gap.p is not None}
    adjusted = dict(zip(tests, holm(list(tests.values())), strict=True))
    return {cell: replace(gap, p_holm=adjusted.get(cell)) for cell, gap in values.items()}


def _pairs(scores: Scores, arm: Arm, output: Gap) -> list[tuple[Condition, Condition]]:
    """Return each test condition with the training condition of the same degradation, or with the first one."""
    trains = [condition for condition in arm.conditions if scores.sources[condition] == output.train]
    tests = [condition for condition in arm.conditions if scores.sources[condition] == output.test]
    if not trains:
        return []
    return [(next((train for train in trains if train[1:] == test[1:]), trains[0]), test) for test in tests]


def _gap(scores: Scores, arm: Arm, train: Condition, test: Condition, metric: str) -> GapValue | None:
    """Return the gap of one arm; None where no seed is scored on both sides."""
    means = _means_by_seed(scores, arm, train, test, metric)
    if means is None:
        return None
    by_seed = means["train"] - means["test"]
    value, half = _mean_and_half(by_seed.to_numpy(), scores.alpha)
    return GapValue(
        arm.name, train, test, metric, float(means["train"].mean()), float(means["test"].mean()), value, half, len(by_seed),
        *_delta(scores, arm, train, test, metric), _bicubic(scores, arm, train, test, metric),
    )  # fmt: skip


def _delta(
    scores: Scores, arm: Arm, train: Condition, test: Condition, metric: str
) -> tuple[float | None, float | None, float | None, float | None]:
    """Return the mean difference to the baseline's gap, its interval and its p."""
    base = scores.baseline_of(arm, test)
    if base is None or arm.seedless:  # bicubic has no seeds to pair
        return None, None, None, None
    sides = [paired(scores, arm, base, condition, metric) for condition in (train, test)]
    if sides[0] is None or sides[1] is None:
        return None, None, None, None
    seeds = sides[0][0].index.intersection(sides[1][0].index)
    trains, tests = ([_finite(values.loc[seeds], pair) for values in pair] for pair in (sides[0], sides[1]))
    difference = contrast([minus(*trains), minus(*tests)], (1, -1), alpha=scores.alpha)
    if difference is None:
        return None, None, None, None
    gap, base_gap = (t.mean(axis="columns") - e.mean(axis="columns") for t, e in zip(trains, tests, strict=True))
    delta = float((gap - base_gap).to_numpy().mean())
    if difference.seeds < 2 or difference.low is None or difference.high is None:
        return delta, None, None, None
    half = (difference.high - difference.low) / 2
    # A constant difference has no p, and counts in the family as one with p = 1.
    p = 1.0 if difference.level == "method" and difference.p is None else difference.p
    return delta, delta - half, delta + half, p


def _finite(values: pd.DataFrame, pair: tuple[pd.DataFrame, pd.DataFrame]) -> pd.DataFrame:
    """Return the columns of the images that are finite for both arms."""
    kept = np.isfinite(pair[0].to_numpy(dtype="float64")).all(0) & np.isfinite(pair[1].to_numpy(dtype="float64")).all(0)
    finite: pd.DataFrame = values.loc[:, kept]
    return finite


def change(scores: Scores, first: GapValue, second: GapValue) -> Difference | None:
    """Return how much more the gap of an arm exceeds that of bicubic than another's does.

    Bicubic learns nothing, so what its gap differs by is the difference of the images; None where it is not scored there.
    """
    import pandas as pd

    shared = first.test == second.test  # the same test images are paired
    pairs = {
        (gap.arm, condition): (weight, _reference(scores, condition))
        for gap, sign in ((first, -1), (second, 1))
        for condition, weight in ((gap.train, sign), (gap.test, -sign))
        if not (shared and condition == gap.test)
    }
    if shared:
        pairs[second.arm, second.test] = (-1, scores.arm(first.arm))
    weights, tables = list[float](), list[tuple[pd.DataFrame, pd.DataFrame]]()
    for (name, condition), (weight, other) in pairs.items():
        pair = paired(scores, scores.arm(name), other, condition, first.metric) if other else None
        if pair is None:
            return None
        weights.append(weight)
        tables.append(pair)
    seeds = functools.reduce(pd.Index.intersection, [values.index for values, _ in tables])
    return contrast(
        [minus(values.loc[seeds], others.loc[seeds]) for values, others in tables], weights, alpha=scores.alpha
    )


def _reference(scores: Scores, *conditions: Condition) -> Arm | None:
    arms = (arm for arm in scores.arms if arm.kind == "reference" and {*conditions} <= set(arm.conditions))
    return next(arms, None)


def _bicubic(scores: Scores, arm: Arm, train: Condition, test: Condition, metric: str) -> float | None:
    """Return the gap of bicubic on the images of an arm, which may be fewer than those that bicubic is scored on."""
    reference = _reference(scores, train, test)
    if reference is None:
        return None
    means = []
    for condition in (train, test):
        images = scores.tables.get((arm.name, condition, metric))
        table = scores.tables.get((reference.name, condition, metric))
        if images is None or table is None or not set(images.columns) <= set(table.columns):
            return None
        values = table[list(images.columns)].to_numpy(dtype="float64")
        means.append(float(values[np.isfinite(values)].mean()))
    return means[0] - means[1]


def _means_by_seed(scores: Scores, arm: Arm, train: Condition, test: Condition, metric: str) -> pd.DataFrame | None:
    """Return the means over the images of both sets, one row a seed that has both; infinite values are left out."""
    import pandas as pd

    columns = {}
    for name, condition in (("train", train), ("test", test)):
        table = scores.tables.get((arm.name, condition, metric))
        if table is None:
            return None
        finite = table.replace([np.inf, -np.inf], np.nan).dropna(axis="columns")
        columns[name] = finite.mean(axis="columns")
    both = pd.DataFrame(columns).dropna()
    return both if len(both) else None


def _mean_and_half(values: NDArray[np.float64], alpha: float) -> tuple[float, float | None]:
    if len(values) < 2:
        return float(values.mean()), None
    mean, error, df = one_sample_t(values)
    return mean, half_width(error, df, alpha)


def between(gap: GapValue, decimals: int) -> str:
    """Write the interval of a difference of gaps, or nothing where there is none."""
    if gap.low is None or gap.high is None:
        return ""
    return f"[{text.signed(gap.low, decimals)}, {text.signed(gap.high, decimals)}]"
