"""Figure: the candidates of a search with several objectives, and the front that none of them beats."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from drnbench.config.search import COSTS
from drnbench.outputs import search_summary
from drnbench.render import label_placement, text
from drnbench.render.style import COLUMN_IN, GREY, PAGE_IN, CaptionedFigure, new_figure
from drnbench.results.scores import Scores

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def front(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the candidates that no other beats, as the search left them."""
    return search_summary.best(found)


def draw(scores: Scores) -> CaptionedFigure | None:
    """Return a panel for each pair of objectives: points, front, baseline, labels; None before anything is scored."""
    found = search_summary.of(scores)
    if found is None or len(found["objectives"]) < 2 or not found["best"]:
        return None
    pairs = [_across(found, *pair) for pair in list(itertools.combinations(range(len(found["objectives"])), 2))[:3]]
    figure = new_figure(COLUMN_IN * 1.4 if len(pairs) == 1 else PAGE_IN, 2.7)
    axes = figure.subplots(1, len(pairs), squeeze=False)[0]
    for ax, pair in zip(axes, pairs, strict=True):
        _panel(ax, found, *pair)
    figure.canvas.draw()
    for ax, pair in zip(axes, pairs, strict=True):
        label_placement.write(ax, _labels(found, *pair), _drawn(found, *pair))
    return CaptionedFigure("figure_pareto", _caption(found, len(pairs)), figure)


def _across(found: dict[str, Any], y: int, x: int) -> tuple[int, int]:
    """Horizontal and vertical of two objectives: a cost lies on the horizontal, whichever way round the study names them."""
    return (x, y) if found["objectives"][x]["what"] in COSTS else (y, x)


def _panel(ax: Axes, found: dict[str, Any], x: int, y: int) -> None:
    objectives = found["objectives"]
    complete = [one for one in found["candidates"] if one["state"] == "complete"]
    best = front(found)
    others = [one for one in complete if one["number"] not in found["best"]]
    ax.plot(
        [o["mean"][x] for o in others],
        [o["mean"][y] for o in others],
        marker="o",
        color="0.7",
        linestyle="none",
        markersize=3,
    )
    if corners := _corners(found, x, y):
        ax.plot(*zip(*corners, strict=True), color="C0", linewidth=0.8, alpha=0.5)
    ax.plot([o["mean"][x] for o in best], [o["mean"][y] for o in best], marker="o", color="C0", linestyle="none")
    baseline = found["baseline"]
    if baseline and baseline["state"] == "complete":
        ax.plot(
            baseline["mean"][x],
            baseline["mean"][y],
            marker="s",
            markerfacecolor="white",
            markeredgecolor=GREY,
            linestyle="none",
        )
    values = [o["mean"][x] for o in complete]
    if objectives[x]["what"] in COSTS and min(values) > 0 and max(values) > 3 * min(values):
        ax.set_xscale("log")
    ax.set_xlabel(search_summary.label(objectives[x]))
    ax.set_ylabel(search_summary.label(objectives[y]))
    ax.margins(0.12)


def _corners(found: dict[str, Any], x: int, y: int) -> list[tuple[float, float]]:
    """The edge of what the front dominates, in steps; empty where it is the front of more than these two objectives."""
    line = sorted((one["mean"][x], one["mean"][y]) for one in front(found))
    if len(found["objectives"]) > 2:
        return []
    out = line[:1]
    for (x0, y0), (x1, y1) in itertools.pairwise(line):
        # Better to the left: what the left one dominates goes on to the right, up to the next that is better.
        out += [(x1, y0) if found["objectives"][x]["direction"] == "minimise" else (x0, y1), (x1, y1)]
    return out


def _drawn(found: dict[str, Any], x: int, y: int) -> list[list[tuple[float, float]]]:
    """What labels should not cover: every point, and the edge of the front."""
    points = [[(o["mean"][x], o["mean"][y])] for o in found["candidates"] if o["state"] == "complete"]
    return [*points, *filter(None, [_corners(found, x, y)])]


def _labels(found: dict[str, Any], x: int, y: int) -> list[label_placement.Label]:
    told = search_summary.again(found)
    out = [label_placement.Label(one["mean"][x], one["mean"][y], f"{n}: {one['label']}", "black") for n, one in told]
    baseline = found["baseline"]
    if baseline and baseline["state"] == "complete" and baseline["values"] not in found["found"]:
        out.append(
            label_placement.Label(baseline["mean"][x], baseline["mean"][y], f"default ({baseline['label']})", GREY)
        )
    return out


def _caption(found: dict[str, Any], panels: int) -> str:
    tried = [one for one in found["candidates"] if one["state"] != "running"]
    by = " against ".join(search_summary.where(one) for one in found["objectives"])
    words = [
        f"{text.count(len(tried), 'candidate')} of the search by {by}, means over {text.count(len(found['seeds']), 'seed')}.",
        f"Blue: the {len(found['best'])} on the front, which no candidate beats in everything; grey: the others.",
    ]
    if found["baseline"] and found["baseline"]["state"] == "complete":
        words.append("Hollow square: the default.")
    if panels > 1:
        words.append("On the front of all objectives, which need not be that of two.")
    words.append(f"{found['how']}. Numbered ones are run again with fresh seeds; only these stand in the table.")
    return " ".join(words)
