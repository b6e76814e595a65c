"""Resampling of one axis as a matrix: the weights of the input pixels in each output pixel, of every common filter.

Positions are those of pixel centres: output pixel i lies at (i + 1/2) ratio - 1/2 of the input, or at i (n - 1) / (m - 1)
with `align_corners`. Sources: MATLAB's imresize.m, Pillow's Resample.c, OpenCV's resize.cpp, PyTorch's UpSample.h.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Border = Literal["symmetric", "replicate", "renormalise"]
"""Beyond the edge: reflected with the edge pixel, the edge pixel repeated, or left out and the other weights scaled."""


def cubic(a: float) -> Callable[[Array], Array]:
    """Return Keys' cubic of parameter `a`: -0.5 in MATLAB and Pillow, -0.75 in OpenCV and PyTorch."""

    def weights(x: Array) -> Array:
        x = np.abs(x)
        near, far = (a + 2) * x**3 - (a + 3) * x**2 + 1, a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a
        return np.where(x <= 1, near, np.where(x < 2, far, 0.0))

    return weights


def triangle(x: Array) -> Array:
    """Return the weights of linear interpolation."""
    weights: Array = np.clip(1 - np.abs(x), 0.0, None)
    return weights


def box(x: Array) -> Array:
    """Return 1 in (-1/2, 1/2]."""
    return ((x > -0.5) & (x <= 0.5)).astype(np.float64)


def hamming(x: Array) -> Array:
    """Return Pillow's Hamming filter, of support 1."""
    return np.where(np.abs(x) < 1, np.sinc(x) * (0.54 + 0.46 * np.cos(np.pi * x)), 0.0)


def lanczos(lobes: int) -> Callable[[Array], Array]:
    """Return Lanczos' window of that many lobes: 3 in Pillow and MATLAB, 4 in OpenCV."""

    def weights(x: Array) -> Array:
        return np.where(np.abs(x) < lobes, np.sinc(x) * np.sinc(x / lobes), 0.0)

    return weights


@dataclass(frozen=True)
class Axis:
    """A resampling of one axis.

    Attributes:
        weigh: weights of pixels by their distance from the output pixel; the distance is divided by the ratio where the
            filter is stretched.
        support: distance from which weights are 0.
        stretch: the filter grows with the ratio, which is antialiasing.
        border: extension beyond the edge.
        align_corners: the first and last pixels of input and output coincide.
        fraction_bits: of fixed-point weights; None: they are not rounded.

    """

    weigh: Callable[[Array], Array]
    support: float
    stretch: bool = True
    border: Border = "renormalise"
    align_corners: bool = False
    fraction_bits: int | None = None

    def matrix(self, size: int, out: int, ratio: float) -> Array:
        """Return the weights, out x size; rows sum to 1.

        Args:
            size: pixels of the input.
            out: pixels of the output.
            ratio: input pixels an output pixel.

        """
        if self.align_corners:
            ratio = (size - 1) / max(1, out - 1)
        # PyTorch's antialiased filters take the ratio of aligned corners, and the positions of others.
        corners = self.align_corners and not self.stretch
        centres = np.arange(out) * ratio if corners else (np.arange(out) + 0.5) * ratio - 0.5
        reach = self.support * (ratio if self.stretch else 1.0)
        first = np.floor(centres - reach).astype(np.int64)
        pixels = first[:, None] + np.arange(int(np.ceil(2 * reach)) + 2)
        distance = pixels - centres[:, None]
        weights = self.weigh(distance / ratio if self.stretch else distance)
        inside = (pixels >= 0) & (pixels < size)
        if self.border == "renormalise":
            weights = np.where(inside, weights, 0.0)
        weights = weights / weights.sum(axis=1, keepdims=True)
        if self.fraction_bits is not None:
            unit = 1 << self.fraction_bits
            weights = np.rint(weights * unit) / unit
        if self.border == "symmetric":
            pixels = np.mod(pixels, 2 * size)
            pixels = np.minimum(pixels, 2 * size - 1 - pixels)
        matrix = np.zeros((out, size))
        np.add.at(matrix, (np.arange(out)[:, None], np.clip(pixels, 0, size - 1)), weights)
        return matrix


def half_up(x: Array) -> Array:
    """Return levels 0..255, halves rounded upwards: MATLAB's uint8(), Pillow, (x + 0.5) cast to an integer."""
    return np.clip(np.floor(x + 0.5), 0, 255)


def half_even(x: Array) -> Array:
    """Return levels 0..255, halves rounded to even numbers: numpy.round, torch.round, OpenCV's cvRound."""
    return np.clip(np.rint(x), 0, 255)


def truncated(x: Array) -> Array:
    """Return levels 0..255 cut off below the point, as an `astype(uint8)` without rounding does."""
    return np.floor(np.clip(x, 0, 255) + 1e-6)
