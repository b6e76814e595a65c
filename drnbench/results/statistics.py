"""Statistics of a table of paired differences.

D[s, i] = metric(arm, seed s, image i) - metric(baseline, seed s, image i). Seeds and images are both samples, so a
claim about a method needs an interval that carries both: the crossed seed-by-image random-effects t (a two-way
random-effects analysis of variance, Satterthwaite 1946 for its degrees of freedom). Tests over images alone answer
another question, whether these checkpoints differ, and are labelled so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Verdict = Literal["better", "worse", ""]
"""Significantly better than the baseline, significantly worse, or neither."""
CONFIDENCE = 0.95
ALPHA = 0.05
STAR_SEEDS = 3
"""Fewer seeds than this earn no star."""
ROUNDING = 1e-12
"""Standard deviations below this, relative to the values, are rounding and not variance."""


@dataclass(frozen=True)
class Difference:
    """A mean paired difference with its interval and its test.

    Attributes:
        mean: in the metric's unit, arm minus baseline.
        low, high: 95 % interval; None where nothing can be estimated.
        p: two-sided, of no difference between the methods; None where that cannot be tested.
        level: "method" (crossed over seeds and images), "checkpoints" (over images, one seed), "none".
        seeds, images: number that are common to both.
        won: share of images on which the arm is better, seeds averaged first.
        left_out: images left out because a value is infinite.

    """

    mean: float
    low: float | None
    high: float | None
    p: float | None
    level: Literal["method", "checkpoints", "none"]
    seeds: int
    images: int
    won: float
    left_out: int = 0


def crossed_t(D: Array) -> tuple[Array, Array, Array]:
    """Return mean, standard error and degrees of freedom of the crossed random-effects t.

    Args:
        D: ... x S x I differences, S >= 2 seeds and I >= 2 images, all finite; leading dimensions are
            separate tables.

    Returns:
        Three arrays of the leading shape; the standard error is 0 where the table does not vary.

    """
    S, I = D.shape[-2:]
    mean = D.mean((-2, -1))
    centre = mean[..., None, None]
    seeds, images = D.mean(-1, keepdims=True), D.mean(-2, keepdims=True)
    ms_s = I * ((seeds - centre) ** 2).sum((-2, -1)) / (S - 1)
    ms_i = S * ((images - centre) ** 2).sum((-2, -1)) / (I - 1)
    df_e = (S - 1) * (I - 1)
    ms_e = ((D - seeds - images + centre) ** 2).sum((-2, -1)) / df_e
    total = ms_s + ms_i - ms_e
    # Estimated components can be negative; the residual is the least that the mean can vary by.
    clamped = total <= ms_e
    variance = np.where(clamped, ms_e, total)
    flat = variance <= (ROUNDING * np.maximum(1.0, np.abs(D).max((-2, -1)))) ** 2
    spread = ms_s**2 / (S - 1) + ms_i**2 / (I - 1) + ms_e**2 / df_e
    df = np.where(clamped | flat, df_e, total**2 / np.where(spread > 0, spread, 1.0))
    return mean, np.where(flat, 0.0, np.sqrt(variance / (S * I))), np.maximum(df, 1.0)


def one_sample_t(values: Array) -> tuple[float, float, int]:
    """Return mean, standard error and degrees of freedom of N >= 2 numbers."""
    deviation = float(values.std(ddof=1))
    flat = deviation <= ROUNDING * max(1.0, float(np.abs(values).max()))
    return float(values.mean()), 0.0 if flat else deviation / len(values) ** 0.5, len(values) - 1


def half_width(error: float, df: float) -> float:
    """Return the 95 % half-width of a t interval."""
    from scipy.special import stdtrit  # scipy.stats takes seconds to import

    return float(stdtrit(df, (1 + CONFIDENCE) / 2) * error)


def _p(mean: float, error: float, df: float) -> float | None:
    from scipy.special import stdtr

    if error == 0:
        # Without variance there is no test: equal is equal, and a constant difference earns no p of zero.
        return 1.0 if mean == 0 else None
    return float(2 * stdtr(df, -abs(mean) / error))


def difference(D: Array, *, higher_is_better: bool = True) -> Difference | None:
    """Summarise paired differences, S seeds x I images; None where no image has finite values.

    An image with an infinite value (SR equal to HR) in any seed is left out and counted: no mean holds it.
    """
    finite = np.isfinite(D).all(0)
    left_out = int((~finite).sum())
    D = D[:, finite]
    S, I = D.shape
    if S == 0 or I == 0:
        return None
    by_image = D.mean(0)
    won = float(((by_image > 0) if higher_is_better else (by_image < 0)).mean())
    mean, level = float(D.mean()), "method" if S > 1 else "checkpoints"
    if S == 1 and I == 1:
        return Difference(mean, None, None, None, "none", S, I, won, left_out)
    if S > 1 and I > 1:
        mean, error, df = (float(x) for x in crossed_t(D))
    else:
        # One image: seeds are the only sample left. One seed: images are.
        mean, error, df = one_sample_t(D[:, 0] if I == 1 else D[0])
    half = half_width(error, df)
    p = _p(mean, error, df) if S > 1 else None
    return Difference(
        mean,
        mean - half,
        mean + half,
        p,
        "method" if level == "method" else "checkpoints",
        S,
        I,
        won,
        left_out,
    )


def over_seeds(values: Array) -> tuple[float | None, float | None, int]:
    """Return mean, 95 % half-width and number of images left out of one cell, S seeds x I images.

    The half-width is the t interval over the seeds' test-set means; None under two seeds.
    """
    finite = np.isfinite(values).all(0)
    left_out = int((~finite).sum())
    values = values[:, finite]
    if values.size == 0:
        return None, None, left_out
    if len(values) < 2:
        return float(values.mean()), None, left_out
    mean, error, df = one_sample_t(values.mean(1))
    return mean, half_width(error, df), left_out


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
    """Return the verdict of the test; "" (no star) also where there is none, or under three seeds."""
    if difference is None or p_holm is None or difference.seeds < STAR_SEEDS or p_holm >= ALPHA:
        return ""
    return "better" if (difference.mean > 0) == higher_is_better else "worse"
