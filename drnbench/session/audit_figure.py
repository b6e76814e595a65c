"""The picture of an audit: the estimated kernel, and the largest residuals of the best generators."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from drnbench.forensics.linear_kernel import LinearKernel
from drnbench.forensics.pairs import PairReport
from drnbench.forensics.verdict import Verdict
from drnbench.render.style import PAGE_IN, colour_bar, new_figure, no_picture, picture, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHOWN = 3
"""Images whose residual is drawn."""
LEAST = 2.0
"""Levels that the colours span at least, so that rounding does not look like damage."""


def draw(pairs: Sequence[PairReport], kernel: LinearKernel | None, verdict: Verdict) -> Figure:
    """Return the figure.

    Args:
        pairs: of the audit.
        kernel: as estimated.
        verdict: on all of them.

    """
    worst = sorted(pairs, key=lambda pair: -pair.differences[pair.best].square)[:SHOWN]
    with styled():
        figure = new_figure(PAGE_IN, 2.5)
        first, *rest = figure.subplots(1, 1 + SHOWN, squeeze=False)[0]
        scale = round(pairs[0].hr_size[0] / pairs[0].lr_size[0])
        _kernel(figure, first, kernel, scale)
        span = max(LEAST, *(float(np.quantile(np.abs(pair.residual), 0.995)) for pair in worst))
        for ax, pair in zip(rest, worst, strict=False):
            drawn = picture(ax, pair.residual.mean(axis=2), framed=True, cmap="RdBu_r", vmin=-span, vmax=span)
            height, width = pair.residual.shape[:2]
            ax.set_aspect(height / width)
            ax.set_title(f"{pair.name}: LR less\n{textwrap.shorten(pair.best, 30, placeholder=' …')}", fontsize=6.5)
        for ax in rest[len(worst) :]:
            ax.remove()
        colour_bar(
            figure, drawn, ax=rest[: len(worst)], location="bottom", shrink=0.5, label="levels (mean of R, G, B)"
        )
        figure.suptitle("\n".join(textwrap.wrap(verdict.sentence, 120)), fontsize=7)
        figure.canvas.draw()
    return figure


def _kernel(figure: Figure, ax: Axes, kernel: LinearKernel | None, scale: int) -> None:
    if kernel is None:
        no_picture(ax, "images too small or flat\nfor a kernel")
        return
    side = len(kernel.weights)
    largest = float(np.abs(kernel.weights).max())
    extent = (-side / 2, side / 2, side / 2, -side / 2)
    drawn = ax.imshow(
        kernel.weights, cmap="RdBu_r", vmin=-largest, vmax=largest, extent=extent, interpolation="nearest"
    )
    edges = np.array([-scale / 2, scale / 2])
    ax.plot(edges[[0, 1, 1, 0, 0]], edges[[0, 0, 1, 1, 0]], color="k", linewidth=0.6)
    ax.plot(*kernel.centre, "k+", markersize=6, markeredgewidth=0.8)
    ax.set_title("estimated kernel", fontsize=6.5)
    ax.set_xlabel("HR pixels; square: the LR pixel's cell;\ncross: centre of mass", fontsize=6)
    ax.tick_params(labelsize=6)
    colour_bar(figure, drawn, ax=ax, location="bottom", shrink=0.8)
