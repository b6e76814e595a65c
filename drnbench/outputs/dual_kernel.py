"""Kernels of the learned D beside the true ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from drnbench.config.outputs import PlannedTrial, measured_metrics
from drnbench.errors import UsageError
from drnbench.outputs import on_demand, outputs
from drnbench.outputs.base import FigureOutput, StudyResults

if TYPE_CHECKING:
    from drnbench.render.style import CaptionedFigure


METRIC = "dual_mae"
"""The metric that compares D with the true degradation."""


@outputs.register("dualkernel")
class DualKernel(FigureOutput):
    """A figure: the effective kernel of the learned D beside that of the true degradation, for each value of an axis.

    Wants the metric `dual_mae` among the evaluations, which is when D is examined.
    """

    summary = "figure and sentence: the learned kernel of D beside the true one"
    figure_needs = "an arm whose D was compared with the true kernel"
    headline = "before"

    x: str = Field(description="the axis whose values are the columns: the kernel that D was trained on, say")

    def axes(self) -> list[str]:
        """See `OutputSpec`."""
        return [self.x]

    def check(self, trials: Sequence[PlannedTrial], where: str) -> None:
        """See `OutputSpec`."""
        super().check(trials, where)
        if METRIC not in measured_metrics(trials):
            raise UsageError(
                f"{where}: DualKernel: D is looked at where {METRIC} is measured: add it to the metrics of an Evaluate, "
                "and train at least one arm with a dual network"
            )

    def figures(self, study: StudyResults) -> Sequence[CaptionedFigure | None]:
        """See `Output`."""
        return [on_demand.dual_kernel_figure.draw(study.scores, study.results, study.store, self)]

    def sentences(self, study: StudyResults) -> list[str]:
        """See `Output`."""
        return [on_demand.dual_kernel_sentence.sentence(study.scores, study.results, METRIC)]
