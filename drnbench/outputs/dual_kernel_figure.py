"""Figure: the effective kernel of the learned D beside that of the true degradation."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from drnbench.outputs import captions
from drnbench.outputs.dual_kernel import METRIC
from drnbench.outputs.dual_kernel_sentence import kernel_kind
from drnbench.outputs.kernel_weights import Array, fit, weight_rows
from drnbench.render import style, text
from drnbench.render.style import BAR_IN, PAGE_IN, CaptionedFigure
from drnbench.results.scores import Arm, Condition, Scores
from drnbench.results.summary import Result, Results
from drnbench.store import Damaged, Fault, Store, read_arrays, safe
from drnbench.store.integrity import report

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

    from drnbench.outputs.dual_kernel import DualKernel

FAINT = 0.03
"""Weights below this share of a column's largest are cut off around the middle: a kernel of 33 pixels is mostly zero."""
ROWS = 6
SATURATED = 2.0
"""The colour scale ends at this many times the largest learned weight at most."""
SIDE_IN, LEFT_IN, GAP_IN, BELOW_IN, FOOT_IN = 1.25, 0.55, 0.16, 0.2, 0.2
"""The most that a picture is wide; room for the names of rows, between pictures, for errors, and for the bars' ticks."""
BAR_APART_IN, BAR_ROOM_IN = 0.08, 0.4
"""Distance of a bar at the right, and room for its ticks."""


@dataclass(frozen=True)
class Kernels:
    """The kernels of one arm's D: in HR pixels, centred on the LR pixel, mean over seeds."""

    arm: Arm
    learned: Array
    true: Array | None
    seeds: int
    error: Result | None


@dataclass(frozen=True)
class Column:
    """One value of the axis.

    Attributes:
        head: the value.
        kernels: of the learned D, a row each; None where it is not looked at.

    """

    head: str
    kernels: list[Kernels | None]

    @property
    def true(self) -> Array | None:
        """The true kernel; None where the degradation of the images is unknown."""
        return next((k.true for k in self.kernels if k is not None and k.true is not None), None)

    @property
    def top(self) -> float:
        """The end of the colour scale: a single bright pixel (nearest) may not leave the learned kernels blank."""
        peak = max(float(np.abs(k.learned).max()) for k in self.kernels if k is not None)
        sharp = float(np.abs(self.true).max()) if self.true is not None else 0.0
        return max(peak, min(sharp, SATURATED * peak) if peak else sharp) or 1.0

    @property
    def cells(self) -> list[Array | None]:
        """The true kernel and the learned ones, from above."""
        return [self.true, *(k.learned if k is not None else None for k in self.kernels)]


def read(store: Store, scores: Scores, results: Results, arm: Arm) -> Kernels | None:
    """Return the kernels of an arm; None where it has no D or nothing is looked at yet."""
    condition = error_condition(scores, arm)
    if condition is None:
        return None
    learned, true = [], None
    for trial in arm.trials:
        path = store.trial(trial.key) / "dual_kernel" / f"{safe(condition.kernel)}.npz"
        try:
            arrays = read_arrays(path)
            learned.append(arrays["learned"].astype(np.float64))
            if "true" in arrays and arrays["true"].size:
                true = arrays["true"].astype(np.float64)
        except FileNotFoundError:
            continue
        except (Damaged, KeyError, ValueError):
            report(Fault(path, "is not whole"), "the figure does without it")
    if not learned:
        return None
    error = results.get((arm.name, condition, METRIC))
    return Kernels(arm, np.mean([fit(k, learned[0].shape) for k in learned], axis=0), true, len(learned), error)


def error_condition(scores: Scores, arm: Arm) -> Condition | None:
    """Return the first condition of an arm on which D is compared with the true degradation."""
    return next((p for p in arm.conditions if METRIC in scores.metrics[p]), None)


def draw(scores: Scores, results: Results, store: Store, output: DualKernel) -> CaptionedFigure | None:
    """Return one column a value of the axis, the true kernels above; None where no D was looked at."""
    axis = scores.plan.axis(output.x)
    every = _rows(scores, results, store, axis.path)
    rows = dict(list(every.items())[:ROWS])
    indices = sorted({index for row in rows.values() for index in row})
    columns = [
        Column(_wrap(style.legible(text.shown(axis.values[n], axis.path))), [row.get(n) for row in rows.values()])
        for n in indices
    ]
    if not columns:
        return None
    names = ["true kernel", *(name or _kind([k.arm for k in row.values()]) for name, row in rows.items())]
    in_rows = len(columns) == 1 or output.width == "column"
    figure = (_in_rows if in_rows else _in_columns)(columns, names, output.width)
    caption = _caption(
        scores, [k for row in rows.values() for k in row.values()], axis.title, len(every) - len(rows), in_rows=in_rows
    )
    name = f"figure_dual_kernel_{text.path_slug(output.x)}"
    return CaptionedFigure(name, caption, figure, _data(columns, names, axis.title))


def _data(columns: list[Column], names: list[str], title: str) -> str:
    """Return every weight that is not zero, by its place in HR pixels from the centre of the LR pixel."""
    rows = [
        [column.head.replace("\n", " "), name, *entry]
        for column in columns
        for name, kernel in zip(names, column.cells, strict=True) if kernel is not None
        for entry in weight_rows(kernel)
    ]  # fmt: skip
    return style.data([title, "kernel", "x", "y", "weight"], rows)


def _in_columns(columns: list[Column], names: list[str], width: style.Width) -> Figure:
    """Return the figure of several values of the axis, a column each, with a colour bar below each."""
    lines = max(column.head.count("\n") + 1 for column in columns)
    side, spare = _side(width, len(columns), LEFT_IN + GAP_IN)
    figure, grid = style.new_image_grid(
        (len(names), len(columns)), side, (GAP_IN, BELOW_IN),
        (LEFT_IN + spare, GAP_IN + spare, 0.14 + 0.13 * lines, FOOT_IN), ("bottom", BELOW_IN),
    )  # fmt: skip
    window = _window(columns)
    for axes, bar_axes, column in zip(grid.axes_column, grid.cbar_axes[: len(columns)], columns, strict=True):
        image = _pictures(axes, column, window)
        axes[0].set_title(column.head, fontsize=7, pad=3)
        _bar(figure, image, bar_axes, column.top)
    for axes, name in zip(grid.axes_row, names, strict=True):
        axes[0].set_ylabel(_wrap(name), fontsize=7, labelpad=4)
    return figure


def _in_rows(columns: list[Column], names: list[str], width: style.Width) -> Figure:
    """Return the figure of one value of the axis, or of several in a column of a paper: a row each, with a bar at its right."""
    heads = [_wrap(name) for name in names]
    lines = max(head.count("\n") + 1 for head in heads)
    labels = max(column.head.count("\n") + 1 for column in columns)
    left = 0.2 + 0.13 * labels
    side, spare = _side(width, len(names), left + BAR_APART_IN + BAR_IN + BAR_ROOM_IN)
    margins = (left + spare, BAR_ROOM_IN + spare, 0.14 + 0.13 * lines, BELOW_IN)
    figure, grid = style.new_image_grid(
        (len(columns), len(names)), side, (GAP_IN, BELOW_IN), margins, ("rows", BAR_APART_IN)
    )
    window = _window(columns)
    for axes, bar_axes, column in zip(grid.axes_row, grid.cbar_axes[: len(columns)], columns, strict=True):
        image = _pictures(axes, column, window)
        axes[0].set_ylabel(column.head, fontsize=7, labelpad=4)
        bar = style.colour_bar(figure, image, labelsize=5.5, cax=bar_axes)
        bar.set_ticks([-column.top, 0, column.top], labels=_ticks(column.top))
    for ax, head in zip(grid.axes_row[0], heads, strict=True):
        ax.set_title(head, fontsize=7, pad=3)
    return figure


def _side(width: style.Width, count: int, beside: float) -> tuple[float, float]:
    """Return the side of one of `count` pictures in a row with some room beside them, and what is left on both sides."""
    inches = style.inches(width, PAGE_IN)
    side = min(SIDE_IN, (inches - beside + GAP_IN) / count - GAP_IN)
    return side, 0.0 if width is None else (inches - beside - count * (side + GAP_IN) + GAP_IN) / 2


def _pictures(axes: Sequence[Axes], column: Column, window: int) -> AxesImage:
    """Draw the kernels of a column with their errors, and return one of the images."""
    images = [_picture(ax, kernel, window, column.top) for ax, kernel in zip(axes, column.cells, strict=True)]
    for ax, kernels in zip(axes[1:], column.kernels, strict=True):
        ax.set_xlabel(_error(kernels), fontsize=6, labelpad=2)
    return next(image for image in images if image is not None)


def _kind(arms: Sequence[Arm]) -> str:
    """Return the name of the kernels of some arms, by how they come to be."""
    return ", ".join(dict.fromkeys(kernel_kind(arm.config or {}) for arm in arms))


def _rows(scores: Scores, results: Results, store: Store, path: str) -> dict[str, dict[int, Kernels]]:
    """Return the kernels by the values of the other axes, and by the number of their value of the axis."""
    axis = scores.plan.axis(path)
    grid = [arm for arm in scores.arms if arm.kind == "grid"]
    others = [a for a in scores.axes if a.path != path and len({repr(arm.values[a.path]) for arm in grid}) > 1]
    rows: dict[str, dict[int, Kernels]] = {}
    for arm in grid:
        kernels = read(store, scores, results, arm)
        if kernels is not None:
            settings = [(a, arm.values[a.path]) for a in others]
            name = ", ".join(text.shown(v, a.path) if a.named else text.setting(a, v) for a, v in settings)
            rows.setdefault(name, {})[axis.values.index(arm.values[path])] = kernels
    return rows


def _window(columns: list[Column]) -> int:
    """Return the side of the window that shows all kernels: one for all, so that they are seen at their sizes."""
    shown = [(kernel, column.top) for column in columns for kernel in column.cells if kernel is not None]
    return max(_extent(kernel, FAINT * top) for kernel, top in shown)


def _extent(kernel: Array, least: float) -> int:
    """Return the side, odd or even as the kernel's, of the middle square that holds all weights above the least."""
    strong = np.argwhere(np.abs(kernel) > least)
    middle = (np.array(kernel.shape) - 1) / 2
    reach = float(np.abs(strong - middle).max()) if len(strong) else 0.0
    return int(min(max(kernel.shape), 2 * reach + 3))


def _picture(ax: Axes, kernel: Array | None, window: int, top: float) -> AxesImage | None:
    if kernel is None:
        style.no_picture(ax, "unknown")
        return None
    # The same parity as the kernel's: its middle must stay the middle.
    side = window + (window - kernel.shape[0]) % 2
    image = style.picture(ax, fit(kernel, (side, side)), framed=True, cmap="RdBu_r", vmin=-top, vmax=top)
    # The LR pixel's centre.
    ax.plot([0], [0], marker="+", color="0.25", markersize=4, markeredgewidth=0.5)
    return image


def _bar(figure: Figure, image: AxesImage, axes: Axes, top: float) -> None:
    bar = style.colour_bar(figure, image, labelsize=5.5, cax=axes, orientation="horizontal")
    bar.set_ticks([-top, 0, top], labels=_ticks(top))
    # Inwards, so that the labels of two columns do not touch.
    first, _, last = bar.ax.get_xticklabels()
    first.set_horizontalalignment("left")
    last.set_horizontalalignment("right")


def _ticks(top: float) -> list[str]:
    return [text.number(t, 2 if top >= 0.1 else 3) for t in (-top, 0, top)]


def _error(kernels: Kernels | None) -> str:
    error = kernels.error if kernels is not None else None
    if error is None or error.mean is None:
        return ""
    s = text.style(METRIC)
    half = f" ± {text.number(error.half_width, s.decimals)}" if error.half_width is not None else ""
    return f"{s.label} {text.number(error.mean, s.decimals)}{half}"


def _wrap(name: str) -> str:
    return "\n".join(textwrap.wrap(name, 20))


def _caption(scores: Scores, shown: list[Kernels], title: str, more: int, *, in_rows: bool) -> str:
    s = text.style(METRIC)
    parts = [
        f"Effective kernel of each {title}: {_kind([k.arm for k in shown])}, beside the true kernel.",
        f"HR pixels around the centre of an LR pixel (+), mean over colours and {text.span([k.seeds for k in shown], 'seed')}.",
        f"One colour scale a {'row' if in_rows else 'column'}: red is positive, blue negative, and beyond it the darkest colour.",
    ]
    if any(k.error is not None and k.error.mean is not None for k in shown):
        unit = f" in{s.unit}" if s.unit else ""
        parts.append(f"Below: {s.label}, the mean absolute difference between D(HR) and the true LR image{unit}.")
    conditions = {condition: None for k in shown if (condition := error_condition(scores, k.arm))}
    parts += captions.kernel_specs(conditions)
    if more:
        parts.append(f"{text.count(more, 'more row')} not shown.")
    return " ".join(parts)
