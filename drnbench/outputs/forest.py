"""Forest plot: the difference of every arm to its baseline with its interval, the ablation at a glance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from drnbench.outputs import on_demand, outputs
from drnbench.outputs.base import FigureOutput, StudyResults

if TYPE_CHECKING:
    from drnbench.render.style import CaptionedFigure


@outputs.register("forest")
class Forest(FigureOutput):
    """A figure: all differences to the baseline with intervals, the margin shaded, those that are tested better or worse filled.

    Every report of a study with a baseline and two comparisons or more has one.
    """

    summary = "figure: all differences to the baseline with intervals (forest plot)"
    figure_needs = "two arms or more beside their baseline, with scores of all"
    automatic = True
    position = 55

    metric: str | None = Field(None, description="what is compared; none: that of the headline")

    def required_metrics(self) -> tuple[str, ...]:
        """See `OutputSpec`."""
        return () if self.metric is None else (self.metric,)

    def figures(self, study: StudyResults) -> Sequence[CaptionedFigure | None]:
        """See `Output`."""
        return [on_demand.forest_figure.draw(study.scores, study.results, self.metric, self.width)]
