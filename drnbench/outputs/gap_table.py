"""Table: the gap between training and test images of every arm, that of bicubic on the same images, and differences."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from drnbench.outputs import captions, gap_values
from drnbench.outputs.base import StudyResults
from drnbench.outputs.gap_caption import notes
from drnbench.outputs.gap_values import Gaps, GapValue
from drnbench.outputs.table_columns import FilledColumn, filled_rows, label_columns, means, metric_head, span
from drnbench.outputs.table_rows import Group, Line, skeleton
from drnbench.render import text
from drnbench.render.table import EMPTY, MARKS, CaptionedTable, Column, Entry

if TYPE_CHECKING:
    from drnbench.outputs.gap import Gap

COLUMNS = (
    "arm", "train", "test", "kernel", "scale", "metric", "train_mean", "test_mean", "gap", "half_width", "n_seeds",
    "delta", "delta_low", "delta_high", "bicubic_gap", "p_holm",
)  # fmt: skip
"""Columns of the CSV file."""
Cells = Sequence[GapValue | None]
"""The gaps of one group of columns, one a line; None where there is none."""


def captioned_table(study: StudyResults, output: Gap) -> CaptionedTable | None:
    """Return the table of a declared gap; None where nothing is scored on both sides yet."""
    scores, gaps = study.scores, gap_values.gaps(study.scores, output)
    if not gaps:
        return None
    frame = skeleton(scores, output.x)
    # Bicubic has a column, on the images of each row.
    lines = [line for line in frame.lines if line.kind != "reference"]
    tests = {test for _, test in gaps}
    groups = [group for group in frame.groups if tests.intersection(group.conditions)]
    cells = [[_gap(line, group, gaps) for line in lines] for group in groups]
    deltas = any(gap.delta is not None for gap in gaps.values())
    columns = label_columns(scores, output.x, frame.others, lines, [_seeds(row) for row in zip(*cells, strict=True)])
    for group, column in zip(groups, cells, strict=True):
        head = group.head if len(groups) > 1 else ""
        columns += _columns(study, column, lines, output.metric, head, deltas=deltas)
    return CaptionedTable(
        f"gap_{text.path_slug(output.x)}",
        f"{captions.caption(scores)} Gap between training and test images.",
        tuple(column for column, _ in columns),
        filled_rows(columns, lines),
        _to_csv(gaps),
        " ".join(filter(None, (captions.rest_of_question(scores), notes(scores, output, gaps, study.results)))),
    )


def _columns(
    study: StudyResults, cells: Cells, lines: Sequence[Line], metric: str, head: str, *, deltas: bool
) -> Iterator[FilledColumn]:
    """Yield the scores on training and on test images, their difference, that of bicubic, and that to the baseline."""
    style = text.style(metric)
    tests = [study.results.get((gap.arm, gap.test, gap.metric)) if gap else None for gap in cells]
    decimals = style.delta_decimals
    quantities = {
        "train": _each(cells, lambda gap: Entry(text.number(gap.train_mean, style.decimals))),
        "test": means(study.scores, tests, lines, style),
        "gap": _each(cells, lambda gap: _signed(gap.value, decimals, _half(gap, decimals))),
        "bicubic gap": _each(cells, lambda gap: _signed(gap.bicubic, decimals)),
    }
    for quantity, entries in quantities.items():
        yield FilledColumn(Column(metric_head(style, quantity), head), entries)
    if deltas:
        entries = _each(
            cells,
            lambda gap: replace(
                _signed(gap.delta, decimals, gap_values.between(gap, decimals)),
                mark=MARKS["better" if gap.starred else ""],
            ),
        )
        yield FilledColumn(Column(f"{metric_head(style, 'Δ gap')} [{study.scores.confidence}]", head), entries)


def _gap(line: Line, group: Group, gaps: Gaps) -> GapValue | None:
    cells = ((arm.name, condition) for condition in group.conditions for arm in line.arms)
    return next((gaps[cell] for cell in cells if cell in gaps), None)


def _seeds(cells: Cells) -> Entry:
    return span([str(seeds) for seeds in sorted({gap.seeds for gap in cells if gap})] or ["0"])


def _each(cells: Cells, write: Callable[[GapValue], Entry]) -> list[Entry]:
    return [Entry() if gap is None else write(gap) for gap in cells]


def _signed(value: float | None, decimals: int, tail: str = "") -> Entry:
    return Entry(EMPTY if value is None else text.signed(value, decimals), tail)


def _half(gap: GapValue, decimals: int) -> str:
    return "" if gap.half is None else f"± {text.number(gap.half, decimals)}"


def _to_csv(gaps: Gaps) -> str:
    """Return the gaps in full precision, one row an arm and test set."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(
        [
            gap.arm, gap.train.dataset, *gap.test, gap.metric, gap.train_mean, gap.test_mean, gap.value, gap.half,
            gap.seeds, gap.delta, gap.low, gap.high, gap.bicubic, gap.p_holm,
        ]
        for gap in gaps.values()
    )  # fmt: skip
    return buffer.getvalue()
