"""Figure: the effective kernel of the learned D beside that of the true degradation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from drnbench.outputs import captions
from drnbench.render import text
from drnbench.render.style import GREY, PAGE_IN, CaptionedFigure, new_figure
from drnbench.results.scores import Arm, Condition, Scores
from drnbench.results.summary import Result, Results
from drnbench.store import Store, safe

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]
METRIC = "dual_mae"
FAINT = 0.03
"""Weights below this share of a column's largest are cut off around the middle: a kernel of 33 pixels is mostly zero."""
ROWS = 6
SATURATED = 2.0
"""Colours end at this many times the largest learned weight at most."""


@dataclass(frozen=True)
class Kernels:
    """What one arm's D does: kernels in HR pixels, centred on the LR pixel, mean over seeds."""

    arm: Arm
    learned: Array
    true: Array | None
    seeds: int
    error: Result | None


def read(store: Store, scores: Scores, results: Results, arm: Arm) -> Kernels | None:
    """Return the kernels of an arm; None where it has no D or nothing is looked at yet."""
    learned, true = [], None
    condition = error_condition(scores, arm)
    if condition is None:
        return None
    for trial in arm.trials:
        path = store.trial(trial.key) / "dual_kernel" / f"{safe(condition.kernel)}.npz"
        if not path.exists():
            continue
        with np.load(path) as arrays:
            learned.append(arrays["learned"].astype(np.float64))
            if "true" in arrays and arrays["true"].size:
                true = arrays["true"].astype(np.float64)
    if not learned:
        return None
    error = results.get((arm.name, condition, METRIC))
    return Kernels(arm, np.mean([fit(k, learned[0].shape) for k in learned], axis=0), true, len(learned), error)


def error_condition(scores: Scores, arm: Arm) -> Condition | None:
    """Return the first condition of an arm on which D is compared with the true degradation."""
    return next((p for p in arm.conditions if METRIC in scores.metrics[p]), None)


def draw(scores: Scores, results: Results, store: Store, out: dict[str, Any]) -> CaptionedFigure | None:
    """Return one column a value of the axis, the true kernels above; None where no D was looked at."""
    axis = scores.plan.axis(out["x"])
    others = [a for a in scores.axes if a.path != out["x"]]
    rows: dict[str, dict[int, Kernels]] = {}
    for arm in scores.arms:
        found = read(store, scores, results, arm) if arm.kind == "grid" else None
        if found is not None:
            values = {a.path: arm.values[a.path] for a in others}
            telling = ", ".join(
                text.shown(v, a.path) if a.named else f"{a.title}={text.shown(v, a.path)}"
                for a, v in zip(others, values.values(), strict=True)
                if len({repr(o.values[a.path]) for o in scores.arms if o.kind == "grid"}) > 1
            )
            rows.setdefault(telling, {})[axis.values.index(arm.values[axis.path])] = found
    if not rows:
        return None
    more, rows = list(rows)[ROWS:], dict(list(rows.items())[:ROWS])
    columns = sorted({n for row in rows.values() for n in row})
    heads = [_wrap(text.shown(axis.values[column], axis.path)) for column in columns]
    figure, grid, bars = _frame(len(rows) + 1, len(columns), max(head.count("\n") + 1 for head in heads))
    shown = {column: [row[column] for row in rows.values() if column in row] for column in columns}
    truths = {column: next((k.true for k in mine if k.true is not None), None) for column, mine in shown.items()}
    tops = {column: max(_top(k.learned, truths[column]) for k in mine) for column, mine in shown.items()}
    # One window for all, so that kernels are seen at their sizes.
    side = max(_extent(k.learned, FAINT * tops[column]) for column, mine in shown.items() for k in mine)
    side = max([side, *(_extent(true, FAINT * tops[column]) for column, true in truths.items() if true is not None)])
    for c, column in enumerate(columns):
        true, top = truths[column], tops[column]
        picture = _cell(grid[0][c], true, side, top, "")
        for r, row in enumerate(rows.values(), start=1):
            one = row.get(column)
            drawn = _cell(grid[r][c], one.learned if one else None, side, top, _below(one))
            picture = picture or drawn
        grid[0][c].set_title(heads[c], fontsize=7, pad=3)
        bar = figure.colorbar(picture, cax=bars[c], orientation="horizontal")
        bar.outline.set_visible(False)
        bar.set_ticks([-top, 0, top], labels=[text.number(t, 2 if top >= 0.1 else 3) for t in (-top, 0, top)])
        bar.ax.tick_params(labelsize=5.5, length=1.5, pad=1)
    for r, name in enumerate(["true kernel", *(name or "learned D" for name in rows)]):
        grid[r][0].set_ylabel(_wrap(name), fontsize=7, labelpad=4)
    words = _caption(scores, rows, axis.title)
    if more:
        words += f" {text.count(len(more), 'more row')} not shown."
    return CaptionedFigure(f"figure_dual_kernel_{text.slug(out['x'].rpartition('.')[2])}", words, figure)


def _frame(down: int, across: int, lines: int) -> tuple[Any, list[list[Axes]], list[Axes]]:
    """Square cells in inches; a slim colour bar under each column."""
    left, gap, below, head, foot = 0.55, 0.16, 0.2, 0.14 + 0.13 * lines, 0.36
    side = min(1.25, (PAGE_IN - left - gap * (across - 1) - 0.1) / across)
    width, height = left + across * (side + gap), head + down * (side + below) + foot
    figure = new_figure(width, height)
    figure.set_layout_engine("none")
    grid, bars = [], []
    for r in range(down):
        bottom = height - head - side - r * (side + below)
        grid.append([
            figure.add_axes(((left + c * (side + gap)) / width, bottom / height, side / width, side / height))
            for c in range(across)
        ])  # fmt: skip
    for c in range(across):
        spot = (left + c * (side + gap) + 0.1 * side) / width, (foot - 0.14) / height, 0.8 * side / width, 0.05 / height
        bars.append(figure.add_axes(spot))
    return figure, grid, bars


def _top(learned: Array, true: Array | None) -> float:
    """Return where the colours end: a single bright pixel (nearest) may not leave the learned kernel blank."""
    peak = float(np.abs(learned).max())
    sharp = float(np.abs(true).max()) if true is not None else 0.0
    return max(peak, min(sharp, SATURATED * peak) if peak else sharp) or 1.0


def _extent(kernel: Array, least: float) -> int:
    """Return the side, odd or even as the kernel's, of the middle square outside of which nothing is worth a look."""
    strong = np.argwhere(np.abs(kernel) > least)
    middle = (np.array(kernel.shape) - 1) / 2
    reach = float(np.abs(strong - middle).max()) if len(strong) else 0.0
    return int(min(max(kernel.shape), 2 * reach + 3))


def fit(kernel: Array, shape: tuple[int, ...]) -> Array:
    """Return the kernel with its middle on the middle of another shape, zeros around it or its edges cut."""
    out = np.zeros(shape)
    for_out, for_in = [], []
    for have, want in zip(kernel.shape, shape, strict=True):
        # Sizes of one parity have one middle; of two, the middles lie half a pixel apart.
        before = (want - have) // 2
        for_out.append(slice(max(before, 0), max(before, 0) + min(have, want)))
        for_in.append(slice(max(-before, 0), max(-before, 0) + min(have, want)))
    out[tuple(for_out)] = kernel[tuple(for_in)]
    return out


def _cell(ax: Axes, kernel: Array | None, side: int, top: float, below: str) -> Any:
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set(visible=kernel is not None, color="0.7", linewidth=0.4)
    ax.set_xlabel(below, fontsize=6, labelpad=2)
    if kernel is None:
        ax.text(0.5, 0.5, "not known", color=GREY, fontsize=6, ha="center", va="center", transform=ax.transAxes)
        return None
    # The same parity as the kernel's: its middle must stay the middle.
    square = (side + (side - kernel.shape[0]) % 2,) * 2
    edge = square[0] / 2
    picture = ax.imshow(
        fit(kernel, square), cmap="RdBu_r", vmin=-top, vmax=top, interpolation="nearest",
        extent=(-edge, edge, edge, -edge),
    )  # fmt: skip
    # The LR pixel's centre.
    ax.plot([0], [0], marker="+", color="0.25", markersize=4, markeredgewidth=0.5)
    return picture


def _below(one: Kernels | None) -> str:
    if one is None or one.error is None or one.error.mean is None:
        return ""
    s = text.style(METRIC)
    half = f" ± {text.number(one.error.half_width, s.decimals)}" if one.error.half_width is not None else ""
    return f"{s.label} {text.number(one.error.mean, s.decimals)}{half}"


def _wrap(words: str) -> str:
    import textwrap

    return "\n".join(textwrap.wrap(words, 20))


def _caption(scores: Scores, rows: dict[str, dict[int, Kernels]], title: str) -> str:
    shown = [one for row in rows.values() for one in row.values()]
    s = text.style(METRIC)
    seeds = text.span([one.seeds for one in shown], "seed")
    parts = [f"Effective kernel of the learned D for each {title}; above, the true kernel."]
    parts.append(f"HR pixels around the centre of an LR pixel (+), mean over colours and {seeds}.")
    parts.append("One scale in a column: red is positive, blue negative, the darkest also what lies beyond the scale.")
    errors = [one.error for one in shown if one.error is not None and one.error.mean is not None]
    if errors:
        unit = f" in{s.unit}" if s.unit else ""
        parts.append(f"Below: {s.label}, the mean absolute difference between D(HR) and the true LR image{unit}.")
    conditions = {condition: None for one in shown if (condition := error_condition(scores, one.arm))}
    return " ".join([*parts, *captions.specs(conditions)])
