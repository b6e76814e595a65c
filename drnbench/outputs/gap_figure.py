"""Figure: the gap between training and test images against an axis, one line for each combination of the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drnbench.outputs import gap_values
from drnbench.outputs.gap_caption import notes
from drnbench.render import lines, style, text, x_axis
from drnbench.render.lines import Point
from drnbench.render.style import GREY, CaptionedFigure
from drnbench.results import layout
from drnbench.results.plan_record import AxisRecord
from drnbench.results.scores import Condition, Scores

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from drnbench.outputs.base import StudyResults
    from drnbench.outputs.gap import Gap


def draw(study: StudyResults, output: Gap) -> CaptionedFigure | None:
    """Return a panel for each test set; None where nothing is scored on both sides yet."""
    scores, gaps = study.scores, gap_values.gaps(study.scores, output)
    panels = {slot: conditions for slot, conditions in _slots(scores, output, gaps).items() if conditions}
    if not panels:
        return None
    axis, s = scores.plan.axis(output.x), text.style(output.metric)
    figure, axes = style.new_panels(len(panels), 2.3, extra=0.35, width=output.width)
    for ax, (slot, conditions) in zip(axes, panels.items(), strict=True):
        _panel(ax, scores, gaps, axis, conditions)
        if len(panels) > 1:
            ax.set_title(text.slot_label(scores, slot, scale=True), loc="left")
    style.label_rows(axes, f"gap in {s.axis_label}\ntraining − test images")
    style.legend(figure, style.legend_entries(axes))
    stem = text.path_slug(output.x)
    words = f"Gap against {axis.title}. " + notes(scores, output, gaps, study.results)
    rows = [
        [text.slot_label(scores, slot, scale=True), label, p.x, p.value, p.low, p.high]
        for slot, conditions in panels.items()
        for label, points in _lines(scores, gaps, axis, conditions).items() for p in points
    ]  # fmt: skip
    data = style.data(["panel", "line", axis.title, "gap", "low", "high"], rows)
    return CaptionedFigure(f"figure_gap_{text.slug(output.metric)}_{stem}", " ".join(words.split()), figure, data)


def _panel(ax: Axes, scores: Scores, gaps: gap_values.Gaps, axis: AxisRecord, conditions: list[Condition]) -> None:
    for arm in (a for a in scores.arms if a.kind == "named"):
        for gap in (gaps[arm.name, c] for c in conditions if (arm.name, c) in gaps):
            ax.axhline(gap.value, color=GREY, linestyle="--", linewidth=1.0, label=arm.name)
    log = x_axis.spread(axis)
    lines.draw(ax, _lines(scores, gaps, axis, conditions), axis, log=log)
    _bicubic(ax, scores, gaps, axis, conditions)
    x_axis.draw(ax, axis, log=log)


def _lines(
    scores: Scores, gaps: gap_values.Gaps, axis: AxisRecord, conditions: list[Condition]
) -> dict[str, list[Point]]:
    """Return a line for each combination of the other axes, its points from left to right."""
    others = [a for a in scores.axes if a.path not in {axis.path, *layout.moving(scores)}]
    by_label: dict[str, list[Point]] = {}
    for arm in (a for a in scores.arms if a.kind == "grid"):
        label = ", ".join(text.setting(a, arm.values[a.path]) for a in others) or "all arms"
        x = x_axis.position(axis, arm.values[axis.path])
        for gap in (gaps[arm.name, c] for c in conditions if (arm.name, c) in gaps):
            half = gap.half or 0.0
            point = Point(x, gap.value, gap.value - half, gap.value + half, baseline=scores.is_baseline(arm))
            by_label.setdefault(label, []).append(point)
    return {label: sorted(points, key=lambda p: p.x) for label, points in by_label.items()}


def _bicubic(ax: Axes, scores: Scores, gaps: gap_values.Gaps, axis: AxisRecord, conditions: list[Condition]) -> None:
    """Draw the gap of bicubic, which learns nothing: on the same images, it is the difference of the images alone."""
    points = sorted({
        (x_axis.position(axis, arm.values[axis.path]), gap.bicubic)
        for arm in scores.arms
        if arm.kind == "grid"
        for gap in (gaps[arm.name, c] for c in conditions if (arm.name, c) in gaps)
        if gap.bicubic is not None
    })  # fmt: skip
    if points:
        xs, ys = zip(*points, strict=True)
        ax.plot(
            xs, ys, color=GREY, linestyle=":", linewidth=1.0, marker=".", label="bicubic (difference of the images)"
        )


def _slots(scores: Scores, output: Gap, gaps: gap_values.Gaps) -> dict[layout.Slot, list[Condition]]:
    """Return the test conditions of each panel of the figure."""
    fields = layout.moved(scores, [output.x])
    panels: dict[layout.Slot, list[Condition]] = {}
    for arm in (arm for arm in scores.arms if arm.kind != "reference"):
        for condition, slot in layout.slots(arm, fields).items():
            if (arm.name, condition) in gaps and condition not in panels.setdefault(slot, []):
                panels[slot].append(condition)
    return panels
