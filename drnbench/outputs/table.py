"""Table: scores of every arm, with differences to the baseline, costs and published numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from drnbench import published
from drnbench.config.outputs import Cost, PlannedTrial
from drnbench.errors import UsageError, nearest
from drnbench.outputs import outputs, published_columns, search_summary
from drnbench.outputs.base import Output, StudyResults
from drnbench.outputs.captions import caption
from drnbench.outputs.table_columns import (
    cost_column,
    filled_rows,
    label_columns,
    published_peers,
    score_cells,
    score_columns,
    seed_counts,
)
from drnbench.outputs.table_rows import skeleton
from drnbench.render import text
from drnbench.render.table import CaptionedTable
from drnbench.results.costs import DESCRIPTIONS
from drnbench.results.scores import Scores
from drnbench.results.summary import to_csv


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

    def tables(self, study: StudyResults) -> list[CaptionedTable]:
        """See `Output`."""
        scores, rows = study.scores, self.rows or first_axis(study.scores)
        frame = skeleton(scores, rows, self.columns)
        peers = published_peers(scores, frame, self.peers, self.metrics)
        costs = self.costs or search_summary.costs(scores, rows)
        cells = list(score_cells(study, frame, self.metrics, peers))
        columns = [
            *label_columns(scores, rows, frame.others, frame.lines, seed_counts(study.results, frame.lines), peers),
            *(column for part in cells for column in score_columns(scores, frame, part)),
            *(cost_column(study.costs, frame, cost, len(peers)) for cost in costs),
        ]
        shown = [result for part in cells for result in part.results if result is not None]
        sources = published_columns.sentences(number for part in cells for number in part.published if number)
        words = caption(
            scores, shown, by_scale=bool(set(frame.across) & scores.scale_axes),
            extra=[*sources, *(DESCRIPTIONS[cost] for cost in costs)],
        )  # fmt: skip
        name = text.slug(rows.rpartition(".")[2]) if rows else "arms"
        numbers = to_csv({(result.arm, result.condition, result.metric): result for result in shown})
        heads = tuple(column for column, _ in columns)
        return [CaptionedTable(name, words, heads, filled_rows(columns, frame.lines, len(peers)), numbers)]


def first_axis(scores: Scores) -> str | None:
    """Return the path of the study's first axis; None where it has none."""
    return scores.axes[0].path if scores.axes else None


def rows_axis(scores: Scores) -> str | None:
    """Return the axis whose values are the rows of the study's first table; None where the study has no axis."""
    declared = (output["rows"] for output in scores.plan.outputs if output["kind"] == Table.name)
    return next(declared, None) or first_axis(scores)
