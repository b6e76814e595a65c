"""LaTeX macros of the gap between training and test images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drnbench.outputs import gap_values
from drnbench.outputs.base import Macros
from drnbench.outputs.gap_values import GapValue
from drnbench.outputs.macros import cell_name, number
from drnbench.render import text
from drnbench.results.scores import Scores

if TYPE_CHECKING:
    from drnbench.outputs.gap import Gap


def macros(scores: Scores, output: Gap) -> list[Macros]:
    """Return the commands of every arm's gap, its half-width and its difference to the baseline's."""
    return [_macros(scores, gap) for gap in gap_values.gaps(scores, output).values()]


def _macros(scores: Scores, gap: GapValue) -> Macros:
    decimals = text.style(gap.metric).delta_decimals
    bodies = {"Gap": number(gap.value, decimals, sign=True), "GapHalfWidth": number(gap.half, decimals)}
    arm = scores.arm(gap.arm)
    if not arm.seedless and scores.baseline_of(arm, gap.test) is not None:
        bodies |= {
            "GapDelta": number(gap.delta, decimals, sign=True),
            "GapDeltaLow": number(gap.low, decimals, sign=True),
            "GapDeltaHigh": number(gap.high, decimals, sign=True),
        }
    comment = f"{gap.arm}, {gap.train.dataset} minus {gap.test.label}, {gap.metric}"
    return Macros(cell_name(scores, gap.test, gap.arm, gap.metric), bodies, comment)
