"""Table: the difference of each arm on each test set and over all of them, with mean ranks where methods are many."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from drnbench.outputs import captions
from drnbench.outputs.base import Macros, StudyResults
from drnbench.outputs.macros import cell_name, number
from drnbench.render import text
from drnbench.render.table import MARKS, CaptionedTable, Column, Entry, Row
from drnbench.results import labels
from drnbench.results.pooled import Pooled, Ranks, pooled, ranks
from drnbench.results.scores import Condition, Scores
from drnbench.results.statistics import STAR_SEEDS

COLUMNS = (
    "arm", "datasets", "kernel", "scale", "metric", "delta", "delta_low", "delta_high", "p_holm", "won", "n_seeds", "n_images",
    "mean_rank",
)  # fmt: skip
"""Columns of the CSV file."""


def captioned_table(study: StudyResults) -> CaptionedTable | None:
    """Return the table of pooled differences; None where no arm is compared on two test sets."""
    cells = pooled(study.scores)
    if not cells:
        return None
    ranked = ranks(study.scores)
    sets = list(dict.fromkeys(condition.dataset for cell in cells for condition in cell.setting.conditions))
    means = [_rank(ranked, cell) for cell in cells]
    overall = f"Δ all sets [{study.scores.confidence}]"
    heads = ["arm", "on", "metric", *(f"Δ {name}" for name in sets), overall, "images won"]
    columns = [Column(head, left=n < 3) for n, head in enumerate([*heads, *(["mean rank"] if ranked else [])])]
    rows = [
        Row((*_entries(study, cell, sets), *([Entry() if mean is None else Entry(f"{mean:.2f}")] if ranked else [])))
        for cell, mean in zip(cells, means, strict=True)
    ]
    return CaptionedTable(
        "pooled",
        f"{captions.caption(study.scores)} Over several test sets.",
        tuple(columns),
        tuple(rows),
        _to_csv(cells, means),
        _notes(study.scores, cells, ranked),
    )


def macros(study: StudyResults) -> list[Macros]:
    """Return the commands of every arm's pooled difference and its interval."""
    groups = []
    for cell in pooled(study.scores):
        if not study.scores.arm(cell.arm).seedless:
            condition, d = cell.setting.conditions[0]._replace(dataset="all sets"), cell.difference
            values = {"PooledDelta": d.mean, "PooledDeltaLow": d.low, "PooledDeltaHigh": d.high}
            decimals = text.style(cell.setting.metric).delta_decimals
            bodies = {quantity: number(value, decimals, sign=True) for quantity, value in values.items()}
            name = cell_name(study.scores, condition, cell.arm, cell.setting.metric)
            groups.append(Macros(name, bodies, f"{cell.arm}, {condition.label}, {cell.setting.metric}"))
    return groups


def _entries(study: StudyResults, cell: Pooled, sets: Sequence[str]) -> list[Entry]:
    """Return the labels of a row, the difference on each set, and that over all with the share of images won."""
    style = text.style(cell.setting.metric)
    by_set: dict[str, Entry] = {}
    for condition in cell.setting.conditions:
        difference = study.results[cell.arm, condition, cell.setting.metric].difference
        if difference is not None:
            by_set[condition.dataset] = Entry(text.signed(difference.mean, style.delta_decimals))
    first, difference = cell.setting.conditions[0], cell.difference
    overall = Entry(
        text.signed(difference.mean, style.delta_decimals),
        text.interval(difference, style.delta_decimals),
        MARKS[cell.verdict],
    )
    return [
        Entry(_label(study.scores, cell.arm, cell.setting.conditions)),
        Entry(f"{labels.kernel(first.kernel)} ×{first.scale}"),
        Entry(style.axis_label),
        *(by_set.get(name, Entry()) for name in sets),
        overall,
        Entry(f"{100 * difference.won:.0f} %"),
    ]


def _label(scores: Scores, name: str, conditions: Sequence[Condition]) -> str:
    """Return an arm's name without the axis values that all arms on its test sets share, such as the kernel that these are made with."""
    arm = scores.arm(name)
    scored = [other for other in scores.arms if not set(conditions).isdisjoint(other.conditions)]
    return text.arm_label(scores, arm, scored) if arm.kind == "grid" else name


def _rank(ranked: Sequence[Ranks], cell: Pooled) -> float | None:
    return next(
        (ranks.means[cell.arm] for ranks in ranked if ranks.setting == cell.setting and cell.arm in ranks.means), None
    )


def _notes(scores: Scores, cells: Sequence[Pooled], ranked: Sequence[Ranks]) -> str:
    tested = [cell for cell in cells if cell.p_holm is not None]
    starred = any(cell.difference.seeds >= STAR_SEEDS for cell in tested)
    differences = [cell.difference for cell in cells]
    conditions = dict.fromkeys(condition for cell in cells for condition in cell.setting.conditions)
    parts = [
        captions.rest_of_question(scores),
        f"Δ: mean paired difference to {scores.baseline_label} on each test set ({labels.listing(_names(list(conditions)))});",
        f"over all sets their mean, each set counting alike, with its {scores.confidence} interval over seeds and the",
        "images of every set.",
        f"* better, † worse: Holm-adjusted {scores.limit} over the {text.count(len(tested), 'tested row')} of this table."
        if starred
        else "",
        "Untrained methods have no seeds and are not tested."
        if any(scores.arm(cell.arm).seedless for cell in cells)
        else "",
        *captions.unfinished(scores),
        *(_rank_sentence(scores, ranks) for ranks in ranked),
        f"{text.sample([d.seeds for d in differences], [d.images for d in differences])}, {scores.plan.settings.text}.",
        *_left_out(cells),
        *captions.kernel_specs(conditions),
        *captions.training_images(scores),
    ]
    return " ".join(part for part in parts if part)


def _left_out(cells: Sequence[Pooled]) -> list[str]:
    counts = [
        f"{cell.difference.left_out} of {cell.arm} in {text.style(cell.setting.metric).label}"
        for cell in cells
        if cell.difference.left_out
    ]
    return [f"Images that are infinite or have no value are left out: {'; '.join(counts)}."] if counts else []


def _rank_sentence(scores: Scores, ranks: Ranks) -> str:
    """Return the mean ranks, the methods that are not separated, and the reach of such a statement."""
    first = ranks.setting.conditions[0]
    names = {arm: _label(scores, arm, ranks.setting.conditions) for arm in ranks.means}
    order = ", ".join(f"{names[arm]} {mean:.2f}" for arm, mean in ranks.means.items())
    groups = "; ".join(" – ".join(names[arm] for arm in group) for group in ranks.groups)
    p = "< 0.001" if ranks.friedman < 0.001 else f"= {ranks.friedman:.3f}"
    return (
        f"Mean ranks in {text.style(ranks.setting.metric).label} on {labels.kernel(first.kernel)} ×{first.scale}: {order} "
        f"(Friedman p {p}; not separated by Wilcoxon-Holm at {scores.tests_at}: {groups or 'none'}): by image, seeds averaged, a "
        f"statement about these checkpoints on these {ranks.images} images of {len(ranks.setting.conditions)} sets and not about "
        "the methods."
    )


def _to_csv(cells: Sequence[Pooled], means: Sequence[float | None]) -> str:
    """Return the pooled differences in full precision."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    for cell, mean in zip(cells, means, strict=True):
        d, first = cell.difference, cell.setting.conditions[0]
        names = "+".join(_names(cell.setting.conditions))
        writer.writerow([
            cell.arm, names, first.kernel, first.scale, cell.setting.metric, d.mean, d.low, d.high, cell.p_holm, d.won, d.seeds,
            d.images, mean,
        ])  # fmt: skip
    return buffer.getvalue()


def _names(conditions: Sequence[Condition]) -> list[str]:
    return list(dict.fromkeys(condition.dataset for condition in conditions))
