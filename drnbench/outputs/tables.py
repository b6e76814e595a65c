"""Tables as data: what stands in which cell. Markdown, LaTeX and HTML draw the same body; CSV has the raw numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from drnbench.outputs import published_columns, search_summary
from drnbench.outputs.captions import caption
from drnbench.outputs.table_rows import Group, Line, Skeleton, find, skeleton
from drnbench.render import text
from drnbench.render.table import EMPTY, MARKS, Body, Column, Entry, Row
from drnbench.results import costs as costing
from drnbench.results.costs import Costs
from drnbench.results.scores import Condition, Scores
from drnbench.results.summary import Result, Results

if TYPE_CHECKING:
    from drnbench.published import Published


def named(stem: str, taken: Sequence[Body]) -> str:
    """Return a name that no table has yet: `rho`, `rho_2`."""
    name, n = stem, 1
    while name in {body.name for body in taken}:
        n += 1
        name = f"{stem}_{n}"
    return name


def bodies(scores: Scores, results: Results, costs: Costs) -> list[Body]:
    """Return the tables a study declares; one of all its arms where it declares none."""
    declared = [out for out in scores.plan.outputs if out["kind"] == "table"]
    axes = scores.axes
    if not declared:
        declared = [{"rows": axes[0].path if axes else None, "columns": "kernel", "metrics": ()}]
    out: list[Body] = []
    for table in declared:
        stem = text.slug(table["rows"].rpartition(".")[2] if table["rows"] else "arms")
        out.append(_Table(scores, results, costs, table).body(named(stem, out)))
    return out


def head(s: text.MetricStyle, what: str | None = None) -> str:
    """Return the head of a column of a metric: `PSNR-Y (dB) ↑`."""
    unit = f" ({s.unit.strip()})" if s.unit else ""
    return f"{what or s.label}{unit}" + ("" if what else f" {'↑' if s.higher_is_better else '↓'}")


class _Table:
    """One declared table, column by column."""

    def __init__(self, scores: Scores, results: Results, costs: Costs, table: dict[str, Any]) -> None:
        self.scores, self.results, self.costs, self.table = scores, results, costs, table
        self.frame: Skeleton = skeleton(scores, table["rows"], table["columns"])
        self.lines = self.frame.lines
        self.columns = [Column(a.title, left=True) for a in self.frame.others]
        self.columns += [Column(text.title(scores, table["rows"]), left=True), Column("seeds")]
        self.rows = [[*map(Entry, line.labels), self._seeds(line)] for line in self.lines]
        self.peers: list[list[Entry]] = []
        self.seen: list[Result] = []
        self.published: list[Published] = []

    def body(self, name: str) -> Body:
        self._peers()
        for group in self.frame.groups:
            self._group(group)
        extra = published_columns.sentences(self.published)
        wanted = self.table.get("costs", ()) or search_summary.costs(self.scores, self.table["rows"])
        for what in wanted:
            self._cost(what)
        extra += [costing.WORDS[what] for what in wanted]
        by_scale = bool(set(self.frame.across) & self.scores.scale_axes)
        kinds = [(line.kind, line.block) for line in self.lines]
        rows = [Row(tuple(row), rule=n > 0 and kinds[n] != kinds[n - 1]) for n, row in enumerate(self.rows)]
        rows += [Row(tuple(row), rule=n == 0) for n, row in enumerate(self.peers)]
        words = caption(self.scores, self.seen, by_scale=by_scale, extra=extra)
        return Body(name, words, tuple(self.columns), tuple(rows), tuple(self.seen))

    def _put(self, column: Column, entries: Sequence[Entry], peers: Sequence[Entry] | None = None) -> None:
        self.columns.append(column)
        for row, entry in zip(self.rows, entries, strict=True):
            row.append(entry)
        for row, entry in zip(self.peers, peers or [Entry()] * len(self.peers), strict=True):
            row.append(entry)

    def _metrics(self, group: Group) -> list[str]:
        metrics = list(dict.fromkeys(m for p in group.conditions for m in self.scores.metrics[p]))
        return [m for m in self.table["metrics"] if m in metrics] or metrics

    def _group(self, group: Group) -> None:
        for position, metric in enumerate(self._metrics(group)):
            found = [find(line, group, metric, self.results) for line in self.lines]
            self.seen += [r for r in found if r is not None]
            s = text.style(metric)
            self._put(Column(head(s), group.head), means(found, self.lines, s))
            self._printed(group, metric, found)
            if position == 0 and any(
                self.scores.baseline_of(self.scores.arm(r.arm), r.condition) for r in found if r is not None
            ):
                self._put(Column(f"{head(s, 'Δ')} [95 %]", group.head), [_delta(result, s) for result in found])

    def _printed(self, group: Group, metric: str, found: Sequence[Result | None]) -> None:
        mine = [
            published_columns.of_arm(self.scores, self.scores.arm(r.arm), r.condition, metric)
            if r is not None
            else None
            for r in found
        ]
        peers = [published_columns.of_peer(self.scores, name, group.conditions, metric) for name in self._peer_names]
        known = [one for one in (*mine, *peers) if one is not None]
        if known:
            self.published += known
            self._put(Column("published", group.head), *([_published(o) for o in side] for side in (mine, peers)))

    def _peers(self) -> None:
        """Rows of methods that are known from papers alone."""
        self._peer_names = [
            name
            for name in self.table.get("peers", ())
            if any(
                published_columns.of_peer(self.scores, name, group.conditions, metric)
                for group in self.frame.groups
                for metric in self._metrics(group)
            )
        ]
        blank = [Entry("")] * len(self.frame.others)
        self.peers = [[*blank, Entry(name), Entry()] for name in self._peer_names]

    def _cost(self, what: str) -> None:
        found = [[self.costs[arm.name].get(what) for arm in line.arms] for line in self.lines]
        label, divisor = costing.unit(what, [value for line in found for value in line if value is not None])
        self._put(Column(label, "cost"), [_span([v / divisor for v in line if v is not None]) for line in found])

    def _seeds(self, line: Line) -> Entry:
        if line.seedless:
            return Entry(EMPTY)
        names, most = {arm.name for arm in line.arms}, dict[tuple[str, Condition], int]()
        for r in self.results.values():
            # An arm without D has no seeds in a metric of D.
            if r.arm in names:
                most[r.arm, r.condition] = max(most.get((r.arm, r.condition), 0), r.n_seeds)
        seen = sorted(set(most.values()))
        return Entry(str(seen[0]) if len(seen) == 1 else f"{seen[0]}–{seen[-1]}" if seen else "0")


def _published(one: Published | None) -> Entry:
    return Entry() if one is None else Entry(one.text)


def _span(values: list[float]) -> Entry:
    """Write a cost; of several arms in one row, from the least to the most."""
    if not values:
        return Entry()
    ends = [costing.written(min(values)), costing.written(max(values))]
    return Entry(ends[0] if ends[0] == ends[1] else "–".join(ends))


def means(found: Sequence[Result | None], lines: Sequence[Line], s: text.MetricStyle) -> list[Entry]:
    """Return a column of means with half-widths, the best trained arm of each condition in bold."""
    entries, trained = [], []
    for result, line in zip(found, lines, strict=True):
        if result is None or result.mean is None:
            entries.append(Entry("∞" if result is not None and result.left_out else EMPTY))
            trained.append(False)
            continue
        tail = f"± {text.number(result.half_width, s.decimals)}" if result.half_width is not None else ""
        entries.append(Entry(text.number(result.mean, s.decimals), tail))
        trained.append(not line.seedless)
    # Conditions are different tasks: the best of each. What looks equal in the table is equally bold.
    for condition in {result.condition for result in found if result is not None}:
        mine = [i for i, t in enumerate(trained) if t and (r := found[i]) is not None and r.condition == condition]
        shown = {i: float(entries[i].main.replace("−", "-")) for i in mine}
        best = (max if s.higher_is_better else min)(shown.values(), default=None)
        for i in mine if len(mine) > 1 else ():
            entries[i] = replace(entries[i], bold=shown[i] == best)
    return entries


def _delta(result: Result | None, s: text.MetricStyle) -> Entry:
    d = result.difference if result else None
    if result is None or d is None:
        return Entry()
    return Entry(text.signed(d.mean, s.delta_decimals), text.interval(d, s.delta_decimals), MARKS[result.verdict])
