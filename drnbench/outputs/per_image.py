"""Scores by image: paired differences to the baseline as dots, or the distribution of the scores without one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from drnbench.outputs import on_demand, outputs
from drnbench.outputs.base import FigureOutput, StudyResults

if TYPE_CHECKING:
    from drnbench.render.style import CaptionedFigure


@outputs.register("per_image")
class PerImage(FigureOutput):
    """A figure: one dot an image and arm, its difference to the baseline over the seeds, with the zero line and the quartiles."""

    summary = "figure: paired differences of every image to the baseline, or the distribution of scores over images"
    figure_needs = "an arm beside the baseline, with scores of both on the same images"

    metric: str = Field("psnr_y", description="of the dots")
    differences: bool = Field(
        True, description="to the baseline, where the study has one; otherwise the scores themselves"
    )

    def required_metrics(self) -> tuple[str, ...]:
        """See `OutputSpec`."""
        return (self.metric,)

    def figures(self, study: StudyResults) -> Sequence[CaptionedFigure | None]:
        """See `Output`."""
        return [on_demand.per_image_figure.draw(study.scores, self)]


@outputs.register("ranks")
class Ranks(FigureOutput):
    """A figure: the rank of every arm on every test set, one line an arm, for studies with several test sets."""

    summary = "figure: ranks of the arms on each of several test sets"
    figure_needs = "two arms or more with scores on the same seeds of two test sets or more"

    metric: str = Field("psnr_y", description="that ranks")

    def required_metrics(self) -> tuple[str, ...]:
        """See `OutputSpec`."""
        return (self.metric,)

    def figures(self, study: StudyResults) -> Sequence[CaptionedFigure | None]:
        """See `Output`."""
        return [on_demand.ranks_figure.draw(study.scores, study.results, self.metric, self.width)]
