"""Report of one pair of files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from drnbench.data.images import Colour, read_rgb
from drnbench.errors import DataError
from drnbench.forensics import defects
from drnbench.forensics.alignment import Alignment, align
from drnbench.forensics.generators import Blur
from drnbench.forensics.identify import identify
from drnbench.forensics.resampling import Array
from drnbench.parallel import Work

TRIED = 10
"""Generators that JPEG is tried after."""
USUAL = ("MATLAB's bicubic (symmetric border)", "Pillow's bicubic")
"""Generators that it is always tried after."""


class Files(NamedTuple):
    """The files of a pair under the name of the HR image."""

    name: str
    hr: Path
    lr: Path


class Difference(NamedTuple):
    """Residual of a generator on one image.

    Attributes:
        square: mean square, levels squared; after the JPEG coding where one explains the image.
        equal: share of equal levels, 0..1.
        largest: difference.
        exact: the image is this but for rounding.
        place: part of HR that it was made of; empty: all of it, from the top-left corner.
        jpeg: coding after the kernel; None: none.

    """

    square: float
    equal: float
    largest: float
    exact: bool
    place: str
    jpeg: defects.Jpeg | None = None


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
class Inspect(Work[Files, PairReport]):
    """Reads and inspects pairs of one scale; `alpha` is the colour that transparent images are laid onto."""

    scale: int
    alpha: Colour | None = None

    def __call__(self, files: Files) -> PairReport:
        """Return the report of a pair.

        Raises:
            DataError: a file that cannot be read, or sizes that do not fit each other at this scale.

        """
        hr, lr = (read_rgb(path, alpha=self.alpha).astype(np.float64) for path in (files.hr, files.lr))
        check_sizes(files, hr.shape, lr.shape, self.scale)
        return inspect(files, hr, lr, self.scale)


def check_sizes(files: Files, hr: tuple[int, ...], lr: tuple[int, ...], scale: int) -> None:
    """Refuse an LR image whose sides are not those of HR over the scale, rounded in either direction.

    Raises:
        DataError: which file, its size, what was expected, and the scale that would fit.

    """
    if all(abs(a - b * scale) < scale for a, b in zip(hr[:2], lr[:2], strict=True)):
        return
    ratios = {round(a / b) for a, b in zip(hr[:2], lr[:2], strict=True)}
    fitting = next((r for r in ratios if all(abs(a - b * r) < r for a, b in zip(hr[:2], lr[:2], strict=True))), None)
    hint = f"it fits scale {fitting}" if fitting else "check that both show the same picture"
    raise DataError(
        f"{files.lr} is {lr[1]} x {lr[0]} pixels, but {files.hr} at scale {scale} makes {hr[1] // scale} x "
        f"{hr[0] // scale}: {hint}"
    )


def inspect(files: Files, hr: Array, lr: Array, scale: int) -> PairReport:
    """Return the report of a pair that is read: levels, H x W x 3 and h x w x 3.

    Raises:
        DataError: the two show different pictures.

    """
    notes = []
    file = defects.jpeg_file(files.lr)
    if file is not None:
        notes.append(f"the file is a {file}")
    rows, columns = lr.shape[0] * scale, lr.shape[1] * scale
    if hr.shape[:2] != (rows, columns):
        notes.append(f"HR is {hr.shape[1]} x {hr.shape[0]}, no multiple of {scale}")
    alignment = align(hr, lr, (scale, scale))
    if not alignment.related:
        raise DataError(f"{files.lr} and {files.hr} show different pictures{_turned(hr, lr, scale)}: check the pair")
    compared, matches = lr, identify(hr, lr, scale, alignment)
    if not any(match.exact for match in matches.values()):
        repaired, alignment, changes = _repaired(hr, lr, scale, alignment)
        if changes:
            notes += changes
            compared, matches = repaired, identify(hr, repaired, scale, alignment)
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
        differences[name] = Difference(square, other.equal, other.largest, other.exact, other.place, coding)
    residual = cut - match.levels
    return PairReport(
        files.name, (hr.shape[0], hr.shape[1]), (lr.shape[0], lr.shape[1]), alignment, differences, match.blur,
        sigma, white, bool(sigma > defects.QUIET and defects.blocks(residual)), tuple(notes), residual,
    )  # fmt: skip


def _turned(hr: Array, lr: Array, scale: int) -> str:
    """Return how LR is turned against HR, for a message; empty where no flip makes it fit."""
    small = _shrunk(hr, lr, scale).mean(axis=2)
    plane = lr.mean(axis=2)
    turns = {"mirrored": plane[:, ::-1], "upside down": plane[::-1], "turned by 180 degrees": plane[::-1, ::-1]}
    if plane.shape[0] == plane.shape[1]:
        turns |= {f"turned by {90 * n} degrees": np.rot90(plane, n) for n in (1, 3)} | {"transposed": plane.T}
    fits = {how: float(np.corrcoef(small.ravel(), turned.ravel())[0, 1]) for how, turned in turns.items()}
    how = max(fits, key=lambda name: fits[name])
    return f" (it is {how})" if fits[how] > 0.9 else ""


def _repaired(hr: Array, lr: Array, scale: int, alignment: Alignment) -> tuple[Array, Alignment, list[str]]:
    """Return LR with channels and range as HR has them, its alignment, and a note on each defect."""
    changes = []
    small = _shrunk(hr, lr, scale)
    if defects.swapped(small, lr):
        changes.append("red and blue are exchanged (BGR)")
        lr = lr[..., ::-1]
        alignment = align(hr, lr, (scale, scale))
    tone = defects.tone(small, lr, alignment)
    if tone is not None:
        changes.append(tone)
        if "curve" not in tone and "gray" not in tone:
            lr = (lr - alignment.offset) / alignment.gain
    return lr, alignment, changes


def _shrunk(hr: Array, lr: Array, scale: int) -> Array:
    """Return HR as means of cells, at the size of LR; edges are repeated where a cell is cut off."""
    rows, columns = (
        np.minimum(np.arange(n * scale), size - 1) for n, size in zip(lr.shape[:2], hr.shape[:2], strict=True)
    )
    cells = hr[np.ix_(rows, columns)].reshape(lr.shape[0], scale, lr.shape[1], scale, 3)
    means: Array = cells.mean(axis=(1, 3))
    return means
