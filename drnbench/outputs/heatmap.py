"""Figure: the difference to the baseline in every cell of two axes, with its interval written in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from drnbench.outputs import captions
from drnbench.render import text, x_axis
from drnbench.render.style import GREY, PAGE_IN, CaptionedFigure, new_figure
from drnbench.results import layout
from drnbench.results.plan_record import AxisRecord
from drnbench.results.scores import Arm, Scores
from drnbench.results.statistics import STAR_SEEDS
from drnbench.results.summary import Result, Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CLIP = 4.0
"""A cell this many times the typical one does not set the colours: a collapse would leave all others white."""
CELL_IN = 0.78
"""Width that a cell with its interval takes; where there is less room, the interval breaks."""


@dataclass(frozen=True)
class Panel:
    """One map: rows (from above) and columns in axis order; None is not scored, "baseline" is a baseline itself."""

    title: str
    cells: tuple[tuple[Result | str | None, ...], ...]

    @property
    def results(self) -> list[Result]:
        """Every cell that has a difference."""
        return [cell for row in self.cells for cell in row if isinstance(cell, Result)]


def panels(scores: Scores, results: Results, out: dict[str, Any]) -> list[Panel]:
    """Return a map for each combination of the remaining axes and each test set."""
    x, y = (next(a for a in scores.axes if a.path == out[side]) for side in ("x", "y"))
    subject = scores.subject
    rest = []
    for axis in scores.axes:
        values = {repr(arm.values[axis.path]) for arm in subject if arm.kind == "grid"}
        if axis.path not in {out["x"], out["y"]} and len(values) > 1:
            rest.append(axis)
    fields = layout.moved(scores, layout.moving(scores))
    found: dict[tuple[Any, ...], dict[tuple[int, int], Result | str]] = {}
    titles: dict[tuple[Any, ...], str] = {}
    for arm in scores.arms:
        base = scores.is_baseline(arm)
        if arm.kind != "grid" or not (base or arm in subject):
            continue
        at = y.values.index(arm.values[y.path]), x.values.index(arm.values[x.path])
        for condition, slot in layout.slots(arm, fields).items():
            result = results.get((arm.name, condition, out["metric"]))
            key = (*(repr(arm.values[a.path]) for a in rest), slot)
            if result is not None and result.difference is not None:
                found.setdefault(key, {})[at] = result
                titles[key] = _panel_title(scores, arm, rest, slot)
            elif base:
                found.setdefault(key, {}).setdefault(at, "baseline")
    rows, columns = range(len(y.values)), range(len(x.values))
    return [
        Panel(titles[key], tuple(tuple(cells.get((r, c)) for c in columns) for r in rows))
        for key, cells in found.items()
        if key in titles
    ]


def _panel_title(scores: Scores, arm: Arm, rest: list[AxisRecord], slot: layout.Slot) -> str:
    parts = [f"{a.title}={text.shown(arm.values[a.path], a.path)}" for a in rest]
    return ", ".join([text.slot_label(scores, slot, scale=True), *parts])


def ceiling(values: list[float]) -> float:
    """Return the difference that has the full colour: the largest that is not far beyond the typical one."""
    sizes = sorted(abs(v) for v in values)
    typical = sizes[(len(sizes) - 1) // 2] if sizes else 0.0
    kept = [v for v in sizes if v <= CLIP * typical] or sizes
    return max(kept, default=0.0) or 1.0


def draw(scores: Scores, results: Results, out: dict[str, Any]) -> CaptionedFigure | None:
    """Return the maps side by side; None where nothing is compared yet."""
    shown = panels(scores, results, out)
    if not shown:
        return None
    x, y = (next(a for a in scores.axes if a.path == out[side]) for side in ("x", "y"))
    s = text.style(out["metric"])
    wide, high = len(x.values), len(y.values)
    side = 0.5 + 0.055 * max(len(name) for name in x_axis.names(y))
    room = PAGE_IN - side - 0.8
    across = max(1, min(len(shown), int(room // (wide * CELL_IN + 0.15))))
    cell = min(1.05, (room - 0.15 * across) / (wide * across))
    down = -(-len(shown) // across)
    figure = new_figure(side + 0.8 + across * (wide * cell + 0.15), down * (high * 0.4 + 0.75))
    grid = figure.subplots(down, across, squeeze=False)
    top = ceiling([r.difference.mean for panel in shown for r in panel.results if r.difference])
    for ax in grid.flat[len(shown) :]:
        ax.remove()
    for n, (ax, panel) in enumerate(zip(grid.flat, shown, strict=False)):
        _map(ax, panel, s, top, cell)
        ax.set_title(panel.title, loc="left", fontsize=7)
        x_axis.set_names(ax, x, wide * cell)
        ax.set_yticks(range(high), x_axis.names(y) if n % across == 0 else [""] * high)
        ax.set_xlabel(x.title if n + across >= len(shown) else "")
        ax.set_ylabel(y.title if n % across == 0 else "")
    _bar(figure, grid.flat[: len(shown)], shown, s, top)
    stem = f"{text.slug(out['x'].rpartition('.')[2])}_{text.slug(out['y'].rpartition('.')[2])}"
    return CaptionedFigure(
        f"figure_heatmap_{text.slug(out['metric'])}_{stem}", _caption(scores, shown, s, x.title, y.title), figure
    )


def _map(ax: Axes, panel: Panel, s: text.MetricStyle, top: float, cell: float) -> None:
    import matplotlib as mpl

    sign = 1 if s.higher_is_better else -1
    values = [[sign * c.difference.mean if isinstance(c, Result) and c.difference else np.nan for c in row]
              for row in panel.cells]  # fmt: skip
    colours = mpl.colormaps["RdBu"].with_extremes(bad="0.94")
    ax.imshow(np.ma.masked_invalid(values), cmap=colours, vmin=-top, vmax=top, aspect="auto")
    ax.set_xticks(np.arange(len(values[0]) + 1) - 0.5, minor=True)
    ax.set_yticks(np.arange(len(values) + 1) - 0.5, minor=True)
    ax.grid(which="minor", color="white", linewidth=1.2)
    ax.tick_params(which="both", length=0)
    for spine in ax.spines.values():
        spine.set_visible(False)
    broken = cell < 0.9 * CELL_IN
    size = min(6.0, 6.0 * cell / (0.45 if broken else CELL_IN))
    for r, row in enumerate(panel.cells):
        for c, one in enumerate(row):
            ink = "white" if abs(values[r][c]) > 0.65 * top else "black"
            if not isinstance(one, Result) or one.difference is None:
                told = one if isinstance(one, str) else "–"
                ax.text(c, r, told, ha="center", va="center", fontsize=size, color=GREY)
                continue
            told = text.interval(one.difference, s.delta_decimals)
            mark = {"better": "*", "worse": "†", "": ""}[one.verdict]
            main = text.signed(one.difference.mean, s.delta_decimals) + mark
            ax.text(c, r - 0.14, main, ha="center", va="center", fontsize=size + 1, color=ink)
            told = told.replace(", ", ",\n") if broken else told
            ax.text(c, r + 0.24, told, ha="center", va="center", fontsize=size - 0.4, color=ink, linespacing=0.9)


def _bar(figure: Any, axes: Any, shown: list[Panel], s: text.MetricStyle, top: float) -> None:
    """The colour scale, with an arrow on the side where a cell lies beyond it."""
    sign = 1 if s.higher_is_better else -1
    means = [sign * r.difference.mean for panel in shown for r in panel.results if r.difference]
    below, above = min(means) < -1.001 * top, max(means) > 1.001 * top
    extend = {(True, True): "both", (True, False): "min", (False, True): "max"}.get((below, above), "neither")
    bar = figure.colorbar(axes[0].images[0], ax=list(axes), extend=extend, shrink=0.9, aspect=18, pad=0.02)
    bar.outline.set_visible(False)
    ticks = [-top, 0.0, top]
    bar.set_ticks(ticks, labels=[text.signed(sign * t, s.delta_decimals) for t in ticks])
    unit = f" ({s.unit.strip()})" if s.unit else ""
    bar.set_label(f"Δ {s.label}{unit}", fontsize=7)
    bar.ax.tick_params(labelsize=6.5, length=2)


def _caption(scores: Scores, shown: list[Panel], s: text.MetricStyle, x: str, y: str) -> str:
    cells = [r for panel in shown for r in panel.results]
    found = [r.difference for r in cells if r.difference]
    levels = {d.level for d in found}
    how = "crossed seed-by-image t" if "method" in levels else "t over images, these checkpoints only"
    sizes = f"{text.span([d.seeds for d in found], 'seed')}, {text.span([d.images for d in found], 'image')}"
    words = [f"{s.label} over {x} and {y}: mean paired difference to {scores.baseline_label} with its 95 % interval"]
    words += [f"({how}; {sizes}). Blue: better than the baseline; red: worse."]
    if any(r.p_holm is not None and r.difference and r.difference.seeds >= STAR_SEEDS for r in cells):
        words.append("* better, † worse: Holm-adjusted p < 0.05 within all arms of one test set.")
    top = ceiling([d.mean for d in found])
    if any(abs(d.mean) > 1.001 * top for d in found):
        words.append(f"Colours end at {text.number(top, s.delta_decimals)}{s.unit}; the numbers do not.")
    return " ".join([*words, *captions.specs({r.condition: None for r in cells})])
