"""Labels beside points, in places where they cover neither each other nor a point, as far as there are such places.

adjustText, which moves labels by forces, took 50 to 100 times as long and put more of them over points and intervals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from drnbench.render.style import legible

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]
SIZE_PT = 6.0
STEPS = 8
"""Places of a label above and below that of its point."""


@dataclass(frozen=True)
class Label:
    """Text for a point in data coordinates; `radius`: of the point, in points of 1/72 inch."""

    x: float
    y: float
    text: str
    colour: Any
    radius: float = 3.0


def write(ax: Axes, labels: Sequence[Label], obstacles: Sequence[Sequence[tuple[float, float]]] = ()) -> None:
    """Write labels, from above; the figure has been laid out. A label that stands apart has a thin line to its point.

    Args:
        ax: the panel; labels keep clear of the text that it has.
        labels: texts with their points.
        obstacles: what else labels keep clear of, in data coordinates: points (of one place each) and lines of level
            and upright pieces (of several).

    """
    scale = ax.figure.get_dpi() / 72
    frame = np.array(ax.get_window_extent().extents)
    points = [_pixels(ax, [(label.x, label.y)])[0] for label in labels]
    taken = [_around(point, point, label.radius * scale) for label, point in zip(labels, points, strict=True)]
    taken += [np.array(text.get_window_extent().extents) for text in ax.texts]
    for places in obstacles:
        ends = _pixels(ax, places)
        taken += [_around(a, b, 1.5 * scale) for a, b in pairwise(ends if len(ends) > 1 else [*ends, *ends])]
    for n in sorted(range(len(labels)), key=lambda n: (-points[n][1], points[n][0])):
        width, height = _size(ax, labels[n].text)
        offsets = _offsets(width, height, (3 + labels[n].radius) * scale)
        boxes = np.tile(points[n] + offsets, 2) + np.array([0, -height / 2, width, height / 2])
        outside = np.maximum(0, frame[:2] - boxes[:, :2]) + np.maximum(0, boxes[:, 2:] - frame[2:])
        penalty = _overlaps(boxes, np.array(taken)).sum(1) + height * (50 * outside.sum(1) + 0.5 * abs(offsets[:, 1]))
        best = int(penalty.argmin())
        taken.append(boxes[best])
        _write(ax, labels[n], offsets[best] / scale, apart=abs(offsets[best][1]) > 0.9 * height)


def _size(ax: Axes, text: str) -> tuple[float, float]:
    """Return width and height of a label in pixels."""
    label = ax.text(0, 0, legible(text), fontsize=SIZE_PT)
    box = label.get_window_extent()
    label.remove()
    return box.width, box.height


def _write(ax: Axes, label: Label, offset: Array, *, apart: bool) -> None:
    """Write a label with its left middle so many points from its point, and a line between them if it stands apart."""
    line = {
        "arrowstyle": "-", "color": label.colour, "linewidth": 0.4, "shrinkA": 0, "shrinkB": 2,
        "relpos": (0.0 if offset[0] > 0 else 1.0, 0.5),
    }  # fmt: skip
    ax.annotate(
        legible(label.text), (label.x, label.y), xytext=(offset[0], offset[1]), textcoords="offset points", ha="left",
        va="center", fontsize=SIZE_PT, color=label.colour, annotation_clip=False, arrowprops=line if apart else None,
    )  # fmt: skip


def _offsets(width: float, height: float, gap: float) -> Array:
    """Return the candidate places of a label's left middle, relative to its point: right of it first; N x 2, pixels."""
    rises = [0.0, *(0.7 * sign * n * height for n in range(1, STEPS + 1) for sign in (1, -1))]
    return np.array([(x, y) for y in rises for x in (gap, -gap - width)])


def _pixels(ax: Axes, places: Sequence[tuple[float, float]]) -> Array:
    return np.asarray(ax.transData.transform(places), dtype=np.float64)


def _around(a: Array, b: Array, margin: float) -> Array:
    """Return the box around two places: left, bottom, right, top."""
    return np.concatenate([np.minimum(a, b) - margin, np.maximum(a, b) + margin])


def _overlaps(boxes: Array, others: Array) -> Array:
    """Return the area that each box shares with each other box: N x M."""
    low = np.maximum(boxes[:, None, :2], others[:, :2])
    high = np.minimum(boxes[:, None, 2:], others[:, 2:])
    return np.asarray(np.clip(high - low, 0, None).prod(2))
