"""Lines of points with intervals over a study's axis."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from drnbench.render import x_axis
from drnbench.render.style import COLOURS, MARKERS, ordinal
from drnbench.results.plan_record import AxisRecord

if TYPE_CHECKING:
    from matplotlib.axes import Axes


BANDS = 4
"""Lines up to which intervals are bands, too: of more they would hide each other."""


DENSE = 25
"""Points of a line from which on they are small, and their intervals thin."""


@dataclass(frozen=True)
class Point:
    """One arm: position, value and interval (equal to the value where there is none)."""

    x: float
    value: float
    low: float
    high: float
    baseline: bool = False


def draw(
    ax: Axes, lines: Mapping[str, Sequence[Point]], axis: AxisRecord, *, log: bool, hidden: Collection[Point] = ()
) -> None:
    """Draw each line in a colour and with a marker of its own, its intervals as a band; baselines are hollow.

    Lines of numbers in order, such as those of scales, have colours in that order.

    Args:
        ax: the panel.
        lines: label -> points from left to right; a line with an empty label has no entry in the legend.
        axis: the horizontal axis; between names there is nothing to connect.
        log: whether it is logarithmic.
        hidden: points that are left out, with a gap in their line.

    """
    colours = _colours(lines)
    for n, (label, points) in enumerate(lines.items()):
        colour, marker = colours[n % len(colours)], MARKERS[n % len(MARKERS)]
        xs = x_axis.dodge(axis, [p.x for p in points], n, len(lines), log=log)
        shown = [replace(p, x=x) for x, p in zip(xs, points, strict=True) if p not in hidden]
        if x_axis.numbers(axis) is not None:
            heights = [float("nan") if p in hidden else p.value for p in points]
            ax.plot(xs, heights, color=colour, alpha=0.55, linewidth=1.0, zorder=2)
            if len(lines) <= BANDS:
                low, high = ([edge(p) if p not in hidden else float("nan") for p in points] for edge in (_low, _high))
                ax.fill_between(xs, low, high, color=colour, alpha=0.13, linewidth=0, zorder=1)
        _points(ax, [p for p in shown if not p.baseline], colour, marker, face=colour)
        _points(ax, [p for p in shown if p.baseline], colour, marker, face="white")
        if label:
            face = "white" if all(p.baseline for p in points) else colour
            ax.plot([], [], color=colour, marker=marker, markerfacecolor=face, label=label)


def colour_of(lines: Mapping[str, Sequence[Point]], point: Point) -> str:
    """Return the colour of the line that holds a point, the object itself: lines may cross in equal ones."""
    colours = _colours(lines)
    return next(colours[n % len(colours)] for n, points in enumerate(lines.values()) if any(p is point for p in points))


def _colours(lines: Mapping[str, Sequence[Point]]) -> Sequence[str]:
    return ordinal(len(lines)) if _in_order([*lines]) else COLOURS


def _low(point: Point) -> float:
    return point.low


def _high(point: Point) -> float:
    return point.high


def _in_order(labels: Sequence[str]) -> bool:
    """Return True for three labels or more, `scale=2`, whose values are numbers in order."""
    try:
        numbers = [float(label.partition("=")[2]) for label in labels]
    except ValueError:
        return False
    return len(numbers) > 2 and len({label.partition("=")[0] for label in labels}) == 1 and numbers == sorted(numbers)


def _points(ax: Axes, points: list[Point], colour: str, marker: str, *, face: str) -> None:
    if points:
        dense = len(points) > DENSE
        look: dict[str, Any] = (
            {"capsize": 0, "elinewidth": 0.4, "markersize": 1.5} if dense else {"capsize": 2.0, "elinewidth": 1.0}
        )
        below, above = [p.value - p.low for p in points], [p.high - p.value for p in points]
        ax.errorbar(
            [p.x for p in points], [p.value for p in points], yerr=[below, above], color=colour, linestyle="none",
            marker=marker, markerfacecolor=face, zorder=3, **look,
        )  # fmt: skip
