"""Report of one pair of files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from drnbench.data.images import Colour, read_rgb
from drnbench.forensics import defects
from drnbench.forensics.alignment import Alignment, align
from drnbench.forensics.generators import Blur
from drnbench.forensics.identify import Match, identify
from drnbench.forensics.mismatches import Files, Refusal, other_picture, shrunk, wrong_size
from drnbench.forensics.resampling import Array
from drnbench.parallel import Work

TRIED = 10
"""Generators that JPEG is tried after."""
USUAL = ("MATLAB's bicubic (symmetric border)", "Pillow's bicubic")
"""Generators that it is always tried after."""


class Difference(NamedTuple):
    """Residual of a generator on one image.

    Attributes:
        square: mean square, levels squared; after the JPEG coding where one explains the image.
        equal: share of equal levels, 0..1.
        largest: difference.
        exact: the image is this but for rounding.
        place: part of HR that it was made of; empty: all of it, from the top-left corner.
        jpeg: coding after the kernel; None: none.
        edges: what was done at the edges of a displaced image; empty: they are repeated.

    """

    square: float
    equal: float
    largest: float
    exact: bool
    place: str
    jpeg: defects.Jpeg | None = None
    edges: str = ""


@dataclass(frozen=True)
class PairReport:
    """One pair.

    Attributes:
        name: of the HR image.
        hr_size: height and width.
        lr_size: height and width.
        alignment: in HR pixels.
        differences: residual of each generator, by its name.
        blur: the Gaussian that fits best; None where a generator is exact.
        noise: standard deviation of the residual of the best generator in levels, less that of rounding.
        white: that it looks like noise.
        blocks: that it jumps at every eighth pixel.
        notes: further defects.
        tone: change of levels; None: none.
        residual: LR less the best generator, h x w x 3.

    """

    name: str
    hr_size: tuple[int, int]
    lr_size: tuple[int, int]
    alignment: Alignment
    differences: dict[str, Difference]
    blur: Blur | None
    noise: float
    white: bool
    blocks: bool
    notes: tuple[str, ...]
    tone: defects.Tone | None
    residual: Array

    @property
    def jpeg(self) -> defects.Jpeg | None:
        """The JPEG coding after the best generator."""
        return self.differences[self.best].jpeg

    @property
    def best(self) -> str:
        """The generator that leaves least."""
        return min(self.differences, key=lambda name: self.differences[name].square)


@dataclass
class Inspect(Work[Files, PairReport | Refusal]):
    """Reads and inspects pairs of one scale; `alpha` is the colour that transparent images are laid onto."""

    scale: int
    alpha: Colour | None = None

    def __call__(self, files: Files) -> PairReport | Refusal:
        """Return the report of a pair, or the reason why there is none.

        Raises:
            DataError: a file that cannot be read.

        """
        hr, lr = (read_rgb(path, alpha=self.alpha).astype(np.float64) for path in (files.hr, files.lr))
        return wrong_size(files, hr, lr, self.scale) or inspect(files, hr, lr, self.scale)


def inspect(files: Files, hr: Array, lr: Array, scale: int) -> PairReport | Refusal:
    """Return the report of a pair that is read, or why there is none: levels, H x W x 3 and h x w x 3."""
    notes = []
    file = defects.jpeg_file(files.lr)
    if file is not None:
        notes.append(f"the file is a {file}")
    rows, columns = lr.shape[0] * scale, lr.shape[1] * scale
    if hr.shape[:2] != (rows, columns):
        notes.append(f"HR is {hr.shape[1]} x {hr.shape[0]}, LR {lr.shape[1]} x {lr.shape[0]}: no multiple by {scale}")
    alignment = align(hr, lr, (scale, scale))
    if not alignment.related:
        return other_picture(files, hr, lr, scale)
    tone = None
    compared, matches = lr, identify(hr, lr, scale, alignment)
    if not any(match.exact for match in matches.values()):
        repaired = _repaired(hr, lr, scale, alignment)
        if repaired.changes or repaired.tone is not None:
            notes += repaired.changes
            compared, alignment, tone, matches = repaired.lr, repaired.alignment, repaired.tone, repaired.matches
    ranked = sorted(matches, key=lambda name: matches[name].square)[:TRIED]
    match = matches[ranked[0]]
    ranked = [*(name for name in USUAL if name in matches), *(name for name in ranked if name not in USUAL)]
    cut = compared[: match.levels.shape[0], : match.levels.shape[1]]
    same_size = {name: matches[name].levels for name in ranked if matches[name].levels.shape == match.levels.shape}
    jpeg = defects.coded(same_size, cut)
    sigma, white = defects.noise(match.levels, cut)
    differences = {}
    for name, other in matches.items():
        coding = jpeg.get(name)
        square = other.square if coding is None else coding.square
        differences[name] = Difference(
            square, other.equal, other.largest, other.exact, other.place, coding, other.edges
        )
    residual = cut - match.levels
    return PairReport(
        files.name, (hr.shape[0], hr.shape[1]), (lr.shape[0], lr.shape[1]), alignment, differences, match.blur,
        sigma, white, bool(sigma > defects.QUIET and defects.blocks(residual)), tuple(notes), tone, residual,
    )  # fmt: skip


class _Repaired(NamedTuple):
    """LR with channels and levels as HR has them.

    Attributes:
        lr: levels.
        alignment: of these.
        tone: change of levels that was undone; None: none.
        changes: a note on each other defect.
        matches: of the generators with these levels; empty where nothing was repaired.

    """

    lr: Array
    alignment: Alignment
    tone: defects.Tone | None
    changes: list[str]
    matches: dict[str, Match]


def _repaired(hr: Array, lr: Array, scale: int, alignment: Alignment) -> _Repaired:
    """Return LR with channels and levels as HR has them."""
    changes = []
    small = shrunk(hr, lr, scale)
    if defects.is_gray(lr) and defects.is_coloured(small):
        name = defects.nearest_gray(small, lr)
        changes.append(f"LR images are gray ({name}), HR images are not")
        hr, small = defects.gray(hr, name), defects.gray(small, name)
    elif defects.is_gray(small) and defects.is_coloured(lr):
        name = defects.nearest_gray(lr, small)
        changes.append(f"HR images are gray ({name}), LR images are not")
        lr = defects.gray(lr, name)
    elif defects.swapped(small, lr):
        changes.append("red and blue are exchanged (BGR)")
        lr = lr[..., ::-1]
    if changes:
        alignment = align(hr, lr, (scale, scale))
    tone = defects.tone(small, lr, (alignment.gain, alignment.offset))
    if not tone.changes:
        return _Repaired(lr, alignment, None, changes, identify(hr, lr, scale, alignment) if changes else {})
    matches = identify(hr, tone.undone(lr), scale, alignment)
    levels = min(matches.values(), key=lambda match: match.square).levels
    cut = lr[: levels.shape[0], : levels.shape[1]]
    tone = defects.tone(levels, cut)  # against the levels of the generator it is known better
    repaired = tone.undone(lr)
    # Levels that were cut off cannot be restored: the generator's stand there.
    lost = (cut <= 0) | (cut >= 255)
    repaired[: levels.shape[0], : levels.shape[1]][lost] = levels[lost]
    return _Repaired(repaired, alignment, tone, changes, identify(hr, repaired, scale, alignment))
