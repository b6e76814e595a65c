"""Figure: the course of a search: its objective over the candidates, and their positions in the space."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from drnbench.outputs import outputs, search_summary
from drnbench.outputs.base import FigureOutput, StudyResults
from drnbench.render import style, text
from drnbench.render.style import COLUMN_IN, GREY, CaptionedFigure
from drnbench.results.scores import Scores

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FAR = 6.0
"""A candidate this many times the spread of the better half below it is drawn at the edge."""
MARKERS = {"pruned": "x", "failed": "+"}
"""Of candidates without a score."""
RING: dict[str, Any] = {
    "marker": "o", "markerfacecolor": "none", "markeredgecolor": "black", "markersize": 8, "linestyle": "none",
}  # fmt: skip


@dataclass(frozen=True)
class _Range:
    """The scores that a search is drawn by, as if higher were better.

    Attributes:
        sign: -1 where lower is better; the other fields speak of scores times the sign.
        edge: the score below which candidates are drawn as triangles; None where none is so far off.
        floor, top: limits of the vertical axis.
        low: where triangles, and candidates without a score, stand.

    """

    sign: int
    edge: float | None
    floor: float
    top: float
    low: float

    def is_off_scale(self, score: float) -> bool:
        return self.edge is not None and self.sign * score < self.edge


def _range(scores: list[float], sign: int) -> _Range:
    """Return the range that shows the differences of the better half, whatever the worst candidate did."""
    ordered = sorted((sign * score for score in scores), reverse=True)
    best, median, worst = ordered[0], ordered[(len(ordered) - 1) // 2], ordered[-1]
    edge = median - FAR * (best - median)
    has_edge = best > median and worst < edge
    lowest = min(score for score in ordered if not has_edge or score >= edge)
    pad = 0.12 * (best - lowest or abs(best) * 0.01 or 1.0)
    floor = lowest - 2.2 * pad
    return _Range(sign, edge if has_edge else None, floor, best + pad, floor + 0.3 * pad)


def draw(scores: Scores, width: style.Width = None) -> CaptionedFigure | None:
    """Return the figure of a search with one objective, and where it has two numbers the map of its space.

    None where no candidate has ended, and for several objectives, which have `pareto`.
    """
    search = scores.search
    if search is None or len(search["objectives"]) > 1:
        return None
    ended = [c for c in search["candidates"] if c["state"] in {"complete", *MARKERS}]
    complete = [c["mean"][0] for c in ended if c["state"] == "complete"]
    if not complete:
        return None
    limits = _range(complete, 1 if search["objectives"][0]["direction"] == "maximise" else -1)
    numeric = [parameter for parameter in search["space"] if parameter["numeric"]]
    mapped = len(search["space"]) == 2 == len(numeric)
    figure, axes = style.new_panels(1 + mapped, 2.5, single=COLUMN_IN * 1.3, width=width)
    _progress(axes[0], search, ended, limits)
    if mapped:
        _map(figure, axes[1], search, ended, limits)
    place = ("Below" if width == "column" else "Right") if mapped else ""
    return CaptionedFigure(
        "figure_search",
        " ".join([_caption(search, ended, limits, place), *search_summary.selection(scores)]),
        figure,
        _data(search),
    )


def _data(search: dict[str, Any]) -> str:
    return search_summary.data(search, [c for c in search["candidates"] if c["state"] != "running"])


def _best_so_far(complete: list[tuple[int, float]], sign: int) -> tuple[list[int], list[float]]:
    """Return the candidates that were better than all before them, and their scores."""
    steps, best = list[int](), list[float]()
    for n, score in complete:
        if not best or sign * score > sign * best[-1]:
            steps.append(n)
            best.append(score)
    return steps, best


def _progress(ax: Axes, search: dict[str, Any], ended: list[dict[str, Any]], limits: _Range) -> None:
    """Draw every candidate with its score, and the best so far."""
    sign, low = limits.sign, limits.sign * limits.low
    complete = [(n, c["mean"][0]) for n, c in enumerate(ended) if c["state"] == "complete"]
    steps, best = _best_so_far(complete, sign)
    ax.step([*steps, len(ended) - 1], [*best, best[-1]], where="post", color=GREY, linewidth=1.0, zorder=1)
    for n, score in complete:
        off_scale = limits.is_off_scale(score)
        marker = ("v" if sign > 0 else "^") if off_scale else "o"
        ax.plot(n, low if off_scale else score, marker=marker, color="C0", linestyle="none")
    for state, marker in MARKERS.items():
        numbers = [n for n, c in enumerate(ended) if c["state"] == state]
        ax.plot(numbers, [low] * len(numbers), marker=marker, color="C3", linestyle="none")
    ax.set_ylim(*sorted((sign * limits.floor, sign * limits.top)))
    ax.plot(steps[-1], best[-1], **RING)
    ax.set_xlabel("candidate")
    ax.set_ylabel(search_summary.label(search["objectives"][0]))
    ax.locator_params(axis="x", integer=True)
    if baseline := search_summary.baseline(search):
        ax.axhline(baseline["mean"][0], color=GREY, linestyle=":", linewidth=1.0, zorder=0)


def _map(figure: Figure, ax: Axes, search: dict[str, Any], ended: list[dict[str, Any]], limits: _Range) -> None:
    """Draw where candidates lie, coloured by their score."""
    horizontal, vertical = search["space"]
    sign = limits.sign
    complete = [c for c in ended if c["state"] == "complete"]
    clipped = [c["mean"][0] if limits.edge is None else sign * max(sign * c["mean"][0], limits.edge) for c in complete]
    points = ax.scatter(
        *_places(search, complete), c=clipped, cmap="viridis" if sign > 0 else "viridis_r", s=26, zorder=2,
        edgecolors="white", linewidths=0.4,
    )  # fmt: skip
    for state, marker in MARKERS.items():
        without_score = [c for c in ended if c["state"] == state]
        ax.plot(*_places(search, without_score), marker=marker, color="C3", linestyle="none", zorder=1)
    ax.plot(*_places(search, search_summary.best(search)[:1]), zorder=3, **RING)
    ax.set(xlabel=horizontal["title"], ylabel=vertical["title"])
    ax.set(xlim=_limits(horizontal), ylim=_limits(vertical))
    for parameter, axis, set_scale in ((horizontal, ax.xaxis, ax.set_xscale), (vertical, ax.yaxis, ax.set_yscale)):
        if parameter["log"]:
            set_scale("log")
            axis.set_major_formatter(lambda value, _: f"{value:g}")
    style.colour_bar(figure, points, ax=ax, shrink=0.9, aspect=18, pad=0.02)


def _places(search: dict[str, Any], candidates: list[dict[str, Any]]) -> tuple[list[float], list[float]]:
    """Return the values of both parameters."""
    horizontal, vertical = (parameter["path"] for parameter in search["space"])
    return [c["values"][horizontal] for c in candidates], [c["values"][vertical] for c in candidates]


def _limits(parameter: dict[str, Any]) -> tuple[float, float]:
    """Return the ends of an axis: the range of a parameter with a margin."""
    low, high = parameter["low"], parameter["high"]
    if parameter["log"]:
        return low / 1.3, high * 1.3
    pad = 0.05 * (high - low)
    return low - pad, high + pad


def _caption(search: dict[str, Any], ended: list[dict[str, Any]], limits: _Range, place: str) -> str:
    seeds, states = text.count(len(search["seeds"]), "seed"), {c["state"] for c in ended}
    sentences = {
        f"The search: {search_summary.where(search['objectives'][0])} of each candidate, mean over {seeds}; "
        "line: best so far, ring: winner.": True,
        "×: pruned early.": "pruned" in states,
        "+: failed.": "failed" in states,
        "Triangles: off scale.": limits.edge is not None,
        "Dotted: the default.": search_summary.baseline(search) is not None,
        f"{place}: where the candidates lie, coloured by their scores.": bool(place),
        f"{search['how']}. These scores chose the winner and are no evidence for it; the table has scores of fresh seeds.": True,
    }
    return " ".join(sentence for sentence, holds in sentences.items() if holds)


@outputs.register("search")
class SearchFigure(FigureOutput):
    """A figure: the course of a search with one objective; and the sentences on any search."""

    summary = "figure and sentences: the course of a search"
    figure_needs = "a search with one objective"
    automatic = True
    position = 60
    headline = "opening"

    def figures(self, study: StudyResults) -> Sequence[CaptionedFigure | None]:
        """See `Output`."""
        return [draw(study.scores, self.width)]

    def sentences(self, study: StudyResults) -> list[str]:
        """See `Output`."""
        return search_summary.sentences(study.scores)
