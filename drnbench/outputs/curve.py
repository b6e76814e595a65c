"""Curve: a metric against an axis, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from drnbench.outputs import on_demand, outputs
from drnbench.outputs.base import FigureOutput, StudyResults

if TYPE_CHECKING:
    from drnbench.render.style import CaptionedFigure


@outputs.register("curve")
class Curve(FigureOutput):
    """A figure: a metric against an axis, with intervals, one line for each evaluation."""

    summary = "figure: a metric against an axis, with intervals"
    figure_needs = "scores of an arm on that axis"

    x: str = Field(description="path of the axis on the horizontal")
    y: str = Field("psnr_y", description="metric")
    log: bool = Field(False, description="logarithmic horizontal (symlog, so that 0 is shown)")

    def axes(self) -> list[str]:
        """See `OutputSpec`."""
        return [self.x]

    def required_metrics(self) -> tuple[str, ...]:
        """See `OutputSpec`."""
        return (self.y,)

    def figures(self, study: StudyResults) -> Sequence[CaptionedFigure | None]:
        """See `Output`."""
        return [on_demand.curve_figure.draw(study.scores, study.results, self)]
