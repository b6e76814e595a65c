"""Heat map: the difference to the baseline in every cell of two axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field

from drnbench.outputs import on_demand, outputs
from drnbench.outputs.base import FigureOutput, StudyResults

if TYPE_CHECKING:
    from drnbench.render.style import CaptionedFigure


@outputs.register("heatmap")
class Heatmap(FigureOutput):
    """A figure: the difference of the metric to the baseline in every cell of two axes (scale and kernel, say)."""

    summary = "figure: the difference to the baseline in every cell of two axes"
    figure_needs = "an arm beside the baseline, with scores of both"

    x: str = Field(description="the axis on the horizontal")
    y: str = Field(description="the axis on the vertical")
    metric: str = Field("psnr_y", description="what is compared")

    def axes(self) -> list[str]:
        """See `OutputSpec`."""
        return [self.x, self.y]

    def required_metrics(self) -> tuple[str, ...]:
        """See `OutputSpec`."""
        return (self.metric,)

    def check_study(self, baseline: Mapping[str, Any]) -> None:
        """See `OutputSpec`."""
        if self.x == self.y:
            raise ValueError(f"a Heatmap wants two axes, and both of its are {self.x!r}")
        if not baseline:
            raise ValueError("a Heatmap shows differences to a baseline: give the study one")

    def figures(self, study: StudyResults) -> Sequence[CaptionedFigure | None]:
        """See `Output`."""
        return [on_demand.heatmap_figure.draw(study.scores, study.results, self)]
