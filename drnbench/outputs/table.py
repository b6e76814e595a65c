"""Table: scores of every arm, with differences to the baseline, costs and published numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from drnbench import published
from drnbench.config.outputs import Cost, PlannedTrial
from drnbench.errors import UsageError, nearest
from drnbench.outputs import on_demand, outputs
from drnbench.outputs.base import Output, StudyResults

if TYPE_CHECKING:
    from drnbench.render.table import CaptionedTable
    from drnbench.results.scores import Scores


@outputs.register("table")
class Table(Output):
    """A table: one row an arm; columns for each kernel (or data set) and metric, with differences to the baseline.

    A row is a value of the axis `rows`, in blocks of the other axes. Where another axis moves nothing but the test set,
    the kernel or the scale that an arm is scored on, its values are columns and not blocks.
    """

    summary = "table: scores of every arm, with differences to the baseline, costs and published numbers"
    automatic = True
    position = 0

    rows: str | None = Field(
        None, description="the axis whose values are the rows; none: the first one. Named arms and bicubic follow"
    )
    columns: str = Field("kernel", pattern="^(kernel|dataset|scale)$", description="what the column groups are")
    metrics: Annotated[tuple[str, ...], Field(strict=False)] = Field((), description="metrics shown; none: all")
    costs: Annotated[tuple[Cost, ...], Field(strict=False)] = Field((), description="columns of what an arm costs")
    peers: Annotated[tuple[str, ...], Field(strict=False)] = Field(
        (), description="published methods that get rows of their own, where the test sets have published numbers"
    )

    layout: Literal["study", "paper"] = Field(
        "study", description="paper: scale, method, costs, and the metrics of each test set in one cell, `PSNR / SSIM`"
    )
    delta: bool = Field(True, description="columns of differences to the baseline (layout study)")
    half_width: bool = Field(True, description="half-widths of the means' intervals (layout study)")
    seeds: bool = Field(True, description="a column of seeds, unless some differ or failed (layout study)")
    won: bool = Field(True, description="columns of images won, where a margin is declared (layout study)")
    equivalence: bool = Field(True, description="marks of equivalence, where a margin is declared (layout study)")
    published: bool = Field(True, description="columns of published numbers of the arms themselves (layout study)")
    width: Literal["column", "page"] | None = Field(
        None, description="of the LaTeX table: a column, or the page of a two-column paper; none: by its contents"
    )
    caption: str | None = Field(None, description="the line above the table; none: the study's question")

    def axes(self) -> list[str]:
        """See `OutputSpec`."""
        return [] if self.rows is None else [self.rows]

    def required_metrics(self) -> tuple[str, ...]:
        """See `OutputSpec`."""
        return self.metrics

    def check(self, trials: Sequence[PlannedTrial], where: str) -> None:
        """See `OutputSpec`."""
        super().check(trials, where)
        names = published.methods()
        for peer in self.peers:
            if peer not in names:
                raise UsageError(f"{where}: Table: no published numbers of {peer!r}: {nearest(peer, names)}")

    def tables(self, study: StudyResults) -> Sequence[CaptionedTable]:
        """See `Output`."""
        tables = on_demand.paper_table if self.layout == "paper" else on_demand.score_table
        return [tables.captioned_table(self, study)]


def first_axis(scores: Scores) -> str | None:
    """Return the path of the study's first axis; None where it has none."""
    return scores.axes[0].path if scores.axes else None


def rows_axis(scores: Scores) -> str | None:
    """Return the axis whose values are the rows of the study's first table; None where the study has no axis."""
    declared = (output["rows"] for output in scores.plan.outputs if output["kind"] == Table.name)
    return next(declared, None) or first_axis(scores)
