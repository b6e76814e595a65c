"""Figure: a metric against an axis, as the difference to the baseline with its interval."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from drnbench.outputs import captions, failed_seeds
from drnbench.outputs.curve_panels import Panel, has_differences, limits, panels
from drnbench.render import lines, style, text, x_axis
from drnbench.render.lines import Point
from drnbench.render.style import COLOURS, GREY, CaptionedFigure
from drnbench.results.plan_record import AxisRecord
from drnbench.results.scores import Scores
from drnbench.results.summary import Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from drnbench.outputs.curve import Curve


def draw(scores: Scores, results: Results, output: Curve) -> CaptionedFigure | None:
    """Return one panel for each evaluation; None where nothing is scored yet."""
    shown = panels(scores, results, output)
    if not shown:
        return None
    axis, s = scores.plan.axis(output.x), text.style(output.y)
    deltas = has_differences(results, scores, output.y)
    figure, axes = style.new_panels(len(shown), 2.3, extra=0.35, width=output.width)
    # One scale for all panels: an arm that is off scale is so by one rule, and heights may be compared.
    everything, bands = [p for panel in shown for p in panel.points], [b for panel in shown for b in panel.bands]
    low, high, far = limits(everything, bands) if deltas else (0.0, 1.0, list[Point]())
    for ax, panel in zip(axes, shown, strict=True):
        hidden = [point for point in panel.points if point in far]
        if deltas:
            _references(ax, panel, f"baseline, {scores.baseline_label}")
        lines.draw(ax, panel.lines, axis, log=output.log, hidden=hidden)
        if deltas:
            ax.set_ylim(low, high)
        for point in hidden:
            _arrow(ax, point, s, lines.colour_of(panel.lines, point), right=_is_right(point, panel.points))
        x_axis.draw(ax, axis, log=output.log)
        ax.set_title(panel.title, loc="left")
    difference = "Δ {} to the baseline" if deltas else "{}"
    unit = s.axis_label.removeprefix(s.label)
    style.label_rows(axes, f"{difference.format(s.label)}{unit}\n{s.direction}")
    style.legend(figure, style.legend_entries(axes))
    name = f"figure_{text.slug(output.y)}_{text.path_slug(output.x)}"
    rows = [
        [panel.title.partition("\n")[0], label, p.x, p.value, p.low, p.high]
        for panel in shown for label, points in panel.lines.items() for p in points
    ]  # fmt: skip
    data = style.data(["panel", "line", axis.title, "delta" if deltas else "mean", "low", "high"], rows)
    return CaptionedFigure(name, _caption(scores, results, s, output.y, axis, deltas=deltas), figure, data)


def _references(ax: Axes, panel: Panel, baseline: str) -> None:
    """Draw zero, the positive control as a band, and other named arms as lines."""
    ax.axhline(0, color=GREY, linewidth=0.8, zorder=1, label=baseline)
    others = 0
    dashes: Any
    for reference in panel.references:
        if reference.control:
            ax.axhspan(reference.low, reference.high, color=COLOURS[2], alpha=0.15, linewidth=0, zorder=0)
            colour, dashes, width = COLOURS[2], "--", 1.0
        else:
            others += 1
            colour, dashes, width = COLOURS[2 + others], (0, (1, 1 + others)), 1.2
        ax.axhline(reference.value, color=colour, linestyle=dashes, linewidth=width, label=reference.label)


def _is_right(point: Point, points: list[Point]) -> bool:
    xs = [p.x for p in points]
    return point.x > (min(xs) + max(xs)) / 2


def _arrow(ax: Axes, point: Point, s: text.MetricStyle, colour: str, *, right: bool) -> None:
    """Draw a point that is off scale at the edge in the colour of its line, with its value towards the middle of the panel."""
    below = point.value < 0
    edge = 0.0 if below else 1.0
    ax.plot(
        [point.x], [edge], marker="v" if below else "^", color=colour, markersize=5, clip_on=False,
        transform=ax.get_xaxis_transform(), zorder=4,
    )  # fmt: skip
    message = f"off scale: {text.signed(point.value, 2)}"
    if point.low != point.high:
        message += f" [{text.signed(point.low, 2)}, {text.signed(point.high, 2)}]"
    ax.annotate(
        message + s.unit, (point.x, edge), xycoords=ax.get_xaxis_transform(),
        xytext=(-6 if right else 6, 4 if below else -4), textcoords="offset points",
        ha="right" if right else "left", va="bottom" if below else "top", fontsize=6.5,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8, "alpha": 0.85}, zorder=5,
    )  # fmt: skip


def _caption(
    scores: Scores, results: Results, s: text.MetricStyle, metric: str, axis: AxisRecord, *, deltas: bool
) -> str:
    failed = failed_seeds.sentences(scores)
    if not deltas:
        means = (
            f"{s.label} against {axis.title}: mean and {scores.confidence} t interval over the seeds' test-set means."
        )
        return " ".join([means, *failed])
    differences = [r.difference for r in results.values() if r.difference and r.metric == metric]
    seeds = text.span([d.seeds for d in differences], "seed")
    caption = (
        f"{s.label} against {axis.title}: mean paired difference to {scores.baseline_label} with its "
        f"{scores.confidence} interval ({captions.interval_method(differences)}; {seeds})."
    )
    if scores.control and scores.control.kind == "named":
        caption += f" Dashed, with its interval: the positive control, {scores.plan.control}."
    return " ".join([caption, *failed])
