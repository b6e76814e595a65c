"""Figure: the difference to the baseline in every cell of two axes, with its interval written in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from drnbench.outputs import captions, failed_seeds
from drnbench.render import style, text, x_axis
from drnbench.render.style import GREY, PAGE_IN, CaptionedFigure
from drnbench.results import layout
from drnbench.results.plan_record import AxisRecord
from drnbench.results.scores import Arm, Scores
from drnbench.results.statistics import STAR_SEEDS, Difference
from drnbench.results.summary import Result, Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from drnbench.outputs.heatmap import Heatmap

CLIP = 4.0
"""A cell this many times the typical one does not set the colour scale: a collapse would leave all others white."""
CELL_IN = 0.78
"""Width that a cell with its interval takes; where there is less room, the interval breaks, or the data beside have it."""
LEAST_IN, NUMBER_IN = 0.42, 0.3
"""Widths that a cell with a broken interval takes, and one with its difference alone."""
MARKS = {"better": "*", "worse": "†", "": ""}


@dataclass(frozen=True)
class Panel:
    """One map: rows (from above) and columns in axis order; None is not scored, "baseline" is a baseline itself."""

    title: str
    cells: tuple[tuple[Result | str | None, ...], ...]

    @property
    def results(self) -> list[Result]:
        """Every cell that has a difference."""
        return [cell for row in self.cells for cell in row if isinstance(cell, Result)]

    @property
    def differences(self) -> list[Difference]:
        """The differences of these cells."""
        return [result.difference for result in self.results if result.difference]

    def values(self) -> NDArray[np.float64]:
        """Return the differences, rows x columns; NaN where a cell has none."""
        return np.array([
            [cell.difference.mean if isinstance(cell, Result) and cell.difference else np.nan for cell in row]
            for row in self.cells
        ])  # fmt: skip


def panels(scores: Scores, results: Results, output: Heatmap) -> list[Panel]:
    """Return a map for each combination of the remaining axes and each test set."""
    x, y = scores.plan.axis(output.x), scores.plan.axis(output.y)
    rest = _remaining(scores, output)
    fields = layout.moved(scores, layout.moving(scores))
    maps: dict[tuple[Any, ...], dict[tuple[int, int], Result | str]] = {}
    titles: dict[tuple[Any, ...], str] = {}
    for arm in scores.arms:
        base = scores.is_baseline(arm)
        if arm.kind != "grid" or not (base or arm in scores.subject):
            continue
        cell = y.values.index(arm.values[y.path]), x.values.index(arm.values[x.path])
        for condition, slot in layout.slots(arm, fields).items():
            result = results.get((arm.name, condition, output.metric))
            key = (*(repr(arm.values[a.path]) for a in rest), slot)
            if result is not None and result.difference is not None:
                maps.setdefault(key, {})[cell] = result
                titles[key] = _panel_title(scores, arm, rest, slot)
            elif base:
                maps.setdefault(key, {}).setdefault(cell, "baseline")
    rows, columns = range(len(y.values)), range(len(x.values))
    return [
        Panel(titles[key], tuple(tuple(cells.get((r, c)) for c in columns) for r in rows))
        for key, cells in maps.items()
        if key in titles
    ]


def _remaining(scores: Scores, output: Heatmap) -> list[AxisRecord]:
    """Return the axes that are neither rows nor columns and that the subject varies."""
    arms = [arm for arm in scores.subject if arm.kind == "grid"]
    others = [axis for axis in scores.axes if axis.path not in {output.x, output.y}]
    return [axis for axis in others if len({repr(arm.values[axis.path]) for arm in arms}) > 1]


def _panel_title(scores: Scores, arm: Arm, rest: list[AxisRecord], slot: layout.Slot) -> str:
    return ", ".join([text.slot_label(scores, slot, scale=True), *(text.setting(a, arm.values[a.path]) for a in rest)])


def ceiling(values: list[float]) -> float:
    """Return the difference that has the full colour: the largest that is not far beyond the typical one."""
    sizes = sorted(abs(v) for v in values)
    typical = sizes[(len(sizes) - 1) // 2] if sizes else 0.0
    kept = [v for v in sizes if v <= CLIP * typical] or sizes
    return max(kept, default=0.0) or 1.0


def scale_end(shown: list[Panel]) -> float:
    """Return the difference that has the full colour: `ceiling`, and no less than a typical half-width or the margin.

    Differences that are smaller than their uncertainty would otherwise fill the map with colour.
    """
    differences = [d for panel in shown for d in panel.differences]
    halves = [(d.high - d.low) / 2 for d in differences if d.low is not None and d.high is not None]
    margins = [result.margin for panel in shown for result in panel.results if result.margin]
    floor = max([float(np.median(halves)) if halves else 0.0, *margins])
    return max(ceiling([d.mean for d in differences]), floor)


def draw(scores: Scores, results: Results, output: Heatmap) -> CaptionedFigure | None:
    """Return the maps side by side; None where nothing is compared yet."""
    shown = panels(scores, results, output)
    if not shown:
        return None
    x, y = scores.plan.axis(output.x), scores.plan.axis(output.y)
    wide, high = len(x.values), len(y.values)
    side = 0.5 + 0.055 * max(len(name) for name in x_axis.names(y))
    inches = style.inches(output.width, PAGE_IN)
    room = inches - side - 0.8
    across = max(1, min(len(shown), int(room // (wide * CELL_IN + 0.15))))
    down = -(-len(shown) // across)
    cell = (room - 0.15 * across) / (wide * across)
    cell = cell if output.width else min(1.05, cell)
    s, top = text.style(output.metric), scale_end(shown)
    row_in = 0.2 if cell < NUMBER_IN else 0.55 if LEAST_IN <= cell < 0.9 * CELL_IN else 0.4
    figure = style.new_figure(side + 0.8 + across * (wide * cell + 0.15), down * (high * row_in + 0.75))
    # seaborn draws the figure for each map: it is laid out, and cells are written in, when all are there.
    layout_engine = figure.get_layout_engine()
    figure.set_layout_engine("none")
    axes = []
    for n, panel in enumerate(shown):
        ax = figure.add_subplot(down, across, n + 1)
        axes.append(ax)
        _map(ax, panel, s, top)
        ax.set_title(panel.title, loc="left", fontsize=7)
        x_axis.set_names(ax, x, inches=wide * cell, first=0.5)
        first = n % across == 0
        ax.set_yticks([0.5 + row for row in range(high)], x_axis.names(y) if first else [""] * high)
        ax.set_ylabel(y.title if first else "")
        ax.set_xlabel(x.title if n + across >= len(shown) else "")
    for ax, panel in zip(axes, shown, strict=True):
        _write_cells(ax, panel, s, cell)
    figure.set_layout_engine(layout_engine)
    _bar(figure, axes, shown, s, top)
    stem = f"{text.path_slug(output.x)}_{text.path_slug(output.y)}"
    name = f"figure_heatmap_{text.slug(output.metric)}_{stem}"
    caption = _caption(scores, shown, s, top, (x.title, y.title), cell)
    return CaptionedFigure(name, caption, figure, _data(shown, x, y))


def _data(shown: list[Panel], x: AxisRecord, y: AxisRecord) -> str:
    """Return the cells that have a difference."""
    rows = [
        [
            panel.title,
            row,
            column,
            cell.arm,
            cell.difference.mean,
            cell.difference.low,
            cell.difference.high,
            cell.verdict,
        ]
        for panel in shown
        for row, cells in zip(y.values, panel.cells, strict=True)
        for column, cell in zip(x.values, cells, strict=True)
        if isinstance(cell, Result) and cell.difference is not None
    ]
    return style.data(["panel", y.title, x.title, "arm", "delta", "low", "high", "verdict"], rows)


def _map(ax: Axes, panel: Panel, s: text.MetricStyle, top: float) -> None:
    """Draw the cells in their colours."""
    import matplotlib as mpl
    import seaborn as sns

    values = panel.values()
    sns.heatmap(
        s.sign * values, mask=np.isnan(values), vmin=-top, vmax=top, cbar=False, linewidths=1.2, linecolor="white",
        cmap=mpl.colormaps["RdBu"].with_extremes(bad="0.94"), xticklabels=False, yticklabels=False, ax=ax,
    )  # fmt: skip
    ax.tick_params(length=0)


def _write_cells(ax: Axes, panel: Panel, s: text.MetricStyle, width: float) -> None:
    """Write the difference above its interval in each cell, and hatch those whose interval holds zero."""
    from matplotlib.cm import ScalarMappable

    (mesh,) = ax.collections
    assert isinstance(mesh, ScalarMappable)
    missing = np.isnan(panel.values())
    broken, alone, bare = width < 0.9 * CELL_IN, width < LEAST_IN, width < NUMBER_IN
    size = min(6.0, 6.0 * width / (0.36 if alone else 0.45 if broken else CELL_IN))
    decimals = s.delta_decimals
    compared = [
        (row + 0.5, column + 0.5, cell, cell.difference)
        for row, cells in enumerate(panel.cells)
        for column, cell in enumerate(cells)
        if isinstance(cell, Result) and cell.difference is not None
    ]
    # Light on dark cells, as seaborn chooses it.
    colours = mesh.to_rgba(np.array([s.sign * difference.mean for *_, difference in compared]))
    inks = ["0.15" if _luminance(*colour[:3]) > 0.408 else "white" for colour in colours]
    for (y, x, cell, difference), ink in zip(compared, inks, strict=True):
        words = MARKS[cell.verdict] if bare else text.signed(difference.mean, decimals) + MARKS[cell.verdict]
        ax.text(
            x,
            y - (0 if alone else 0.26 if broken else 0.14),
            words,
            ha="center",
            va="center",
            fontsize=size + 1,
            color=ink,
        )
    for (y, x, _, difference), ink in zip(compared, inks, strict=True):
        interval = text.interval(difference, decimals)
        interval = interval.replace(", ", ",\n") if broken else interval
        if not alone:
            ax.text(
                x,
                y + (0.1 if broken else 0.24),
                interval,
                ha="center",
                va="center",
                fontsize=size - 0.4,
                color=ink,
                linespacing=0.9,
            )
        if _holds_zero(difference):
            _hatch(ax, y - 0.5, x - 0.5)
    for row, column in () if bare else np.argwhere(missing):
        message = panel.cells[row][column] or "–"
        ax.text(column + 0.5, row + 0.5, message, ha="center", va="center", fontsize=size, color=GREY)


def _luminance(red: float, green: float, blue: float) -> float:
    """Return the relative luminance of a colour, as WCAG defines it; components are in 0..1."""
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in (red, green, blue)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _holds_zero(difference: Difference) -> bool:
    """Return True where the interval of a difference holds zero, or there is none."""
    return difference.low is None or difference.high is None or difference.low <= 0 <= difference.high


def _hatch(ax: Axes, row: float, column: float) -> None:
    """Hatch the lower edge of a cell: its number stays readable."""
    from matplotlib.patches import Rectangle

    ax.add_patch(
        Rectangle((column + 0.02, row + 0.86), 0.96, 0.1, fill=False, hatch="////////", edgecolor="0.45", linewidth=0)
    )


def _bar(figure: Figure, axes: list[Axes], shown: list[Panel], s: text.MetricStyle, top: float) -> None:
    """Draw the colour scale, with an arrow on the side where a cell lies beyond it."""
    means = [s.sign * d.mean for panel in shown for d in panel.differences]
    below, above = min(means) < -1.001 * top, max(means) > 1.001 * top
    extend = {(True, True): "both", (True, False): "min", (False, True): "max"}.get((below, above), "neither")
    bar = style.colour_bar(
        figure, axes[0].collections[0], ax=axes, extend=extend, shrink=0.9, aspect=18, pad=0.02
    )  # fmt: skip
    ticks = [-top, 0.0, top]
    bar.set_ticks(ticks, labels=[text.signed(s.sign * t, s.delta_decimals) for t in ticks])
    bar.set_label(f"Δ {s.axis_label}", fontsize=7)


def _caption(
    scores: Scores, shown: list[Panel], s: text.MetricStyle, top: float, titles: tuple[str, str], cell: float
) -> str:
    """Return the caption; `cell` is the width of a cell in inches."""
    cells = [r for panel in shown for r in panel.results]
    differences = [d for panel in shown for d in panel.differences]
    sizes = text.sample([d.seeds for d in differences], [d.images for d in differences])
    parts = [
        f"{s.label} over {' and '.join(titles)}: mean paired difference to {scores.baseline_label}",
        f"with its {scores.confidence} interval ({captions.interval_method(differences)}; {sizes})."
        if cell >= LEAST_IN
        else f"({sizes}); {'numbers' if cell < NUMBER_IN else 'intervals'} are in the data beside the figure.",
        "Blue: better than the baseline; red: worse.",
    ]
    if any(r.p_holm is not None and r.difference and r.difference.seeds >= STAR_SEEDS for r in cells):
        parts.append(f"* better, † worse: {captions.family_words(scores, cells, 'the figure')}.")
    if cell < NUMBER_IN and any(not isinstance(result, Result) for p in shown for row in p.cells for result in row):
        parts.append("Gray: the baseline, or not scored.")
    if any(_holds_zero(d) for d in differences):
        parts.append("Hatched: the interval holds zero, or there is none.")
    if any(abs(d.mean) > 1.001 * top for d in differences):
        parts.append(f"Colours saturate at {text.number(top, s.delta_decimals)}{s.unit}.")
    return " ".join(
        [*parts, *failed_seeds.sentences(scores), *captions.kernel_specs({r.condition: None for r in cells})]
    )
