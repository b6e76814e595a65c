"""Damage that LR images carry besides their kernel: noise, JPEG, exchanged channels, another range of levels."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from drnbench.forensics.alignment import Alignment
from drnbench.forensics.resampling import Array

QUIET = 0.6
"""Root mean square difference, in levels, below which rounding explains a residual."""
QUALITIES = tuple(range(5, 100, 5))
NEAR = 12
"""Steps of quality each way that a second candidate may differ by from the first."""
CODED_SIDE = 192
"""LR pixels a side, from the top-left corner, that are coded on trial."""
SUBSAMPLING = {2: "4:2:0", 0: "4:4:4"}
"""By the number that Pillow gives it; of a gray image, which has none, the first."""


class Jpeg(NamedTuple):
    """Coding that explains an LR image: quality and chroma subsampling of Pillow's encoder, and the mean square residual."""

    quality: int
    subsampling: str
    square: float


def jpeg_file(path: Path) -> str | None:
    """Return the quality of a JPEG file by its first quantisation table; None for any other file."""
    from PIL import Image

    with Image.open(path) as image:
        tables = getattr(image, "quantization", None)
        if image.format not in {"JPEG", "MPO"} or not tables:
            return None
        table = np.array(tables[0], dtype=np.float64)
    qualities = [quality for quality in range(1, 101) if np.array_equal(_table(quality), table)]
    return f"JPEG of quality {qualities[-1]}" if qualities else f"JPEG, mean step of quantisation {table.mean():.0f}"


def _table(quality: int) -> Array:
    """Return the luminance table of libjpeg at a quality, in the order that Pillow gives."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.new("L", (8, 8)).save(buffer, format="JPEG", quality=quality)
    with Image.open(buffer) as image:
        return np.array(getattr(image, "quantization")[0], dtype=np.float64)  # noqa: B009 - of JPEG alone


def coded(levels: Mapping[str, Array], lr: Array) -> dict[str, Jpeg]:
    """Return the JPEG coding of each candidate that explains most of its residual; empty if none explains half.

    Args:
        levels: h x w x 3 that kernels alone make, by name, likely ones first.
        lr: of the same size.

    """
    cut = (slice(0, CODED_SIDE), slice(0, CODED_SIDE))
    lr = lr[cut]
    smallest = min(float(((made[cut] - lr) ** 2).mean()) for made in levels.values())
    if smallest < QUIET**2:
        return {}
    first = next(iter(levels.values()))[cut]
    rough = min(
        (_attempt(first, lr, quality, subsampling) for subsampling in SUBSAMPLING for quality in QUALITIES),
        key=lambda attempt: attempt.square,
    )
    subsampling = next(key for key, name in SUBSAMPLING.items() if name == rough.subsampling)
    near = range(max(1, rough.quality - NEAR), min(100, rough.quality + NEAR) + 1)
    best = {
        name: min((_attempt(made[cut], lr, quality, subsampling) for quality in near), key=lambda a: a.square)
        for name, made in levels.items()
    }
    return best if min(coding.square for coding in best.values()) < 0.5 * smallest else {}


def _attempt(levels: Array, lr: Array, quality: int, subsampling: int) -> Jpeg:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(levels.astype(np.uint8)).save(buffer, format="JPEG", quality=quality, subsampling=subsampling)
    with Image.open(buffer) as image:
        decoded = np.asarray(image.convert("RGB"), dtype=float)
    return Jpeg(quality, SUBSAMPLING[subsampling], float(((decoded - lr) ** 2).mean()))


def blocks(residual: Array) -> bool:
    """Return True if a residual jumps at every eighth pixel more than elsewhere, as JPEG leaves it.

    Args:
        residual: h x w x 3.

    """
    plane = residual.mean(axis=2)
    scores = []
    for lines in (np.abs(np.diff(plane, axis=1)).mean(axis=0), np.abs(np.diff(plane, axis=0)).mean(axis=1)):
        at = np.arange(len(lines)) % 8 == 7
        if at.sum() < 3:
            return False
        rest = lines[~at]
        scores.append((lines[at].mean() - rest.mean()) / (rest.std() / at.sum() ** 0.5 + 1e-9))
    return bool(min(scores) > 3)


def noise(levels: Array, lr: Array) -> tuple[float, bool]:
    """Return the standard deviation of the difference in levels, less that of rounding, and whether it is white.

    Args:
        levels: h x w x 3 that the kernel alone makes; the ends of the range, where noise is cut off, are left out.
        lr: of the same size.

    """
    difference = lr - levels
    inside = (levels > 16) & (levels < 239)
    kept = difference[inside] if inside.sum() > 100 else difference.ravel()
    sigma = float(np.sqrt(max(0.0, kept.var() - 1 / 12)))
    centred = difference - difference.mean()
    power = float((centred**2).mean()) + 1e-12
    neighbours = [
        float((centred[1:] * centred[:-1]).mean()) / power,
        float((centred[:, 1:] * centred[:, :-1]).mean()) / power,
    ]
    return sigma, max(map(abs, neighbours)) < 0.15


def swapped(hr_small: Array, lr: Array) -> bool:
    """Return True if red and blue are exchanged.

    Args:
        hr_small: h x w x 3, HR at the size of LR.
        lr: of the same size.

    """
    direct, exchanged = (float(((hr_small - image) ** 2).mean()) for image in (lr, lr[..., ::-1]))
    return direct > 4 and exchanged < 0.5 * direct


def tone(hr_small: Array, lr: Array, alignment: Alignment) -> str | None:
    """Return a note on the range of levels; None if it is that of HR.

    Args:
        hr_small: h x w x 3, HR at the size of LR.
        lr: of the same size.
        alignment: of the pair.

    """
    if np.ptp(lr, axis=2).max() == 0 and np.ptp(hr_small, axis=2).max() > 8:
        return "LR images are gray, HR images are not"
    gain, offset = alignment.gain, alignment.offset
    if abs(gain - 219 / 255) < 0.04 and abs(offset - 16) < 5:
        return f"levels are in limited range, 16..235 (LR = {gain:.2f} HR {offset:+.0f})"
    if abs(gain - 255 / 219) < 0.06 and abs(offset + 18.6) < 6:
        return f"levels were expanded from 16..235 without need (LR = {gain:.2f} HR {offset:+.0f})"
    bend = hr_small * (255 - hr_small) / 255
    design = np.stack([np.ones(hr_small.size), hr_small.ravel(), bend.ravel()], axis=1)
    (base, slope, curve), *_ = np.linalg.lstsq(design, lr.ravel(), rcond=None)
    straight, *_ = np.linalg.lstsq(design[:, :2], lr.ravel(), rcond=None)
    squares = [float(((lr.ravel() - model) ** 2).mean())
               for model in (design @ (base, slope, curve), design[:, :2] @ straight)]  # fmt: skip
    if abs(curve) > 0.15 and squares[0] < 0.7 * squares[1]:
        middle = float(np.clip((base + slope * 127.5 + curve * 63.75) / 255, 0.01, 0.99))
        return f"levels follow a curve, of gamma about {np.log(middle) / np.log(0.5):.2f}"
    if abs(gain - 1) > 0.07 or abs(offset) > 8:
        return f"levels differ: LR = {gain:.2f} HR {offset:+.1f}"
    return None
