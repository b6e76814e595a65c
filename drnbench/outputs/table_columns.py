"""Columns of a table of scores: labels, means, differences, published numbers, costs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from drnbench.config.outputs import Cost
from drnbench.outputs import failed_seeds, published_columns
from drnbench.outputs.base import StudyResults
from drnbench.outputs.table_rows import Group, Line, Skeleton, find
from drnbench.published import Published
from drnbench.render import text
from drnbench.render.table import EMPTY, MARGIN_MARKS, MARKS, Column, Entry, Row
from drnbench.results.costs import Costs, scaled_unit, three_digits
from drnbench.results.plan_record import AxisRecord
from drnbench.results.ranking import different_images, on_the_same_seeds
from drnbench.results.scores import Condition, Scores
from drnbench.results.summary import Result, Results

if TYPE_CHECKING:
    from drnbench.outputs.table import Table

MILLION = 1e6


class FilledColumn(NamedTuple):
    """A column with its entries: one a line of the skeleton, then one for each method of other papers (a peer)."""

    column: Column
    entries: Sequence[Entry]


@dataclass(frozen=True)
class ScoreCells:
    """The cells of one metric under one group.

    Attributes:
        leading: the first metric of its group, whose differences need no name.
        results: one a line; None where an arm is not scored there.
        published: one a line, then one a peer; None where nothing comparable is published.

    """

    group: Group
    metric: str
    leading: bool
    results: list[Result | None]
    published: list[Published | None]


def label_columns(
    scores: Scores, rows: str | None, others: Sequence[AxisRecord], lines: Sequence[Line], seeds: Sequence[Entry],
    peers: Sequence[str] = (),
) -> list[FilledColumn]:  # fmt: skip
    """Return the columns on the left: values of the other axes, those of the rows' axis, and the number of seeds."""
    heads = [*(axis.title for axis in others), text.title(scores, rows)]
    columns = [*(Column(head, left=True) for head in heads), Column("seeds")]
    cells = [[*map(Entry, line.labels), count] for line, count in zip(lines, seeds, strict=True)]
    cells += [[*(Entry("") for _ in others), Entry(name), Entry()] for name in peers]
    return [FilledColumn(*pair) for pair in zip(columns, zip(*cells, strict=True), strict=True)]


def filled_rows(columns: Sequence[FilledColumn], lines: Sequence[Line], peers: int = 0) -> tuple[Row, ...]:
    """Return the rows of filled columns, with a rule between blocks and kinds of arms, and above the peers."""
    kinds = [(line.kind, line.block) for line in lines]
    rules = [*(n > 0 and kind != kinds[n - 1] for n, kind in enumerate(kinds)), *(n == 0 for n in range(peers))]
    entries = zip(*(column.entries for column in columns), strict=True)
    return tuple(Row(row, rule) for row, rule in zip(entries, rules, strict=True))


def published_peers(scores: Scores, frame: Skeleton, names: Sequence[str], metrics: Sequence[str]) -> list[str]:
    """Return the methods, of those that a table asks for, that have a published number under some column."""
    shown = [(group, metric) for group in frame.groups for metric in _metrics(scores, group, metrics)]
    return [
        name
        for name in names
        if any(published_columns.of_peer(scores, name, group.conditions, metric) for group, metric in shown)
    ]


def score_cells(
    study: StudyResults, frame: Skeleton, metrics: Sequence[str], peers: Sequence[str]
) -> Iterator[ScoreCells]:
    """Yield the results and the published numbers of a table, for each group and metric."""
    scores = study.scores
    for group in frame.groups:
        for position, metric in enumerate(_metrics(scores, group, metrics)):
            results = [find(line, group, metric, study.results) for line in frame.lines]
            published = [
                published_columns.of_arm(scores, scores.arm(r.arm), r.condition, metric) if r is not None else None
                for r in results
            ]
            published += [published_columns.of_peer(scores, name, group.conditions, metric) for name in peers]
            yield ScoreCells(group, metric, position == 0, results, published)


def _metrics(scores: Scores, group: Group, wanted: Sequence[str]) -> list[str]:
    """Return the metrics of a group that a table asks for; all where it asks for none of them."""
    metrics = list(dict.fromkeys(metric for c in group.conditions for metric in scores.metrics[c]))
    return [metric for metric in wanted if metric in metrics] or metrics


def score_columns(scores: Scores, frame: Skeleton, cells: ScoreCells, shown: Table) -> Iterator[FilledColumn]:
    """Yield the mean, published numbers, the difference to the baseline and images won, as far as a table shows them."""
    style, head = text.style(cells.metric), cells.group.head
    blank = [Entry()] * (len(cells.published) - len(cells.results))
    averages = means(scores, cells.results, frame.lines, style, half_widths=shown.half_width)
    yield FilledColumn(Column(metric_head(style), head), [*averages, *blank])
    if shown.published and any(cells.published):
        entries = [Entry() if number is None else Entry(number.text) for number in cells.published]
        yield FilledColumn(Column("published", head), entries)
    scored = [result for result in cells.results if result is not None]
    if shown.delta and any(scores.baseline_of(scores.arm(r.arm), r.condition) for r in scored):
        entries = [*(_delta(result, style, margins=shown.equivalence) for result in cells.results), *blank]
        delta = metric_head(style, "Δ" if cells.leading else f"Δ {style.label}")
        yield FilledColumn(Column(f"{delta} [{scores.confidence}]", head), entries)
        if shown.won and any(result.margin for result in scored):
            entries = [
                Entry(f"{100 * r.difference.won:.0f} %") if r and r.difference else Entry() for r in cells.results
            ]
            yield FilledColumn(Column("won", head), [*entries, *blank])


def seed_counts(results: Results, lines: Sequence[Line]) -> list[Entry]:
    """Return how many seeds the arms of each line are scored on."""
    return [_seed_count(results, line) for line in lines]


def _seed_count(results: Results, line: Line) -> Entry:
    if line.seedless:
        return Entry(EMPTY)
    names, numbers = {arm.name for arm in line.arms}, dict[tuple[str, Condition], set[int]]()
    for result in results.values():
        if result.arm in names:
            numbers.setdefault((result.arm, result.condition), set()).add(result.n_seeds)
    # An arm without D has no seeds in a metric of D.
    counts = {count for cell in numbers.values() for count in (cell - {0} or {0})}
    count = span(list(map(str, sorted(counts))) or ["0"])
    failures = failed_seeds.count(line.arms)
    return replace(count, tail=f"({failures})") if failures else count


def cost_column(
    costs: Costs, frame: Skeleton, cost: Cost, peers: Sequence[tuple[str, int | None]] = ()
) -> FilledColumn:
    """Return a column of what arms cost; of several arms in one row, from the least to the most.

    Args:
        costs: by arm.
        frame: whose rows it fills.
        cost: parameters, say, which published methods state, too.
        peers: names and scales of published methods, whose rows follow.

    """
    values = [[value for arm in line.arms if (value := costs[arm.name].get(cost)) is not None] for line in frame.lines]
    head, divisor = scaled_unit(cost, [value for row in values for value in row])
    entries = [span([three_digits(value / divisor) for value in sorted(row)]) for row in values]
    sizes = [published_columns.size(*peer) if cost == "parameters" else None for peer in peers]
    entries += [Entry() if size is None else Entry(_in_unit(size, divisor)) for size in sizes]
    return FilledColumn(Column(head, "cost"), entries)


def _in_unit(size: Published, divisor: float) -> str:
    """Write a published number of parameters, with its printed digits where the column is in millions, too."""
    return size.text if divisor == MILLION else three_digits(float(size.value) * MILLION / divisor)


def metric_head(style: text.MetricStyle, quantity: str | None = None) -> str:
    """Return the head of a column: `PSNR-Y (dB) ↑`, or with a quantity in place of the metric `Δ (dB)`."""
    unit = f" ({style.unit.strip()})" if style.unit else ""
    return f"{quantity}{unit}" if quantity else f"{style.label}{unit} {'↑' if style.higher_is_better else '↓'}"


def means(
    scores: Scores,
    results: Sequence[Result | None],
    lines: Sequence[Line],
    style: text.MetricStyle,
    *,
    half_widths: bool = True,
) -> list[Entry]:
    """Return a column of means with half-widths: of each condition the best contender bold, the second underlined.

    Means over different images are not ranked, unless one is infinite, on all of its images, and neither are means over
    other seeds than most arms have.
    """
    entries = [_mean(scores, result, style, half_width=half_widths) for result in results]
    contenders: dict[Condition, dict[int, float]] = {}
    for n, (result, line) in enumerate(zip(results, lines, strict=True)):
        if result is not None and result.mean is not None and line.contends:
            # As written: arms that look equal in the table are equally bold.
            printed = result.mean if result.equals_hr else float(entries[n].main.replace("−", "-"))
            contenders.setdefault(result.condition, {})[n] = style.sign * printed
    # Conditions are different tasks: the best of each.
    for values in contenders.values():
        column = [result for n in values if (result := results[n]) is not None]
        if different_images(column):
            for n, value in values.items():
                entries[n] = replace(entries[n], bold=value == math.inf)
            continue
        competing = {result.arm for result in on_the_same_seeds(scores, column)}
        competitors = {n: value for n, value in values.items() if (result := results[n]) and result.arm in competing}
        ranked = sorted(competitors.values(), reverse=True)
        if len(ranked) < 2:
            continue
        best = ranked[0]
        # Of two, the second is no distinction; after a tie for the best there is no second.
        second = ranked[1] if len(ranked) > 2 else best
        for n, value in competitors.items():
            entries[n] = replace(entries[n], bold=value == best, underlined=value == second < best)
    return entries


def _mean(scores: Scores, result: Result | None, style: text.MetricStyle, *, half_width: bool) -> Entry:
    if result is None or not result.n_seeds:
        return Entry()
    half = f"± {text.number(result.half_width, style.decimals)}" if half_width and result.half_width is not None else ""
    tables = (scores.tables.get((result.arm, result.condition, metric)) for metric in scores.metrics[result.condition])
    seeds, notes = max(len(table) for table in tables if table is not None), []
    # Another metric of the row, or another row, rests on all seeds or images.
    if result.n_seeds < seeds:
        notes.append(f"{result.n_seeds} of {text.count(seeds, 'seed')}")
    if result.n_images < result.all_images:
        notes.append(_kept(result.n_images, result))
    tail = " ".join(filter(None, (half, f"({', '.join(notes)})" if notes else "")))
    return Entry(EMPTY if result.mean is None else text.number(result.mean, style.decimals), tail)


def _delta(result: Result | None, style: text.MetricStyle, *, margins: bool) -> Entry:
    if result is None or result.difference is None:
        return Entry()
    difference, decimals = result.difference, style.delta_decimals
    mark = MARKS[result.verdict]
    if margins and (result.verdict != "better" or result.equivalence == "equivalent"):
        mark += MARGIN_MARKS.get(result.equivalence, "")
    notes = []
    if difference.seeds < result.n_seeds:  # a seed that the baseline lacks
        notes.append(text.count(difference.seeds, "common seed"))
    if difference.images < result.n_images:  # an image that the baseline lacks, or on which it is infinite
        notes.append(_kept(difference.images, result))
    limits = [f"({', '.join(notes)})"] if notes else []
    tail = " ".join([text.interval(difference, decimals), *limits]).lstrip()
    return Entry(text.signed(difference.mean, decimals), tail, mark)


def _kept(kept: int, result: Result) -> str:
    return f"{kept} of {text.count(result.all_images, 'image')}"


def span(values: Sequence[str]) -> Entry:
    """Write sorted values from the first to the last."""
    if not values:
        return Entry()
    return Entry("–".join(dict.fromkeys((values[0], values[-1]))))
