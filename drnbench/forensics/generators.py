"""Programs that make LR images of HR images, imitated level by level: MATLAB, Pillow, OpenCV, PyTorch, and plain sampling.

Each is checked against the program itself in the tests. Some make the same pixels at some scales (at odd scales all of
OpenCV's filters but INTER_AREA take the pixel in the middle of a cell): such are named together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from drnbench.forensics.resampling import (
    Array,
    Axis,
    Border,
    box,
    cubic,
    half_even,
    half_up,
    hamming,
    lanczos,
    triangle,
    truncated,
)

FLOATING = " on floating-point images"
"""Suffix of MATLAB's resizes that round once, after both passes."""
Rounding = Callable[[Array], Array]
FLOAT: tuple[tuple[str, Rounding], ...] = (
    ("", half_up),
    (", halves rounded to even", half_even),
    (", cut off instead of rounded", truncated),
)
"""Ways in which users store the floating-point result of a resize."""


MEAN = Axis(box, 0.5)
"""The mean of each cell."""


@dataclass(frozen=True)
class Window:
    """The part of a pair that is compared: LR rows and columns from the top-left corner.

    Attributes:
        hr: H x W x 3, levels, the whole HR image.
        size: height and width of the whole LR image.
        part: LR rows and columns that are compared.
        ratio: HR pixels an LR pixel, down and across.

    """

    hr: Array
    size: tuple[int, int]
    part: tuple[int, int]
    ratio: tuple[float, float]

    def axes(self, axis: Axis) -> tuple[Array, Array]:
        """Return the matrices of both axes, cut to the part that is compared and to the HR pixels that it looks at."""
        return tuple(self._cut(axis, n) for n in (0, 1))  # type: ignore[return-value]

    def _cut(self, axis: Axis, n: int) -> Array:
        matrix = axis.matrix(self.hr.shape[n], self.size[n], self.ratio[n])[: self.part[n]]
        used = np.flatnonzero(matrix.any(axis=0))
        return np.ascontiguousarray(matrix[:, : used[-1] + 1])


@dataclass(frozen=True)
class Generator:
    """One way of making LR images.

    Attributes:
        name: such as "Pillow's bicubic".
        exact_ratio: it also shrinks an HR image whose sides the scale does not divide, without a crop.

    """

    name: str
    exact_ratio: bool = False

    def make(self, window: Window) -> list[tuple[str, Array]]:
        """Return the LR levels of each way to round, with the suffix that names it."""
        raise NotImplementedError


@dataclass(frozen=True)
class Resize(Generator):
    """A separable resize.

    Attributes:
        axis: the filter.
        columns_first: the horizontal pass comes before the vertical one.
        between: rounding after the first pass; None: none.
        rounding: how the result may be stored.
        linear_light: the resize works on intensities, and levels are sRGB.

    """

    axis: Axis = MEAN
    columns_first: bool = False
    between: Rounding | None = None
    rounding: Sequence[tuple[str, Rounding]] = FLOAT
    exact_ratio: bool = True
    linear_light: bool = False

    def make(self, window: Window) -> list[tuple[str, Array]]:
        """Apply both passes."""
        rows, columns = window.axes(self.axis)
        levels = window.hr[: rows.shape[1], : columns.shape[1]]
        if self.linear_light:
            levels = _to_linear(levels)
        for horizontal in (self.columns_first, not self.columns_first):
            levels = _across(columns, levels) if horizontal else _down(rows, levels)
            if self.between is not None and horizontal == self.columns_first:
                levels = self.between(levels)
        if self.linear_light:
            levels = _to_srgb(levels)
        return [(suffix, rounding(levels)) for suffix, rounding in self.rounding]


@dataclass(frozen=True)
class Pick(Generator):
    """One pixel of each cell, at a row and column of it."""

    offset: tuple[int, int] = (0, 0)

    def make(self, window: Window) -> list[tuple[str, Array]]:
        """Pick the pixels."""
        (row, column), (height, width) = self.offset, window.part
        steps = [round(ratio) for ratio in window.ratio]
        return [("", window.hr[row :: steps[0], column :: steps[1]][:height, :width])]


@dataclass(frozen=True)
class Blur(Generator):
    """A separable Gaussian blur sampled at one position of each cell, edges replicated, rounded once.

    Attributes:
        sigma: standard deviations down and across, in HR pixels.
        centre: row and column in the cell, from its first pixel.
        size: number of weights each way; None: as many as reach 4 sigma.

    """

    sigma: tuple[float, float] = (1.0, 1.0)
    centre: tuple[float, float] = (0.0, 0.0)
    size: int | None = None

    def make(self, window: Window) -> list[tuple[str, Array]]:
        """Blur, sample and round."""
        levels = window.hr
        for axis, (sigma, centre) in enumerate(zip(self.sigma, self.centre, strict=True)):
            reach = 4 * sigma if self.size is None else (self.size - 1) / 2
            taps = np.arange(np.ceil(centre - reach - 1e-9), np.floor(centre + reach + 1e-9) + 1)
            exponent = -0.5 * ((taps - centre) / sigma) ** 2
            weights = np.exp(exponent - exponent.max())
            matrix = np.zeros((window.part[axis], levels.shape[axis]))
            rows = np.arange(window.part[axis])[:, None]
            pixels = rows * round(window.ratio[axis]) + taps.astype(int)
            np.add.at(matrix, (rows, np.clip(pixels, 0, levels.shape[axis] - 1)), weights / weights.sum())
            levels = _down(matrix, levels) if axis == 0 else _across(matrix, levels)
        return [("", half_up(levels))]


def generators(scale: int) -> list[Generator]:
    """Return every generator that has no parameter to estimate, likely ones first."""
    pick = [
        Pick(f"nearest, pixel ({row}, {column}) of each cell{_whose(row, column, scale)}", offset=(row, column))
        for row in range(scale)
        for column in range(scale)
    ]
    middle = (scale - 1) / 2
    bd = Blur(
        "bd (Gaussian of sigma 1.6, then every s-th pixel)",
        sigma=(1.6, 1.6), centre=(middle, middle), size=7 if scale % 2 else 12,
    )  # fmt: skip
    return [*pick, *_matlab(), *_pillow(), *_opencv(scale), *_pytorch(), bd]


def _whose(row: int, column: int, scale: int) -> str:
    if row == column == scale // 2:
        return " (MATLAB's and Pillow's nearest)"
    return " ([::s, ::s], OpenCV's and PyTorch's nearest)" if row == column == 0 else ""


def _matlab() -> list[Generator]:
    def resize(name: str, axis: Axis, border: Border) -> list[Resize]:
        twice = Resize(f"MATLAB's {name} ({border} border)", axis=axis, between=half_up, rounding=[("", half_up)])
        once = Resize(f"MATLAB's {name} ({border} border){FLOATING}", axis=axis)
        return [twice, once]

    filters = (("bicubic", cubic(-0.5), 2.0, True), ("bicubic without antialiasing", cubic(-0.5), 2.0, False),
               ("bilinear", triangle, 1.0, True), ("lanczos3", lanczos(3), 3.0, True))  # fmt: skip
    borders: tuple[Border, ...] = ("symmetric", "replicate")
    made = [
        resize(name, Axis(weigh, support, stretch, border), border)
        for name, weigh, support, stretch in filters
        for border in borders[: 2 if name == "bicubic" else 1]
    ]
    light = Resize(
        "bicubic in linear light (symmetric border)", axis=Axis(cubic(-0.5), 2, border="symmetric"), linear_light=True
    )
    return [*(generator for pair in made for generator in pair), light]


def _pillow() -> list[Generator]:
    filters = (("bicubic", cubic(-0.5), 2.0), ("bilinear", triangle, 1.0), ("box", box, 0.5),
               ("hamming", hamming, 1.0), ("lanczos", lanczos(3), 3.0))  # fmt: skip
    return [
        Resize(
            f"Pillow's {name}", axis=Axis(weigh, support, fraction_bits=22), columns_first=True, between=half_up,
            rounding=[("", half_up)],
        )
        for name, weigh, support in filters
    ]  # fmt: skip


def _opencv(scale: int) -> list[Generator]:
    filters = (("INTER_CUBIC", cubic(-0.75), 2.0, False, half_even), ("INTER_LINEAR", triangle, 1.0, False, half_up),
               ("INTER_LANCZOS4", lanczos(4), 4.0, False, half_even),
               ("INTER_AREA", box, 0.5, True, half_up if scale == 2 else half_even))  # fmt: skip
    return [
        Resize(
            f"OpenCV's {name}", axis=Axis(weigh, support, stretch, "replicate", fraction_bits=None if stretch else 11),
            columns_first=True, rounding=[("", rounding)],
        )
        for name, weigh, support, stretch, rounding in filters
    ]  # fmt: skip


def _pytorch() -> list[Generator]:
    plain = {name: (weigh, support, a) for name, weigh, support, a in (
        ("bicubic", cubic(-0.75), 2.0, cubic(-0.5)), ("bilinear", triangle, 1.0, triangle))}  # fmt: skip
    made: list[Generator] = []
    for name, (weigh, support, antialiased) in plain.items():
        for corners in (False, True):
            end = ", align_corners" if corners else ""
            smooth = Axis(antialiased, support, align_corners=corners)
            sharp = Axis(weigh, support, False, "replicate", align_corners=corners)
            made += [
                Resize(f"PyTorch's {name} with antialias{end}", axis=smooth, columns_first=True),
                Resize(f"PyTorch's {name} without antialias{end}", axis=sharp, columns_first=True),
            ]
    return [*made, Resize("the mean of each cell (PyTorch's area)", axis=Axis(box, 0.5, border="replicate"))]


def _down(rows: Array, levels: Array) -> Array:
    """Return h x W x 3 of h x H weights and H x W x 3 levels; nearly all weights are 0, which a dense product multiplies, too."""
    product: Array = csr_array(rows) @ levels.reshape(len(levels), -1)
    return product.reshape(len(rows), *levels.shape[1:])


def _across(columns: Array, levels: Array) -> Array:
    """Return H x w x 3 of w x W weights and H x W x 3 levels."""
    return np.ascontiguousarray(_down(columns, np.ascontiguousarray(levels.swapaxes(0, 1))).swapaxes(0, 1))


def _to_linear(levels: Array) -> Array:
    x = levels / 255
    return np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)


def _to_srgb(intensities: Array) -> Array:
    x = np.clip(intensities, 0, 1)
    return 255 * np.where(x <= 0.0031308, 12.92 * x, 1.055 * x ** (1 / 2.4) - 0.055)
