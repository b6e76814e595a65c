"""Labels beside points, where they cover neither each other nor a point, as far as there is such a place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIZE_PT = 6.0
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Label:
    """Words for a point in data coordinates."""

    x: float
    y: float
    words: str
    colour: Any


def write(ax: Axes, wanted: Sequence[Label], others: Sequence[Sequence[tuple[float, float]]] = ()) -> None:
    """Write labels, from above; the figure has been laid out. One that stands apart has a thin line to its point.

    Args:
        ax: the panel.
        wanted: what is written.
        others: what else is drawn there, in data coordinates: points (of one place each) and lines of level and
            upright pieces (of several).

    """
    scale = ax.figure.get_dpi() / 72
    at = {label: tuple(ax.transData.transform((label.x, label.y))) for label in wanted}
    taken: list[Box] = [(x - 3 * scale, y - 3 * scale, x + 3 * scale, y + 3 * scale) for x, y in at.values()]
    for places in others:
        ends = [tuple(ax.transData.transform(place)) for place in places]
        taken += [_around(a, b, 1.5 * scale) for a, b in (pairwise(ends) if len(ends) > 1 else [(ends[0], ends[0])])]
    box = ax.get_window_extent()
    frame = (box.x0, box.y0, box.x1, box.y1)
    for label in sorted(wanted, key=lambda one: (-at[one][1], at[one][0])):
        width, height = 0.56 * SIZE_PT * len(label.words) * scale, 1.15 * SIZE_PT * scale
        best, (dx, dy) = float("inf"), (0.0, 0.0)
        for step in _steps(width, height, scale):
            here = _box(at[label], step, width, height)
            cover = sum(_overlap(here, other) for other in taken)
            outside = max(0.0, frame[0] - here[0]) + max(0.0, here[2] - frame[2])
            outside += max(0.0, frame[1] - here[1]) + max(0.0, here[3] - frame[3])
            penalty = cover + 50 * outside * height + 0.5 * height * abs(step[1])
            if penalty < best:
                best, (dx, dy) = penalty, step
        taken.append(_box(at[label], (dx, dy), width, height))
        far = abs(dy) > 0.9 * height
        ax.annotate(
            label.words, (label.x, label.y), xytext=(dx / scale, dy / scale), textcoords="offset points", ha="left",
            va="center", fontsize=SIZE_PT, color=label.colour, annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": label.colour, "linewidth": 0.4, "shrinkA": 0, "shrinkB": 2,
                        "relpos": (0.0 if dx > 0 else 1.0, 0.5)} if far else None,
        )  # fmt: skip


def _steps(width: float, height: float, scale: float) -> list[tuple[float, float]]:
    """Candidate places of a label's left middle, right of its point first."""
    gap = 6 * scale
    out = [(gap, 0.0), (-gap - width, 0.0)]
    for n in range(1, 9):
        for sign in (1, -1):
            out += [(gap, 0.7 * sign * n * height), (-gap - width, 0.7 * sign * n * height)]
    return out


def _box(at: tuple[float, ...], step: tuple[float, float], width: float, height: float) -> Box:
    left, middle = at[0] + step[0], at[1] + step[1]
    return left, middle - height / 2, left + width, middle + height / 2


def _around(a: tuple[float, ...], b: tuple[float, ...], by: float) -> Box:
    return min(a[0], b[0]) - by, min(a[1], b[1]) - by, max(a[0], b[0]) + by, max(a[1], b[1]) + by


def _overlap(a: Box, b: Box) -> float:
    return max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
