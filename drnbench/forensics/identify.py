"""Identification of the generator of an LR image: each is imitated and compared with the levels of the file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from drnbench.forensics.alignment import Alignment
from drnbench.forensics.generators import Blur, Generator, Window, generators
from drnbench.forensics.resampling import Array

SIDE = 1024
"""HR pixels a side, from the top-left corner, that are compared."""
EXACT = 0.999
"""Share of equal levels from which, with no difference above 1, images count as equal but for rounding: float32 rounds halves
otherwise than float64."""
GAUSSIAN = "a Gaussian blur, then sampling"
SAME_SIGMA = 1.08
"""Ratio of two widths up to which they count as equal."""


class Match(NamedTuple):
    """Residual of one generator on an LR image.

    Attributes:
        square: mean square of the differences, levels squared.
        equal: share of equal levels, 0..1.
        largest: difference.
        place: the part of the HR image that it was made of; empty: from the top-left corner, as everybody crops.
        levels: that it makes.
        blur: its parameters, where they were estimated.

    """

    square: float
    equal: float
    largest: float
    place: str
    levels: Array
    blur: Blur | None = None

    @property
    def exact(self) -> bool:
        """True if the image is this but for rounding."""
        return self.largest <= 1 and self.equal >= EXACT

    @property
    def psnr(self) -> float:
        """PSNR over all channels, dB."""
        return float(10 * np.log10(255**2 / self.square)) if self.square else float("inf")


def identify(hr: Array, lr: Array, scale: int, alignment: Alignment) -> dict[str, Match]:
    """Return the best match of each generator, by name.

    Args:
        hr: H x W x 3, levels.
        lr: h x w x 3, levels; h is H over the scale, rounded in either direction.
        scale: HR size over LR size.
        alignment: of the two, with HR from the top-left corner.

    """
    matches: dict[str, Match] = {}
    for place, window in _windows(hr, lr, scale):
        _compare(matches, window, lr, place, generators(scale))
    if any(match.exact for match in matches.values()):
        return matches
    shift = [round(-alignment.y), round(-alignment.x)]
    off = max(abs(alignment.y + shift[0]), abs(alignment.x + shift[1]))
    if any(shift) and off < 0.15:
        displaced = _moved(hr, shift[0], shift[1], lr.shape[:2], scale)
        place = f"HR from row {shift[0]}, column {shift[1]} on"
        least = min(match.square for match in matches.values())
        better: dict[str, Match] = {}
        _compare(better, _window(displaced, lr, (scale, scale)), lr, place, generators(scale))
        matches |= {name: match for name, match in better.items() if match.square < 0.9 * least}
        if any(match.exact for match in matches.values()):
            return matches
    matches[GAUSSIAN] = _gaussian(_window(_top_left(hr, lr, scale), lr, (scale, scale)), lr, scale, alignment)
    return matches


def _compare(matches: dict[str, Match], window: Window, lr: Array, place: str, made_by: list[Generator]) -> None:
    whole = all(float(ratio).is_integer() for ratio in window.ratio)
    for generator in made_by:
        if not whole and not generator.exact_ratio:
            continue
        for suffix, levels in generator.make(window):
            name = generator.name + suffix
            match = _match(levels, lr, place)
            if name not in matches or match.square < matches[name].square:
                matches[name] = match


def _match(levels: Array, lr: Array, place: str = "", blur: Blur | None = None) -> Match:
    height, width = (min(a, b) for a, b in zip(levels.shape[:2], lr.shape[:2], strict=True))
    if (height, width) != levels.shape[:2]:
        levels = levels[:height, :width]
    difference = np.abs(levels - lr[:height, :width])
    return Match(
        float((difference**2).mean()), float((difference < 0.5).mean()), float(difference.max()), place, levels, blur
    )


def _windows(hr: Array, lr: Array, scale: int) -> Iterator[tuple[str, Window]]:
    """Yield the crops of HR that LR may show, with their names; a size that the scale divides has a single one."""
    rows, columns = lr.shape[0] * scale, lr.shape[1] * scale
    spare = (hr.shape[0] - rows, hr.shape[1] - columns)
    if min(spare) >= 0:
        yield "", _window(hr[:rows, :columns], lr, (scale, scale))
        if max(spare) > 1:
            top, left = spare[0] // 2, spare[1] // 2
            yield "HR cropped at its centre", _window(hr[top : top + rows, left : left + columns], lr, (scale, scale))
        if max(spare) > 0:
            yield "HR cropped at its lower right", _window(hr[spare[0] :, spare[1] :], lr, (scale, scale))
    else:
        yield "HR without a crop", _window(hr, lr, (scale, scale))
    if spare != (0, 0):
        yield "HR without a crop", _window(hr, lr, (hr.shape[0] / lr.shape[0], hr.shape[1] / lr.shape[1]))


def _window(hr: Array, lr: Array, ratio: tuple[float, float]) -> Window:
    part = [min(n, max(1, int(SIDE / step))) for n, step in zip(lr.shape, ratio, strict=False)]
    return Window(hr, (lr.shape[0], lr.shape[1]), (part[0], part[1]), ratio)


def _top_left(hr: Array, lr: Array, scale: int) -> Array:
    return hr[: lr.shape[0] * scale, : lr.shape[1] * scale]


def _moved(hr: Array, row: int, column: int, size: tuple[int, ...], scale: int) -> Array:
    """Return HR from a row and column on, which may be negative, its edges repeated."""
    rows = np.clip(np.arange(row, row + size[0] * scale), 0, hr.shape[0] - 1)
    columns = np.clip(np.arange(column, column + size[1] * scale), 0, hr.shape[1] - 1)
    return hr[np.ix_(rows, columns)]


def _gaussian(window: Window, lr: Array, scale: int, alignment: Alignment) -> Match:
    """Return the match of the Gaussian that fits best, starting from the width and position of the alignment."""
    y, x = (_snapped((scale - 1) / 2 - shift) for shift in (alignment.y, alignment.x))
    down, across = alignment.sigma
    if max(down, across) < SAME_SIGMA * min(down, across):
        down = across = (down * across) ** 0.5

    def attempt(factor: float) -> Match:
        blur = Blur(GAUSSIAN, sigma=(down * factor, across * factor), centre=(y, x))
        return _match(blur.make(window)[0][1], lr, blur=blur)

    return min(_golden(attempt, 0.6, 1.6), attempt(1.0), key=lambda match: match.square)


def _golden(attempt: object, low: float, high: float) -> Match:
    """Return the match of the least error by golden-section search of a factor."""
    assert callable(attempt)
    share = (5**0.5 - 1) / 2
    ends = [low, high]
    inner = [high - share * (high - low), low + share * (high - low)]
    matches: list[Match] = [attempt(inner[0]), attempt(inner[1])]
    while ends[1] - ends[0] > 0.004:
        if matches[0].square <= matches[1].square:
            ends[1], inner[1], matches[1] = inner[1], inner[0], matches[0]
            inner[0] = ends[1] - share * (ends[1] - ends[0])
            matches[0] = attempt(inner[0])
        else:
            ends[0], inner[0], matches[0] = inner[0], inner[1], matches[1]
            inner[1] = ends[0] + share * (ends[1] - ends[0])
            matches[1] = attempt(inner[1])
    return min(matches, key=lambda match: match.square)


def _snapped(position: float) -> float:
    """Return a position in the cell, on a pixel or between two where it is as good as there."""
    near = round(2 * position) / 2
    return near if abs(near - position) < 0.06 else position
