"""Figure: training curves of every stage, one light line a seed, the mean of the seeds bold.

Of more arms than there are colours, a few are shown so, and the others as the grey lines of their means.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from drnbench.outputs import outputs
from drnbench.outputs.arm_selection import representative
from drnbench.outputs.base import Output, StudyResults
from drnbench.render import style, text
from drnbench.render.style import COLUMN_IN, GREY, PAGE_IN, STYLES, CaptionedFigure
from drnbench.results import labels
from drnbench.results.histories import SHARED
from drnbench.results.scores import Scores

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

VALIDATION = "val_"
PART = "primary/"
RATE = "lr"


def draw(scores: Scores, frame: pd.DataFrame | None) -> CaptionedFigure | None:
    """Return losses above, validation below, one column a stage; None before any history is written."""
    names = [] if frame is None else curve_names(frame)
    if frame is None or not names:
        return None
    recorded = set(frame["stage"])
    stages = [name for name in dict.fromkeys(stage.name for stage in scores.plan.stages.values()) if name in recorded]
    trained = [arm for arm in scores.arms if not arm.seedless]
    # Of more arms than styles, a few have a colour.
    coloured = [arm for arm in representative(scores) if not arm.seedless] if len(trained) > STYLES else trained
    styles: dict[str, Any] = {SHARED: {"color": GREY, "linestyle": "-"}, **style.palette(coloured)}
    # Many arms ask for a wide legend.
    width = COLUMN_IN if len(stages) == 1 and len(coloured) <= 8 else PAGE_IN
    figure = style.new_figure(width, 1.6 * len(names) + 0.6)
    grid = figure.subplots(len(names), len(stages), squeeze=False)
    _panels(grid, frame, names, stages, styles)
    entries = style.legend_entries(grid.flat)
    short = {arm.name: text.arm_label(scores, arm, trained) for arm in trained}
    style.legend(figure, {short.get(name, name): entries[name] for name in styles if name in entries})
    return CaptionedFigure("figure_training", _caption(scores, len(coloured), len(trained)), figure)


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


def _caption(scores: Scores, coloured: int, trained: int) -> str:
    parts = ["Training curves of each stage. Light: one seed; bold: mean of the seeds."]
    if trained > coloured:
        parts.append(f"{coloured} of {trained} arms in colour; grey: the mean of the seeds of every other arm.")
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
    """Draw a light line for each seed of an arm and a bold one for their mean."""
    from matplotlib.collections import LineCollection

    marker = "." if curves["step"].nunique() <= 3 else None
    seeds = [rows[["step", "value"]].to_numpy() for _, rows in curves.sort_values("step").groupby("key", sort=False)]
    mean, width = curves.groupby("step")["value"].agg(["mean", "size"]), 1.2
    if len(seeds) > 1:
        # One object for all seeds: hundreds of lines take seconds.
        light = {"colors": look["color"], "linestyles": look["linestyle"]}
        ax.add_collection(LineCollection(seeds, alpha=0.35, linewidths=0.7, **light))
        # Where a seed still trains, the mean of the others would jump.
        mean, width = mean[mean["size"] == len(seeds)], 1.3
    ax.plot(mean.index, mean["mean"].to_numpy(), linewidth=width, marker=marker, label=arm, **look)


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
class TrainingCurves(Output):
    """A figure: losses and validation of every stage against its steps."""

    summary = "figure: training curves of every stage"
    automatic = True
    position = 70

    def figures(self, study: StudyResults) -> Sequence[CaptionedFigure | None]:
        """See `Output`."""
        return [draw(study.scores, study.histories)]
