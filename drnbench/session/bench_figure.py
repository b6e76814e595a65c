"""The figure of `bench`: what each variant of a training step gives beside the plain one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from drnbench.render.style import BETTER, COLUMN_IN, GREY, WORSE, name_rows, new_figure, styled
from drnbench.store import atomic

STEP_OF = "step of "
"""Words before the network of a measured step."""


def save_figure(speeds: Sequence[Mapping[str, Any]], machine: str, file: Path) -> None:
    """Draw the ratio of each variant to the plain step, a panel for each network, and write the file as PNG or PDF.

    Args:
        speeds: of a run of `bench`, as its JSON has them; only training steps are drawn.
        machine: processor and device, for the title.
        file: ends in .png or .pdf.
    """
    panels: dict[str, list[tuple[str, float]]] = {}
    for speed in speeds:
        if speed["what"].startswith(STEP_OF) and speed["ratio"] is not None:
            network, size, name = speed["what"].removeprefix(STEP_OF).split(", ", 2)
            panels.setdefault(f"{network}, {size}", []).append((name, speed["ratio"]))
    rows = sum(map(len, panels.values()))
    with styled():
        figure = new_figure(COLUMN_IN * 1.4, 0.6 + 0.3 * len(panels) + 0.2 * rows)
        grid = figure.subplots(len(panels), 1, squeeze=False, sharex=True, height_ratios=[*map(len, panels.values())])
        for ax, (network, variants) in zip(grid[:, 0], panels.items(), strict=True):
            names, ratios = zip(*variants, strict=True)
            ax.barh(range(len(names)), ratios, color=[BETTER if ratio >= 1 else WORSE for ratio in ratios], height=0.6)
            for row, ratio in enumerate(ratios):
                ax.annotate(f"{ratio:.2f}", (ratio, row), (2, 0), textcoords="offset points", va="center", fontsize=6.5)
            ax.axvline(1, color=GREY, linewidth=0.6)
            ax.margins(x=0.12)
            name_rows(ax, names)
            ax.set_title(network)
        grid[-1, 0].set_xlabel(f"times the plain step\n{machine}")
        with atomic(file) as temporary:
            figure.savefig(temporary, format=file.suffix[1:].lower())
