"""Figure: training curves of every stage, the mean of the seeds with a band from the lowest to the highest.

More arms than eyes can tell apart have a small panel each, with the others as grey lines behind.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from drnbench.outputs import outputs
from drnbench.outputs.arm_selection import representative
from drnbench.outputs.base import FigureOutput, StudyResults
from drnbench.render import style, text
from drnbench.render.style import COLOURS, COLUMN_IN, GREY, MARKERS, PAGE_IN, CaptionedFigure
from drnbench.results import labels
from drnbench.results.histories import SHARED
from drnbench.results.scores import Arm, Scores

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

VALIDATION = "val_"
PART = "primary/"
RATE = "lr"
TOGETHER, MULTIPLES = 8, 24
"""Arms that share panels, and panels of one arm each that a page has room for."""
MARKED = 6
"""Markers along a line, about."""
WIDEST = 30
"""Characters of a line above such a panel."""


def draw(scores: Scores, frame: pd.DataFrame | None, width: style.Width = None) -> CaptionedFigure | None:
    """Return losses above, validation below, one column a stage; None before any history is written."""
    names = [] if frame is None else curve_names(frame)
    if frame is None or not names:
        return None
    recorded = set(frame["stage"])
    stages = [name for name in dict.fromkeys(stage.name for stage in scores.plan.stages.values()) if name in recorded]
    trained = [arm for arm in scores.arms if not arm.seedless]
    if len(set(frame["arm"]) - {SHARED}) > TOGETHER:
        return _small_multiples(scores, frame, stages, trained, width)
    coloured = trained
    looks = style.palette(coloured)
    # Markers keep lines apart in gray, too.
    marked = {name: {**look, "marker": MARKERS[n % len(MARKERS)]} for n, (name, look) in enumerate(looks.items())}
    styles: dict[str, Any] = {SHARED: {"color": GREY, "linestyle": "-"}, **marked}
    figure = style.new_figure(style.inches(width, COLUMN_IN if len(stages) == 1 else PAGE_IN), 1.6 * len(names) + 0.6)
    grid = figure.subplots(len(names), len(stages), squeeze=False)
    _panels(grid, frame, names, stages, styles)
    entries = style.legend_entries(grid.flat)
    short = {arm.name: text.arm_label(scores, arm, trained) for arm in trained}
    style.legend(figure, {short.get(name, name): entries[name] for name in styles if name in entries})
    return CaptionedFigure("figure_training", _caption(scores), figure, _csv(frame[frame["name"].isin(names)]))


def _small_multiples(
    scores: Scores, frame: pd.DataFrame, stages: list[str], trained: list[Arm], width: style.Width
) -> CaptionedFigure:
    """Return a panel an arm of the curve that says most: validation, or the loss where there is none, in its last stage."""
    names = curve_names(frame)
    kernel = scores.members(scores.primary[0])[0].kernel
    validations = sorted((v for v in names if v.startswith(VALIDATION)), key=lambda v: not v.endswith(f"/{kernel}"))
    metric = validations[0].partition("/")[0] if validations else ""
    preferred = [v for v in validations if v.partition("/")[0] == metric] or names[:1]
    # An arm may be validated under its own kernel alone.
    last = frame[frame["name"].isin(preferred) & (frame["arm"] != SHARED)]
    for column, order in (("name", preferred), ("stage", stages[::-1])):
        rank = last[column].map({value: n for n, value in enumerate(order)})
        last = last[rank == rank.groupby(last["arm"]).transform("min")]
    names_recorded = set(last["arm"])
    recorded = [arm for arm in trained if arm.name in names_recorded]
    shown = recorded if len(recorded) <= MULTIPLES else [arm for arm in representative(scores) if arm in recorded]
    columns = min(2 if width == "column" else 4, len(shown))
    figure = style.new_figure(style.inches(width, PAGE_IN), 1.15 * -(-len(shown) // columns) + 0.3)
    axes = [*figure.subplots(-(-len(shown) // columns), columns, squeeze=False, sharex=True, sharey=True).flat]
    for ax, arm in zip(axes, shown, strict=False):
        _panel(ax, last, {arm.name: {"color": COLOURS[0], "linestyle": "-"}}, log=not validations)
        title = style.legible(text.arm_label(scores, arm, trained))
        ax.set_title("\n".join(textwrap.wrap(title, WIDEST)), loc="left", fontsize=6.5)
    for ax in axes[len(shown) :]:
        ax.remove()
    for ax in axes[: len(shown)][-columns:]:  # also above a row that is not full
        ax.tick_params(labelbottom=True)
    figure.supxlabel("step", fontsize=8)
    used = [name for name in preferred if name in set(last["name"])]
    figure.supylabel(curve_label(used[0] if len(used) == 1 else metric or used[0]), fontsize=8)
    return CaptionedFigure("figure_training", _caption(scores, len(shown), len(recorded)), figure, _csv(last))


def _panels(
    grid: NDArray[Any], frame: pd.DataFrame, names: list[str], stages: list[str], styles: dict[str, Any]
) -> None:
    """Draw a row for each curve and a column for each stage."""
    lowest: dict[str, Axes] = {}
    for axes, name in zip(grid, names, strict=True):
        by_stage = dict(list(frame[frame["name"] == name].groupby("stage")))
        drawn = {stage: ax for ax, stage in zip(axes, stages, strict=True) if stage in by_stage}
        for stage, ax in drawn.items():
            _panel(ax, by_stage[stage], styles, log=not name.startswith(VALIDATION))
        # A stage may lack a curve (no unpaired kernel yet): the first that has it carries the label.
        next(iter(drawn.values())).set_ylabel(curve_label(name))
        lowest |= drawn
    for ax, stage in zip(grid[0], stages, strict=True):
        ax.set_title(stage, loc="left")
    for ax in (ax for ax in grid.flat if not ax.has_data()):
        ax.set_axis_off()
    for ax in lowest.values():
        ax.set_xlabel("step")


def _csv(frame: pd.DataFrame) -> str:
    """Return mean, lowest and highest seed of each arm, stage, curve and step."""
    by = ["arm", "stage", "name", "step"]
    rows = frame.groupby(by, sort=False)["value"].agg(["mean", "min", "max", "size"]).rename(columns={"size": "seeds"})
    return rows.reset_index().to_csv(index=False, lineterminator="\n")


def _caption(scores: Scores, panels: int = 0, trained: int = 0) -> str:
    parts = ["Training curves of each stage: the mean of the seeds, and a band from the lowest seed to the highest."]
    if panels:
        shown = f", {panels} of {trained} arms" if panels < trained else ""
        parts = [
            f"Training curves of the last stage, a panel an arm{shown}: the mean of the seeds and a band over them."
        ]
        parts.append("Grey: the means of all other arms.")
    if text.reduces_pairs(scores):
        parts.append("Losses of different ρ are sums of different terms.")
    return " ".join(parts)


def curve_names(frame: pd.DataFrame) -> list[str]:
    """Return the names of the curves that are shown: the total loss, parts of the primary loss, learning rate, validation."""
    names = set(frame["name"])
    parts, validations = (sorted(name for name in names if name.startswith(p)) for p in (PART, VALIDATION))
    return [name for name in ("total", *parts, RATE, *validations) if name in names]


def curve_label(name: str) -> str:
    """Return the name of a curve in writing, in one or two lines."""
    if name == RATE:
        return "learning rate"
    if not name.startswith(VALIDATION):
        return f"training loss ({name.removeprefix(PART)})"
    metric, _, kernel = name.removeprefix(VALIDATION).partition("/")
    return f"validation {text.style(metric).axis_label}" + (f"\n{labels.kernel(kernel)}" if kernel else "")


def _panel(ax: Axes, rows: pd.DataFrame, styles: dict[str, Any], *, log: bool) -> None:
    """Draw one curve of one stage, of every arm."""
    from matplotlib.ticker import MaxNLocator

    ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    in_colour = rows["arm"].isin(list(styles))
    if not in_colour.all():
        _means(ax, rows[~in_colour])
    for arm, curves in rows[in_colour].groupby("arm", sort=False):
        _seeds_and_mean(ax, str(arm), curves, styles[str(arm)])
    low, high = rows["value"].min(), rows["value"].max()
    if log and low > 0 and high > 10 * low:
        ax.set_yscale("log")


def _seeds_and_mean(ax: Axes, arm: str, curves: pd.DataFrame, look: dict[str, Any]) -> None:
    """Draw the mean of an arm's seeds, and a band from the lowest seed to the highest."""
    steps = curves["step"].nunique()
    look = {"marker": "." if steps <= 3 else None, **look}
    seeds = curves["key"].nunique()
    mean, width = curves.groupby("step")["value"].agg(["mean", "size", "min", "max"]), 1.2
    if seeds > 1:
        # Where a seed still trains, the mean of the others would jump.
        mean, width = mean[mean["size"] == seeds], 1.3
        low, high = mean["min"].to_numpy(), mean["max"].to_numpy()
        ax.fill_between(mean.index.to_numpy(), low, high, color=look["color"], alpha=0.18, linewidth=0)
    every = max(1, steps // MARKED)
    ax.plot(mean.index, mean["mean"].to_numpy(), linewidth=width, markersize=3, markevery=every, label=arm, **look)


def _means(ax: Axes, rows: pd.DataFrame) -> None:
    """Draw the mean curve of each arm, thin and grey, all as one object: there may be hundreds."""
    import numpy as np
    from matplotlib.collections import LineCollection

    seeds = rows.groupby("arm")["key"].nunique()
    mean = rows.groupby(["arm", "step"])["value"].agg(["mean", "size"]).reset_index()
    whole = mean[mean["size"].to_numpy() == seeds[mean["arm"]].to_numpy()]
    edges = np.flatnonzero(whole["arm"].to_numpy()[1:] != whole["arm"].to_numpy()[:-1]) + 1
    curves = np.split(whole[["step", "mean"]].to_numpy(), edges)
    ax.add_collection(LineCollection(curves, colors="0.75", linewidths=0.4, zorder=1))
    ax.autoscale_view()


@outputs.register("training")
class TrainingCurves(FigureOutput):
    """A figure: losses and validation of every stage against its steps."""

    summary = "figure: training curves of every stage"
    figure_needs = "histories of training"
    automatic = True
    position = 70

    def figures(self, study: StudyResults) -> Sequence[CaptionedFigure | None]:
        """See `Output`."""
        return [draw(study.scores, study.histories, self.width)]
