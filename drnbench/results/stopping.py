"""The rule that adds seeds to an arm until its difference to the baseline is precise enough.

After `at_least` seeds, and again after each further third of them, the interval of the difference is looked at. The arm
ends there where the half-width is at most the target; where the spread between images alone keeps it above (an
image-by-method effect that an F test shows at 10 %); or at `at_most`. Looking at the interval several times makes it end,
too often, where the variance is small by chance: a 95 % interval would cover in 90 % (three seeds at first). So all
intervals of such a study are those of 97 % (`LOOKS_ALPHA`), which cover in 94 %, and its tests are at 2 % (`LOOKS_TEST`),
with an error of a family of stars of about 6 % at most. docs/statistics.md has the simulation, with the seeds that it
costs.

The decision is a function of the scores of the first seeds, in order, and of nothing else: what a store has besides, and
how a run was interrupted, do not change it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from drnbench.config.study import Until
from drnbench.results.statistics import LOOKS_ALPHA, Array, difference, squares

SHOWN = 0.1
"""Level of the F test that shows that images differ."""
LIMIT = 100_000
"""More test images than this are not counted."""


@dataclass(frozen=True)
class Look:
    """The precision of a difference after some seeds.

    Attributes:
        half_width: of its interval; None where nothing can be estimated.
        images_alone: half-width that unlimited seeds would leave, as the images differ; 0 where they may be alike.
        images_needed: test images with which unlimited seeds would reach the target; None where that is no matter.

    """

    half_width: float | None
    images_alone: float = 0.0
    images_needed: int | None = None


def next_count(seeds: int, until: Until) -> int:
    """Return the number of seeds at the next look: a third more, so that long searches take few rounds."""
    return min(max(seeds + 1, seeds * 4 // 3), until.at_most)


def examine(D: Array, until: Until) -> Look:
    """Return the precision of a table of paired differences, S seeds x I images."""
    result = difference(D, alpha=LOOKS_ALPHA)
    if result is None or result.low is None or result.high is None:
        return Look(None)
    half, variance = (result.high - result.low) / 2, 0.0
    if result.level == "method":
        variance = float(image_variance(D[:, np.isfinite(D).all(0)]))
    alone = float(images_alone(variance, result.images))
    if half <= until.half_width or alone <= until.half_width:
        return Look(half, alone)
    low, high = result.images, 2 * result.images
    while high < LIMIT and images_alone(variance, high) > until.half_width:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if images_alone(variance, middle) > until.half_width else (low, middle)
    return Look(half, alone, high)


def image_variance(D: Array) -> Array:
    """Return the variance between images of the differences themselves, seeds aside; 0 where an F test does not show it.

    Args:
        D: ... x S x I differences, S >= 2 seeds and I >= 2 images, all finite; leading dimensions are separate tables.

    """
    from scipy.special import fdtrc  # scipy.stats takes seconds to import

    S, I = D.shape[-2:]
    parts = squares(D)
    ms_i, ms_e = S * parts.by_image, parts.rest / parts.df
    with np.errstate(divide="ignore", invalid="ignore"):
        shown = fdtrc(I - 1, parts.df, ms_i / ms_e) < SHOWN
    variance: Array = np.where(shown, (ms_i - ms_e) / S, 0.0)
    return variance


def images_alone(variance: Array | float, images: int) -> Array:
    """Return the half-width that unlimited seeds would leave on so many images that vary by `image_variance`."""
    from scipy.special import stdtrit

    half: Array = stdtrit(max(images - 1, 1), 1 - LOOKS_ALPHA / 2) * np.sqrt(np.asarray(variance) / images)
    return half
