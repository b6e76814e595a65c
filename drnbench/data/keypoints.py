"""Keypoints of an image: local patches at several scales, by which copies are recognised whatever was done to them.

A copy may be rescaled, cropped, flipped, turned by 90 degrees, brighter, or compressed. As in SIFT (Lowe 2004), keypoints
are extrema of a difference of Gaussians over a pyramid; unlike there, a patch is described by its low DCT coefficients,
in which the eight flips and quarter turns are exchanges of signs and of rows with columns.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SIDE = 256
"""Longer side of the largest level in pixels; larger images are reduced to it."""

OCTAVE = 4
"""Levels over which the size is halved."""

STEP = 2 ** (1 / OCTAVE)
"""Size of a level over that of the next."""

PATCH = 16
"""Side of a patch in pixels of its level."""

FREQUENCIES = 7
"""DCT coefficients of a patch along each axis, the constant included; the others are noise and compression."""

BEST = 8
"""Keypoints of a level at most."""

FLAT = 1.0
"""Gray levels: a smaller difference of Gaussians is no keypoint."""

SLOPE = 0.5
"""Share of a patch's energy in its two slopes from which on it is no keypoint: all skies have the same."""

Floats = NDArray[np.float32]


class Keypoints(NamedTuple):
    """Keypoints of one image.

    Attributes:
        x, y: n positions as fractions of the width and of the height.
        scale: n sides of the patches in pixels of the image.
        descriptors: n x 49 unit vectors: weighted DCT coefficients by row and column, the first 0.
        height, width: of the image in pixels.
    """

    x: Floats
    y: Floats
    scale: Floats
    descriptors: Floats
    height: int
    width: int

    def packed(self) -> bytes:
        """Return n rows of x, y, scale and descriptor as float32 in little-endian order."""
        columns = [self.x[:, None], self.y[:, None], self.scale[:, None], self.descriptors]
        return np.concatenate(columns, axis=1).astype("<f4").tobytes()

    @classmethod
    def unpacked(cls, content: bytes, height: int, width: int) -> Keypoints:
        """Return the keypoints of an image of that size from `packed`.

        Raises:
            ValueError: it is not whole.
        """
        table = np.frombuffer(content, "<f4").astype(np.float32).reshape(-1, 3 + FREQUENCIES**2)
        return cls(table[:, 0], table[:, 1], table[:, 2], table[:, 3:], height, width)


def luma(pixels: NDArray[np.uint8]) -> Floats:
    """Return H x W gray levels of H x W x 3 RGB, reduced so that the longer side has `SIDE` pixels at most."""
    from PIL import Image

    height, width = pixels.shape[:2]
    image = Image.fromarray(np.ascontiguousarray(pixels))
    if (factor := max(height, width) / SIDE) > 1:
        size = (max(1, round(width / factor)), max(1, round(height / factor)))
        # The gap of 2: blocks are averaged first, which is what makes photographs in 2K cheap.
        image = image.resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0)
    return np.asarray(image.convert("L"), dtype=np.float32)


def keypoints(pixels: NDArray[np.uint8]) -> Keypoints:
    """Return the keypoints of H x W x 3 RGB; none for an image smaller than a patch, or without structure."""
    height, width = pixels.shape[:2]
    largest = luma(pixels)
    parts = [_level(level, height / level.shape[0]) for level in _pyramid(largest)]
    x, y, scale, descriptors = (np.concatenate(column) for column in zip(*parts, strict=True)) if parts else _nothing()
    return Keypoints(x, y, scale, descriptors, height, width)


def _nothing() -> tuple[Floats, Floats, Floats, Floats]:
    empty = np.zeros(0, np.float32)
    return empty, empty, empty, np.zeros((0, FREQUENCIES**2), np.float32)


def _pyramid(largest: Floats) -> list[Floats]:
    """Return the levels of an image, each a `STEP` smaller than the one before, that hold a patch."""
    from PIL import Image

    levels: list[Floats] = []
    for n in range(64):
        height, width = (round(side / STEP**n) for side in largest.shape)
        if min(height, width) < PATCH + 4:
            break
        # From the level of twice the size: much cheaper than from the largest.
        source = Image.fromarray(levels[n - OCTAVE] if n >= OCTAVE else largest)
        levels.append(np.asarray(source.resize((width, height), Image.Resampling.BICUBIC)))
    return levels


def _level(level: Floats, factor: float) -> tuple[Floats, Floats, Floats, Floats]:
    """Return the strongest keypoints of a level, whose pixels are `factor` pixels of the image wide."""
    height, width = level.shape
    # The filters lose a pixel of the border each; a blurred patch needs 9 on either side of its centre.
    narrow = _blurred(level)
    response = np.abs(narrow[3:-3, 3:-3] - _blurred(_blurred(_blurred(narrow))))
    margin = PATCH // 2 + 1
    largest, inner = _largest_around(response)[3:-3, 3:-3], response[5:-5, 5:-5]
    rows, columns = np.nonzero((inner == largest) & (inner >= FLAT))
    order = np.argsort(inner[rows, columns], kind="stable")[::-1][: 2 * BEST]
    rows, columns = rows[order], columns[order]
    windows = np.lib.stride_tricks.sliding_window_view(narrow, (PATCH + 1, PATCH + 1))
    wide = windows[rows, columns]
    # Averaging of neighbours centres the patch on the pixel.
    patches = np.float32(0.25) * (wide[:, 1:, 1:] + wide[:, :-1, 1:] + wide[:, 1:, :-1] + wide[:, :-1, :-1])
    descriptors = _described(patches)
    slope = descriptors[:, 1] ** 2 + descriptors[:, FREQUENCIES] ** 2
    chosen = np.flatnonzero(slope < SLOPE)[:BEST]
    x, y = (columns[chosen] + margin + 0.5) / width, (rows[chosen] + margin + 0.5) / height
    scale = np.full(len(chosen), PATCH * factor)
    return x.astype(np.float32), y.astype(np.float32), scale.astype(np.float32), descriptors[chosen]


def _described(patches: Floats) -> Floats:
    """Return the unit descriptors, n x 49, of n patches."""
    n = np.arange(PATCH)
    basis = np.cos(np.pi / PATCH * np.outer(np.arange(FREQUENCIES), n + 0.5)).astype(np.float32)
    coefficients = basis @ patches @ basis.T
    # Photographs have spectra that fall as 1/f: without the weights the two lowest would decide alone.
    frequency = np.hypot(*np.meshgrid(np.arange(FREQUENCIES), np.arange(FREQUENCIES))).astype(np.float32)
    weighted = (coefficients * np.sqrt(frequency)).reshape(len(patches), FREQUENCIES**2)
    norm = np.linalg.norm(weighted, axis=1, keepdims=True)
    return np.asarray(weighted / np.maximum(norm, 1e-6), dtype=np.float32)


def _blurred(image: Floats) -> Floats:
    """Return the image under a 1-2-1 filter along both axes, without its border of one pixel."""
    rows = image[:-2] + 2 * image[1:-1] + image[2:]
    return np.asarray((rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:]) / 16, dtype=np.float32)


def _largest_around(image: Floats) -> Floats:
    """Return the largest value of the 5 x 5 pixels around each, without the border of two pixels."""
    rows = np.max([image[n : len(image) - 4 + n] for n in range(5)], axis=0)
    return np.asarray(np.max([rows[:, n : image.shape[1] - 4 + n] for n in range(5)], axis=0))
