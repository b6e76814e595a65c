"""How many seeds and test images a difference of a given size needs, from the measured deviations.

The differences of a comparison (arm minus baseline, same seed, same image) deviate by seed, by image, and by both. The
test that is planned for is the one of a report: the largest p of crossed t, t over seeds and t over images
(`drnbench.results.statistics`), at alpha / m, as Holm holds the smallest of the m p-values of a family against that; a
primary comparison is tested alone. More seeds do not make test images more: where the images' deviation alone is too
large, more images are what is missing. Deviations are estimates themselves, with the interval of the chi-square.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from drnbench.config.search import AXIS
from drnbench.errors import UsageError
from drnbench.evaluation import metrics as registered
from drnbench.planning.expand import Expanded
from drnbench.planning.graph import Plan
from drnbench.results.comparison import Compared, of_record
from drnbench.results.locations import planned
from drnbench.results.plan_record import find_plan
from drnbench.results.scores import Condition
from drnbench.results.statistics import ALPHA, CONFIDENCE, ROUNDING, STAR_SEEDS, squares, test_level
from drnbench.store import Store

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

POWER = 0.8
DIFFERENCE_DB = 0.1
"""What is asked for by default of a metric in dB; other metrics have no size that means something everywhere."""
LIMIT = 10_000
"""More seeds or images than this are said to be too many, and not counted."""
SIBLINGS = 300
"""Trials of other studies that are looked at: a plan must not take minutes."""
POINTS = 256
"""Points in which power is integrated over the mean squares: it is right to a hundredth, in milliseconds."""


class Components(NamedTuple):
    """The deviations of the differences of one comparison, each a standard deviation in the metric's unit.

    Attributes:
        arm: that is compared.
        seed: between seeds, on all images alike.
        image: between images, in all seeds alike; 0 where one image was measured, which cannot show it.
        residual: between the images of a seed beyond that.
        seeds, images: that they were measured with, at least 2 and 1.
        family: number of cells that are corrected together; 1 for the primary comparison.
        level: of a single test, smaller where seeds are added.
        control: the arm is a positive control.

    """

    arm: str
    seed: float
    image: float
    residual: float
    seeds: int
    images: int
    family: int = 1
    level: float = ALPHA
    control: bool = False

    @property
    def alpha(self) -> float:
        """The level that the smallest p-value of the family is compared with."""
        return self.level / self.family

    @property
    def interval(self) -> tuple[Components, Components]:
        """All deviations at the lower and at the upper ends of their 95 % intervals."""
        of_seeds, of_images = spread_interval(1.0, self.seeds), spread_interval(1.0, max(self.images, 2))
        rest = spread_interval(1.0, max((self.seeds - 1) * (self.images - 1) + 1, 2))
        low, high = (
            self._replace(seed=self.seed * s, image=self.image * i, residual=self.residual * r)
            for s, i, r in zip(of_seeds, of_images, rest, strict=True)
        )
        return low, high


@dataclass(frozen=True)
class Outlook:
    """The basis of the number of seeds that a study needs, at its first evaluation.

    Attributes:
        difference: to be detected, in the metric's unit.
        family: number of cells that are corrected together, the primary comparison aside.
        components: measured ones; of siblings where the study has none of its own.
        siblings: names of the studies that those come from; empty: the study's own.
        level: of a single test, before the correction.

    """

    metric: str
    condition: Condition
    difference: float
    family: int
    components: tuple[Components, ...]
    siblings: tuple[str, ...] = ()
    level: float = ALPHA


def t_power(sd: float, difference: float, count: int, alpha: float) -> float:
    """Return the power of the two-sided one-sample t test.

    Args:
        sd: of the values, above 0.
        difference: true mean, above 0, in the same unit.
        count: of values, at least 2.
        alpha: of the test.

    """
    # Not statsmodels' TTestPower: it imports scipy.stats, which a plan has no seconds for, and is NaN in the far tails.
    import numpy as np
    from scipy.special import nctdtr, stdtrit

    df = count - 1
    bound, centre = stdtrit(df, 1 - alpha / 2), difference / sd * count**0.5
    if centre > 35 + bound:  # certain; the series of the noncentral t does not reach so far
        return 1.0
    # The far tail is so small that its series may fail, and counts as nothing then.
    near, far = 1 - nctdtr(df, centre, bound), nctdtr(df, centre, -bound)
    return float(np.nan_to_num(near) + np.nan_to_num(far))


def power(components: Components, difference: float, seeds: int, images: int, alpha: float) -> float:
    """Return the power of the test of a report.

    The mean squares of normal deviations are independent of the mean and of each other, and chi-square; power is the mean,
    over their distribution, of the probability that the mean exceeds the widest half-width.

    Args:
        components: deviations.
        difference: true mean difference, above 0, in the same unit.
        seeds, images: at least 2 each.
        alpha: of the test.

    """
    import numpy as np
    from scipy.special import gammaincinv, ndtr, stdtrit

    # A quasi-random sequence in three dimensions (Roberts 2018): the same numbers each time.
    root = 1.2207440846057596
    u = (0.5 + np.arange(1, POINTS + 1)[None] / root ** np.arange(1, 4)[:, None]) % 1
    dfs = np.array([seeds - 1.0, images - 1.0, (seeds - 1.0) * (images - 1.0)])
    # Variances of the mean: by seed and by image each with its share of the residual, and that alone.
    rest = components.residual**2 / (seeds * images)
    by_seed, by_image = components.seed**2 / seeds + rest, components.image**2 / images + rest
    v_s, v_i, v_e = np.array([by_seed, by_image, rest])[:, None] * 2 * gammaincinv(dfs[:, None] / 2, u) / dfs[:, None]
    total = v_s + v_i - v_e
    clamped = total <= v_e
    spread = np.maximum(v_s**2 / dfs[0] + v_i**2 / dfs[1] + v_e**2 / dfs[2], 1e-300)
    crossed = np.where(clamped, dfs[2], np.maximum(total**2 / spread, 1.0))
    tail = 1 - alpha / 2
    halves = [stdtrit(crossed, tail) ** 2 * np.where(clamped, v_e, total)]
    halves += [stdtrit(df, tail) ** 2 * v for df, v in ((dfs[0], v_s), (dfs[1], v_i))]
    half, deviation = np.sqrt(np.max(halves, axis=0)), max((by_seed + by_image - rest) ** 0.5, 1e-150)
    return float((ndtr((difference - half) / deviation) + ndtr((-difference - half) / deviation)).mean())


def seeds_needed(
    components: Components, difference: float, images: int, alpha: float = ALPHA, wanted: float = POWER
) -> int | None:
    """Return the fewest seeds, at least 3, at which the test has the wanted power; None: more than 10,000, or none does.

    Under three seeds nothing earns a star, however clear it is.
    """
    if images < 2 or (components.image > 0 and t_power(components.image, difference, images, alpha) < wanted):
        return None
    return _fewest(lambda seeds: power(components, difference, seeds, images, alpha) >= wanted, STAR_SEEDS)


def images_needed(
    components: Components, difference: float, seeds: int | None, alpha: float = ALPHA, wanted: float = POWER
) -> int | None:
    """Return the fewest test images, at least 2, at which so many seeds have the wanted power; None: no number does.

    With None for the seeds there are as many as one likes.
    """
    if seeds is None:
        sd = components.image
        return 2 if sd == 0 else _fewest(lambda images: t_power(sd, difference, images, alpha) >= wanted, 2)
    if components.seed > 0 and t_power(components.seed, difference, seeds, alpha) < wanted:
        return None
    return _fewest(lambda images: power(components, difference, seeds, images, alpha) >= wanted, 2)


def _fewest(reaches: Callable[[int], bool], least: int) -> int | None:
    """Return the smallest number, at least `least`, that reaches what larger ones reach; None: more than 10,000."""
    low, high = least - 1, least
    while not reaches(high):
        if high >= LIMIT:
            return None
        low, high = high, min(2 * high, LIMIT)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reaches(middle) else (middle, high)
    return high


def spread_interval(sd: float, count: int) -> tuple[float, float]:
    """Return the 95 % interval of a standard deviation measured on `count` >= 2 normal values."""
    from scipy.special import gammaincinv

    df, tail = count - 1, (1 - CONFIDENCE) / 2
    low, high = 2 * gammaincinv(df / 2, [1 - tail, tail])
    return sd * float((df / low) ** 0.5), sd * float((df / high) ** 0.5)


def components_of(arm: str, D: NDArray[np.float64], family: int = 1) -> Components:
    """Return the deviations of a table of differences, S >= 2 seeds x I >= 1 images, by the mean squares' expectations."""
    import numpy as np

    S, I = D.shape
    rounding = (ROUNDING * max(1.0, float(np.abs(D).max()))) ** 2
    if I == 1:
        v_s = float(D[:, 0].var(ddof=1))
        return Components(arm, v_s**0.5 if v_s > rounding else 0.0, 0.0, 0.0, S, I, family)
    crossed = squares(D)
    v_e = float(crossed.rest) / crossed.df
    parts = (float(crossed.by_seed) - v_e / I, float(crossed.by_image) - v_e / S, v_e)
    seed, image, residual = (part**0.5 if part > rounding else 0.0 for part in parts)
    return Components(arm, seed, image, residual, S, I, family)


def seeds_note(study: Expanded) -> str | None:
    """Return the note on a study with a baseline and fewer seeds than a test or a star needs; None for others."""
    seeds = max((len(arm.trials) for arm in study.arms if arm.kind != "reference"), default=0)
    if study.baseline is None or not 0 < seeds < STAR_SEEDS:
        return None
    result = "one seed: no difference is tested" if seeds == 1 else "two seeds: nothing is starred"
    is_search = any(axis.path == AXIS for axis in study.study.axes)
    remedy = f"Search(fresh_seeds={STAR_SEEDS})" if is_search else f"--seeds {STAR_SEEDS}"
    return f"note: {result}; {remedy} is enough for both"


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
    families = own.families
    family = max(families[arm, condition, metric] for arm, _ in pairs)
    budget = [float("inf")]
    level = test_level(own.scores.alpha)
    if measured := [part._replace(level=level) for part in _measured(own, condition, metric, store, budget)]:
        return Outlook(metric, condition, size, family, tuple(measured), level=level)
    budget, siblings, names = [SIBLINGS], [], []
    for name in planned(store):
        record = find_plan(store, name)
        other = of_record(record) if record else None
        if other is None or metric not in other.scores.metrics.get(condition, ()):
            continue
        of_other = list(_measured(other, condition, metric, store, budget, own.methods_at(condition)))
        siblings += [components._replace(family=family, level=level) for components in of_other]
        names += [name] if of_other else []
    return Outlook(metric, condition, size, family, tuple(siblings), tuple(names), level)


def _metric(metrics: Sequence[str], difference: float | None) -> str | None:
    """Return the first metric; where no difference is given, the first one in dB."""
    if difference is not None:
        return metrics[0]
    return next((name for name in metrics if registered.get(name).unit == "dB"), None)


def _measured(
    study: Compared,
    condition: Condition,
    metric: str,
    store: Store,
    budget: list[float],
    methods: frozenset[str] | None = None,
) -> Iterator[Components]:
    """Yield the deviations of every comparison that two seeds or more have finished; `budget` trials are read at most."""
    families = study.families
    for arm, base in study.pairs(condition):
        if methods is not None and study.method(arm) not in methods:
            continue
        if budget[0] <= 0:
            return
        before = study.reads
        D = study.table(arm, base, condition, metric, store)
        budget[0] -= study.reads - before
        if D.shape[0] >= 2 and D.shape[1] >= 1:
            control = study.scores.is_control(study.scores.arm(arm))
            yield components_of(arm, D, families[arm, condition, metric])._replace(control=control)
