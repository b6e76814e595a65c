"""Figure: a metric against a cost, one labelled point an arm."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from drnbench.config.outputs import COSTS
from drnbench.outputs import captions, failed_seeds
from drnbench.render import label_placement, style, text
from drnbench.render.spelling import cut
from drnbench.render.style import COLOURS, COLUMN_IN, GREY, MARKERS, CaptionedFigure
from drnbench.results.costs import Costs, description, scaled_unit, three_digits
from drnbench.results.scores import Arm, Condition, Scores
from drnbench.results.summary import Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from drnbench.outputs.tradeoff import Tradeoff

FAR = 4.0
"""An arm that makes the vertical axis this many times as long as the others need it is drawn as an arrow."""
LABEL = 32
"""Characters of a name beside a point."""
SIZE_PT, LEAST_PT, LARGEST_PT = 4.0, 2.5, 13.0
"""Diameters of points: without areas, and the smallest and the largest with them."""
PANELS = 6
"""Test sets that a page has room for."""
# Grey is for lines that belong to no arm; pink and yellow are too light for text.
DARK = [colour for n, colour in enumerate(COLOURS) if n not in {6, 7, 8}]


@dataclass(frozen=True)
class Point:
    """One arm; without a cost, which is then negligible, it is drawn as a line."""

    arm: Arm
    label: str
    cost: float | None
    value: float
    half: float
    area: float | None = None


@dataclass(frozen=True)
class _Mark:
    """A point that has a cost, in the units of the panel, with its colour, marker and size in points."""

    point: Point
    x: float
    colour: str
    marker: str
    size: float
    off_scale: bool


def points(scores: Scores, results: Results, costs: Costs, output: Tradeoff, condition: Condition) -> list[Point]:
    """Return the arms of one test set that have a score and, unless they are references, a cost.

    Of two costs, which depend on no test set, those of every arm that has both. Numbers are as in costs.csv.
    """
    if output.y in COSTS:
        return _cost_points(scores, costs, output)
    arms = [arm for arm in scores.arms if condition in arm.conditions]
    made = []
    for arm in arms:
        result = results.get((arm.name, condition, output.y))
        cost = costs[arm.name].get(output.x) or None
        if (
            result is not None
            and result.mean is not None
            and not result.equals_hr
            and (cost is not None or arm.kind == "reference")
        ):
            area = costs[arm.name].get(output.size) if output.size else None
            label = text.arm_label(scores, arm, arms)
            made.append(Point(arm, label, cost, result.mean, result.half_width or 0.0, area))
    return made


def _cost_points(scores: Scores, costs: Costs, output: Tradeoff) -> list[Point]:
    both = [(arm, costs[arm.name].get(output.x), costs[arm.name].get(output.y)) for arm in scores.arms]
    shown = [arm for arm, x, y in both if x and y]
    return [
        Point(arm, text.arm_label(scores, arm, shown), x, y, 0.0, costs[arm.name].get(output.size) if output.size else None)
        for arm, x, y in both if x and y
    ]  # fmt: skip


def _vertical(output: Tradeoff, shown: list[Point]) -> tuple[text.MetricStyle, float]:
    """Return how the vertical axis is written, and the divisor of its values."""
    if output.y not in COSTS:
        return text.style(output.y), 1.0
    label, divisor = scaled_unit(output.y, [p.value for p in shown])
    return text.MetricStyle(label, "", 2, 3, higher_is_better=False), divisor


def off_scale(points: list[Point]) -> list[Point]:
    """Return the points so far from the others that they would flatten their differences: collapsed arms, bicubic."""
    kept = sorted((p for p in points if p.cost is not None), key=lambda p: p.value)
    far: list[Point] = []
    while len(kept) > 2:
        rest = min((kept[1:], kept[:-1]), key=_span)
        if _span(kept) <= FAR * _span(rest):
            break
        far += [p for p in kept if p not in rest]
        kept = rest
    # One arm alone says nothing of a scale.
    references = [p for p in points if p.cost is None and len(kept) > 1]
    return far + [p for p in references if _span([*kept, p]) > FAR * _span(kept)]


def _span(points: list[Point]) -> float:
    edges = [edge for p in points for edge in (p.value - p.half, p.value + p.half)]
    return max(edges) - min(edges)


def draw(scores: Scores, results: Results, costs: Costs, output: Tradeoff) -> CaptionedFigure | None:
    """Return a panel for each test set; None where no arm has both a score and a cost."""
    conditions = [c for c in scores.conditions if output.y in scores.metrics[c]]
    if output.y in COSTS:
        conditions = [scores.primary[0]]
    panels = {condition: points(scores, results, costs, output, condition) for condition in conditions}
    panels = {condition: arms for condition, arms in panels.items() if any(p.cost is not None for p in arms)}
    shown = dict(list(panels.items())[:PANELS])
    if not shown:
        return None
    everything = [p for arms in shown.values() for p in arms]
    s, y_divisor = _vertical(output, everything)
    label, x_divisor = scaled_unit(output.x, [p.cost for p in everything if p.cost])
    scaled = [
        [replace(p, cost=p.cost and p.cost / x_divisor, value=p.value / y_divisor) for p in arms]
        for arms in shown.values()
    ]
    figure, axes = style.new_panels(len(shown), 2.6, single=COLUMN_IN * 1.3, width=output.width)
    for ax, condition, arms in zip(axes, shown, scaled, strict=True):
        _panel(ax, scores, arms, s)
        ax.set_title("" if output.y in COSTS else condition.label, loc="left")
        ax.set_xlabel(label)
    style.label_rows(axes, f"{s.axis_label}\n{s.direction}")
    # Labels are placed in pixels, once everything else has its place.
    figure.canvas.draw()
    for ax, arms in zip(axes, scaled, strict=True):
        _label(ax, arms, s)
    name = f"figure_{text.slug(output.y)}_against_{output.x}"
    # A cost belongs to no test set.
    rows = [
        [p.arm.name, *(() if output.y in COSTS else condition), p.cost, p.value, p.half, p.area]
        for condition, arms in shown.items()
        for p in arms
    ]
    fields = () if output.y in COSTS else Condition._fields
    data = style.data(["arm", *fields, output.x, output.y, "half_width", output.size or "area"], rows)
    return CaptionedFigure(
        name, _caption(scores, results, costs, shown, output, len(panels) - len(shown)), figure, data
    )


def _caption(
    scores: Scores, results: Results, costs: Costs, shown: dict[Condition, list[Point]], output: Tradeoff, left: int
) -> str:
    parts = [
        f"{text.style(output.y).label} against cost, one point an arm: mean and {scores.confidence} t interval over the seeds' "
        "test-set means."
        if output.y not in COSTS
        else f"{description(output.y, costs)} One point an arm.",
        description(output.x, costs),
    ]
    if areas := [p.area for arms in shown.values() for p in arms if p.area]:
        unit, divisor = scaled_unit(str(output.size), areas)
        limits = " to ".join(dict.fromkeys(three_digits(value / divisor) for value in (min(areas), max(areas))))
        parts.append(f"Areas of the points: {unit}, {limits}.")
    if scores.baseline:
        parts.append(f"Hollow: {scores.baseline_label}.")
    if any(p.cost is None for arms in shown.values() for p in arms):
        parts.append("Dotted: bicubic, whose cost is negligible.")
    if any(off_scale(arms) for arms in shown.values()):
        parts.append("Arrows: off scale.")
    if left:
        parts.append(f"{text.count(left, 'more test set')} not shown.")
    cells = [(p.arm.name, condition, output.y) for condition, arms in shown.items() for p in arms]
    means = [results[cell] for cell in cells if cell in results]
    parts += [
        *captions.different_seeds(scores, means),
        *failed_seeds.sentences(scores),
        *captions.kernel_specs(() if output.y in COSTS else shown),
    ]
    return " ".join(parts)


def _marks(points: list[Point]) -> list[_Mark]:
    far = off_scale(points)
    largest = max((p.area for p in points if p.area), default=0.0)
    marks = []
    for n, p in enumerate(p for p in points if p.cost is not None):
        again, colour = divmod(n, len(DARK))
        marker = MARKERS[again % len(MARKERS)]
        size = SIZE_PT if not largest else max(LEAST_PT, LARGEST_PT * ((p.area or 0.0) / largest) ** 0.5)
        marks.append(_Mark(p, p.cost or 0.0, DARK[colour], marker if not largest else "o", size, p in far))
    return marks


def _panel(ax: Axes, scores: Scores, points: list[Point], s: text.MetricStyle) -> None:
    """Draw the points, and bicubic; the labels follow when the figure is laid out."""
    ax.set_xscale("log")
    marks, far = _marks(points), off_scale(points)
    xs = [mark.x for mark in marks]
    # Room for labels on both sides, also where all arms cost the same.
    wide = max(2.0, (max(xs) / min(xs)) ** 0.35)
    ax.set_xlim(min(xs) / wide, max(xs) * wide)
    edges = [edge for p in points if p not in far for edge in (p.value - p.half, p.value + p.half)]
    pad = 0.18 * (max(edges) - min(edges) or 1.0)
    ax.set_ylim(min(edges) - pad * (1.5 if far else 1), max(edges) + pad)
    for mark in sorted((m for m in marks if not m.off_scale), key=lambda mark: -mark.size):  # small ones stay in sight
        p = mark.point
        ax.errorbar(
            mark.x, p.value, yerr=p.half or None, color=mark.colour, capsize=2.0, elinewidth=0.9, marker=mark.marker,
            linestyle="none", markerfacecolor="white" if scores.is_baseline(p.arm) else mark.colour, markersize=mark.size,
        )  # fmt: skip
    for p in (p for p in points if p.cost is None):
        _reference(ax, p, s, seen=p not in far)
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.xaxis.set_minor_formatter(lambda value, _: f"{value:g}" if f"{value:e}"[0] in "25" else "")
    ax.tick_params(axis="x", which="minor", labelsize=7, pad=5)  # on a line with those of the longer major ticks


def _reference(ax: Axes, p: Point, s: text.MetricStyle, *, seen: bool) -> None:
    if seen:
        ax.axhline(p.value, color=GREY, linestyle=":", linewidth=1.0, zorder=1)
    ax.annotate(
        p.label if seen else f"{p.label}, off scale: {text.number(p.value, s.decimals)}{s.unit}",
        (1.0, p.value if seen else 0.0), xycoords=ax.get_yaxis_transform() if seen else "axes fraction", xytext=(-2, 2),
        textcoords="offset points", ha="right", va="bottom", fontsize=label_placement.SIZE_PT, color=GREY,
    )  # fmt: skip


def _label(ax: Axes, points: list[Point], s: text.MetricStyle) -> None:
    """Label each arm; one that is off scale stands at the edge, with an arrow and its value."""
    low, high = ax.get_ylim()
    left, right = ax.get_xlim()
    far = off_scale(points)
    labels = []
    obstacles = [[(left, p.value), (right, p.value)] for p in points if p.cost is None and p not in far]
    for mark in _marks(points):
        p = mark.point
        y, label = p.value, cut(style.legible(p.label), LABEL)
        if mark.off_scale:
            y = min(max(p.value, low), high)
            ax.plot(mark.x, y, marker="v" if p.value < low else "^", color=mark.colour, markersize=5, clip_on=False)
            label += f": {text.number(p.value, s.decimals)}{s.unit}"
        else:
            obstacles.append([(mark.x, p.value - p.half), (mark.x, p.value + p.half)])
        radius = max(3.0, mark.size / 2) if not mark.off_scale else 3.0
        labels.append(label_placement.Label(mark.x, y, label, mark.colour, radius))
    label_placement.write(ax, labels, obstacles)
