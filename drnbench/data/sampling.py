"""The patches of the batch at step t: a function of (seed, purpose, t), so a resumed run needs no state.

The draws of a step are made for all B slots, whatever ρ is, and slot i of step t is the same patch in every arm of a
seed: arms differ by their settings and not by their random draws.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]


def derived_seed(seed: int, purpose: str) -> int:
    """Return 63 bits that depend on the trial's seed and on the purpose of the random numbers."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{purpose}".encode()).digest()[:8], "big") >> 1


def uniforms(seed: int, purpose: str, step: int, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Uniform numbers in [0, 1) for one step: Philox keyed by (seed, purpose), its counter at the step."""
    bits = np.random.Philox(key=derived_seed(seed, purpose), counter=[0, 0, 0, step])
    return np.random.Generator(bits).random(shape)


def unpaired_count(step: int, rho: float, batch: int) -> int:
    """Return the number of unpaired images in the batch at `step` (from 0): floor((t+1) ρ B) - floor(t ρ B).

    Exact: ρ counts as the decimal number it is written as, so 0.1 is 1/10. Over t steps the total is floor(t ρ B).

    >>> [unpaired_count(step, 0.3, 8) for step in range(5)]
    [2, 2, 3, 2, 3]
    """
    share = Fraction(repr(rho)) * batch
    return int((step + 1) * share // 1 - step * share // 1)


def crops(images: dict[int, Sequence[Image]], patch: int, draws: NDArray[np.float64]) -> dict[int, NDArray[np.uint8]]:
    """Cut one aligned patch for each row of `draws` out of an image pyramid, not turned.

    Args:
        images: factor (HR size over image size) -> images H/f x W/f x 3; factor 1 may be absent.
        patch: side in HR pixels, a multiple of every factor.
        draws: n x 6 in [0, 1): image, row, column, horizontal flip, vertical flip, transposition; the first three are used.

    Returns:
        factor -> n x patch/f x patch/f x 3. Corners are multiples of the largest factor in HR pixels.
    """
    coarse = max(images)
    count = len(images[coarse])
    cuts = {factor: np.empty((len(draws), patch // factor, patch // factor, 3), np.uint8) for factor in images}
    for slot, (image, row, column, *_) in enumerate(draws):
        i = int(image * count)
        levels = {factor: stack[i] for factor, stack in images.items()}  # each once: it may be a file that is mapped
        height, width = levels[coarse].shape[:2]
        small = patch // coarse
        top, left = int(row * (height - small + 1)), int(column * (width - small + 1))
        for factor, pixels in levels.items():
            k, side = coarse // factor, patch // factor
            cuts[factor][slot] = pixels[top * k : top * k + side, left * k : left * k + side]
    return cuts


def turns(draws: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return n x 3: whether a patch is flipped horizontally, vertically, then transposed; each with probability 1/2.

    All factors of a patch share them.
    """
    return draws[:, 3:] < 0.5


def turned_crops(
    images: dict[int, Sequence[Image]], patch: int, draws: NDArray[np.float64], *, augment: bool
) -> dict[int, list[Image]]:
    """Return `crops`, turned by `turns` where `augment` is set: factor -> n times patch/f x patch/f x 3."""

    def turned(crop: Image, flip_h: bool, flip_v: bool, transpose: bool) -> Image:
        crop = crop[:, ::-1] if flip_h else crop
        crop = crop[::-1] if flip_v else crop
        return crop.transpose(1, 0, 2) if transpose else crop

    rows = (turns(draws) & augment).tolist()
    return {
        factor: [turned(crop, *row) for crop, row in zip(stack, rows, strict=True)]
        for factor, stack in crops(images, patch, draws).items()
    }


def patches(
    images: dict[int, Sequence[Image]], patch: int, draws: NDArray[np.float64], *, augment: bool
) -> dict[int, NDArray[np.float32]]:
    """Return `turned_crops` as n x 3 x patch/f x patch/f, float32 in 0..255.

    Both steps keep the order of axes in memory: channels last, and columns outside of rows where every patch is transposed. It
    decides how convolutions round, so weights depend on it.
    """
    if not len(draws):
        return {factor: np.zeros((0, 3, patch // factor, patch // factor), np.float32) for factor in images}
    return {
        factor: np.stack([crop.transpose(2, 0, 1).astype(np.float32) for crop in turned])
        for factor, turned in turned_crops(images, patch, draws, augment=augment).items()
    }


def pyramid_factors(scale: int) -> tuple[int, ...]:
    """Return the factors of the training targets, coarse to fine.

    >>> pyramid_factors(4), pyramid_factors(3)
    ((4, 2, 1), (3, 1))
    """
    if scale & (scale - 1) == 0:
        return tuple(2**k for k in range(scale.bit_length() - 1, -1, -1))
    return (scale, 1)
