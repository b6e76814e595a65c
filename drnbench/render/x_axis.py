"""A study's axis on the horizontal of a figure: positions, ticks, logarithms; names stand side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from drnbench.render import text
from drnbench.results.plan_record import AxisRecord

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def numbers(axis: AxisRecord) -> list[float] | None:
    """Return the values of an axis as numbers, also where they are names such as "10"; None where some are words."""
    try:
        found = [float(v) for v in axis.values if not isinstance(v, bool) and v is not None]
    except ValueError:
        return None
    return found if len(found) == len(axis.values) else None


def position(axis: AxisRecord, value: Any) -> float:
    """Return where a value stands."""
    at = axis.values.index(value)
    known = numbers(axis)
    return float(at) if known is None else known[at]


def spread(axis: AxisRecord) -> bool:
    """Whether the values are best shown on a logarithmic axis: positive, and each far from the next."""
    known = sorted(numbers(axis) or [])
    return len(known) > 2 and known[0] > 0 and known[-1] >= 8 * known[0]


def names(axis: AxisRecord) -> list[str]:
    """Return how ticks call the values."""
    return [text.shown(value, axis.path) for value in axis.values]


def set_names(ax: Axes, axis: AxisRecord, inches: float = 2.5) -> None:
    """Put the names of a categorical axis under a panel of that width, turned where they would touch."""
    words = names(axis)
    # About 18 characters of a tick's size stand in an inch.
    room = 18 * inches
    turned = sum(len(word) + 2 for word in words) > room
    ax.set_xticks(
        range(len(words)), words, rotation=30 if turned else 0, ha="right" if turned else "center",
        rotation_mode="anchor" if turned else "default",
    )  # fmt: skip


def draw(ax: Axes, axis: AxisRecord, *, log: bool) -> None:
    """Label the horizontal of a panel."""
    ax.set_xlabel(axis.title)
    known = numbers(axis)
    if known is None:
        set_names(ax, axis)
        ax.set_xlim(-0.5, len(axis.values) - 0.5)
        return
    ordered = sorted(known)
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
