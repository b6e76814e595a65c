"""Identification of the generator of an LR image: each is imitated and compared with the levels of the file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from drnbench.forensics.alignment import Alignment
from drnbench.forensics.generators import Blur, Generator, Pick, Window, generators
from drnbench.forensics.resampling import Array

SIDE = 1024
"""HR pixels a side, from the top-left corner, that are compared."""
EXACT = 0.999
"""Share of equal levels from which, with no difference above 1, images count as equal but for rounding: float32 rounds halves
otherwise than float64."""
WHOLE = 0.15
"""HR pixels by which a displacement may differ from a whole number of them."""
TRIMMED = 4
"""LR pixels at each edge of a displaced image that are not compared: their filters reach beyond what HR shows."""
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
        edges: what was done at the edges of a displaced image; empty: they are repeated.
        blur: its parameters, where they were estimated.

    """

    square: float
    equal: float
    largest: float
    place: str
    levels: Array
    blur: Blur | None = None
    edges: str = ""

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
    for row, column, moved_by in _displacements(alignment, scale):
        if any(match.exact for match in matches.values()):
            return matches
        least = min(match.square for match in matches.values())
        better = _displaced(hr, lr, scale, (row, column), moved_by)
        matches |= {name: match for name, match in better.items() if match.square < 0.9 * least}
    if any(match.exact for match in matches.values()):
        return matches
    matches[GAUSSIAN] = _gaussian(_window(_top_left(hr, lr, scale), lr, (scale, scale)), lr, scale, alignment)
    return matches


def _displacements(alignment: Alignment, scale: int) -> Iterator[tuple[int, int, list[Generator]]]:
    """Yield row and column of HR that the first cell of LR begins at, with the generators whose phase that leaves."""
    listed = generators(scale)
    picks: list[Generator] = [generator for generator in listed if isinstance(generator, Pick)]
    rest: list[Generator] = [generator for generator in listed if not isinstance(generator, Pick)]
    # A generator that picks a pixel of each cell may be displaced by whole cells alone: the rest is another pixel.
    for middle, unit, moved_by in ((0.0, 1, rest), ((scale - 1) / 2, scale, picks)):
        places = [middle - alignment.y, middle - alignment.x]
        row, column = (unit * (round(place) // unit) for place in places)
        if (row or column) and max(abs(place - round(place)) for place in places) < WHOLE:
            yield row, column, moved_by


def _displaced(hr: Array, lr: Array, scale: int, start: tuple[int, int], made_by: list[Generator]) -> dict[str, Match]:
    """Return the matches of generators with HR from a row and column on.

    First in the part that both images show, `TRIMMED` pixels from its edges; where a generator is exact there, also in
    all of LR, with the edges of HR repeated, or HR rolled around.
    """
    cells = [
        slice(max(0, -(first // scale)), min(n, (size - first) // scale))
        for first, n, size in zip(start, lr.shape, hr.shape, strict=False)
    ]
    if min(part.stop - part.start for part in cells) <= 3 * TRIMMED:
        return {}
    common = lr[cells[0], cells[1]]
    pixels = [slice(n * scale + first, None) for n, first in zip((part.start for part in cells), start, strict=True)]
    place = f"HR from row {start[0]}, column {start[1]} on"
    matches: dict[str, Match] = {}
    window = _window(_top_left(hr[pixels[0], pixels[1]], common, scale), common, (scale, scale))
    _compare(matches, window, common, place, made_by, TRIMMED)
    exact = {name for name, match in matches.items() if match.exact}
    matches = {name: _placed(match, lr, cells)._replace(edges="edges left out") for name, match in matches.items()}
    rolled = np.roll(hr, (-start[0], -start[1]), (0, 1))
    for edges, whole in (("rolled around", rolled), ("", _moved(hr, *start, lr.shape[:2], scale))) if exact else ():
        if min(a - b * scale for a, b in zip(whole.shape[:2], lr.shape[:2], strict=True)) < 0:
            continue
        again: dict[str, Match] = {}
        _compare(again, _window(_top_left(whole, lr, scale), lr, (scale, scale)), lr, place, made_by)
        matches |= {n: match._replace(edges=edges) for n, match in again.items() if match.exact and n in exact}
    return matches


def _placed(match: Match, lr: Array, cells: list[slice]) -> Match:
    """Return a match of a part of LR with levels for all of it, which are those of LR elsewhere."""
    levels = lr.copy()
    rows, columns = (slice(part.start, part.start + n) for part, n in zip(cells, match.levels.shape, strict=False))
    levels[rows, columns] = match.levels
    return match._replace(levels=levels)


def _compare(
    matches: dict[str, Match], window: Window, lr: Array, place: str, made_by: list[Generator], trimmed: int = 0
) -> None:
    whole = all(float(ratio).is_integer() for ratio in window.ratio)
    for generator in made_by:
        if not whole and not generator.exact_ratio:
            continue
        for suffix, levels in generator.make(window):
            name = generator.name + suffix
            match = _match(levels, lr, place, trimmed=trimmed)
            if name not in matches or match.square < matches[name].square:
                matches[name] = match


def _match(levels: Array, lr: Array, place: str = "", blur: Blur | None = None, trimmed: int = 0) -> Match:
    height, width = (min(a, b) for a, b in zip(levels.shape[:2], lr.shape[:2], strict=True))
    if (height, width) != levels.shape[:2]:
        levels = levels[:height, :width]
    difference = np.abs(levels - lr[:height, :width])
    if trimmed and min(height, width) > 2 * trimmed:
        difference = difference[trimmed:-trimmed, trimmed:-trimmed]
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

    # Displaced by a pixel of LR or more, its edges show what HR does not.
    moved = int(max(abs(alignment.y), abs(alignment.x)) / scale)
    trimmed = moved + TRIMMED if moved else 0

    def attempt(factor: float) -> Match:
        blur = Blur(GAUSSIAN, sigma=(down * factor, across * factor), centre=(y, x))
        return _match(blur.make(window)[0][1], lr, blur=blur, trimmed=trimmed)

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
