"""Damage that LR images carry besides their kernel: noise, JPEG, exchanged channels, another range of levels."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from drnbench.forensics.resampling import Array, half_up

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


class Tone(NamedTuple):
    """A change of levels: LR = 255 ((gain HR + offset) / 255) ^ gamma."""

    gain: float = 1.0
    offset: float = 0.0
    gamma: float = 1.0

    @property
    def text(self) -> str:
        """The change in words."""
        line = f"LR = {self.gain:.2f} HR {self.offset:+.0f}"
        if self.gamma != 1:
            return f"levels follow a curve, of gamma about {self.gamma:.2f}"
        if self._near(219 / 255, 16):
            return f"levels are in limited range, 16..235 ({line})"
        if self._near(255 / 219, -16 * 255 / 219):
            return f"levels were expanded from 16..235 without need ({line})"
        return f"levels differ: {line}"

    @property
    def changes(self) -> bool:
        """True if levels change by more than an estimate is wrong by."""
        return self.gamma != 1 or abs(self.gain - 1) > 0.07 or abs(self.offset) > 8

    def _near(self, gain: float, offset: float) -> bool:
        return abs(self.gain - gain) < 0.05 and abs(self.offset - offset) < 6

    def undone(self, lr: Array) -> Array:
        """Return LR levels as they were before the change."""
        linear = 255 * np.clip(lr / 255, 0, 1) ** (1 / self.gamma)
        levels: Array = (linear - self.offset) / self.gain
        return levels


def tone(levels: Array, lr: Array, straight: tuple[float, float] | None = None) -> Tone:
    """Return the change of levels that explains LR.

    Args:
        levels: h x w x 3, HR at the size of LR.
        lr: of the same size.
        straight: gain and offset, where they are known better than from these levels, which may lie elsewhere.

    """
    inside = (lr > 1) & (lr < 254)  # levels that were cut off at the ends say nothing
    x, y = (levels[inside], lr[inside]) if inside.sum() > 100 else (levels.ravel(), lr.ravel())
    slope, base = np.polyfit(x, y, 1) if np.ptp(x) > 1 else (1.0, 0.0)
    square = float(((y - slope * x - base) ** 2).mean())
    gammas = np.exp(np.linspace(np.log(0.3), np.log(3.3), 97))
    squares = [float(((y - 255 * (np.clip(x, 0, 255) / 255) ** gamma) ** 2).mean()) for gamma in gammas]
    best = int(np.argmin(squares))
    if abs(np.log(gammas[best])) > 0.15 and squares[best] < 0.7 * square:
        return Tone(gamma=_refined(gammas, squares, best))
    return Tone(*(straight or (float(slope), float(base))))


def _refined(values: Array, squares: Sequence[float], best: int) -> float:
    """Return the lowest point of the parabola through a minimum and its neighbours."""
    if not 0 < best < len(values) - 1:
        return float(values[best])
    low, middle, high = squares[best - 1 : best + 2]
    step = 0.5 * (low - high) / max(low - 2 * middle + high, 1e-12)
    return float(values[best] * (values[best + 1] / values[best]) ** step)


GRAYS = {
    "BT.601 luma": (0.299, 0.587, 0.114), "BT.709 luma": (0.2126, 0.7152, 0.0722), "the mean of R, G and B": (1 / 3,) * 3,
    "red": (1.0, 0.0, 0.0), "green": (0.0, 1.0, 0.0), "blue": (0.0, 0.0, 1.0),
    "MATLAB's Y, 16..235": (65.481 / 255, 128.553 / 255, 24.966 / 255),
}  # fmt: skip
"""Weights of R, G and B by which colour images become gray."""


def is_gray(image: Array) -> bool:
    """Return True if all channels are equal."""
    return bool(np.ptp(image, axis=2).max() == 0)


def is_coloured(image: Array) -> bool:
    """Return True if two channels differ by more than 8 levels, and more than by noise, in the mean of a block of 8 x 8."""
    side = min(8, *image.shape[:2])
    rows, columns = (n // side * side for n in image.shape[:2])
    chroma = (image - np.roll(image, 1, axis=2))[:rows, :columns].reshape(rows // side, side, columns // side, side, 3)
    mean, noise = np.abs(chroma.mean(axis=(1, 3))), chroma.std(axis=(1, 3)) / side
    return bool(((mean > 8) & (mean > 5 * noise)).any())


def gray(colour: Array, name: str) -> Array:
    """Return a colour image as gray levels, rounded, h x w x 3."""
    levels = half_up(colour @ np.array(GRAYS[name]) + (16 if "16" in name else 0))
    return np.repeat(levels[..., None], 3, axis=2)


def nearest_gray(colour: Array, gray_image: Array) -> str:
    """Return the name of the weights that make one image most like another; both h x w x 3."""
    return min(GRAYS, key=lambda name: float(((gray(colour, name) - gray_image) ** 2).mean()))
