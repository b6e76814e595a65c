"""Figure: the gap between training and test images against an axis, one line for each combination of the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from drnbench.outputs import gap_values
from drnbench.render import text, x_axis
from drnbench.render.style import COLOURS, COLUMN_IN, GREY, PAGE_IN, CaptionedFigure, legend, new_figure
from drnbench.results import layout
from drnbench.results.plan_record import AxisRecord
from drnbench.results.scores import Condition, Scores

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw(scores: Scores, out: dict[str, Any]) -> CaptionedFigure | None:
    """Return a panel for each test set; None where nothing is scored on both sides yet."""
    found = gap_values.gaps(scores, out)
    panels = gap_values.slots(scores, out, found)
    panels = {slot: conditions for slot, conditions in panels.items() if conditions}
    if not panels:
        return None
    axis = scores.plan.axis(out["x"])
    s = text.style(out["metric"])
    across = min(2, len(panels))
    down = -(-len(panels) // across)
    figure = new_figure(PAGE_IN if across == 2 else COLUMN_IN, 2.3 * down + 0.35)
    grid = figure.subplots(down, across, squeeze=False)
    for ax in grid.flat[len(panels) :]:
        ax.remove()
    entries: dict[str, Any] = {}
    for n, (ax, (slot, conditions)) in enumerate(zip(grid.flat, panels.items(), strict=False)):
        _panel(ax, scores, found, axis, conditions)
        if len(panels) > 1:
            ax.set_title(text.slot_label(scores, slot, scale=True), loc="left")
        if n % across == 0:
            unit = f" ({s.unit.strip()})" if s.unit else ""
            ax.set_ylabel(f"gap in {s.label}{unit}\ntraining − test images")
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    legend(figure, entries)
    stem = text.slug(out["x"].rpartition(".")[2])
    words = f"Gap against {axis.title}. " + gap_values.caption(scores, out, found).removeprefix(scores.plan.question)
    return CaptionedFigure(f"figure_gap_{text.slug(out['metric'])}_{stem}", " ".join(words.split()), figure)


def _panel(ax: Axes, scores: Scores, found: gap_values.Gaps, axis: AxisRecord, conditions: list[Condition]) -> None:
    moving = layout.moving(scores)
    others = [a for a in scores.axes if a.path not in {axis.path, *moving}]
    lines: dict[str, list[tuple[float, gap_values.Gap]]] = {}
    hollow = set()
    for arm in scores.arms:
        for condition in conditions:
            one = found.get((arm.name, condition))
            if one is None or arm.kind == "reference":
                continue
            if arm.kind == "named":
                ax.axhline(one.value, color=GREY, linestyle="--", linewidth=1.0, label=arm.name)
                continue
            label = ", ".join(f"{a.title}={text.shown(arm.values[a.path], a.path)}" for a in others)
            lines.setdefault(label, []).append((x_axis.position(axis, arm.values[axis.path]), one))
            if scores.is_baseline(arm):
                hollow.add(one.arm)
    known = x_axis.numbers(axis)
    log = x_axis.spread(axis)
    for n, (label, line) in enumerate(lines.items()):
        line.sort(key=lambda pair: pair[0])
        step = 0.1 if known is None else 0.0 if log else 0.012 * (max(known) - min(known))
        shift = (n - (len(lines) - 1) / 2) * step
        colour, marker = COLOURS[n % 10], "osD^vP*X"[n % 8]
        xs = [x + shift if not log else x * 1.03 ** (n - (len(lines) - 1) / 2) for x, _ in line]
        if known is not None:
            ax.plot(xs, [one.value for _, one in line], color=colour, alpha=0.55, linewidth=1.0)
        for x, (_, one) in zip(xs, line, strict=True):
            ax.errorbar(
                x, one.value, yerr=one.half, color=colour, capsize=2.0, elinewidth=1.0, marker=marker,
                markerfacecolor="white" if one.arm in hollow else colour,
            )  # fmt: skip
        face = "white" if all(one.arm in hollow for _, one in line) else colour
        ax.plot([], [], color=colour, marker=marker, markerfacecolor=face, label=label or "all arms")
    _bicubic(ax, [pair for line in lines.values() for pair in line])
    x_axis.draw(ax, axis, log=log)


def _bicubic(ax: Axes, points: list[tuple[float, gap_values.Gap]]) -> None:
    """Bicubic learns nothing: its gap on the same images is the difference between the images alone."""
    known = sorted({(x, one.bicubic) for x, one in points if one.bicubic is not None})
    if known:
        xs, ys = zip(*known, strict=True)
        ax.plot(
            xs, ys, color=GREY, linestyle=":", linewidth=1.0, marker=".", label="bicubic (difference of the images)"
        )
