"""Correlation of two images where one lies on the other, aligned to a fraction of a pixel by least squares."""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from drnbench.data.placements import Placement

SMALLEST = 24
"""Pixels of the common part along each side, under which it is not compared."""

LOCAL = 1.75
"""Pixels: the standard deviation of the Gaussian that makes local means."""

ROUNDS = 12
"""Gauss-Newton steps at most."""

Gray = NDArray[np.float32]
Pair = NDArray[np.float64]
"""Two numbers: along x and y."""


class Aligned(NamedTuple):
    """Two images, one in its best position on the other.

    Attributes:
        placement: the best position.
        correlation: Pearson's, of the common pixels.
        detail: the same of the pixels minus their local mean: any two skies agree in their low frequencies.
        pixels: of the common part, where it is compared.
        share: area of the common part over that of the image.
        other_share: the same over that of the other image.
    """

    placement: Placement
    correlation: float
    detail: float
    pixels: int
    share: float
    other_share: float


class _Common(NamedTuple):
    """Common part of two images on the grid of the first: its pixels, those of the second, and its coordinates."""

    first: Gray
    second: Gray
    y: NDArray[np.float64]
    x: NDArray[np.float64]


def align(image: Gray, other: Gray, placement: Placement) -> Aligned | None:
    """Return the best position near a placement; None where the common part is too small.

    Args:
        image: H x W gray levels.
        other: the same, of any size.
        placement: of the image on the other, in pixels of these arrays.
    """
    # The finer of the two is reduced to the pixels of the other, so that both are equally sharp.
    scale = np.array(placement.size)
    first, first_factor = _resized(placement.turn.pixels(image), np.minimum(scale, 1))
    second, second_factor = _resized(other, np.minimum(1 / scale, 1))
    to_grid = second_factor / first_factor
    size, shift = scale * to_grid, np.array(placement.shift) * second_factor
    best = None
    for _ in range(ROUNDS):
        common = _common(first, second, size, shift)
        if common is None:
            break
        agreement = correlation(common.first, common.second)
        if best is None or agreement > best[0]:
            best = agreement, common, size, shift
        step = _step(common)
        if step is None:
            break
        size, shift = size + step[0], shift + step[1]
        if np.abs(step[0]).max() < 1e-4 and np.abs(step[1]).max() < 0.01:
            break
    if best is None:
        return None
    agreement, common, size, shift = best
    (width, height), (left, top) = size / to_grid, shift / second_factor
    return Aligned(
        Placement(placement.turn, (float(width), float(height)), (float(left), float(top))),
        agreement,
        correlation(detail(common.first), detail(common.second)),
        common.first.size,
        common.first.size / first.size,
        min(1.0, float(common.first.size * size.prod() / second.size)),
    )


def _resized(image: Gray, factors: Pair) -> tuple[Gray, Pair]:
    """Return an image reduced by factors along x and y, rounded to whole pixels, and the true factors."""
    from PIL import Image

    picture = Image.fromarray(np.ascontiguousarray(image))
    width, height = (max(1, round(side * factor)) for side, factor in zip(picture.size, factors, strict=True))
    if (width, height) != picture.size:
        picture = picture.resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(picture), np.array([width, height]) / np.array(image.shape[::-1])


def _common(first: Gray, second: Gray, size: Pair, shift: Pair) -> _Common | None:
    """Return what lies inside both, one pixel from the border of the second; None where that is too small."""
    inside, positions = [], []
    for axis in (0, 1):
        position = (np.arange(first.shape[axis]) + 0.5) * size[1 - axis] + shift[1 - axis]
        inside.append(np.flatnonzero((position >= 1) & (position <= second.shape[axis] - 1)))
        positions.append(position[inside[axis]] - 0.5)
        if len(inside[axis]) < SMALLEST:
            return None
    y, x = (np.asarray(numbers + 0.5, dtype=np.float64) for numbers in inside)
    return _Common(first[np.ix_(*inside)], _sampled(second, *positions), y, x)


def _sampled(image: Gray, y: NDArray[np.float64], x: NDArray[np.float64]) -> Gray:
    """Return an image at rows y and columns x, interpolated linearly."""
    low, column = np.floor(y).astype(int), np.floor(x).astype(int)
    weight = (y - low).astype(np.float32)[:, None]
    rows = image[low] * (1 - weight) + image[low + 1] * weight
    weight = (x - column).astype(np.float32)
    return np.asarray(rows[:, column] * (1 - weight) + rows[:, column + 1] * weight)


def _step(common: _Common) -> tuple[Pair, Pair] | None:
    """Return the changes of size and shift that bring the second nearest to the first, up to gain and offset."""
    down, right = np.gradient(common.second)
    terms = [right * common.x, down * common.y[:, None], right, down, common.second, np.ones_like(common.second)]
    matrix = np.stack([term.ravel() for term in terms], axis=1).astype(np.float64)
    normal = matrix.T @ matrix
    normal += np.diag(1e-9 * np.diag(normal) + 1e-9)
    *changes, gain, _ = np.linalg.solve(normal, matrix.T @ common.first.ravel())
    if gain < 0.05:  # the second looks like the negative of the first, or like nothing of it
        return None
    return np.clip(np.array(changes[:2]) / gain, -0.05, 0.05), np.clip(np.array(changes[2:]) / gain, -3, 3)


def correlation(first: Gray, second: Gray) -> float:
    """Return Pearson's correlation of two images of one size; 0 where one is constant."""
    first, second = first - first.mean(), second - second.mean()
    norm = float(np.sqrt((first**2).sum(dtype=np.float64) * (second**2).sum(dtype=np.float64)))
    return float((first * second).sum(dtype=np.float64)) / norm if norm > 0 else 0.0


def detail(image: Gray) -> Gray:
    """Return an image minus its local mean, a Gaussian of `LOCAL`."""
    down, right = (_smoothing(side) for side in image.shape)
    return np.asarray(image - down @ image @ right.T)


@functools.lru_cache(maxsize=1024)
def _smoothing(side: int) -> Gray:
    """Return side x side weights, each row of which sums to 1."""
    distance = np.subtract.outer(np.arange(side), np.arange(side)) / LOCAL
    weights = np.exp(-(distance**2) / 2)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float32)
