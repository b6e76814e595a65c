"""Figure: training curves of every stage, one light line a seed, the mean of the seeds bold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from drnbench.report import labels, text
from drnbench.report.figures import COLUMN_IN, GREY, PAGE_IN, Drawn, legend, new, palette
from drnbench.report.frame import Scores
from drnbench.store import Store

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

SHARED = "shared by several arms"
VALIDATION = "val_"


def _histories(scores: Scores, store: Store) -> pd.DataFrame | None:
    """Rows of every stage's history with its stage name, and the arm that it belongs to (or SHARED)."""
    import pandas as pd

    owners: dict[str, set[str]] = {}
    seeds: dict[str, int] = {}
    for arm in scores.arms:
        for trial in arm.trials:
            for key in trial.stages:
                owners.setdefault(key, set()).add(arm.name)
                seeds[key] = trial.seed
    parts = []
    for key, names in owners.items():
        path = store.stage(key) / "history.parquet"
        if path.exists():
            rows = pd.read_parquet(path, columns=["step", "name", "value"])
            owner = next(iter(names)) if len(names) == 1 else SHARED
            stage = scores.plan["stages"][key]["name"]
            parts.append(rows.assign(stage=stage, arm=owner, seed=seeds[key], key=key))
    parts = [part for part in parts if len(part)]
    return pd.concat(parts, ignore_index=True) if parts else None


def _label(name: str) -> str:
    if not name.startswith(VALIDATION):
        return f"training loss ({name})"
    metric, _, kernel = name.removeprefix(VALIDATION).partition("/")
    s = text.style(metric)
    unit = f" ({s.unit.strip()})" if s.unit else ""
    return f"validation {s.label}{unit}" + (f"\n{labels.kernel(kernel)}" if kernel else "")


def draw(scores: Scores, store: Store) -> Drawn | None:
    """Return losses above, validation below, one column a stage; None before any history is written."""
    frame = _histories(scores, store)
    if frame is None:
        return None
    names = set(frame["name"])
    wanted = [n for n in ("total",) if n in names] + sorted(n for n in names if n.startswith(VALIDATION))
    if not wanted:
        return None
    stages = list(dict.fromkeys(s["name"] for s in scores.plan["stages"].values() if s["name"] in set(frame["stage"])))
    # Many arms ask for a wide legend.
    width = COLUMN_IN if len(stages) == 1 and frame["arm"].nunique() <= 8 else PAGE_IN
    figure = new(width, 1.6 * len(wanted) + 0.6)
    grid = figure.subplots(len(wanted), len(stages), squeeze=False)
    styles: dict[str, Any] = {SHARED: {"color": GREY, "linestyle": "-"}, **palette(scores.arms)}
    entries: dict[str, Any] = {}
    for row, name in enumerate(wanted):
        labelled = False
        for column, stage in enumerate(stages):
            ax = grid[row][column]
            rows = frame[(frame["stage"] == stage) & (frame["name"] == name)]
            _panel(ax, rows, styles, entries, log=not name.startswith(VALIDATION))
            if row == 0:
                ax.set_title(stage, loc="left")
            if row == len(wanted) - 1:
                ax.set_xlabel("step")
            # A stage may lack a curve (no unpaired kernel yet): the first that has it carries the label.
            if len(rows) and not labelled:
                ax.set_ylabel(_label(name))
                labelled = True
    order = [n for n in styles if n in entries]
    trained = [arm for arm in scores.arms if not arm.seedless]
    short = {arm.name: text.arm_label(scores, arm, trained) for arm in trained}
    legend(figure, {short.get(n, n): entries[n] for n in order})
    words = "Training curves of each stage. Light: one seed; bold: mean of the seeds."
    if text.reduces_pairs(scores):
        words += " Losses of different ρ are sums of different terms."
    return Drawn("figure_training", words, figure)


def _panel(ax: Axes, rows: pd.DataFrame, styles: dict[str, Any], entries: dict[str, Any], *, log: bool) -> None:
    if not len(rows):
        ax.set_axis_off()
        return
    for arm, mine in rows.groupby("arm", sort=False):
        style = styles.get(str(arm), {"color": GREY})
        marker = "." if mine["step"].nunique() <= 3 else None
        keys = list(mine.groupby("key", sort=False))
        for _, one in keys:
            ordered = one.sort_values("step")
            alpha, width = (0.35, 0.7) if len(keys) > 1 else (1.0, 1.2)
            (line,) = ax.plot(ordered["step"], ordered["value"], alpha=alpha, linewidth=width, marker=marker, **style)
            entries.setdefault(str(arm), line)
        if len(keys) > 1:
            mean = mine.groupby("step")["value"].agg(["mean", "size"])
            # Where a seed still trains, the mean of the others would jump.
            whole = mean[mean["size"] == len(keys)]["mean"]
            (line,) = ax.plot(whole.index, whole.to_numpy(), linewidth=1.3, marker=marker, **style)
            entries[str(arm)] = line
    low, high = rows["value"].min(), rows["value"].max()
    if log and low > 0 and high > 10 * low:
        ax.set_yscale("log")
