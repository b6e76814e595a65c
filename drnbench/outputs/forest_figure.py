"""Figure: the difference of every arm to its baseline with its interval, a row an arm and a panel a test set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from drnbench.outputs import captions, failed_seeds
from drnbench.outputs.curve_panels import COLLAPSE, limits
from drnbench.render import style, text
from drnbench.render.lines import Point
from drnbench.render.style import BETTER, COLUMN_IN, GREY, PAGE_IN, WORSE, CaptionedFigure
from drnbench.results import summary
from drnbench.results.scores import Arm, Condition, Scores
from drnbench.results.statistics import STAR_SEEDS
from drnbench.results.summary import Result, Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROWS, PANELS = 40, 4
"""Arms and test sets that a page has room for."""
ROW_IN = 0.17
NAME = 26
"""Characters of a name that a column has room for."""
TITLES = 60
"""Characters of the titles side by side beyond which each is broken after the test set."""
WRITTEN = 2
"""Panels up to which differences are written beside their intervals."""
COLUMNS = ("delta", "delta_low", "delta_high", "p_holm", "margin", "equivalence")
"""Columns of summary.csv that the figure draws."""


@dataclass(frozen=True)
class Panel:
    """The comparisons on one condition, in table order; on several where no arm is scored on two."""

    conditions: tuple[Condition, ...]
    results: tuple[Result, ...]


def panels(scores: Scores, results: Results, metric: str) -> list[Panel]:
    """Return a panel for each condition on which trained arms are compared with a baseline in a metric."""
    made = []
    for condition in scores.conditions:
        cells = (results.get((arm.name, condition, metric)) for arm in scores.arms if not arm.seedless)
        compared = tuple(cell for cell in cells if cell is not None and cell.difference is not None)
        if compared:
            made.append(Panel((condition,), compared))
    everything = [result for panel in made for result in panel.results]
    if len(made) > 1 and len({result.arm for result in everything}) == len(everything):
        order = {arm.name: n for n, arm in enumerate(scores.arms)}
        together = sorted(everything, key=lambda result: order[result.arm])
        return [Panel(tuple(condition for panel in made for condition in panel.conditions), tuple(together))]
    return made


def draw(
    scores: Scores, results: Results, metric: str | None = None, width: style.Width = None
) -> CaptionedFigure | None:
    """Return the figure; None where under two comparisons are scored."""
    metric = metric or scores.primary[1]
    all_panels = panels(scores, results, metric)
    shown = sorted(all_panels, key=lambda panel: scores.primary[0] not in panel.conditions)[:PANELS]
    arms = _arms(scores, shown)
    if sum(len(panel.results) for panel in shown) < 2:
        return None
    s = text.style(metric)
    written = len(shown) <= WRITTEN
    labels = [text.arm_label(scores, scores.arm(name), [scores.arm(n) for n in arms]) for name in arms]
    # Names and numbers stand beside the panel, which needs room, too.
    narrow = len(shown) == 1 and max(len(style.legible(label)) for label in labels) <= NAME
    below = width == "column"
    inches = COLUMN_IN if below or (narrow and width is None) else PAGE_IN
    titles = [panel.conditions[0].label for panel in shown]
    wrapped = not below and max(map(len, titles)) * len(shown) > TITLES
    high = (
        (0.75 if not below or len(shown) == 1 else 0.6)
        + ROW_IN * len(arms)
        + (0.14 * (1 + wrapped) if len(shown) > 1 else 0)
    )
    figure = style.new_figure(inches, high * (len(shown) if below else 1))
    shape = (len(shown), 1) if below else (1, len(shown))
    axes = [*figure.subplots(*shape, squeeze=False, sharey=True, sharex=below).flat]
    points = {id(r): _point(r) for panel in shown for r in panel.results}
    low, high, hidden = limits(list(points.values()), [], COLLAPSE)
    margin = next((r.margin for panel in shown for r in panel.results if r.margin), None)
    if margin:
        low, high = min(low, -1.3 * margin), max(high, 1.3 * margin)
    for ax, panel, title in zip(axes, shown, titles, strict=True):
        ax.set_xlim(low, high)
        if margin:
            ax.axvspan(-margin, margin, color="0.9", linewidth=0, zorder=0)
        ax.axvline(0, color=GREY, linewidth=0.8, zorder=1)
        for result in panel.results:
            if (row := arms.get(result.arm)) is not None:
                _row(ax, scores, result, points[id(result)], row, s, far=points[id(result)] in hidden, written=written)
                if written:
                    _numbers(ax, result, row, s)
        ax.set_xlabel(f"Δ {s.axis_label}")
        ax.spines["left"].set_visible(False)
        ax.tick_params(axis="y", length=0)
        if len(shown) > 1:
            ax.set_title(title.replace(", ", ",\n", 1) if wrapped else title, loc="left")
    for ax in axes if below else axes[:1]:
        style.name_rows(ax, labels)
    left = len(all_panels) - len(shown), len({r.arm for panel in shown for r in panel.results}) - len(arms)
    return CaptionedFigure(f"figure_forest_{text.slug(metric)}", _caption(scores, shown, s, left), figure, _csv(shown))


def _arms(scores: Scores, shown: Sequence[Panel]) -> dict[str, int]:
    """Return the arms that are shown with their rows, in table order; of many those with the largest differences."""
    sizes: dict[str, float] = {}
    for panel in shown:
        for result in panel.results:
            assert result.difference is not None
            sizes[result.arm] = max(sizes.get(result.arm, 0.0), abs(result.difference.mean))
    fixed = {
        arm
        for arm in sizes
        if scores.is_control(scores.arm(arm)) or (scores.plan.primary and scores.plan.primary.arm == arm)
    }
    kept = {*sorted(sizes, key=lambda arm: (arm not in fixed, -sizes[arm]))[:ROWS]}
    names = [arm.name for arm in scores.arms if arm.name in kept]
    return {name: row for row, name in enumerate(names)}


def _point(result: Result) -> Point:
    d = result.difference
    assert d is not None
    return Point(0.0, d.mean, d.mean if d.low is None else d.low, d.mean if d.high is None else d.high)


def _row(
    ax: Axes, scores: Scores, result: Result, point: Point, row: int, s: text.MetricStyle, *, far: bool, written: bool
) -> None:
    """Draw one comparison: filled where it is tested better or worse; off scale an arrow at the edge."""
    arm: Arm = scores.arm(result.arm)
    colour = {"better": BETTER, "worse": WORSE}.get(result.verdict, "0.35")
    if far:
        value = "" if written else f"{text.signed(point.value, s.delta_decimals)}{s.unit}"
        style.off_scale_row(ax, row, value, right=point.value > 0, colour=colour)
        return
    marker = "D" if scores.is_control(arm) else "s" if result.primary else "o"
    ax.errorbar(
        [point.value], [row], xerr=[[point.value - point.low], [point.high - point.value]], color=colour, elinewidth=1.1,
        capsize=1.8, marker=marker, markersize=4, markerfacecolor=colour if result.verdict else "white", zorder=3,
    )  # fmt: skip


def _numbers(ax: Axes, result: Result, row: int, s: text.MetricStyle) -> None:
    """Write a difference with its interval and its star at the right of its row."""
    d = result.difference
    assert d is not None
    mark = {"better": "*", "worse": "†"}.get(result.verdict, "")
    words = f"{text.signed(d.mean, s.delta_decimals)}{mark} {text.interval(d, s.delta_decimals)}"
    ax.annotate(
        words, (1.0, row), xycoords=ax.get_yaxis_transform(), xytext=(5, 0), textcoords="offset points", va="center",
        ha="left", fontsize=6, annotation_clip=False,
    )  # fmt: skip


def _caption(scores: Scores, shown: Sequence[Panel], s: text.MetricStyle, left: tuple[int, int]) -> str:
    cells = [result for panel in shown for result in panel.results]
    differences = [result.difference for result in cells if result.difference]
    sizes = text.sample([d.seeds for d in differences], [d.images for d in differences])
    conditions = [condition for panel in shown for condition in panel.conditions]
    where = f" on {conditions[0].label}" if len(conditions) == 1 else ""
    interval = f"{scores.confidence} interval ({captions.interval_method(differences)}; {sizes})"
    parts = [
        f"{s.label} of every arm{where}: mean paired difference to {scores.baseline_label} with its {interval}; {s.direction}."
    ]
    if any(r.p_holm is not None and r.difference and r.difference.seeds >= STAR_SEEDS for r in cells):
        parts.append(
            f"Filled, * better, † worse: {captions.family_words(scores, cells, 'the figure')}; hollow: not shown."
        )
    if margin := next((r.margin for r in cells if r.margin), None):
        parts.append(
            f"Shaded: the margin of {text.number(margin, s.delta_decimals)}{s.unit}, within which a difference means nothing."
        )
    if any(r.primary for r in cells):
        parts.append("Square: the comparison that the study declares in advance.")
    if any(scores.is_control(scores.arm(r.arm)) for r in cells):
        parts.append("Diamond: the positive control.")
    if left[0]:
        parts.append(f"{text.count(left[0], 'test set')} not shown.")
    if left[1]:
        parts.append(
            f"Shown are the {ROWS} arms of the largest differences, which flatter; {left[1]} more are in summary.csv."
        )
    return " ".join([*parts, *failed_seeds.sentences(scores), *captions.kernel_specs(conditions)])


def _csv(shown: Sequence[Panel]) -> str:
    """Return the comparisons as CSV: the columns of summary.csv that are drawn."""
    names = ["arm", "dataset", "kernel", "scale", "metric", *COLUMNS]
    rows = []
    for result in (result for panel in shown for result in panel.results):
        values = dict(zip(summary.COLUMNS, summary.row(result), strict=True))
        rows.append([*(values[name] for name in names), result.verdict])
    return style.data([*names, "verdict"], rows)
