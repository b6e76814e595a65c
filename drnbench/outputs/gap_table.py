"""Table: the gap between training and test images of every arm, that of bicubic on the same images, and differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from drnbench.outputs import gap_values
from drnbench.outputs.gap_values import Gap, Gaps
from drnbench.outputs.table_rows import Group, Line, skeleton
from drnbench.outputs.tables import head, means
from drnbench.render import text
from drnbench.render.table import EMPTY, Body, Column, Entry, Row
from drnbench.results.scores import Scores
from drnbench.results.summary import Results


def bodies(scores: Scores, results: Results) -> list[Body]:
    """Return a table for each declared gap that has numbers."""
    out: list[Body] = []
    for n, one in enumerate(gap_values.wanted(scores)):
        found = gap_values.gaps(scores, one)
        if found:
            name = f"gap_{text.slug(one['x'].rpartition('.')[2])}" + (f"_{n + 1}" if n else "")
            out.append(_body(scores, results, one, found, name))
    return out


def _body(scores: Scores, results: Results, out: dict[str, Any], found: Gaps, name: str) -> Body:
    frame = skeleton(scores, out["x"])
    # Bicubic has a column, on the images of each row.
    lines = [line for line in frame.lines if line.kind != "reference"]
    tests = {test for _, test in found}
    groups = [Group(g.head, tuple(p for p in g.conditions if p in tests)) for g in frame.groups]
    groups = [g for g in groups if g.conditions]
    cells = [[_find(line, group, found) for line in lines] for group in groups]
    columns = [*(Column(a.title, left=True) for a in frame.others), Column(text.title(scores, out["x"]), left=True)]
    columns.append(Column("seeds"))
    rows = [[*map(Entry, line.labels), _seeds([mine[n] for mine in cells])] for n, line in enumerate(lines)]
    s = text.style(out["metric"])
    n = s.delta_decimals
    has_delta = any(gap.delta is not None for gap in found.values())
    for group, mine in zip(groups, cells, strict=True):
        label = group.head if len(groups) > 1 else ""
        test = [results.get((gap.arm, gap.test, gap.metric)) if gap else None for gap in mine]
        put: list[tuple[str, Sequence[Entry]]] = [
            (head(s, "train"), _each(mine, lambda gap: Entry(text.number(gap.train_mean, s.decimals)))),
            (head(s, "test"), means(test, lines, s)),
            (head(s, "gap"), _each(mine, lambda gap: Entry(text.signed(gap.value, n), _half(gap, n)))),
            (head(s, "bicubic gap"), _each(mine, lambda gap: _signed(gap.bicubic, n))),
        ]
        if has_delta:
            put.append((
                f"{head(s, 'Δ gap')} [95 %]",
                _each(mine, lambda gap: _signed(gap.delta, n, gap_values.between(gap, n))),
            ))  # fmt: skip
        for title, entries in put:
            columns.append(Column(title, label))
            for row, entry in zip(rows, entries, strict=True):
                row.append(entry)
    kinds = [(line.kind, line.block) for line in lines]
    drawn = tuple(Row(tuple(row), rule=i > 0 and kinds[i] != kinds[i - 1]) for i, row in enumerate(rows))
    return Body(name, gap_values.caption(scores, out, found), tuple(columns), drawn, (), gap_values.to_csv(found))


def _find(line: Line, group: Group, found: Gaps) -> Gap | None:
    conditions = [(arm.name, condition) for condition in group.conditions for arm in line.arms]
    return next((found[one] for one in conditions if one in found), None)


def _seeds(mine: Sequence[Gap | None]) -> Entry:
    seeds = sorted({gap.seeds for gap in mine if gap})
    return Entry("–".join(map(str, dict.fromkeys((seeds[0], seeds[-1])))) if seeds else "0")


def _each(mine: Sequence[Gap | None], write: Callable[[Gap], Entry]) -> list[Entry]:
    return [Entry() if gap is None else write(gap) for gap in mine]


def _signed(value: float | None, decimals: int, tail: str = "") -> Entry:
    return Entry(EMPTY if value is None else text.signed(value, decimals), tail)


def _half(gap: Gap, decimals: int) -> str:
    return "" if gap.half is None else f"± {text.number(gap.half, decimals)}"
