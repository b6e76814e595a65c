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


def patches(
    images: dict[int, Sequence[Image]], patch: int, draws: NDArray[np.float64], *, augment: bool
) -> dict[int, NDArray[np.float32]]:
    """Cut one aligned patch for each row of `draws` out of an image pyramid.

    Args:
        images: factor (HR size over image size) -> images H/f x W/f x 3; factor 1 may be absent.
        patch: side in HR pixels, a multiple of every factor.
        draws: n x 6 in [0, 1): image, row, column, horizontal flip, vertical flip, transposition.
        augment: whether the last three are used (each with probability 1/2, shared by all factors).

    Returns:
        factor -> n x 3 x patch/f x patch/f, float32 in 0..255. Corners are multiples of the largest factor in HR pixels.
    """
    coarse = max(images)
    count = len(images[coarse])
    out: dict[int, list[NDArray[np.float32]]] = {factor: [] for factor in images}
    for image, row, column, flip_h, flip_v, transpose in draws:
        i = int(image * count)
        levels = {factor: stack[i] for factor, stack in images.items()}  # each once: it may be a file that is mapped
        height, width = levels[coarse].shape[:2]
        small = patch // coarse
        top, left = int(row * (height - small + 1)), int(column * (width - small + 1))
        for factor, pixels in levels.items():
            k, side = coarse // factor, patch // factor
            cut = pixels[top * k : top * k + side, left * k : left * k + side]
            if augment:
                cut = cut[:, ::-1] if flip_h < 0.5 else cut
                cut = cut[::-1] if flip_v < 0.5 else cut
                cut = cut.transpose(1, 0, 2) if transpose < 0.5 else cut
            out[factor].append(cut.transpose(2, 0, 1).astype(np.float32))
    return {
        factor: np.stack(cuts) if cuts else np.zeros((0, 3, patch // factor, patch // factor), np.float32)
        for factor, cuts in out.items()
    }


def pyramid_factors(scale: int) -> tuple[int, ...]:
    """Return the factors of the training targets, coarse to fine.

    >>> pyramid_factors(4), pyramid_factors(3)
    ((4, 2, 1), (3, 1))
    """
    if scale & (scale - 1) == 0:
        return tuple(2**k for k in range(scale.bit_length() - 1, -1, -1))
    return (scale, 1)
