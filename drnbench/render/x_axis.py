"""A study's axis as the horizontal axis of a figure: positions, ticks, logarithms; names stand side by side."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from drnbench.render import text
from drnbench.render.style import legible
from drnbench.results.plan_record import AxisRecord

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def numbers(axis: AxisRecord) -> list[float] | None:
    """Return the values of an axis as numbers, also where they are names such as "10"; None where some are words."""
    try:
        values = [float(v) for v in axis.values if not isinstance(v, bool) and v is not None]
    except ValueError:
        return None
    return values if len(values) == len(axis.values) else None


def position(axis: AxisRecord, value: Any) -> float:
    """Return the position of a value: itself, or its number in the order of the axis where some values are words."""
    index = axis.values.index(value)
    values = numbers(axis)
    return float(index) if values is None else values[index]


def spread(axis: AxisRecord) -> bool:
    """Return True if the values are best shown on a logarithmic axis: positive, and each far from the next."""
    values = sorted(numbers(axis) or [])
    return len(values) > 2 and values[0] > 0 and values[-1] >= 8 * values[0]


def dodge(axis: AxisRecord, positions: Iterable[float], n: int, count: int, *, log: bool) -> list[float]:
    """Return the positions of line n of several, a small step aside: equal points of two lines stay apart."""
    offset, values = n - (count - 1) / 2, numbers(axis)
    if log and values is not None:
        return [x * 1.03**offset for x in positions]
    step = 0.1 if values is None else 0.012 * (max(values) - min(values) or 1.0)
    return [x + step * offset for x in positions]


def names(axis: AxisRecord) -> list[str]:
    """Return the tick labels of the values."""
    return [legible(text.shown(value, axis.path)) for value in axis.values]


def set_names(ax: Axes, axis: AxisRecord, *, inches: float = 2.5, first: float = 0.0) -> None:
    """Label the values of a categorical axis from position `first` on, turned where they would touch in this width."""
    labels = names(axis)
    # About 18 characters of a tick's size stand in an inch.
    turned = sum(len(label) + 2 for label in labels) > 18 * inches
    ax.set_xticks(
        [first + n for n in range(len(labels))], labels, rotation=30 if turned else 0, ha="right" if turned else "center",
        rotation_mode="anchor" if turned else "default",
    )  # fmt: skip


def draw(ax: Axes, axis: AxisRecord, *, log: bool) -> None:
    """Set scale, ticks and label of a panel's horizontal axis."""
    ax.set_xlabel(axis.title)
    values = numbers(axis)
    if values is None:
        set_names(ax, axis)
        ax.set_xlim(-0.5, len(axis.values) - 0.5)
        return
    ordered = sorted(values)
    if log:
        positive = [v for v in ordered if v > 0]
        if positive:
            # Linear below the smallest positive value, so that 0 has a position.
            ax.set_xscale("symlog", linthresh=positive[0], linscale=0.5)
            ax.set_xlim(positive[0] / 1.5 if ordered[0] > 0 else ordered[0] - 0.3 * positive[0], 1.5 * ordered[-1])
        ax.set_xticks(ordered, [f"{v:g}" for v in ordered])
        ax.minorticks_off()
        return
    gaps = np.diff(ordered)
    if len(gaps) and gaps.min() >= 0.06 * (ordered[-1] - ordered[0]):
        ax.set_xticks(ordered, [f"{v:g}" for v in ordered])
