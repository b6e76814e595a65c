"""Figure: the candidates of a search with several objectives, and the front that none of them beats."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from drnbench.config.search import COSTS
from drnbench.outputs import outputs, search_summary
from drnbench.outputs.base import FigureOutput, StudyResults
from drnbench.render import label_placement, style, text
from drnbench.render.label_placement import Label
from drnbench.render.style import COLUMN_IN, GREY, PAGE_IN, CaptionedFigure
from drnbench.results.scores import Scores

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PANELS = 3
Place = tuple[float, float]


def draw(scores: Scores, width: style.Width = None) -> CaptionedFigure | None:
    """Return a panel for each pair of objectives: points, front, baseline, labels; None before anything is scored."""
    search = scores.search
    if search is None or len(search["objectives"]) < 2 or not search["best"]:
        return None
    pairs = list(itertools.combinations(range(len(search["objectives"])), 2))[:PANELS]
    pairs = [_horizontal_and_vertical(search, *pair) for pair in pairs]
    below = width == "column"
    figure = style.new_figure(
        style.inches(width, COLUMN_IN * 1.4 if len(pairs) == 1 else PAGE_IN), 2.7 * (len(pairs) if below else 1)
    )
    axes = [*figure.subplots(*((len(pairs), 1) if below else (1, len(pairs))), squeeze=False).flat]
    for ax, pair in zip(axes, pairs, strict=True):
        _panel(ax, search, *pair)
    figure.canvas.draw()
    for ax, pair in zip(axes, pairs, strict=True):
        label_placement.write(ax, _labels(search, *pair), _obstacles(search, *pair))
    return CaptionedFigure(
        "figure_pareto",
        " ".join([_caption(search, len(pairs)), *search_summary.selection(scores)]),
        figure,
        search_summary.data(search, _complete(search)),
    )


def _horizontal_and_vertical(search: dict[str, Any], first: int, second: int) -> tuple[int, int]:
    """Return the objectives of the two axes: a cost lies on the horizontal one, in whichever order they are declared."""
    return (second, first) if search["objectives"][second]["what"] in COSTS else (first, second)


def _complete(search: dict[str, Any]) -> list[dict[str, Any]]:
    return [candidate for candidate in search["candidates"] if candidate["state"] == "complete"]


def _places(candidates: list[dict[str, Any]], x: int, y: int) -> list[Place]:
    return [(candidate["mean"][x], candidate["mean"][y]) for candidate in candidates]


def _panel(ax: Axes, search: dict[str, Any], x: int, y: int) -> None:
    objectives, complete = search["objectives"], _complete(search)
    others = [candidate for candidate in complete if candidate["number"] not in search["best"]]
    _points(ax, _places(others, x, y), marker="o", color="0.7", markersize=3)
    if edge := _edge(search, x, y):
        ax.plot(*zip(*edge, strict=True), color="C0", linewidth=0.8, alpha=0.5)
    _points(ax, _places(search_summary.best(search), x, y), marker="o", color="C0")
    baseline = search_summary.baseline(search)
    if baseline:
        _points(ax, _places([baseline], x, y), marker="s", markerfacecolor="white", markeredgecolor=GREY)
    values = [candidate["mean"][x] for candidate in complete]
    if objectives[x]["what"] in COSTS and min(values) > 0 and max(values) > 3 * min(values):
        ax.set_xscale("log")
    ax.set_xlabel(search_summary.label(objectives[x]))
    ax.set_ylabel(search_summary.label(objectives[y]))
    ax.margins(0.12)


def _points(ax: Axes, places: list[Place], **look: Any) -> None:
    ax.plot([x for x, _ in places], [y for _, y in places], linestyle="none", **look)


def _edge(search: dict[str, Any], x: int, y: int) -> list[Place]:
    """Return the edge of what the front dominates, in steps; empty where the front has more than these two objectives."""
    if len(search["objectives"]) > 2:
        return []
    front = sorted(_places(search_summary.best(search), x, y))
    corners = front[:1]
    for (x0, y0), (x1, y1) in itertools.pairwise(front):
        # Where less is better, the region that a point dominates extends to the right, up to the next point of the front.
        corners += [(x1, y0) if search["objectives"][x]["direction"] == "minimise" else (x0, y1), (x1, y1)]
    return corners


def _obstacles(search: dict[str, Any], x: int, y: int) -> list[list[Place]]:
    """Return the obstacles of labels: every point, and the edge of the front."""
    edge = _edge(search, x, y)
    return [[place] for place in _places(_complete(search), x, y)] + ([edge] if edge else [])


def _labels(search: dict[str, Any], x: int, y: int) -> list[Label]:
    labels = [
        Label(candidate["mean"][x], candidate["mean"][y], f"{n}: {candidate['label']}", "black")
        for n, candidate in search_summary.rerun(search)
    ]
    baseline = search_summary.baseline(search)
    if baseline and baseline["values"] not in search["found"]:
        labels.append(Label(baseline["mean"][x], baseline["mean"][y], f"default ({baseline['label']})", GREY))
    return labels


def _caption(search: dict[str, Any], panels: int) -> str:
    tried = [candidate for candidate in search["candidates"] if candidate["state"] != "running"]
    objectives = " against ".join(search_summary.where(objective) for objective in search["objectives"])
    seeds = text.count(len(search["seeds"]), "seed")
    parts = [
        f"{text.count(len(tried), 'candidate')} of the search by {objectives}, means over {seeds}.",
        f"Blue: the {len(search['best'])} on the Pareto front, as no candidate is better in every objective; grey: the others.",
    ]
    if search_summary.baseline(search):
        parts.append("Hollow square: the default.")
    if panels > 1:
        parts.append("The front is that of all objectives, which may differ from that of two.")
    parts.append(f"{search['how']}. Numbered candidates are run again with fresh seeds; the table shows these alone.")
    return " ".join(parts)


@outputs.register("pareto")
class ParetoFront(FigureOutput):
    """A figure: the candidates of a search with several objectives, and their Pareto front."""

    summary = "figure: the Pareto front of a search with several objectives"
    figure_needs = "a search with several objectives"
    automatic = True
    position = 61

    def figures(self, study: StudyResults) -> Sequence[CaptionedFigure | None]:
        """See `Output`."""
        return [draw(study.scores, self.width)]
