"""How many seeds a difference of a given size needs, from the measured spread between seeds.

A comparison's spread is the standard deviation, over seeds, of the mean difference (arm minus baseline, same seed, same
images). The test that is planned for is the two-sided paired t over seeds at alpha / m: Holm holds the smallest of m
p-values against that. Power is that of the noncentral t. A spread from k seeds is itself an estimate: its 95 %
interval is that of the chi-square with k - 1 degrees of freedom.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from drnbench.errors import UsageError
from drnbench.evaluation import metrics as registered
from drnbench.planning.graph import Plan
from drnbench.results.comparison import Compared, of_record
from drnbench.results.locations import planned
from drnbench.results.plan_record import find_plan
from drnbench.results.scores import Condition
from drnbench.results.statistics import ALPHA, CONFIDENCE, ROUNDING, STAR_SEEDS
from drnbench.store import Store

POWER = 0.8
DIFFERENCE_DB = 0.1
"""What is asked for by default of a metric in dB; other metrics have no size that means something everywhere."""
LIMIT = 10_000
"""More seeds than this are said to be too many, and not counted."""
SIBLINGS = 300
"""Trials of other studies that are looked at: a plan must not take minutes."""


class Spread(NamedTuple):
    """The spread of one comparison: standard deviation over `seeds` seeds of the mean paired difference."""

    arm: str
    sd: float
    seeds: int


@dataclass(frozen=True)
class Outlook:
    """The basis of the number of seeds that a study needs, at its first evaluation.

    Attributes:
        difference: to be detected, in the metric's unit.
        comparisons: number of arms that are compared to a baseline there.
        spreads: measured ones; of siblings where the study has none of its own.
        siblings: names of the studies that those come from; empty: the study's own.

    """

    metric: str
    condition: Condition
    difference: float
    comparisons: int
    spreads: tuple[Spread, ...]
    siblings: tuple[str, ...] = ()

    @property
    def alpha(self) -> float:
        """The level that the smallest p-value is compared with."""
        return ALPHA / self.comparisons


def power(sd: float, difference: float, seeds: int, alpha: float) -> float:
    """Return the power of the two-sided paired t test.

    Args:
        sd: of the paired differences over seeds, above 0.
        difference: true mean difference, above 0, in the same unit.
        seeds: at least 2.
        alpha: of the test.

    """
    # Not statsmodels' TTestPower: it imports scipy.stats, which a plan has no seconds for, and is NaN in the far tails.
    import numpy as np
    from scipy.special import nctdtr, stdtrit

    df = seeds - 1
    bound, centre = stdtrit(df, 1 - alpha / 2), difference / sd * seeds**0.5
    if centre > 35 + bound:  # certain; the series of the noncentral t does not reach so far
        return 1.0
    # The far tail is so small that its series may fail, and counts as nothing then.
    near, far = 1 - nctdtr(df, centre, bound), nctdtr(df, centre, -bound)
    return float(np.nan_to_num(near) + np.nan_to_num(far))


def seeds_needed(sd: float, difference: float, alpha: float = ALPHA, wanted: float = POWER) -> int | None:
    """Return the fewest seeds, at least 3, at which the test has the wanted power; None: more than 10,000.

    Under three seeds nothing earns a star, however clear it is.
    """
    if sd <= 0:
        return STAR_SEEDS
    low, high = STAR_SEEDS - 1, STAR_SEEDS
    while power(sd, difference, high, alpha) < wanted:
        if high >= LIMIT:
            return None
        low, high = high, min(2 * high, LIMIT)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power(sd, difference, middle, alpha) >= wanted else (middle, high)
    return high


def spread_interval(sd: float, seeds: int) -> tuple[float, float]:
    """Return the 95 % interval of a standard deviation measured on `seeds` >= 2 normal values."""
    from scipy.special import gammaincinv

    df, tail = seeds - 1, (1 - CONFIDENCE) / 2
    low, high = 2 * gammaincinv(df / 2, [1 - tail, tail])
    return sd * float((df / low) ** 0.5), sd * float((df / high) ** 0.5)


def outlook(plan: Plan, store: Store, difference: float | None = None) -> Outlook | None:
    """Return the outlook of a study at its baseline's first evaluation; None where nothing is compared there.

    Args:
        plan: of the study, as it is now.
        store: with its scores, and those of other studies.
        difference: to be detected, above 0; none: 0.1 in the first metric that is in dB.

    Raises:
        UsageError: a difference that is not above 0, or none where no metric is in dB.

    """
    if difference is not None and not 0 < difference < float("inf"):
        raise UsageError(f"--difference {difference:g}: give a number above 0, such as {DIFFERENCE_DB} (dB)")
    own = of_record(plan.record())
    condition = own.primary
    if condition is None:
        return None
    metric = _metric(own.scores.metrics[condition], difference)
    pairs = own.pairs(condition)
    if metric is None or not pairs:
        return None
    size = DIFFERENCE_DB if difference is None else difference
    budget = [float("inf")]
    if spreads := tuple(_spreads(own, condition, metric, store, budget)):
        return Outlook(metric, condition, size, len(pairs), spreads)
    budget, siblings, names = [SIBLINGS], [], []
    for name in planned(store):
        record = find_plan(store, name)
        other = of_record(record) if record else None
        if other is None or metric not in other.scores.metrics.get(condition, ()):
            continue
        measured = list(_spreads(other, condition, metric, store, budget, own.methods_at(condition)))
        siblings += measured
        names += [name] if measured else []
    return Outlook(metric, condition, size, len(pairs), tuple(siblings), tuple(names))


def _metric(metrics: Sequence[str], difference: float | None) -> str | None:
    """Return the first metric; where no difference is given, the first one in dB."""
    if difference is not None:
        return metrics[0]
    return next((name for name in metrics if registered.get(name).unit == "dB"), None)


def _spreads(
    study: Compared,
    condition: Condition,
    metric: str,
    store: Store,
    budget: list[float],
    methods: frozenset[str] | None = None,
) -> Iterator[Spread]:
    """Yield the spread of every comparison that two seeds or more have finished; `budget` trials are read at most."""
    import numpy as np

    for arm, base in study.pairs(condition):
        if methods is not None and study.method(arm) not in methods:
            continue
        if budget[0] <= 0:
            return
        before = study.reads
        means = study.differences(arm, base, condition, metric, store)
        budget[0] -= study.reads - before
        if len(means) < 2:
            continue
        sd = float(np.std(means, ddof=1))
        yield Spread(arm, 0.0 if sd <= ROUNDING * max(1.0, float(np.abs(means).max())) else sd, len(means))
