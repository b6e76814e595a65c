"""The linear kernel that maps HR patches to LR pixels, by regularised least squares over many images."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from drnbench.forensics.resampling import Array

PATCHES = 6000
"""Patches an image."""
RIDGE = 1e-4
"""Weight of the penalty, as a share of the mean variance of the pixels of a patch."""


class LinearKernel(NamedTuple):
    """An estimated kernel.

    Attributes:
        weights: K x K, sum about 1; K is odd or even with the scale, and the middle is the centre of a cell.
        centre: centre of mass right of and below the middle, in HR pixels.
        sigma: standard deviations along the wide and the narrow axis, in HR pixels; 0 where side lobes leave none.
        angle: of the wide axis, degrees counter-clockwise from the x axis, 0..180; as in the kernel `anisotropic`.
        residual: root mean square of LR less its result, levels.

    """

    weights: Array
    centre: tuple[float, float]
    sigma: tuple[float, float]
    angle: float
    residual: float


def estimate(pairs: Iterable[tuple[Array, Array]], scale: int) -> LinearKernel | None:
    """Return the kernel of a set of pairs; None where they are too small or flat.

    Args:
        pairs: HR, H x W x 3, and LR, h x w x 3, levels.
        scale: HR size over LR size.

    """
    side = 4 * scale + scale % 2
    before = (side - scale) // 2
    normal, moment, squares, count = np.zeros((side**2, side**2)), np.zeros(side**2), 0.0, 0
    for hr, lr in pairs:
        hr_gray, lr_gray = hr.mean(axis=2), lr.mean(axis=2)
        margin = -(-before // scale)
        rows, columns = (
            np.arange(margin, min(n, size // scale) - margin)
            for n, size in zip(lr_gray.shape, hr_gray.shape, strict=True)
        )
        if not len(rows) or not len(columns):
            continue
        places = np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1).reshape(-1, 2)
        places = places[:: max(1, -(-len(places) // PATCHES))]
        view = np.lib.stride_tricks.sliding_window_view(hr_gray, (side, side))
        patches = view[places[:, 0] * scale - before, places[:, 1] * scale - before].reshape(len(places), -1)
        means = patches.mean(axis=1, keepdims=True)
        # Weights sum to 1: the difference to the mean of the patch is fitted.
        patches, target = patches - means, lr_gray[places[:, 0], places[:, 1]] - means[:, 0]
        normal += patches.T @ patches
        moment += patches.T @ target
        squares += float(target @ target)
        count += len(places)
    if count < side or normal.trace() < 1e-3 * count:
        return None
    ridge = RIDGE * normal.trace() / side**2
    flat = np.linalg.solve(normal + ridge * np.eye(side**2), moment)
    left = max(0.0, float(squares - 2 * flat @ moment + flat @ normal @ flat))
    weights = flat.reshape(side, side)
    return _described(weights + (1 - weights.sum()) / side**2, float(np.sqrt(left / count)))


def _described(weights: Array, residual: float) -> LinearKernel:
    right = np.arange(len(weights)) - (len(weights) - 1) / 2
    down = right[:, None]
    mass = float(weights.sum())
    centre = (float((weights * right).sum() / mass), float((weights * down).sum() / mass))
    x, y = right - centre[0], down - centre[1]
    moments = [float((weights * product).sum() / mass) for product in (x * x, x * y, y * y)]
    squares, axes = np.linalg.eigh([[moments[0], moments[1]], [moments[1], moments[2]]])
    sigma = (max(0.0, float(squares[1])) ** 0.5, max(0.0, float(squares[0])) ** 0.5)
    # Rows are counted downwards, angles counter-clockwise.
    angle = float(np.degrees(np.arctan2(-axes[1, 1], axes[0, 1]))) % 180
    return LinearKernel(weights, centre, sigma, angle, residual)
