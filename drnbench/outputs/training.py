"""Figure: training curves of every stage, one light line a seed, the mean of the seeds bold.

Of more arms than there are colours, a few are shown so, and the others as the grey lines of their means.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from drnbench.outputs.crops import choose
from drnbench.render import text
from drnbench.render.style import COLUMN_IN, GREY, PAGE_IN, STYLES, CaptionedFigure, legend, new_figure, palette
from drnbench.results import labels
from drnbench.results.scores import Scores
from drnbench.store import Store, read_rows

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

SHARED = "shared by several arms"
VALIDATION = "val_"


def _histories(scores: Scores, store: Store) -> pd.DataFrame | None:
    """Rows of every stage's history with its stage's name and key, and the arm that it belongs to (or SHARED)."""
    import numpy as np
    import pyarrow as pa

    owners: dict[str, set[str]] = {}
    for arm in scores.arms:
        for trial in arm.trials:
            for key in trial.stages:
                owners.setdefault(key, set()).add(arm.name)
    parts, about = [], []
    for key, names in owners.items():
        path = store.stage(key) / "history.parquet"
        if path.exists():
            parts.append(read_rows(path, ["step", "name", "value"]))
            about.append((scores.plan.stages[key].name, next(iter(names)) if len(names) == 1 else SHARED, key))
    if not sum(map(len, parts)):
        return None
    frame: pd.DataFrame = pa.concat_tables(parts).to_pandas()
    rows = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    columns = zip(("stage", "arm", "key"), zip(*about, strict=True), strict=True)
    return frame.assign(**{name: np.array(found, dtype=object)[rows] for name, found in columns})


def _label(name: str) -> str:
    if not name.startswith(VALIDATION):
        return f"training loss ({name})"
    metric, _, kernel = name.removeprefix(VALIDATION).partition("/")
    s = text.style(metric)
    unit = f" ({s.unit.strip()})" if s.unit else ""
    return f"validation {s.label}{unit}" + (f"\n{labels.kernel(kernel)}" if kernel else "")


def draw(scores: Scores, store: Store) -> CaptionedFigure | None:
    """Return losses above, validation below, one column a stage; None before any history is written."""
    from matplotlib.ticker import MaxNLocator

    frame = _histories(scores, store)
    if frame is None:
        return None
    names = set(frame["name"])
    wanted = [n for n in ("total",) if n in names] + sorted(n for n in names if n.startswith(VALIDATION))
    if not wanted:
        return None
    there = set(frame["stage"])
    stages = list(dict.fromkeys(s.name for s in scores.plan.stages.values() if s.name in there))
    trained = [arm for arm in scores.arms if not arm.seedless]
    crowd = len(trained) > STYLES
    told = tuple(arm for arm in (choose(scores) if crowd else scores.arms) if not arm.seedless)
    # Many arms ask for a wide legend.
    width = COLUMN_IN if len(stages) == 1 and len(told) <= 8 else PAGE_IN
    figure = new_figure(width, 1.6 * len(wanted) + 0.6)
    grid = figure.subplots(len(wanted), len(stages), squeeze=False)
    styles: dict[str, Any] = {SHARED: {"color": GREY, "linestyle": "-"}, **palette(told)}
    entries: dict[str, Any] = {}
    lowest: dict[int, Axes] = {}
    for row, name in enumerate(wanted):
        labelled = False
        for column, stage in enumerate(stages):
            ax = grid[row][column]
            rows = frame[(frame["stage"] == stage) & (frame["name"] == name)]
            if crowd:
                _means(ax, rows[~rows["arm"].isin(list(styles))])
            _panel(ax, rows[rows["arm"].isin(list(styles))] if crowd else rows, styles, entries)
            if not len(rows):
                ax.set_axis_off()
            else:
                _scale(ax, rows["value"], log=not name.startswith(VALIDATION))
            if row == 0:
                ax.set_title(stage, loc="left")
            if len(rows):
                lowest[column] = ax
            ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
            # A stage may lack a curve (no unpaired kernel yet): the first that has it carries the label.
            if len(rows) and not labelled:
                ax.set_ylabel(_label(name))
                labelled = True
    for ax in lowest.values():
        ax.set_xlabel("step")
    order = [n for n in styles if n in entries]
    short = {arm.name: text.arm_label(scores, arm, trained) for arm in trained}
    legend(figure, {short.get(n, n): entries[n] for n in order})
    words = "Training curves of each stage. Light: one seed; bold: mean of the seeds."
    if crowd:
        words += f" {len(told)} of {len(trained)} arms in colour; grey: the mean of the seeds of every other arm."
    if text.reduces_pairs(scores):
        words += " Losses of different ρ are sums of different terms."
    return CaptionedFigure("figure_training", words, figure)


def _panel(ax: Axes, rows: pd.DataFrame, styles: dict[str, Any], entries: dict[str, Any]) -> None:
    from matplotlib.collections import LineCollection

    for arm, mine in rows.groupby("arm", sort=False):
        style = styles.get(str(arm), {"color": GREY})
        marker = "." if mine["step"].nunique() <= 3 else None
        seeds = [one[["step", "value"]].to_numpy() for _, one in mine.sort_values("step").groupby("key", sort=False)]
        mean, width = mine.groupby("step")["value"].agg(["mean", "size"]), 1.2
        if len(seeds) > 1:
            # One object for all seeds: hundreds of lines take seconds.
            light = {"colors": style["color"], "linestyles": style.get("linestyle", "-")}
            ax.add_collection(LineCollection(seeds, alpha=0.35, linewidths=0.7, **light))
            # Where a seed still trains, the mean of the others would jump.
            mean, width = mean[mean["size"] == len(seeds)], 1.3
        (line,) = ax.plot(mean.index, mean["mean"].to_numpy(), linewidth=width, marker=marker, **style)
        entries[str(arm)] = line


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


def _scale(ax: Axes, values: pd.Series, *, log: bool) -> None:
    low, high = values.min(), values.max()
    if log and low > 0 and high > 10 * low:
        ax.set_yscale("log")
