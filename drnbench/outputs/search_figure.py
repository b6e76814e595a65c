"""Figure: how a search went: its objective over the candidates, and where in the space they lie."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from drnbench.outputs import search_summary
from drnbench.render import text
from drnbench.render.style import COLUMN_IN, GREY, PAGE_IN, CaptionedFigure, new_figure
from drnbench.results.scores import Scores

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FAR = 6.0
"""A candidate so many times the spread of the better half below it is drawn at the edge."""


def draw(scores: Scores) -> CaptionedFigure | None:
    """Return the figure of a search with one objective, and where it has two numbers the map of its space.

    None where no candidate has ended, and for several objectives, which have `pareto`.
    """
    found = search_summary.of(scores)
    if found is None or len(found["objectives"]) > 1:
        return None
    ended = [one for one in found["candidates"] if one["state"] in {"complete", "pruned", "failed"}]
    if not any(one["state"] == "complete" for one in ended):
        return None
    objective = found["objectives"][0]
    numeric = [one for one in found["space"] if one["numeric"]]
    mapped = len(found["space"]) == 2 == len(numeric)
    figure = new_figure(PAGE_IN if mapped else COLUMN_IN * 1.3, 2.5)
    axes = figure.subplots(1, 2 if mapped else 1, squeeze=False)[0]
    cut = _line(axes[0], found, ended, objective)
    if mapped:
        _map(figure, axes[1], found, ended, objective, cut)
    return CaptionedFigure("figure_search", _caption(found, ended, objective, mapped=mapped, cut=cut), figure)


def _sign(objective: dict[str, Any]) -> int:
    return 1 if objective["direction"] == "maximise" else -1


def _line(ax: Axes, found: dict[str, Any], ended: list[dict[str, Any]], objective: dict[str, Any]) -> float | None:
    """Every candidate with its score, and the best so far; returns the score at the edge where some lie beyond it."""
    sign = _sign(objective)
    complete = [(n, one["mean"][0]) for n, one in enumerate(ended) if one["state"] == "complete"]
    best, steps = list[float](), list[int]()
    for n, score in complete:
        if not best or sign * score > sign * best[-1]:
            best.append(score)
            steps.append(n)
    ax.step([*steps, len(ended) - 1], [*best, best[-1]], where="post", color=GREY, linewidth=1.0, zorder=1)
    good = sorted((sign * score for _, score in complete), reverse=True)
    half = good[(len(good) - 1) // 2]
    low = half - FAR * (good[0] - half) if good[0] > half else None
    edge = low if low is not None and good[-1] < low else None
    inside = [score for score in good if edge is None or score >= edge]
    pad = 0.12 * (inside[0] - inside[-1] or abs(inside[0]) * 0.01 or 1.0)
    floor = inside[-1] - 2.2 * pad
    for n, score in complete:
        out = edge is not None and sign * score < edge
        ax.plot(
            n, sign * (floor + 0.3 * pad) if out else score, marker=("v" if sign > 0 else "^") if out else "o", color="C0",
            linestyle="none",
        )  # fmt: skip
    for state, marker in (("pruned", "x"), ("failed", "+")):
        at = [n for n, one in enumerate(ended) if one["state"] == state]
        ax.plot(at, [sign * (floor + 0.3 * pad)] * len(at), marker=marker, color="C3", linestyle="none")
    top = inside[0] + pad
    ax.set_ylim(*sorted((sign * floor, sign * top)))
    if len(ended) - 1 in steps or best:
        n = steps[-1]
        ax.plot(
            n, best[-1], marker="o", markerfacecolor="none", markeredgecolor="black", markersize=8, linestyle="none"
        )
    ax.set_xlabel("candidate")
    ax.set_ylabel(search_summary.label(objective))
    ax.locator_params(axis="x", integer=True)
    baseline = found["baseline"]
    if baseline and baseline["mean"] and baseline["state"] == "complete":
        ax.axhline(baseline["mean"][0], color=GREY, linestyle=":", linewidth=1.0, zorder=0)
    return edge


def _map(
    figure: Any,
    ax: Axes,
    found: dict[str, Any],
    ended: list[dict[str, Any]],
    objective: dict[str, Any],
    cut: float | None,
) -> None:
    """Where candidates lie, coloured by their score."""
    x, y = found["space"]
    sign = _sign(objective)
    complete = [one for one in ended if one["state"] == "complete"]
    values = [one["mean"][0] if cut is None else sign * max(sign * one["mean"][0], cut) for one in complete]
    points = ax.scatter(
        [one["values"][x["path"]] for one in complete], [one["values"][y["path"]] for one in complete], c=values,
        cmap="viridis" if sign > 0 else "viridis_r", s=26, zorder=2, edgecolors="white", linewidths=0.4,
    )  # fmt: skip
    for state, marker in (("pruned", "x"), ("failed", "+")):
        mine = [one["values"] for one in ended if one["state"] == state]
        ax.plot(
            [v[x["path"]] for v in mine],
            [v[y["path"]] for v in mine],
            marker=marker,
            color="C3",
            linestyle="none",
            zorder=1,
        )
    winner = search_summary.best(found)[0]["values"]
    ax.plot(
        winner[x["path"]], winner[y["path"]], marker="o", markerfacecolor="none", markeredgecolor="black", markersize=8,
        linestyle="none", zorder=3,
    )  # fmt: skip
    for axis, one, scale, limits in (
        (ax.xaxis, x, ax.set_xscale, ax.set_xlim),
        (ax.yaxis, y, ax.set_yscale, ax.set_ylim),
    ):
        if one["log"]:
            scale("log")
            axis.set_major_formatter(lambda value, _: f"{value:g}")
            limits(one["low"] / 1.3, one["high"] * 1.3)
        else:
            pad = 0.05 * (one["high"] - one["low"])
            limits(one["low"] - pad, one["high"] + pad)
    ax.set_xlabel(x["title"])
    ax.set_ylabel(y["title"])
    bar = figure.colorbar(points, ax=ax, shrink=0.9, aspect=18, pad=0.02)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=6.5, length=2)


def _caption(
    found: dict[str, Any], ended: list[dict[str, Any]], objective: dict[str, Any], *, mapped: bool, cut: float | None
) -> str:
    seeds = text.count(len(found["seeds"]), "seed")
    words = [
        f"The search: {search_summary.where(objective)} of each candidate, mean over {seeds}; line: best so far, ring: winner."
    ]
    states = {one["state"] for one in ended}
    if "pruned" in states:
        words.append("×: given up early.")
    if "failed" in states:
        words.append("+: failed.")
    if cut is not None:
        words.append("Triangles: off scale.")
    if found["baseline"] and found["baseline"]["state"] == "complete":
        words.append("Dotted: the default.")
    if mapped:
        words.append("Right: where the candidates lie, coloured by the score on the left.")
    words.append(f"{found['how']}. These scores chose the winner and claim nothing: the table does, with fresh seeds.")
    return " ".join(words)
