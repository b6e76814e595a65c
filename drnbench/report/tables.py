"""Tables as data: what stands in which cell. Markdown, LaTeX and HTML draw the same body; CSV has the raw numbers."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace
from typing import Any

from drnbench.report import text
from drnbench.report.frame import Arm, Place, Scores
from drnbench.report.statistics import STAR_SEEDS
from drnbench.report.summary import Result, Results

EMPTY = "–"
MARKS = {"better": "*", "worse": "†", "": ""}


@dataclass(frozen=True)
class Column:
    """One column; columns of one group stand under a common head."""

    header: str
    group: str = ""
    left: bool = False


@dataclass(frozen=True)
class Entry:
    """One cell: what may be bold, what follows it, and a star (*) or a dagger for a significant loss."""

    main: str = EMPTY
    tail: str = ""
    mark: str = ""
    bold: bool = False

    @property
    def text(self) -> str:
        """All of it, without weight."""
        return self.main + (f" {self.tail}" if self.tail else "") + self.mark


@dataclass(frozen=True)
class Row:
    """One row; `rule` draws a line above it."""

    entries: tuple[Entry, ...]
    rule: bool = False


@dataclass(frozen=True)
class Body:
    """A table ready to be drawn, and the results it shows."""

    name: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    results: tuple[Result, ...]


@dataclass
class _Line:
    """Arms that share a row: one, or one for each scale where scales are columns."""

    labels: list[str]
    arms: dict[int, Arm]
    kind: str
    block: tuple[Any, ...] = field(default_factory=tuple)


def bodies(scores: Scores, results: Results) -> list[Body]:
    """Return the tables a study declares; one of all its arms where it declares none."""
    declared = [out for out in scores.plan["outputs"] if out["kind"] == "table"]
    axes = scores.plan["axes"]
    if not declared:
        declared = [{"rows": axes[0]["path"] if axes else None, "columns": "kernel", "metrics": ()}]
    out: list[Body] = []
    for table in declared:
        stem = name = text.slug(table["rows"].rpartition(".")[2] if table["rows"] else "arms")
        n = 1
        while name in {body.name for body in out}:
            n += 1
            name = f"{stem}_{n}"
        out.append(_body(scores, results, table, name))
    return out


def _body(scores: Scores, results: Results, table: dict[str, Any], name: str) -> Body:
    by_scale = table["columns"] == "scale"
    others = [a for a in scores.plan["axes"] if a["path"] != table["rows"] and not (by_scale and a["path"] == "scale")]
    lines = _lines(scores, table["rows"], others, by_scale)
    groups = _groups(scores, table["columns"])
    columns = [Column(a["title"], left=True) for a in others]
    columns.append(Column(_title(scores, table["rows"]), left=True))
    columns.append(Column("seeds"))
    rows = [[*(Entry(label) for label in line.labels), _seeds(line, groups, results)] for line in lines]
    seen: list[Result] = []
    for head, places in groups:
        metrics = list(dict.fromkeys(m for p in places for m in scores.metrics[p]))
        metrics = [m for m in table["metrics"] if m in metrics] or metrics
        for position, metric in enumerate(metrics):
            found = [_find(line, places, metric, results) for line in lines]
            seen += [r for r in found if r is not None]
            s = text.style(metric)
            columns.append(
                Column(
                    f"{s.label}{f' ({s.unit.strip()})' if s.unit else ''} {'↑' if s.higher_is_better else '↓'}",
                    head,
                )
            )
            for row, entry in zip(rows, _means(found, lines, s), strict=True):
                row.append(entry)
            if position == 0 and scores.baseline is not None:
                columns.append(Column(f"Δ{f' ({s.unit.strip()})' if s.unit else ''} [95 %]", head))
                for row, result in zip(rows, found, strict=True):
                    row.append(_delta(result, s))
    ruled = tuple(
        Row(
            tuple(row),
            rule=n > 0 and (lines[n].kind, lines[n].block) != (lines[n - 1].kind, lines[n - 1].block),
        )
        for n, row in enumerate(rows)
    )
    return Body(name, caption(scores, seen, by_scale=by_scale), tuple(columns), ruled, tuple(seen))


def _title(scores: Scores, path: str | None) -> str:
    return next((str(a["title"]) for a in scores.plan["axes"] if a["path"] == path), "arm")


def _lines(scores: Scores, path: str | None, others: list[dict[str, Any]], by_scale: bool) -> list[_Line]:
    """Bicubic first, as the field has it; then the grid in blocks of the other axes; then named arms."""
    lines: dict[tuple[Any, ...], _Line] = {}
    blank = [""] * len(others)
    for arm in scores.arms:
        block: tuple[Any, ...] = ()
        if arm.kind == "grid":
            block = tuple(arm.values[a["path"]] for a in others)
            label = text.shown(arm.values[path]) if path is not None else arm.name
            key: tuple[Any, ...] = ("grid", block, label)
            labels = [*(text.shown(v) for v in block), label]
        else:
            label = "bicubic" if by_scale and arm.kind == "reference" else arm.name
            key, labels = (arm.kind, label), [*blank, label]
        line = lines.setdefault(key, _Line(labels, {}, arm.kind, block))
        line.arms[arm.scale] = arm
        if scores.baseline and arm.kind == "grid" and scores.baseline_of(arm) is None and not by_scale:
            line.labels[-1] += " (baseline)"
    axes = {a["path"]: a["values"] for a in scores.plan["axes"]}
    rank = {"reference": 0, "grid": 1, "named": 2}
    # The rows' axis runs fastest, whichever order the study names its axes in.
    ordered = sorted(
        lines.values(),
        key=lambda line: (
            rank[line.kind],
            [axes[a["path"]].index(v) for a, v in zip(others, line.block, strict=False)],
        ),
    )
    for before, line in reversed(list(itertools.pairwise(ordered))):
        if line.block and line.block == before.block:
            line.labels[: len(others)] = blank
    return ordered


def _groups(scores: Scores, columns: str) -> list[tuple[str, list[Place]]]:
    """Column groups: a head, and the places whose results stand under it (one for each scale)."""
    groups: dict[tuple[Any, ...], tuple[str, list[Place]]] = {}
    several = len({(p.dataset, p.kernel) for p in scores.places}) > 1
    for place in scores.places:
        if columns == "scale":
            head = f"×{place.scale}" + (f", {text.place_label(scores, place)}" if several else "")
            groups.setdefault((place.scale, place.dataset, place.kernel), (head, []))[1].append(place)
        else:
            same = len({p.kernel for p in scores.places}) == 1
            head = place.dataset if columns == "dataset" and same else text.place_label(scores, place)
            groups.setdefault((place.dataset, place.kernel), (head, []))[1].append(place)
    return list(groups.values())


def _find(line: _Line, places: list[Place], metric: str, results: Results) -> Result | None:
    for place in places:
        arm = line.arms.get(place.scale)
        if arm is not None and (arm.name, place, metric) in results:
            return results[arm.name, place, metric]
    return None


def _seeds(line: _Line, groups: list[tuple[str, list[Place]]], results: Results) -> Entry:
    if all(arm.seedless for arm in line.arms.values()):
        return Entry(EMPTY)
    names = {arm.name for arm in line.arms.values()}
    seen = sorted({r.n_seeds for r in results.values() if r.arm in names and any(r.place in ps for _, ps in groups)})
    return Entry(str(seen[0]) if len(seen) == 1 else f"{seen[0]}–{seen[-1]}" if seen else "0")


def _means(found: list[Result | None], lines: list[_Line], s: text.MetricStyle) -> list[Entry]:
    entries, trained = [], []
    for result, line in zip(found, lines, strict=True):
        if result is None or result.mean is None:
            entries.append(Entry("∞" if result is not None and result.left_out else EMPTY))
            trained.append(False)
            continue
        tail = f"± {text.number(result.half_width, s.decimals)}" if result.half_width is not None else ""
        entries.append(Entry(text.number(result.mean, s.decimals), tail))
        trained.append(not any(arm.seedless for arm in line.arms.values()))
    # Scales are different tasks: the best of each. What looks equal in the table is equally bold.
    for scale in {result.place.scale for result in found if result is not None}:
        mine = [i for i, t in enumerate(trained) if t and (r := found[i]) is not None and r.place.scale == scale]
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


def caption(scores: Scores, seen: list[Result], *, by_scale: bool = False) -> str:
    """Return what a reader must know to trust the table: what was measured, how, and what a star means."""
    from drnbench.evaluation.protocol import Protocol

    plan, there = scores.plan, [r for r in seen if r.n_seeds]
    scales = sorted({r.place.scale for r in seen})
    sets = list(dict.fromkeys(r.place.dataset for r in seen))
    parts = [plan["question"] or f"Study {plan['study']}."]
    parts.append(
        f"Scores on {', '.join(sets)}" + ("" if by_scale else f" at {', '.join(f'×{s}' for s in scales)}") + "."
    )
    done, planned = scores.counts
    if done < planned:
        parts.append(f"Unfinished: {done} of {text.count(planned, 'trial')} so far; stars may change.")
    if any(r.half_width is not None for r in there):
        parts.append("Mean ± 95 % half-width (t interval over the seeds' test-set means).")
    parts += _statistics(scores, there)
    trained = [r.n_seeds for r in there if not scores.arm(r.arm).seedless]
    sizes = [text.span(trained, "seed")] if trained else []
    sizes += [text.span([r.n_images for r in there], "image")] if there else []
    parts.append(f"{', '.join([*sizes, 'profile ' + plan['profile']])}.")
    if any(e.left_out for e in there):
        told = {f"{r.left_out} of {r.arm} on {r.place.label}" for r in there if r.left_out}
        parts.append(f"Infinite values (SR equal to HR) are left out: {'; '.join(sorted(told))}.")
    for reason, cells in _left_out(scores).items():
        parts.append(f"Left out: {', '.join(cells)} ({reason.rstrip('.')}).")
    if text.reduces_pairs(scores):
        parts.append("Pairs get fewer as ρ grows: each batch of B holds (1−ρ)B pairs.")
    parts.append(Protocol(**plan["protocol"]).caption(scales[0] if len(scales) == 1 else None).rstrip(".") + ".")
    return " ".join(parts)


def _left_out(scores: Scores) -> dict[str, list[str]]:
    """Cells that the study excludes, by reason."""
    out: dict[str, list[str]] = {}
    for arm in scores.arms:
        for reason in dict.fromkeys(reason for _, reason in arm.excluded):
            seeds = [str(seed) for seed, why in arm.excluded if why == reason]
            cell = f"{arm.name}, seed {' and '.join(seeds)}" if arm.trials else arm.name
            out.setdefault(reason, []).append(cell)
    return out


def _statistics(scores: Scores, there: list[Result]) -> list[str]:
    if scores.baseline is None:
        return ["Bold: best trained arm of a column."]
    found = [r.difference for r in there if r.difference is not None]
    base = scores.baseline_label
    parts = [f"Δ: mean paired difference to {base}"]
    levels = {d.level for d in found}
    if levels == {"checkpoints"}:
        parts[0] += (
            " with its 95 % t interval over images: one seed, so it speaks of these checkpoints and not of the methods."
        )
    elif found:
        parts[0] += " with its 95 % interval (crossed seed-by-image random-effects t)."
        if "checkpoints" in levels:
            parts.append("Arms with one common seed: t interval over images, these checkpoints only.")
    else:
        parts[0] += "."
    stars = [r for r in there if r.p_holm is not None and r.difference and r.difference.seeds >= STAR_SEEDS]
    if stars:
        parts.append("* better, † worse than it: Holm-adjusted p < 0.05 within a column.")
    elif found:
        parts.append(f"Under {STAR_SEEDS} seeds nothing is starred.")
    if any(scores.arm(r.arm).seedless and r.difference for r in there):
        parts.append("Bicubic has no seeds and is not tested.")
    return [*parts, "Bold: best trained arm of a column."]
