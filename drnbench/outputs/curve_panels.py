"""The data of a curve: lines of points, named arms as references, and vertical limits, by panel."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from drnbench.render import text, x_axis
from drnbench.render.lines import Point
from drnbench.results import layout
from drnbench.results.scores import Arm, Condition, Scores
from drnbench.results.statistics import Difference
from drnbench.results.summary import Results

if TYPE_CHECKING:
    from drnbench.outputs.curve import Curve

OFF_SCALE = 4.0
"""A difference that reaches this many times the span of the others is drawn as an arrow with its value: it would flatten them."""
COLLAPSE = 12.0
"""The same where every difference has a row of its own: there a large effect is the result."""
REFERENCES = 4
"""Named arms, the control aside, that a panel shows."""


@dataclass(frozen=True)
class Reference:
    """A named arm: a horizontal line at its difference; the interval of the positive control is a band."""

    label: str
    value: float
    low: float
    high: float
    control: bool


@dataclass(frozen=True)
class Panel:
    """One evaluation; lines by the values of the other axes, their points from left to right."""

    title: str
    lines: dict[str, list[Point]]
    references: list[Reference]

    @property
    def points(self) -> list[Point]:
        """The points of all lines."""
        return [point for line in self.lines.values() for point in line]

    @property
    def bands(self) -> list[tuple[float, float]]:
        """The intervals of the positive controls."""
        return [(r.low, r.high) for r in self.references if r.control]


def has_differences(results: Results, scores: Scores, metric: str) -> bool:
    """Return True if arms of the grid are compared to a baseline, so that differences are drawn and not scores."""
    return any(r.difference and r.metric == metric and scores.arm(r.arm).kind == "grid" for r in results.values())


def panels(scores: Scores, results: Results, output: Curve) -> list[Panel]:
    """Return a panel for each evaluation that has a score; conditions that the horizontal axis changes share one."""
    deltas = has_differences(results, scores, output.y)
    made = []
    for conditions in _conditions(scores, output):
        lines = _lines(scores, results, output, conditions, deltas=deltas)
        if any(lines.values()):
            title = _title(scores, results, output.y, conditions, deltas=deltas)
            references = _references(scores, results, output.y, conditions) if deltas else []
            made.append(Panel(title, lines, references))
    return made


def limits(
    points: list[Point], bands: list[tuple[float, float]], factor: float = OFF_SCALE
) -> tuple[float, float, list[Point]]:
    """Return the limits of differences, and the points that lie so far out that they are drawn as arrows.

    A collapse of 10 dB on a linear scale would hide every difference of 0.1 dB; it is written instead. So is one of 6 dB whose
    interval ends at 14. Every point that lies within the limits is drawn; intervals that go on beyond them are cut off.

    Args:
        points: differences with their intervals.
        bands: intervals that are on scale in any case.
        factor: a difference larger than a typical one whose interval reaches this many times its span is off scale.

    """
    span = _span([p for p in points if not p.baseline], bands)
    farthest = factor * span
    kept = [p for p in points if abs(p.value) <= span or max(abs(p.value), abs(p.low), abs(p.high)) <= farthest]
    if all(p.baseline for p in kept):
        kept, farthest = points, math.inf
    low, high = _extent(kept, bands, farthest)
    while within := [p for p in points if p not in kept and low <= p.value <= high]:
        kept = [*kept, *within]
        low, high = _extent(kept, bands, farthest)
    off_scale = [p for p in points if p not in kept]
    pad = 0.08 * (high - low or 1.0)
    # An arrow and its value need more room.
    below, above = (3 if any(sign * p.value > 0 for p in off_scale) else 1 for sign in (-1, 1))
    return low - below * pad, high + above * pad, off_scale


def _extent(points: list[Point], bands: list[tuple[float, float]], farthest: float) -> tuple[float, float]:
    """Return the least and the largest of zero, bands, differences, and the ends of their intervals that are not too far."""
    ends = [max(-farthest, min(farthest, end)) for p in points for end in (p.low, p.high)]
    shown = [0.0, *ends, *(p.value for p in points), *itertools.chain.from_iterable(bands)]
    return min(shown), max(shown)


def _span(points: list[Point], bands: list[tuple[float, float]]) -> float:
    """Return the size of a typical difference, interval or band."""
    values = [abs(p.value) for p in points] or [0.0]
    widths = [(p.high - p.low) / 2 for p in points] or [0.0]
    # The lower median: of two arms, a collapsed one must not set the scale of the other.
    typical = [3 * float(np.percentile(v, 50, method="lower")) for v in (values, widths)]
    return max([*typical, *(abs(edge) for band in bands for edge in band)])


def _conditions(scores: Scores, output: Curve) -> list[list[Condition]]:
    """Return the conditions of each panel."""
    fields = layout.moved(scores, [output.x])
    by_slot: dict[layout.Slot, list[Condition]] = {}
    for arm in scores.arms:
        for condition, slot in layout.slots(arm, fields).items() if arm.kind != "reference" else ():
            if output.y in scores.metrics[condition] and condition not in by_slot.setdefault(slot, []):
                by_slot[slot].append(condition)
    return list(by_slot.values())


def _lines(
    scores: Scores, results: Results, output: Curve, conditions: list[Condition], *, deltas: bool
) -> dict[str, list[Point]]:
    """Return a line for each combination of the other axes."""
    axis = scores.plan.axis(output.x)
    # Where an axis moves the conditions, the panel shows its value.
    others = [a for a in scores.axes if a.path not in {output.x, *layout.moving(scores)}]
    lines: dict[tuple[str, ...], list[Point]] = {}
    for arm in (a for a in scores.arms if a.kind == "grid"):
        label = tuple(text.setting(a, arm.values[a.path]) for a in others)
        x = x_axis.position(axis, arm.values[axis.path])
        points = [_point(scores, results, arm, c, output.y, x, deltas=deltas) for c in conditions]
        lines.setdefault(label, []).extend(point for point in points if point is not None)
    return _labelled({label: sorted(points, key=lambda p: p.x) for label, points in lines.items() if points})


def _labelled(lines: dict[tuple[str, ...], list[Point]]) -> dict[str, list[Point]]:
    """Leave out lines of baselines, which lie on the zero line, and label the others by what differs between them."""
    lines = {label: points for label, points in lines.items() if not all(p.baseline for p in points)} or lines
    varied = [len(set(settings)) > 1 for settings in zip(*lines, strict=True)]
    return {", ".join(itertools.compress(label, varied)): points for label, points in lines.items()}


def _point(
    scores: Scores, results: Results, arm: Arm, condition: Condition, metric: str, x: float, *, deltas: bool
) -> Point | None:
    result = results.get((arm.name, condition, metric))
    if result is None or result.mean is None:
        return None
    if not deltas:
        if result.equals_hr:
            return None  # beyond every axis
        half = result.half_width or 0.0
        return Point(x, result.mean, result.mean - half, result.mean + half)
    if result.difference is None:
        return Point(x, 0.0, 0.0, 0.0, baseline=True) if scores.is_baseline(arm) else None
    return Point(x, *_interval(result.difference))


def _interval(d: Difference) -> tuple[float, float, float]:
    """Return a difference and the ends of its interval: itself where it has none."""
    return d.mean, d.mean if d.low is None else d.low, d.mean if d.high is None else d.high


def _references(scores: Scores, results: Results, metric: str, conditions: list[Condition]) -> list[Reference]:
    """Return the positive controls and a few other named arms."""
    references = []
    for arm in (a for a in scores.arms if a.kind == "named"):
        scored = [results.get((arm.name, condition, metric)) for condition in conditions]
        difference = next((r.difference for r in scored if r and r.difference), None)
        if difference is not None:
            control = scores.is_control(arm)
            label = f"{arm.name} (positive control)" if control else arm.name
            references.append(Reference(label, *_interval(difference), control))
    others = [r for r in references if not r.control][:REFERENCES]
    return [r for r in references if r.control or r in others]


def _title(scores: Scores, results: Results, metric: str, conditions: list[Condition], *, deltas: bool) -> str:
    """Return the condition of a panel, with the score of its baseline where it has one."""
    if len(conditions) > 1:
        return text.common(conditions)
    condition = conditions[0]
    bases = [a for a in scores.arms if condition in a.conditions and scores.is_baseline(a)]
    # Of several baselines, none can stand in the title.
    result = results.get((bases[0].name, condition, metric)) if deltas and len(bases) == 1 else None
    if result is None or result.mean is None:
        return condition.label
    s = text.style(metric)
    return f"{condition.label}\n{bases[0].name}: {text.number(result.mean, s.decimals)}{s.unit}"
