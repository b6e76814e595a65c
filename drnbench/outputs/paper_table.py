"""The table of an SR paper: scale, method, costs, and the metrics of a test set in one cell, `PSNR / SSIM`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from drnbench.outputs import captions, published_columns
from drnbench.outputs.base import StudyResults
from drnbench.outputs.table_columns import cost_column, means
from drnbench.outputs.table_rows import KINDS, Line, Skeleton
from drnbench.render import text
from drnbench.render.table import EMPTY, MARKS, CaptionedTable, Column, Entry, Row
from drnbench.results import labels
from drnbench.results.costs import DESCRIPTIONS
from drnbench.results.scores import Arm, Condition, Scores
from drnbench.results.summary import Result, to_csv

if TYPE_CHECKING:
    from drnbench.outputs.table import Table
    from drnbench.published import Published

PEER = "‡"
"""Mark of a published method, which is not scored here."""
TestSet = tuple[str, str]
"""Name and kernel of a test set: a column."""
Peers = dict[str, list[list["Published | None"]]]
"""Published numbers of methods, by test set and metric."""


def captioned_table(table: Table, study: StudyResults) -> CaptionedTable:
    """Return the table: the arms of each scale, then the published methods that are comparable there."""
    scores = study.scores
    test_sets: list[TestSet] = list(dict.fromkeys((c.dataset, c.kernel) for c in scores.conditions))
    names = list(dict.fromkeys(metric for c in scores.conditions for metric in scores.metrics[c]))
    metrics = [metric for metric in table.metrics or names if metric in names]
    lines = [line for scale in sorted({c.scale for c in scores.conditions}) for line in _lines(scores, scale)]
    results = {(place, metric): _column(study, lines, place, metric) for place in test_sets for metric in metrics}
    cells = [
        _joined([_marked(scores, results[place, metric], lines, metric) for metric in metrics]) for place in test_sets
    ]
    peers = {line.block[0]: _peers(scores, table.peers, line.block[0], test_sets, metrics) for line in lines}
    methods = [(name, scale) for scale, block in peers.items() for name in block]
    costs = [cost_column(study.costs, Skeleton([], lines, [], []), cost, methods) for cost in table.costs]
    peer_costs = {method: [cost.entries[len(lines) + n] for cost in costs] for n, method in enumerate(methods)}
    rows = list(_rows(lines, [*(cost.entries for cost in costs), *cells], peers, peer_costs))
    published = [
        number for block in peers.values() for places in block.values() for place in places for number in place
    ]
    published += [published_columns.size(*method) for method in methods if "parameters" in table.costs]
    slashed = " / ".join(text.style(metric).label for metric in metrics)
    alone = len({kernel for _, kernel in test_sets}) == 1
    heads = [name if alone else f"{name}, {labels.kernel(kernel)}" for name, kernel in test_sets]
    columns = [
        Column("scale", left=True),
        Column("method", left=True),
        *(replace(cost.column, group="") for cost in costs),
    ]
    columns += [Column(slashed, head) for head in heads]
    shown = [result for column in results.values() for result in column if result is not None]
    sources = [f"{PEER} {sentence}" for sentence in published_columns.sentences(filter(None, published))]
    notes = captions.notes(
        scores, shown, by_scale=True, means_alone=True, extra=[*sources, *(DESCRIPTIONS[cost] for cost in table.costs)]
    )
    numbers = to_csv({(result.arm, result.condition, result.metric): result for result in shown})
    stem = text.path_slug(table.rows) if table.rows else "arms"
    return CaptionedTable(
        f"{stem}_paper",
        table.caption or captions.caption(scores),
        tuple(columns),
        tuple(rows),
        numbers,
        notes,
        table.width,
    )


def _rows(
    lines: Sequence[Line],
    columns: Sequence[Sequence[Entry]],
    peers: Mapping[int, Peers],
    peer_costs: Mapping[tuple[str, int], Sequence[Entry]],
) -> Iterator[Row]:
    """Yield the rows of each scale, then those of its published methods."""
    for n, line in enumerate(lines):
        first = n == 0 or lines[n - 1].block != line.block
        label = [Entry(f"×{line.block[0]}" if first else ""), Entry(line.labels[0])]
        yield Row((*label, *(column[n] for column in columns)), rule=first and n > 0)
        if n + 1 == len(lines) or lines[n + 1].block != line.block:
            for m, (name, numbers) in enumerate(peers[line.block[0]].items()):
                yield _peer_row(name, numbers, peer_costs[name, line.block[0]], rule=m == 0)


def _lines(scores: Scores, scale: int) -> list[Line]:
    """Return the rows of a scale: bicubic, the grid, named arms."""
    lines = []
    for arm in scores.arms:
        conditions = frozenset(condition for condition in arm.conditions if condition.scale == scale)
        if conditions:
            kind = next(kind for kind in KINDS if kind == arm.kind)
            lines.append(Line([_name(scores, arm)], [arm], kind, (scale,), conditions, scores.is_contender(arm)))
    return sorted(lines, key=lambda line: KINDS.index(line.kind))


def _name(scores: Scores, arm: Arm) -> str:
    """Return the name of an arm without its scale, which has a column."""
    if arm.kind == "reference":
        return "bicubic"
    axes = [axis for axis in scores.axes if axis.path not in scores.scale_axes] if arm.kind == "grid" else []
    if len(axes) == 1 and isinstance(arm.values[axes[0].path], str):
        name = text.shown(arm.values[axes[0].path], axes[0].path)
    else:
        name = ", ".join(text.setting(axis, arm.values[axis.path]) for axis in axes) or arm.name
    return f"{name} (baseline)" if scores.is_baseline(arm) else name


def _column(study: StudyResults, lines: Sequence[Line], place: TestSet, metric: str) -> list[Result | None]:
    """Return the result of each row on a test set."""
    conditions = [Condition(*place, line.block[0]) for line in lines]
    return [study.results.get((line.arms[0].name, c, metric)) for line, c in zip(lines, conditions, strict=True)]


def _marked(scores: Scores, results: Sequence[Result | None], lines: Sequence[Line], metric: str) -> list[Entry]:
    """Return the means of a column, each with the mark of its difference to the baseline."""
    entries = means(scores, results, lines, text.style(metric), half_widths=False)
    return [
        entry if result is None or result.difference is None else replace(entry, mark=MARKS[result.verdict])
        for entry, result in zip(entries, results, strict=True)
    ]


def _joined(columns: Sequence[Sequence[Entry]]) -> list[Entry]:
    """Return the cells of one test set: the entries of every metric, with slashes between them."""
    cells = list(columns[-1])
    for column in columns[-2::-1]:
        cells = [replace(entry, joined=cell) for entry, cell in zip(column, cells, strict=True)]
    return [Entry() if cell.text.replace("/", "").split() == [EMPTY] * len(columns) else cell for cell in cells]


def _peers(
    scores: Scores, names: Sequence[str], scale: int, test_sets: Sequence[TestSet], metrics: Sequence[str]
) -> Peers:
    """Return the published numbers of each method that has any at a scale: by test set and metric."""
    places = [[Condition(*place, scale)] for place in test_sets]
    scored = [[c for c in place if c in scores.conditions] for place in places]
    rows = {
        name: [[published_columns.of_peer(scores, name, c, metric) for metric in metrics] for c in scored]
        for name in names
    }
    return {name: numbers for name, numbers in rows.items() if any(number for place in numbers for number in place)}


def _peer_row(name: str, numbers: Sequence[Sequence[Published | None]], costs: Sequence[Entry], *, rule: bool) -> Row:
    cells = [_joined([[Entry(number.text if number else EMPTY)] for number in place])[0] for place in numbers]
    return Row((Entry(""), Entry(f"{name}{PEER}"), *costs, *cells), rule)
