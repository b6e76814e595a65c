"""Figure: the degradation kernels of a study."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from drnbench.outputs import captions, outputs
from drnbench.outputs.base import FigureOutput, StudyResults
from drnbench.outputs.kernel_weights import Array, Panel, fit, panels, weight_rows
from drnbench.render import style, text
from drnbench.render.style import BAR_IN, COLUMN_IN, PAGE_IN, CaptionedFigure
from drnbench.results import labels
from drnbench.results.scores import Condition, Scores
from drnbench.store import Store

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import FuncNorm
    from matplotlib.figure import Figure

ACROSS = 5
ACROSS_COLUMN = 3
"""Panels side by side on a page and in a column."""
FAINT = 0.01
"""A window ends where all weights are below this share of their kernel's largest."""
SIDE_IN, GAP_IN, LEFT_IN, RIGHT_IN = 1.12, 0.14, 0.3, 0.51
"""The most that a panel is wide; room between panels, for the scale on the left and the colour bar's labels on the right."""
SMALL_IN, APART_IN = 0.9, 0.3
"""Panel and gap where a study has one kernel."""


@dataclass(frozen=True, eq=False)
class _Cell:
    """A kernel with the side of its window in HR pixels."""

    panel: Panel
    side: int


def draw(scores: Scores, store: Store, width: style.Width = None) -> CaptionedFigure | None:
    """Return a row for each scale, or several where it has many kernels; None where no kernel can be drawn."""
    every = panels(scores, store)
    shown = [p for p in every if p.weights is not None]
    if not shown:
        return None
    single = len({p.spec for p in shown}) == 1
    inches = style.inches(width, PAGE_IN)
    rows = _rows(shown, ACROSS_COLUMN if width == "column" else ACROSS, single=single)
    cells = [cell for row in rows for cell in row if cell]
    across = len(rows[0])
    left, gap = (APART_IN / 2, APART_IN) if single else (LEFT_IN, GAP_IN)
    right = GAP_IN + BAR_IN + RIGHT_IN
    side = min(SMALL_IN if single else SIDE_IN, (inches - left - right + gap) / across - gap)
    # Letters of 7 pt and 6 pt are about 0.055 and 0.047 in wide, and their lines 0.125 and 0.105 in high.
    heads = {cell: _head(cell.panel, int((side + gap) / 0.055), scale=single) for cell in cells}
    notes = {cell: _below(cell.panel, int((side + gap) / 0.047)) for cell in cells}
    above, below = 0.125 * _lines(heads), 0.105 * _lines(notes)
    # The column, or the page that is asked for, stays full where panels do not fill it.
    least = COLUMN_IN if width is None else inches
    spare = max(0.0, least - (left + across * (side + gap) - gap + right)) / 2
    figure, grid = style.new_image_grid(
        (len(rows), across), side, (gap, 0.14 + above + below),
        (left + spare, RIGHT_IN + spare, 0.06 + above, 0.08 + below), ("right", GAP_IN),
    )  # fmt: skip
    norm = _norm()
    for ax, cell in zip(grid, itertools.chain(*rows), strict=True):
        if cell is None:
            ax.set_axis_off()
            continue
        _picture(ax, cell, norm)
        ax.set_title(heads[cell], fontsize=7, pad=3)
        ax.set_xlabel(notes[cell], fontsize=6, labelpad=4, linespacing=1.2)
    for axes, row in zip(grid.axes_row, rows, strict=True):
        if not single:
            _scale_label(axes[0], next(cell.panel.scale for cell in row if cell))
    _bar(figure, grid.cbar_axes[0], norm)
    return CaptionedFigure("figure_kernels", _caption(every, cells), figure, _data(shown))


def _data(shown: list[Panel]) -> str:
    """Return every weight that is not zero, by its place in HR pixels from the centre of the LR pixel."""
    rows = [[p.spec, p.scale, *entry] for p in shown if p.weights is not None for entry in weight_rows(p.weights)]
    return style.data(["kernel", "scale", "x", "y", "weight"], rows)


def _lines(notes: dict[_Cell, str]) -> int:
    return max(note.count("\n") + 1 for note in notes.values())


def _bar(figure: Figure, axes: Axes, norm: FuncNorm) -> None:
    from matplotlib.cm import ScalarMappable

    bar = style.colour_bar(figure, ScalarMappable(norm, "RdBu_r"), labelsize=6, cax=axes)
    ticks = [-1, -0.25, 0, 0.25, 1]
    bar.set_ticks(ticks, labels=[text.minus(f"{t:g}") for t in ticks])
    bar.set_label("weight / largest", fontsize=6, labelpad=3)


def window(some: list[Panel]) -> int:
    """Return the side in HR pixels, even at even scales as the kernels are, that panels of one scale can share.

    A kernel's middle square with all weights of at least `FAINT` times its largest fits, and the LR pixel's cell does.
    """
    scale = some[0].scale
    reach = 0.0
    for panel in some:
        if panel.weights is not None:
            strong = np.argwhere(np.abs(panel.weights) >= FAINT * panel.largest)
            reach = max(reach, float(np.abs(strong - (len(panel.weights) - 1) / 2).max()))
    # A pixel of white on each side shows where a kernel ends.
    return max(int(2 * reach) + 3, scale + 2)


def _rows(shown: list[Panel], most: int, *, single: bool) -> list[list[_Cell | None]]:
    """Lay panels out in rows of one length: a few kernels have a column each at all scales, an only kernel has one row."""
    if single:
        return [[_Cell(panel, window([panel])) for panel in shown]]
    specs = list(dict.fromkeys(p.spec for p in shown))
    rows: list[list[_Cell | None]] = []
    for scale in dict.fromkeys(p.scale for p in shown):
        at_scale = {p.spec: p for p in shown if p.scale == scale}
        line = [at_scale.get(spec) for spec in (specs if len(specs) <= most else at_scale)]
        for start in range(0, len(line), most):
            row = line[start : start + most]
            side = window([panel for panel in row if panel])
            rows.append([_Cell(panel, side) if panel else None for panel in row])
    across = max(len(row) for row in rows)
    return [[*row, *[None] * (across - len(row))] for row in rows]


def _head(panel: Panel, letters: int, *, scale: bool) -> str:
    return textwrap.fill(labels.kernel(panel.spec) + (f" ×{panel.scale}" if scale else ""), letters)


def _below(panel: Panel, letters: int) -> str:
    """Return parameters, size and largest weight, and roles, broken to a panel's width."""
    assert panel.weights is not None
    rows, columns = (int(np.ptp(index)) + 1 for index in np.nonzero(panel.weights))
    size = f"{rows}\N{NO-BREAK SPACE}×\N{NO-BREAK SPACE}{columns}, largest\N{NO-BREAK SPACE}{panel.largest:.2g}"
    parts = [", ".join(panel.parameters), panel.after, size, ", ".join(panel.roles)]
    return "\n".join(textwrap.fill(part, letters) for part in parts if part)


def _norm() -> FuncNorm:
    """Square roots with their sign: the lobes of bicubic are 7 % of its largest weight and white on a linear scale."""
    from matplotlib.colors import FuncNorm

    def forward(x: Array) -> Array:
        return np.asarray(np.sign(x) * np.sqrt(np.abs(x)))

    def inverse(x: Array) -> Array:
        return np.asarray(np.sign(x) * np.square(x))

    return FuncNorm((forward, inverse), vmin=-1, vmax=1)


def _picture(ax: Axes, cell: _Cell, norm: FuncNorm) -> None:
    """Draw the window of a kernel, and the LR pixel's cell as a square."""
    from matplotlib.patches import Rectangle

    panel = cell.panel
    assert panel.weights is not None
    pixels = fit(panel.weights, (cell.side, cell.side)) / panel.largest
    style.picture(ax, pixels, framed=True, cmap="RdBu_r", norm=norm)
    side = panel.scale / cell.side
    # A light rim under the line, which could not be seen on the darkest red.
    for colour, width in (("white", 1.4), ("0.15", 0.6)):
        ax.add_patch(Rectangle((-side / 2, -side / 2), side, side, fill=False, edgecolor=colour, linewidth=width))


def _scale_label(ax: Axes, scale: int) -> None:
    ax.annotate(
        f"×{scale}", (0.0, 0.5), xycoords="axes fraction", xytext=(-6, 0), textcoords="offset points", ha="right",
        va="center", fontsize=8,
    )  # fmt: skip


def _caption(every: list[Panel], cells: list[_Cell]) -> str:
    sides: dict[int, set[int]] = {}
    for cell in cells:
        sides.setdefault(cell.panel.scale, set()).add(cell.side)
    windows = [f"{' and '.join(f'{n} × {n}' for n in sorted(sides[scale]))} at ×{scale}" for scale in sorted(sides)]
    outside = max(_outside(cell) for cell in cells)
    sentences = {
        "Degradation kernels of the study: the weights of HR pixels in one LR pixel, whose cell is the square.": True,
        "Red is positive, blue negative, white zero.": True,
        "Each panel has its own scale, which ends at the largest weight (below it).": len(cells) > 1,
        "Colours follow the square root of the weight, so small weights look larger than they are.": True,
        f"Windows in HR pixels: {', '.join(windows)}.": True,
        f"Cut off are weights below {100 * FAINT:g} % of a kernel's largest weight, and at most "
        f"{max(100 * outside, 0.1):.1f} % of its absolute weight.": outside > 0,
        "Noise (σ in gray levels) and JPEG (quality) follow the kernel and are stated, not drawn.": any(
            cell.panel.after for cell in cells
        ),
    }
    return " ".join([
        *(sentence for sentence, holds in sentences.items() if holds), *_missing(every),
        *captions.kernel_specs(Condition("", p.spec, p.scale) for p in every),
    ])  # fmt: skip


def _missing(every: list[Panel]) -> list[str]:
    """Return the sentence on kernels that cannot be drawn, with the reasons."""
    missing = {p.spec: p for p in every if p.weights is None}
    reasons = [f"{labels.kernel(spec)} ({', '.join(p.roles)}: {p.why.rstrip('.')})" for spec, p in missing.items()]
    return [f"Without a picture: {'; '.join(reasons)}."] if reasons else []


def _outside(cell: _Cell) -> float:
    """Return the share of a kernel's absolute weight that its window leaves out."""
    assert cell.panel.weights is not None
    whole = np.abs(cell.panel.weights).sum()
    left = whole - np.abs(fit(cell.panel.weights, (cell.side, cell.side))).sum()
    return float(left / whole) if left > 1e-12 * whole else 0.0


@outputs.register("kernels")
class KernelFigure(FigureOutput):
    """A figure: the degradation kernels that the study trains on and tests on."""

    summary = "figure: the degradation kernels of the study"
    figure_needs = "a kernel that states its weights"
    automatic = True
    position = 90

    def figures(self, study: StudyResults) -> Sequence[CaptionedFigure | None]:
        """See `Output`."""
        return [draw(study.scores, study.store, self.width)]
