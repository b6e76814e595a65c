"""Table of scores: every arm, with differences to the baseline, costs and published numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drnbench.outputs import published_columns, search_summary
from drnbench.outputs.base import StudyResults
from drnbench.outputs.captions import caption, notes
from drnbench.outputs.table import first_axis
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
from drnbench.results.costs import description
from drnbench.results.summary import to_csv

if TYPE_CHECKING:
    from drnbench.outputs.table import Table


def captioned_table(table: Table, study: StudyResults) -> CaptionedTable:
    """Return a declared table."""
    scores, rows = study.scores, table.rows or first_axis(study.scores)
    frame = skeleton(scores, rows, table.columns)
    peers = published_peers(scores, frame, table.peers, table.metrics)
    costs = table.costs or search_summary.costs(scores, rows)
    scales = {condition.scale for condition in scores.conditions}
    scale = scales.pop() if len(scales) == 1 else None
    cells = list(score_cells(study, frame, table.metrics, peers))
    counts = seed_counts(study.results, frame.lines)
    labelled = label_columns(scores, rows, frame.others, frame.lines, counts, peers)
    alike = len({count.text for count, line in zip(counts, frame.lines, strict=True) if not line.seedless}) < 2
    columns = [
        *(labelled if table.seeds or not alike else labelled[:-1]),
        *(column for part in cells for column in score_columns(scores, frame, part, table)),
        *(cost_column(study.costs, frame, cost, [(peer, scale) for peer in peers]) for cost in costs),
    ]
    shown = [result for part in cells for result in part.results if result is not None]
    published = [number for part in cells for number in part.published]
    sizes = [published_columns.size(peer, scale) for peer in peers if "parameters" in costs]
    sources = published_columns.sentences(filter(None, [*published, *sizes]))
    words = notes(
        scores, shown, by_scale=bool(set(frame.across) & scores.scale_axes), margins=table.equivalence,
        extra=[*sources, *(description(cost, study.costs) for cost in costs)],
    )  # fmt: skip
    name = text.path_slug(rows) if rows else "arms"
    numbers = to_csv({(result.arm, result.condition, result.metric): result for result in shown})
    heads = tuple(column for column, _ in columns)
    body = filled_rows(columns, frame.lines, len(peers))
    return CaptionedTable(name, table.caption or caption(scores), heads, body, numbers, words, table.width)
