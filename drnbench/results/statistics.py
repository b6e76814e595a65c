"""Statistics of tables of paired differences.

D[s, i] = metric(arm, seed s, image i) - metric(baseline, seed s, image i). Seeds and images are both samples, so a
claim about a method needs an interval that carries both. Three t statistics do so, each under another assumption: the
crossed seed-by-image random-effects t (a two-way random-effects analysis of variance, Satterthwaite 1946 for its degrees
of freedom), the t over the seeds' means and the t over the images' means. The first is right for one comparison and
wrong in its far tail, where Holm's correction works: a seed mean square that is small by chance leaves it with the
degrees of freedom of the residual. So p is the largest of the three, and the interval the widest; docs/statistics.md has
the simulation. Tests over images alone answer another question, whether these checkpoints differ, and are labelled so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Verdict = Literal["better", "worse", ""]
"""Significantly better than the baseline, significantly worse, or neither."""
Equivalence = Literal["equivalent", "not worse", "undecided", "not judged", ""]
"""Within the declared margin on both sides, not worse than by the margin, neither shown, too few seeds or images for a
judgement, or no margin declared."""
Level = Literal["method", "checkpoints", "image", "none"]
"""What a difference speaks of: the methods (over seeds and images), these checkpoints (one seed, over images), the
methods on this one image (over seeds), or nothing (one value)."""
CONFIDENCE = 0.95
ALPHA = 0.05
LOOKS_ALPHA, LOOKS_TEST = 0.03, 0.02
"""Levels of the intervals and of the tests of a study that adds seeds: the coverage is about 94 % then and the error of a
family about 5 %, as several looks at an interval end it, too often, where the variance is small by chance
(`drnbench.results.stopping`)."""
STAR_SEEDS = 3
"""Fewer seeds than this earn no star."""
ROUNDING = 1e-12
"""Standard deviations below this, relative to the values, are rounding and not variance."""
VERSION = 2
"""Raised when the same scores would get other intervals or p-values. 1: crossed t alone, Holm within a column. 2: the
largest of three p-values and the widest of three intervals, Holm over all cells of a table."""


class Spread(NamedTuple):
    """The spread of a mean by one reasoning: standard error, 0 where nothing varies, and degrees of freedom."""

    error: float
    df: float


@dataclass(frozen=True)
class Difference:
    """A mean paired difference with its interval and its test.

    Attributes:
        mean: in the metric's unit, arm minus baseline.
        low, high: interval of confidence 1 - alpha, the widest that a spread gives; None where nothing can be estimated.
        p: two-sided, of no difference between the methods, the largest that a spread gives; None where that cannot be
            tested: with one seed, with one image, without variance (a constant difference has an interval of no width).
        level: what it speaks of.
        seeds, images: number that are common to both.
        won: share of images on which the arm is better, seeds averaged first; an equal image counts half.
        left_out: images left out because a value is infinite.
        spreads: crossed, over seeds, over images at the level of methods; else the only one.
        alpha: level of the interval, smaller where seeds were added; p is then scaled so that 5 % is the level of the tests.

    """

    mean: float
    low: float | None
    high: float | None
    p: float | None
    level: Level
    seeds: int
    images: int
    won: float
    left_out: int = 0
    spreads: tuple[Spread, ...] = ()
    alpha: float = ALPHA

    @property
    def constant(self) -> bool:
        """True if it is the same on every seed and image, of which there are several."""
        return bool(self.spreads) and not any(spread.error for spread in self.spreads)

    @property
    def equal(self) -> bool:
        """True if the scores of both arms are equal on every seed and image."""
        return self.constant and abs(self.mean) <= ROUNDING


@dataclass(frozen=True)
class Spreads:
    """Mean and the standard errors of three t statistics, each an array of the leading shape of the tables.

    Attributes:
        mean: of all differences.
        errors, dfs: 3 x ...: crossed, over seeds, over images; an error is 0 where nothing varies.

    """

    mean: Array
    errors: Array
    dfs: Array

    def half_width(self, confidence: float = CONFIDENCE) -> Array:
        """Return the half-width of the widest of the three intervals."""
        from scipy.special import stdtrit  # scipy.stats takes seconds to import

        widths: Array = (stdtrit(self.dfs, (1 + confidence) / 2) * self.errors).max(0)
        return widths

    def p(self, mean: float = 0.0) -> Array:
        """Return the largest of the three two-sided p-values of a true mean; NaN where nothing varies."""
        from scipy.special import stdtr

        with np.errstate(divide="ignore", invalid="ignore"):
            ps = 2 * stdtr(self.dfs, -np.abs(self.mean - mean) / self.errors)
        largest: Array = np.where((self.errors > 0).any(0), np.where(self.errors > 0, ps, 0.0).max(0), np.nan)
        return largest


class Squares(NamedTuple):
    """The crossed analysis of variance of tables of S seeds x I images, each an array of their leading shape.

    Attributes:
        by_seed, by_image: variances of the seeds' means and of the images' means.
        rest: sum of squares that neither explains.
        df: its degrees of freedom, (S - 1)(I - 1).

    """

    by_seed: Array
    by_image: Array
    rest: Array
    df: int


def squares(D: Array) -> Squares:
    """Return the crossed analysis of variance of ... x S x I differences, S >= 2 seeds and I >= 2 images, all finite."""
    S, I = D.shape[-2:]
    seeds, images, centre = D.mean(-1, keepdims=True), D.mean(-2, keepdims=True), D.mean((-2, -1), keepdims=True)
    by_seed, by_image = seeds[..., 0].var(-1, ddof=1), images[..., 0, :].var(-1, ddof=1)
    return Squares(by_seed, by_image, ((D - seeds - images + centre) ** 2).sum((-2, -1)), (S - 1) * (I - 1))


def three_spreads(tables: Sequence[Array], weights: Sequence[float] = (1.0,)) -> Spreads:
    """Return the three spreads of a weighted sum of the means of tables that share their seeds.

    One table with weight 1 is a plain comparison; two with 1 and -1 are a gap between two sets of images; K with 1/K are
    a mean over K sets of images. With tables T_k of S seeds x I_k images and weights w_k,
    V_s = var_s(sum_k w_k mean_i T_k) / S, V_i = sum_k w_k^2 var_i(mean_s T_k) / I_k, V_e = sum_k w_k^2 MS_e,k / (S I_k);
    the crossed variance is max(V_s + V_i - V_e, V_e).

    Args:
        tables: ... x S x I_k differences each, S >= 2 seeds and I_k >= 2 images, all finite; leading dimensions are
            separate comparisons.
        weights: of the tables, as many.

    """
    S = tables[0].shape[-2]
    mean = sum(w * D.mean((-2, -1)) for w, D in zip(weights, tables, strict=True))
    by_seed = sum(w * D.mean(-1) for w, D in zip(weights, tables, strict=True))
    v_s = np.var(by_seed, axis=-1, ddof=1) / S
    v_i, v_e, spread_i, spread_e = (np.zeros_like(v_s) for _ in range(4))
    for w, D in zip(weights, tables, strict=True):
        I, parts = D.shape[-1], squares(D)
        own_i = w**2 * parts.by_image / I
        own_e = w**2 * parts.rest / parts.df / (S * I)
        v_i, v_e = v_i + own_i, v_e + own_e
        spread_i, spread_e = spread_i + own_i**2 / (I - 1), spread_e + own_e**2 / parts.df
    total = v_s + v_i - v_e
    # Estimated components can be negative; the residual is the least that the mean can vary by.
    clamped = total <= v_e
    variances = np.stack([np.where(clamped, v_e, total), v_s, v_i])
    spread = v_s**2 / (S - 1) + spread_i + spread_e
    numbers = np.stack([np.where(clamped, v_e, total) ** 2, np.full_like(v_s, S - 1.0), v_i**2])
    sizes = np.stack([np.where(clamped, spread_e, spread), np.ones_like(v_s), spread_i])
    dfs = np.maximum(np.divide(numbers, sizes, out=np.ones_like(numbers), where=sizes > 0), 1.0)
    # The standard deviation of S I values decides between rounding and variance.
    count = S * sum(D.shape[-1] for D in tables)
    largest = np.maximum(1.0, np.max([np.abs(D).max((-2, -1)) for D in tables], axis=0))
    flat = variances * count <= (ROUNDING * largest) ** 2
    return Spreads(mean, np.where(flat, 0.0, np.sqrt(variances)), dfs)


def one_sample_t(values: Array) -> tuple[float, float, int]:
    """Return mean, standard error and degrees of freedom of N >= 2 numbers."""
    deviation = float(values.std(ddof=1))
    flat = deviation <= ROUNDING * max(1.0, float(np.abs(values).max()))
    return float(values.mean()), 0.0 if flat else deviation / len(values) ** 0.5, len(values) - 1


def test_level(alpha: float) -> float:
    """Return the level of the tests beside intervals of confidence 1 - alpha."""
    return LOOKS_TEST if alpha < ALPHA else ALPHA


def percent(share: float) -> str:
    """Write a level in percent: `95 %`."""
    return f"{100 * share:g} %"


def half_width(error: float, df: float, alpha: float = ALPHA) -> float:
    """Return the half-width of a t interval of confidence 1 - alpha."""
    from scipy.special import stdtrit  # scipy.stats takes seconds to import

    return float(stdtrit(df, 1 - alpha / 2) * error)


def _p(mean: float, spreads: Sequence[Spread]) -> float | None:
    """Return the largest two-sided p; without variance there is no test: equal is equal, and a constant earns no zero."""
    from scipy.special import stdtr

    ps = [float(2 * stdtr(spread.df, -abs(mean) / spread.error)) for spread in spreads if spread.error > 0]
    if ps:
        return max(ps)
    return 1.0 if abs(mean) <= ROUNDING else None


def difference(D: Array, *, higher_is_better: bool = True, alpha: float = ALPHA) -> Difference | None:
    """Summarise paired differences, S seeds x I images; None where no image has finite values.

    An image with an infinite value (SR equal to HR) in any seed is left out and counted: no mean holds it.
    """
    return contrast([D], higher_is_better=higher_is_better, alpha=alpha)


def contrast(
    tables: Sequence[Array], weights: Sequence[float] = (1.0,), *, higher_is_better: bool = True, alpha: float = ALPHA
) -> Difference | None:
    """Summarise a weighted sum of the means of tables of paired differences that share their seeds.

    Args:
        tables: S seeds x I_k images each.
        weights: of the tables, as many.
        higher_is_better: whether a positive sum is a gain.
        alpha: level of the interval; below 5 % seeds were added, and p is scaled: 5 % stands for `LOOKS_TEST`.

    Returns:
        The difference, or None where a table has no image with finite values. Its `images` are those of all tables.

    """
    finite = [np.isfinite(D).all(0) for D in tables]
    left_out = sum(int((~kept).sum()) for kept in finite)
    tables = [D[:, kept] for D, kept in zip(tables, finite, strict=True)]
    S, sizes = len(tables[0]), [D.shape[1] for D in tables]
    if S == 0 or 0 in sizes:
        return None
    by_image = np.concatenate([np.sign(w) * D.mean(0) for w, D in zip(weights, tables, strict=True)])
    won = _won(by_image if higher_is_better else -by_image)
    mean = float(sum(w * D.mean() for w, D in zip(weights, tables, strict=True)))
    level = _level(S, min(sizes))
    spreads = _spreads(tables, weights, level)
    if not spreads:
        return Difference(mean, None, None, None, level, S, sum(sizes), won, left_out)
    half = max(half_width(*spread, alpha) for spread in spreads)
    p = _p(mean, spreads) if level == "method" else None
    p = None if p is None else min(1.0, p * (ALPHA / test_level(alpha)))
    return Difference(mean, mean - half, mean + half, p, level, S, sum(sizes), won, left_out, spreads, alpha)


def _won(gains: Array) -> float:
    """Return the share of images with a gain; an image that is equal, rounding aside, counts half."""
    equal = np.abs(gains) <= ROUNDING
    return float(np.where(equal, 0.5, gains > 0).mean())


def _level(seeds: int, images: int) -> Level:
    if seeds > 1:
        return "method" if images > 1 else "image"
    return "checkpoints" if images > 1 else "none"


def _spreads(tables: Sequence[Array], weights: Sequence[float], level: Level) -> tuple[Spread, ...]:
    """Return what a mean varies by at its level; nothing at the level of a single value."""
    if level == "method":
        spreads = three_spreads(tables, weights)
        return tuple(Spread(float(e), float(df)) for e, df in zip(spreads.errors, spreads.dfs, strict=True))
    if level == "image":  # seeds are the only sample left
        by_seed = np.sum([w * D.mean(1) for w, D in zip(weights, tables, strict=True)], axis=0)
        return (Spread(*one_sample_t(by_seed)[1:]),)
    if level == "checkpoints":  # images are
        errors = [abs(w) * one_sample_t(D[0])[1] for w, D in zip(weights, tables, strict=True)]
        variance = sum(error**2 for error in errors)
        size = sum(error**4 / (D.shape[1] - 1) for error, D in zip(errors, tables, strict=True))
        return (Spread(variance**0.5, variance**2 / size if size else float(tables[0].shape[1] - 1)),)
    return ()


def equivalence(difference: Difference, margin: float, *, higher_is_better: bool = True) -> Equivalence:
    """Return what two one-sided tests at 5 % show within a margin (Schuirmann 1987), each by the largest of the three p.

    Under three seeds, and where one image is all there is, nothing is judged. A difference without variance is where its
    mean is: within the margin or not.

    Args:
        difference: to the baseline.
        margin: above 0, in the metric's unit.
        higher_is_better: direction of the metric.

    """
    from scipy.special import stdtrit

    if difference.level != "method" or difference.seeds < STAR_SEEDS:
        return "not judged"
    half = max(
        float(stdtrit(spread.df, 1 - test_level(difference.alpha)) * spread.error) for spread in difference.spreads
    )
    gain = difference.mean if higher_is_better else -difference.mean
    if gain - half <= -margin:
        return "undecided"
    return "equivalent" if gain + half < margin else "not worse"


def over_seeds(values: Array, alpha: float = ALPHA) -> tuple[float | None, float | None, int]:
    """Return mean, half-width of confidence 1 - alpha and number of images left out of one cell, S seeds x I images.

    The half-width is the t interval over the seeds' test-set means, so it speaks of these images; None under two seeds.
    """
    finite = np.isfinite(values).all(0)
    left_out = int((~finite).sum())
    values = values[:, finite]
    if values.size == 0:
        return None, None, left_out
    if len(values) < 2:
        return float(values.mean()), None, left_out
    mean, error, df = one_sample_t(values.mean(1))
    return mean, half_width(error, df, alpha), left_out


def holm(ps: Sequence[float]) -> list[float]:
    """Return Holm-adjusted p-values of one family: the k-th smallest of m times m - k + 1, never falling, at most 1."""
    # Not statsmodels' `multipletests`, which gives the same bits: it collects garbage at each call, 0.1 s a family in a
    # report with dozens, and imports scipy.stats.
    p = np.asarray(ps, dtype="float64")
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(stepped, 1.0)
    return [float(value) for value in adjusted]


def verdict(difference: Difference | None, p_holm: float | None, *, higher_is_better: bool) -> Verdict:
    """Return the star that a difference earns; "" also where there is no test, or under three seeds."""
    if difference is None or difference.p is None or difference.seeds < STAR_SEEDS:
        return ""
    return direction(difference, p_holm, higher_is_better=higher_is_better)


def direction(difference: Difference | None, p_adjusted: float | None, *, higher_is_better: bool) -> Verdict:
    """Return the direction of a difference that its adjusted p shows to be there; "" where it does not, or there is no test."""
    if difference is None or p_adjusted is None or p_adjusted >= ALPHA:
        return ""
    return "better" if (difference.mean > 0) == higher_is_better else "worse"
