"""Figure: one dot an image, a row an arm: paired differences to the baseline, or scores, averaged over the seeds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from drnbench.outputs import captions, failed_seeds
from drnbench.outputs.arm_selection import ARMS, representative
from drnbench.outputs.curve_panels import COLLAPSE, limits
from drnbench.render import style, text
from drnbench.render.lines import Point
from drnbench.render.style import COLUMN_IN, GREY, PAGE_IN, CaptionedFigure
from drnbench.results.scores import Arm, Condition, Scores
from drnbench.results.summary import minus, paired

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from drnbench.outputs.per_image import PerImage

PANELS = 4
ROW_IN = 0.24
MANY = 15
"""Images from which on quartiles are drawn behind the dots."""


def values(scores: Scores, metric: str, *, differences: bool) -> pd.DataFrame:
    """Return the dots: arm, condition, image, value, a row each, averaged over the seeds that both arms have."""
    import pandas as pd

    rows = []
    for condition in scores.conditions:
        for arm in scores.arms:
            if (series := _by_image(scores, arm, condition, metric, differences=differences)) is not None:
                rows += [
                    (arm.name, condition, image, float(value)) for image, value in series.items() if np.isfinite(value)
                ]
    return pd.DataFrame(rows, columns=["arm", "condition", "image", "value"])


def _by_image(scores: Scores, arm: Arm, condition: Condition, metric: str, *, differences: bool) -> pd.Series | None:
    """Return the values of an arm by image; None where it has none, or is not compared."""
    import pandas as pd

    if not differences:
        table = scores.tables.get((arm.name, condition, metric))
        return None if table is None else table.mean()
    base = scores.baseline_of(arm, condition)
    pair = paired(scores, arm, base, condition, metric) if base is not None and not arm.seedless else None
    if pair is None or not pair[0].size:
        return None
    return pd.Series(minus(*pair).mean(0), pair[0].columns)


def draw(scores: Scores, output: PerImage) -> CaptionedFigure | None:
    """Return a panel for each test set; None where nothing is scored, or compared."""
    differences = output.differences and scores.baseline is not None
    frame = values(scores, output.metric, differences=differences)
    primary = scores.primary[0]
    conditions = sorted(dict.fromkeys(frame["condition"]), key=lambda condition: condition != primary)
    if not conditions:
        return None
    # Where no arm is scored on two test sets, all share a panel.
    alone = len(frame[["arm", "condition"]].drop_duplicates()) == frame["arm"].nunique()
    groups = [conditions] if alone else [[condition] for condition in conditions[:PANELS]]
    conditions = [condition for group in groups for condition in group]
    arms = _arms(scores, frame)
    shown = frame[frame["condition"].isin(conditions) & frame["arm"].isin(arms)]
    s, below = text.style(output.metric), output.width == "column"
    figure = style.new_figure(
        COLUMN_IN if below or (len(groups) == 1 and output.width is None) else PAGE_IN,
        (0.75 + ROW_IN * len(arms)) * (len(groups) if below else 1),
    )
    shape = (len(groups), 1) if below else (1, len(groups))
    axes = [*figure.subplots(*shape, squeeze=False, sharey=True).flat]
    low, high, far = _limits(shown)
    for ax, group in zip(axes, groups, strict=True):
        if differences:
            ax.axvline(0, color=GREY, linewidth=0.8, zorder=1)
        for row, arm in enumerate(arms):
            dots = shown[shown["condition"].isin(group) & (shown["arm"] == arm)]["value"].to_numpy()
            if differences and any((arm, condition) in far for condition in group):
                style.off_scale_row(
                    ax, row, f"{text.signed(dots.mean(), s.delta_decimals)}{s.unit}", right=dots.mean() > 0
                )
            elif len(dots):
                _row(ax, dots, row, baseline=scores.is_baseline(scores.arm(arm)))
        if differences:
            ax.set_xlim(low, high)
        ax.spines["left"].set_visible(False)
        ax.tick_params(axis="y", length=0)
        ax.set_xlabel(f"Δ {s.axis_label}" if differences else s.axis_label)
        if len(group) == 1:
            ax.set_title(group[0].label, loc="left")
    style.name_rows(
        axes[0], [text.arm_label(scores, scores.arm(arm), [scores.arm(name) for name in arms]) for arm in arms]
    )
    data = shown.assign(**{name: [getattr(c, name) for c in shown["condition"]] for name in Condition._fields})
    csv = data[["arm", *Condition._fields, "image", "value"]].to_csv(index=False, lineterminator="\n")
    kind = "differences" if differences else "distribution"
    name = f"figure_{kind}_{text.slug(output.metric)}"
    return CaptionedFigure(name, _caption(scores, s, conditions, frame, arms, differences=differences), figure, csv)


def _arms(scores: Scores, frame: pd.DataFrame) -> list[str]:
    """Return the arms that have values, of many the representative ones."""
    names = [*dict.fromkeys(frame["arm"])]
    if len(names) <= 2 * ARMS:
        return [arm.name for arm in scores.arms if arm.name in names]
    return [arm.name for arm in representative(scores) if arm.name in names]


def _limits(shown: pd.DataFrame) -> tuple[float, float, set[tuple[str, Condition]]]:
    """Return the limits of all panels, and the arms that lie so far out on a condition that they are arrows there."""
    points: dict[tuple[str, Condition], Point] = {}
    cell: Any
    for cell, v in shown.groupby(["arm", "condition"])["value"]:
        points[cell] = Point(0.0, float(v.mean()), float(v.min()), float(v.max()))
    low, high, hidden = limits(list(points.values()), [], COLLAPSE)
    return low, high, {cell for cell, point in points.items() if point in hidden}


def _row(ax: Axes, dots: np.ndarray[tuple[int], np.dtype[np.float64]], row: int, *, baseline: bool) -> None:
    """Draw the dots of one arm, of many also their quartiles, and their mean as an upright line."""
    if len(dots) >= MANY:
        low, middle, high = np.percentile(dots, [25, 50, 75])
        ax.barh(row, high - low, left=low, height=0.56, color="0.88", linewidth=0, zorder=0)
        ax.plot([middle, middle], [row - 0.28, row + 0.28], color="0.55", linewidth=0.8, zorder=1)
    # Dots of nearly equal values stay apart: their heights follow from their order, the same at every drawing.
    heights = row + 0.16 * (np.argsort(np.argsort(dots)) % 3 - 1)
    face = "none" if baseline else style.COLOURS[0]
    ax.scatter(dots, heights, s=9, facecolor=face, edgecolor=style.COLOURS[0], linewidth=0.5, alpha=0.8, zorder=2)
    ax.plot([dots.mean()] * 2, [row - 0.36, row + 0.36], color="black", linewidth=1.4, zorder=3)


def _caption(
    scores: Scores, s: text.MetricStyle, conditions: list[Condition], frame: pd.DataFrame, arms: list[str], *, differences: bool
) -> str:  # fmt: skip
    subject = f"difference in {s.label} to {scores.baseline_label}" if differences else s.label
    counts = [int(n) for n in frame.groupby(["condition", "arm"])["image"].size()]
    parts = [
        f"One dot an image, its {subject}, averaged over the seeds ({text.span(counts, 'image')}); {s.direction}.",
        "Upright line: the mean.",
    ]
    if max(counts) >= MANY:
        parts.append("Bars: quartiles and median.")
    left = len(set(frame["arm"])) - len(arms), len(set(frame["condition"])) - len(conditions)
    parts += [f"{text.count(n, noun)} not shown." for n, noun in zip(left, ("arm", "test set"), strict=True) if n]
    return " ".join([*parts, *failed_seeds.sentences(scores), *captions.kernel_specs(conditions)])
