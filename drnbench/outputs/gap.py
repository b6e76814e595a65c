"""Gap: how much better arms are on training images than on test images, as a table, a figure, sentences and macros."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

from pydantic import Field

from drnbench.config.outputs import PlannedTrial
from drnbench.config.trial import Trial
from drnbench.errors import UsageError, nearest
from drnbench.outputs import on_demand, outputs
from drnbench.outputs.base import FigureOutput, Macros, StudyResults

if TYPE_CHECKING:
    from drnbench.render.style import CaptionedFigure
    from drnbench.render.table import CaptionedTable


@outputs.register("gap")
class Gap(FigureOutput):
    """A table and a figure: score on the training images minus score on the test images, against an axis."""

    summary = "table, figure and sentences: scores on training images minus scores on test images"
    figure_needs = "scores of an arm on training and on test images"
    headline = "instead"
    quantities = (
        "Gap, GapHalfWidth, GapDelta, GapDeltaLow, GapDeltaHigh  training minus test images, and that to the baseline's",
    )

    x: str = Field(description="the axis on the horizontal: the size of the training set, say")
    train: str | None = Field(None, description="source of the Evaluate on training images; none: the first one")
    test: str | None = Field(None, description="source of the Evaluate on test images; none: the second one")
    metric: str = Field("psnr_y", description="what is compared")

    def axes(self) -> list[str]:
        """See `OutputSpec`."""
        return [self.x]

    def required_metrics(self) -> tuple[str, ...]:
        """See `OutputSpec`."""
        return (self.metric,)

    def check(self, trials: Sequence[PlannedTrial], where: str) -> None:
        """See `OutputSpec`."""
        super().check(trials, where)
        sources = [evaluate.source for evaluate in trials[0].trial.evaluate]
        for source in (self.train, self.test):
            if source is not None and source not in sources:
                raise UsageError(f"{where}: Gap: no Evaluate has the source {source!r}: {nearest(source, sources)}")
        if len(set(sources)) < 2:
            raise UsageError(f"{where}: Gap: two test sets are wanted, the training images and others: add an Evaluate")

    def resolved(self, trial: Trial) -> Self:
        """See `OutputSpec`."""
        sources = [evaluate.source for evaluate in trial.evaluate]
        return self.model_copy(update={"train": self.train or sources[0], "test": self.test or sources[1]})

    def scored_training_sets(self, trial: Trial) -> set[str]:
        """See `OutputSpec`."""
        return {self.train or trial.evaluate[0].source}

    def tables(self, study: StudyResults) -> Sequence[CaptionedTable | None]:
        """See `Output`."""
        return [on_demand.gap_table.captioned_table(study, self)]

    def figures(self, study: StudyResults) -> Sequence[CaptionedFigure | None]:
        """See `Output`."""
        return [on_demand.gap_figure.draw(study, self)]

    def sentences(self, study: StudyResults) -> list[str]:
        """See `Output`."""
        return on_demand.gap_sentences.sentences(study.scores, self)

    def macros(self, study: StudyResults) -> list[Macros]:
        """See `Output`."""
        return on_demand.gap_macros.macros(study.scores, self)
