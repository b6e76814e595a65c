"""Figure: a metric against what it costs, one labelled point an arm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from drnbench.outputs import captions
from drnbench.render import label_placement, text
from drnbench.render.style import COLOURS, COLUMN_IN, GREY, PAGE_IN, CaptionedFigure, new_figure
from drnbench.results import costs as costing
from drnbench.results.costs import Costs
from drnbench.results.scores import Arm, Condition, Scores
from drnbench.results.summary import Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FAR = 4.0
"""An arm that makes the vertical so many times as long as the others need it becomes an arrow: a collapse."""
PANELS = 6
"""A page has room for so many test sets."""


@dataclass(frozen=True)
class Point:
    """One arm; `cost` None: it has none to speak of, and is drawn as a line."""

    arm: Arm
    label: str
    cost: float | None
    value: float
    half: float


def points(scores: Scores, results: Results, costs: Costs, out: dict[str, Any], condition: Condition) -> list[Point]:
    """Return the arms of one test set that have a score and, unless they are references, a cost."""
    found = []
    at = [arm for arm in scores.arms if condition in arm.conditions]
    for arm in at:
        result = results.get((arm.name, condition, out["y"]))
        cost = costs[arm.name].get(out["x"]) or None
        if result is None or result.mean is None or (cost is None and arm.kind != "reference"):
            continue
        found.append(Point(arm, text.arm_label(scores, arm, at), cost, result.mean, result.half_width or 0.0))
    return found


def draw(scores: Scores, results: Results, costs: Costs, out: dict[str, Any]) -> CaptionedFigure | None:
    """Return a panel for each test set; None where no arm has both a score and a cost."""
    conditions = [p for p in scores.conditions if out["y"] in scores.metrics[p]]
    shown = [(condition, points(scores, results, costs, out, condition)) for condition in conditions]
    shown = [(condition, found) for condition, found in shown if any(p.cost is not None for p in found)]
    left, shown = shown[PANELS:], shown[:PANELS]
    if not shown:
        return None
    across = min(2, len(shown))
    down = -(-len(shown) // across)
    figure = new_figure(PAGE_IN if across == 2 else COLUMN_IN * 1.3, 2.6 * down)
    grid = figure.subplots(down, across, squeeze=False)
    for ax in grid.flat[len(shown) :]:
        ax.remove()
    s = text.style(out["y"])
    head, divisor = costing.unit(out["x"], [p.cost for _, found in shown for p in found if p.cost])
    for n, (ax, (condition, found)) in enumerate(zip(grid.flat, shown, strict=False)):
        _panel(ax, scores, found, divisor, s)
        ax.set_title(condition.label, loc="left")
        ax.set_xlabel(head)
        if n % across == 0:
            better = "higher is better" if s.higher_is_better else "lower is better"
            ax.set_ylabel(f"{s.label}{f' ({s.unit.strip()})' if s.unit else ''}\n{better}")
    # Labels are placed in pixels, which are known once everything else has its position.
    figure.canvas.draw()
    for ax, (_, found) in zip(grid.flat, shown, strict=False):
        label_placement.write(ax, _labels(ax, found, divisor, s))
    return CaptionedFigure(
        f"figure_{text.slug(out['y'])}_against_{out['x']}", _caption(scores, shown, out, len(left)), figure
    )


def _caption(scores: Scores, shown: list[tuple[Condition, list[Point]]], out: dict[str, Any], left: int) -> str:
    s = text.style(out["y"])
    words = [
        f"{s.label} against cost, one point an arm: mean and 95 % t interval over the seeds' test-set means.",
        costing.WORDS[out["x"]],
    ]
    if scores.baseline:
        words.append(f"Hollow: {scores.baseline_label}.")
    if any(p.cost is None for _, found in shown for p in found):
        words.append("Dotted: bicubic, which costs nothing to speak of.")
    if any(off_scale(found) for _, found in shown):
        words.append("Arrows: off scale.")
    if left:
        words.append(f"{text.count(left, 'more test set')} not shown.")
    return " ".join([*words, *captions.specs(condition for condition, _ in shown)])


def _colours() -> list[str]:
    # Grey is for what belongs to no arm; pink and yellow are too light for words.
    return [c for n, c in enumerate(COLOURS) if n not in {6, 7, 8}]


def _panel(ax: Axes, scores: Scores, found: list[Point], divisor: float, s: text.MetricStyle) -> None:
    colours = _colours()
    ax.set_xscale("log")
    placed = [p for p in found if p.cost is not None]
    far = off_scale(found)
    xs = [p.cost / divisor for p in placed if p.cost is not None]
    # Room for labels on both sides, also where all arms cost the same.
    wide = max(2.0, (max(xs) / min(xs)) ** 0.35)
    ax.set_xlim(min(xs) / wide, max(xs) * wide)
    edges = [e for p in found if p not in far for e in (p.value - p.half, p.value + p.half)]
    pad = 0.18 * (max(edges) - min(edges) or 1.0)
    ax.set_ylim(min(edges) - pad * (1.5 if far else 1), max(edges) + pad)
    for n, p in enumerate(placed):
        if p.cost is None or p in far:
            continue
        colour = colours[n % len(colours)]
        ax.errorbar(
            p.cost / divisor, p.value, yerr=p.half or None, color=colour, capsize=2.0, elinewidth=0.9,
            marker="osD^vP*X"[n // len(colours) % 8], linestyle="none",
            markerfacecolor="white" if scores.is_baseline(p.arm) else colour,
        )  # fmt: skip
    for p in found:
        if p.cost is None:
            _reference(ax, p, s, seen=p not in far)
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.xaxis.set_minor_formatter(lambda value, _: f"{value:g}" if f"{value:e}"[0] in "25" else "")
    ax.tick_params(axis="x", which="minor", labelsize=6)


def _reference(ax: Axes, p: Point, s: text.MetricStyle, *, seen: bool) -> None:
    if seen:
        ax.axhline(p.value, color=GREY, linestyle=":", linewidth=1.0, zorder=1)
    ax.annotate(
        p.label if seen else f"{p.label}, off scale: {text.number(p.value, s.decimals)}{s.unit}",
        (1.0, p.value if seen else 0.0), xycoords=ax.get_yaxis_transform() if seen else "axes fraction", xytext=(-2, 2),
        textcoords="offset points", ha="right", va="bottom", fontsize=label_placement.SIZE_PT, color=GREY,
    )  # fmt: skip


def off_scale(found: list[Point]) -> list[Point]:
    """Return what is so far from the arms that it would flatten their differences: a collapsed arm, or bicubic."""
    kept = sorted((p for p in found if p.cost is not None), key=lambda p: p.value)
    out: list[Point] = []
    while len(kept) > 2:
        rest = min((kept[1:], kept[:-1]), key=_span)
        if _span(kept) <= FAR * _span(rest):
            break
        out += [p for p in kept if p not in rest]
        kept = rest
    # One arm alone says nothing of a scale.
    return out + [p for p in found if p.cost is None and len(kept) > 1 and _span([*kept, p]) > FAR * _span(kept)]


def _span(points: list[Point]) -> float:
    edges = [e for p in points for e in (p.value - p.half, p.value + p.half)]
    return max(edges) - min(edges)


def _labels(ax: Axes, found: list[Point], divisor: float, s: text.MetricStyle) -> list[label_placement.Label]:
    """One label an arm; one that is off scale stands at the edge, with an arrow and its value."""
    low, high = ax.get_ylim()
    colours, far, out = _colours(), off_scale(found), []
    for n, p in enumerate(p for p in found if p.cost is not None):
        assert p.cost is not None
        x, y, colour = p.cost / divisor, min(max(p.value, low), high), colours[n % len(colours)]
        words = p.label
        if p in far:
            ax.plot(x, y, marker="v" if p.value < low else "^", color=colour, markersize=5, clip_on=False)
            words += f": {text.number(p.value, s.decimals)}{s.unit}"
        out.append(label_placement.Label(x, y, words, colour))
    return out
