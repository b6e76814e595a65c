"""The gap of each arm between its training images and test images: per seed, with an interval over the seeds.

Training and test images differ, so there is nothing to pair by image: a seed gives one number, and seeds are the
sample.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from drnbench.render import text
from drnbench.results.scores import Arm, Condition, Scores
from drnbench.results.statistics import half_width, one_sample_t

if TYPE_CHECKING:
    import pandas as pd

    from drnbench.outputs.gap import Gap


@dataclass(frozen=True)
class GapValue:
    """One arm's gap on one pair of conditions.

    Attributes:
        value: mean over seeds of (mean over training images - mean over test images).
        half: 95 %, t over seeds; None under two seeds.
        delta, low, high: mean difference to the baseline's gap, paired by seed, with its 95 % t interval; None where
            there is no baseline, and no interval under two seeds.
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
    bicubic: float | None = None

    @property
    def sign(self) -> int:
        """1 where the gap is significantly larger than the baseline's, -1 where it is smaller, 0 where it is neither."""
        if self.low is None or self.high is None or self.low <= 0 <= self.high:
            return 0
        return 1 if self.low > 0 else -1


Gaps = dict[tuple[str, Condition], GapValue]
"""(arm, test condition) -> gap."""


def gaps(scores: Scores, output: Gap) -> Gaps:
    """Return the gap of every arm that is scored on training and on test images."""
    metric = output.metric
    return {
        (arm.name, test): gap
        for arm in scores.arms
        for train, test in _pairs(scores, arm, output)
        if (gap := _gap(scores, arm, train, test, metric)) is not None
    }


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
    value, half = _mean_and_half(by_seed.to_numpy())
    return GapValue(
        arm.name, train, test, metric, float(means["train"].mean()), float(means["test"].mean()), value, half, len(by_seed),
        *_delta(scores, arm, by_seed, train, test, metric), _bicubic(scores, arm, train, test, metric),
    )  # fmt: skip


def _delta(
    scores: Scores, arm: Arm, by_seed: pd.Series, train: Condition, test: Condition, metric: str
) -> tuple[float | None, float | None, float | None]:
    """Return the mean difference to the baseline's gap, paired by seed, and its interval."""
    base = scores.baseline_of(arm, test)
    means = _means_by_seed(scores, base, train, test, metric) if base is not None else None
    if means is None or arm.seedless:  # bicubic has no seeds to pair
        return None, None, None
    paired = (by_seed - (means["train"] - means["test"])).dropna().to_numpy()
    if not len(paired):
        return None, None, None
    delta, half = _mean_and_half(paired)
    return (delta, None, None) if half is None else (delta, delta - half, delta + half)


def _bicubic(scores: Scores, arm: Arm, train: Condition, test: Condition, metric: str) -> float | None:
    """Return the gap of bicubic on the images of an arm, which may be fewer than those that bicubic is scored on."""
    reference = next((a for a in scores.arms if a.kind == "reference" and {train, test} <= set(a.conditions)), None)
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


def _mean_and_half(values: NDArray[np.float64]) -> tuple[float, float | None]:
    if len(values) < 2:
        return float(values.mean()), None
    mean, error, df = one_sample_t(values)
    return mean, half_width(error, df)


def between(gap: GapValue, decimals: int) -> str:
    """Write the interval of a difference of gaps, or nothing where there is none."""
    if gap.low is None or gap.high is None:
        return ""
    return f"[{text.signed(gap.low, decimals)}, {text.signed(gap.high, decimals)}]"
