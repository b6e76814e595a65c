"""Trade-off: a metric against what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from drnbench.config.outputs import COSTS, Cost
from drnbench.outputs import on_demand, outputs
from drnbench.outputs.base import FigureOutput, StudyResults

if TYPE_CHECKING:
    from drnbench.render.style import CaptionedFigure


@outputs.register("tradeoff")
class Tradeoff(FigureOutput):
    """A figure: a metric against what it costs, or one cost against another, one point an arm, with intervals."""

    summary = "figure: a metric against parameters, multiply-adds, activations, latency, memory or seconds of training"
    figure_needs = "an arm with both values"

    x: Cost = Field(description="cost on the horizontal, logarithmic")
    y: str = Field("psnr_y", description="metric, or a second cost")
    size: Cost | None = Field(
        None, description="cost that the areas of the points stand for, such as parameters; none: one size"
    )

    def required_metrics(self) -> tuple[str, ...]:
        """See `OutputSpec`."""
        return () if self.y in COSTS else (self.y,)

    def figures(self, study: StudyResults) -> Sequence[CaptionedFigure | None]:
        """See `Output`."""
        return [on_demand.tradeoff_figure.draw(study.scores, study.results, study.costs, self)]
