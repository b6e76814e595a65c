"""Figure: a metric against an axis, as the difference to the baseline with its interval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from drnbench.render import text, x_axis
from drnbench.render.style import COLOURS, COLUMN_IN, GREY, PAGE_IN, CaptionedFigure, legend, new_figure
from drnbench.results import layout
from drnbench.results.plan_record import AxisRecord
from drnbench.results.scores import Arm, Condition, Scores
from drnbench.results.summary import Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes

OFF_SCALE = 4.0
"""A difference this many times the span of the others becomes an arrow with its value: it would flatten them."""


@dataclass(frozen=True)
class Point:
    """One arm: position, value and interval (equal to the value where there is none)."""

    x: float
    value: float
    low: float
    high: float
    baseline: bool = False


def draw(scores: Scores, results: Results, out: dict[str, Any]) -> CaptionedFigure | None:
    """Return one panel for each evaluation; None where nothing is scored yet."""
    axis = scores.plan.axis(out["x"])
    s = text.style(out["y"])
    panels = _panels(scores, out)
    deltas = _has_deltas(scores, results, out)
    shown = []
    for conditions in panels.values():
        lines = _lines(scores, results, out, axis, conditions, deltas=deltas)
        if any(lines.values()):
            shown.append((conditions, lines))
    if not shown:
        return None
    columns = min(2, len(shown))
    rows = -(-len(shown) // columns)
    figure = new_figure(PAGE_IN if columns == 2 else COLUMN_IN, 2.3 * rows + 0.35)
    grid = figure.subplots(rows, columns, squeeze=False)
    for ax in grid.flat[len(shown) :]:
        ax.remove()
    for ax, (conditions, lines) in zip(grid.flat, shown, strict=False):
        _panel(ax, scores, results, out, axis, conditions, lines, deltas=deltas)
    what = f"Δ {s.label} to the baseline" if deltas else s.label
    unit = f" ({s.unit.strip()})" if s.unit else ""
    better = "higher is better" if s.higher_is_better else "lower is better"
    for n, ax in enumerate(grid.flat[: len(shown)]):
        if n % columns == 0:
            ax.set_ylabel(f"{what}{unit}\n{better}")
    _legend(figure, grid.flat[: len(shown)])
    name = f"figure_{text.slug(out['y'])}_{text.slug(out['x'].rpartition('.')[2])}"
    return CaptionedFigure(name, _caption(scores, results, out, axis, deltas=deltas), figure)


def _panels(scores: Scores, out: dict[str, Any]) -> dict[layout.Slot, list[Condition]]:
    """One panel for each evaluation; what the horizontal moves (scale, a kernel) are points of one panel."""
    fields = layout.moved(scores, [out["x"]])
    panels: dict[layout.Slot, list[Condition]] = {}
    for arm in scores.arms:
        for condition, slot in layout.slots(arm, fields).items() if arm.kind != "reference" else ():
            if out["y"] in scores.metrics[condition] and condition not in panels.setdefault(slot, []):
                panels[slot].append(condition)
    return panels


def _has_deltas(scores: Scores, results: Results, out: dict[str, Any]) -> bool:
    return any(r.difference and r.metric == out["y"] and scores.arm(r.arm).kind == "grid" for r in results.values())


def _lines(
    scores: Scores,
    results: Results,
    out: dict[str, Any],
    axis: AxisRecord,
    conditions: list[Condition],
    *,
    deltas: bool,
) -> dict[str, list[Point]]:
    """One line for each combination of the other axes."""
    lines: dict[tuple[str, ...], list[Point]] = {}
    # Where an axis moves the conditions, the panel tells its value.
    others = [a for a in scores.axes if a.path not in {out["x"], *layout.moving(scores)}]
    for arm in scores.arms:
        if arm.kind != "grid":
            continue
        label = tuple(f"{a.title}={text.shown(arm.values[a.path], a.path)}" for a in others)
        x = x_axis.position(axis, arm.values[out["x"]])
        for condition in conditions:
            point = _point(scores, results, arm, condition, out["y"], x, deltas=deltas)
            if point is not None:
                lines.setdefault(label, []).append(point)
    # Baselines lie on the zero line, which is drawn and named anyway.
    telling = {label for label, points in lines.items() if not all(p.baseline for p in points)}
    kept = {label: points for label, points in lines.items() if not telling or label in telling}
    varied = [n for n in range(len(others)) if len({label[n] for label in kept}) > 1]
    return {", ".join(k[n] for n in varied): sorted(points, key=lambda p: p.x) for k, points in kept.items()}


def _point(
    scores: Scores, results: Results, arm: Arm, condition: Condition, metric: str, x: float, *, deltas: bool
) -> Point | None:
    result = results.get((arm.name, condition, metric))
    if result is None or result.mean is None:
        return None
    if not deltas:
        half = result.half_width or 0.0
        return Point(x, result.mean, result.mean - half, result.mean + half)
    d = result.difference
    if d is None:
        return Point(x, 0.0, 0.0, 0.0, baseline=True) if scores.is_baseline(arm) else None
    return Point(x, d.mean, d.mean if d.low is None else d.low, d.mean if d.high is None else d.high)


def limits(points: list[Point], bands: list[tuple[float, float]]) -> tuple[float, float, list[Point]]:
    """Return the vertical limits, and the points that lie so far out that they are drawn as arrows.

    A collapse of 10 dB on a linear scale would hide every difference of 0.1 dB; it is written instead.
    """
    values = np.array([abs(p.value) for p in points if not p.baseline] or [0.0])
    widths = np.array([p.high - p.low for p in points if not p.baseline] or [0.0]) / 2
    edges = [abs(e) for band in bands for e in band]
    # The lower median: of two arms, a collapsed one must not set the scale of the other.
    typical = [float(np.percentile(v, 50, method="lower")) for v in (values, widths)]
    span = max([*(3 * t for t in typical), *edges])
    out = [p for p in points if abs(p.value) > OFF_SCALE * span]
    kept = [p for p in points if p not in out]
    if not [p for p in kept if not p.baseline]:
        out, kept = [], points
    low = min([0.0, *(p.low for p in kept), *(b[0] for b in bands)])
    high = max([0.0, *(p.high for p in kept), *(b[1] for b in bands)])
    pad = 0.08 * (high - low or 1.0)
    return (
        low - pad * (3 if any(p.value < 0 for p in out) else 1),
        high + pad * (3 if any(p.value > 0 for p in out) else 1),
        out,
    )


def _panel(
    ax: Axes, scores: Scores, results: Results, out: dict[str, Any], axis: AxisRecord, conditions: list[Condition],
    lines: dict[str, list[Point]], *, deltas: bool,
) -> None:  # fmt: skip
    points = [p for line in lines.values() for p in line]
    bands = []
    if deltas:
        bands = _references(ax, scores, results, out, conditions)
        low, high, far = limits(points, bands)
    else:
        low = high = 0.0
        far = []
    marks = "osD^vP*X"
    width = max(p.x for p in points) - min(p.x for p in points) or 1.0
    for n, (label, line) in enumerate(lines.items()):
        # Lines over one another are told apart by a small step to the side.
        step = 0.1 if x_axis.numbers(axis) is None else 0.0 if out["log"] else 0.012 * width
        shift = (n - (len(lines) - 1) / 2) * step
        colour = COLOURS[n % 10]
        xs = [p.x + shift for p in line]
        heights = [float("nan") if p in far else p.value for p in line]
        if x_axis.numbers(axis) is not None:
            # Between names there is nothing to connect.
            ax.plot(xs, heights, color=colour, alpha=0.55, linewidth=1.0, zorder=2)
        for hollow in (False, True):
            mine = [(x, p) for x, p in zip(xs, line, strict=True) if p not in far and p.baseline == hollow]
            if mine:
                yerr = [[p.value - p.low for _, p in mine], [p.high - p.value for _, p in mine]]
                ax.errorbar(
                    [x for x, _ in mine], [p.value for _, p in mine], yerr=yerr, color=colour, capsize=2.0, elinewidth=1.0,
                    linestyle="none", marker=marks[n % len(marks)], markerfacecolor="white" if hollow else colour, zorder=3,
                )  # fmt: skip
        if label:
            ax.plot([], [], color=colour, marker=marks[n % len(marks)], label=label)
    if deltas:
        ax.set_ylim(low, high)
    for p in far:
        _arrow(ax, p, out["y"], points)
    x_axis.draw(ax, axis, log=out["log"])
    _title(ax, scores, results, out, conditions, deltas=deltas)


def _references(
    ax: Axes, scores: Scores, results: Results, out: dict[str, Any], conditions: list[Condition]
) -> list[tuple[float, float]]:
    """Zero, the positive control as a band, and other named arms as lines."""
    ax.axhline(0, color=GREY, linewidth=0.8, zorder=1, label=f"baseline, {scores.baseline_label}")
    bands, used = [], 0
    for arm in scores.arms:
        found = [results.get((arm.name, condition, out["y"])) for condition in conditions]
        d = next((r.difference for r in found if r and r.difference), None)
        if arm.kind != "named" or d is None:
            continue
        low, high = (d.mean if edge is None else edge for edge in (d.low, d.high))
        if scores.is_control(arm):
            ax.axhspan(low, high, color=COLOURS[2], alpha=0.15, linewidth=0, zorder=0)
            ax.axhline(
                d.mean,
                color=COLOURS[2],
                linestyle="--",
                linewidth=1.0,
                label=f"{arm.name} (positive control)",
            )
            bands.append((low, high))
        elif used < 4:
            used += 1
            ax.axhline(d.mean, color=COLOURS[2 + used], linestyle=(0, (1, 1 + used)), linewidth=1.2, label=arm.name)
    return bands


def _arrow(ax: Axes, p: Point, metric: str, points: list[Point]) -> None:
    s = text.style(metric)
    below = p.value < 0
    xs = sorted(q.x for q in points)
    right = p.x > (xs[0] + xs[-1]) / 2
    ax.plot(
        [p.x], [0.0 if below else 1.0], marker="v" if below else "^", color="black", markersize=5, clip_on=False,
        transform=ax.get_xaxis_transform(), zorder=4,
    )  # fmt: skip
    words = f"off scale: {text.signed(p.value, 2)}"
    if p.low != p.high:
        words += f" [{text.signed(p.low, 2)}, {text.signed(p.high, 2)}]"
    ax.annotate(
        words + s.unit, (p.x, 0.0 if below else 1.0), xycoords=ax.get_xaxis_transform(),
        xytext=(-6 if right else 6, 4 if below else -4), textcoords="offset points",
        ha="right" if right else "left", va="bottom" if below else "top", fontsize=6.5,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8, "alpha": 0.85}, zorder=5,
    )  # fmt: skip


def _title(
    ax: Axes, scores: Scores, results: Results, out: dict[str, Any], conditions: list[Condition], *, deltas: bool
) -> None:
    s = text.style(out["y"])
    name = conditions[0].label if len(conditions) == 1 else text.common(conditions)
    told = ""
    if deltas and len(conditions) == 1:
        bases = [a for a in scores.arms if conditions[0] in a.conditions and scores.is_baseline(a)]
        # Of several baselines, none can stand in the title.
        base = bases[0] if len(bases) == 1 else None
        result = results.get((base.name, conditions[0], out["y"])) if base else None
        if base and result and result.mean is not None:
            told = f"\n{base.name}: {text.number(result.mean, s.decimals)}{s.unit}"
    ax.set_title(name + told, loc="left")


def _legend(figure: Any, panels: Any) -> None:
    entries: dict[str, Any] = {}
    for ax in panels:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    legend(figure, entries)


def _caption(scores: Scores, results: Results, out: dict[str, Any], axis: AxisRecord, *, deltas: bool) -> str:
    s = text.style(out["y"])
    if not deltas:
        return f"{s.label} against {axis.title}: mean and 95 % t interval over the seeds' test-set means."
    found = [r.difference for r in results.values() if r.difference and r.metric == out["y"]]
    seeds = text.span([d.seeds for d in found], "seed")
    how = (
        "crossed seed-by-image t"
        if any(d.level == "method" for d in found)
        else "t over images, these checkpoints only"
    )
    words = (
        f"{s.label} against {axis.title}: mean paired difference to {scores.baseline_label} with its "
        f"95 % interval ({how}; {seeds})."
    )
    if scores.control and scores.control.kind == "named":
        words += f" Dashed, with its interval: the positive control, {scores.plan.control}."
    return words
