"""Structural similarity in blocks of rows that stay in the processor's cache.

The operations are those of scikit-image and SciPy in their order, of each pixel, so on x86-64 the number is theirs bit for
bit; a compiler that fuses multiplication and addition (ARM) may round theirs otherwise in the last digit.
"""

from __future__ import annotations

import numpy as np
from numpy import add, multiply, subtract
from numpy.typing import NDArray

Array = NDArray[np.float64]

RADIUS = 5
SIGMA = 1.5
_GAUSSIAN = np.exp(-0.5 / SIGMA**2 * np.arange(-RADIUS, RADIUS + 1) ** 2)
WEIGHTS: list[float] = (_GAUSSIAN / _GAUSSIAN.sum()).tolist()
"""The 11 weights of one direction of the window."""
PEAK = 255
C1, C2 = (0.01 * PEAK) ** 2, (0.03 * PEAK) ** 2
BLOCK = 24_576
"""Pixels of a block: some arrays of its size lie in the second cache of a core together."""


def ssim(a: Array, b: Array) -> float:
    """Return the structural similarity of two planes in 0..255 (Wang et al. 2004), the mean over the valid region.

    Args:
        a, b: H x W float64, at least 11 pixels each way.
    """
    height, width = a.shape
    a, b = np.ascontiguousarray(a).ravel(), np.ascontiguousarray(b).ravel()
    rows = max(1, BLOCK // width)
    similarity = np.empty(height * width)
    square, down, spare = np.empty((rows + 2 * RADIUS) * width), np.empty(rows * width), np.empty(rows * width)
    means = np.empty((5, rows * width - 2 * RADIUS))
    # Rows follow one another in memory: a window that runs over the end of a row fills pixels which are cut off below.
    for top in range(0, height - 2 * RADIUS, rows):
        count = min(rows, height - 2 * RADIUS - top) * width
        start, valid = top * width, count - 2 * RADIUS
        x, y = (image[start : start + count + 2 * RADIUS * width] for image in (a, b))
        for mean, product in zip(means, ((x, None), (y, None), (x, x), (y, y), (x, y)), strict=True):
            first, second = product
            source = first if second is None else multiply(first, second, square[: first.size])
            _blur(source, down[:count], spare[:count], width)
            _blur(down[:count], mean[:valid], spare[:valid], 1)
        centre = start + RADIUS * width + RADIUS
        _similarity(means[:, :valid], down[:valid], spare[:valid], similarity[centre : centre + valid])
    return float(similarity.reshape(height, width)[RADIUS:-RADIUS, RADIUS:-RADIUS].mean())


def _blur(source: Array, out: Array, spare: Array, step: int) -> None:
    """Filter by the window in the direction in which neighbours lie `step` elements apart; `out` begins RADIUS steps in."""
    middle, size = RADIUS * step, out.size
    multiply(source[middle : middle + size], WEIGHTS[RADIUS], out)
    for distance in range(RADIUS, 0, -1):
        before, after = middle - distance * step, middle + distance * step
        add(source[before : before + size], source[after : after + size], spare)
        multiply(spare, WEIGHTS[RADIUS - distance], spare)
        add(out, spare, out)


def _similarity(means: Array, numerator: Array, spare: Array, out: Array) -> None:
    """Compute the similarity of each pixel from the local means of x, y, xx, yy and xy, which are overwritten."""
    x, y, xx, yy, xy = means
    multiply(x, y, spare)
    subtract(xy, spare, xy)  # the covariance
    multiply(x, 2, numerator)
    multiply(numerator, y, numerator)
    add(numerator, C1, numerator)
    multiply(xy, 2, xy)
    add(xy, C2, xy)
    multiply(numerator, xy, numerator)
    multiply(x, x, x)
    multiply(y, y, y)
    subtract(xx, x, xx)  # the variances
    subtract(yy, y, yy)
    add(xx, yy, xx)
    add(xx, C2, xx)
    add(x, y, x)
    add(x, C1, x)
    multiply(x, xx, x)
    np.divide(numerator, x, out)
