"""Names of arms and axis values that are too long for a cell or a legend: shortened there, whole in the caption."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from drnbench.render import style, text
from drnbench.render.spelling import shortened
from drnbench.render.style import CaptionedFigure
from drnbench.render.table import CaptionedTable, Row
from drnbench.results.scores import Scores

Names = dict[str, str]
"""Long name -> its short form."""


def long_names(scores: Scores) -> Names:
    """Return the names of a study that are shortened."""
    names = [arm.name for arm in scores.arms]
    names += [text.shown(value, axis.path) for axis in scores.axes for value in axis.values]
    return {name: short for name in dict.fromkeys(names) if (short := shortened(name)) != name}


def in_table(table: CaptionedTable, names: Names) -> CaptionedTable:
    """Return a table with short names in its cells; its CSV file keeps the whole ones."""
    used = [name for name in names if any(name in entry.main for row in table.rows for entry in row.entries)]
    if not used:
        return table

    def shorten(main: str) -> str:
        for name in sorted(used, key=len, reverse=True):
            main = main.replace(name, names[name])
        return main

    rows = tuple(Row(tuple(replace(e, main=shorten(e.main)) for e in row.entries), row.rule) for row in table.rows)
    return replace(table, rows=rows, caption=f"{table.caption} {_legend(used, names)}", csv=table.to_csv())


def in_figure(figure: CaptionedFigure, names: Names) -> CaptionedFigure:
    """Return a figure with legible texts, and a caption that has the whole names."""
    texts = ["".join(words.split()) for words in style.make_legible(figure.figure)]  # heads are wrapped
    used = [name for name in names if any("".join(style.legible(name).split()) in words for words in texts)]
    return replace(figure, caption=f"{figure.caption} {_legend(used, names)}") if used else figure


def _legend(used: Iterable[str], names: Names) -> str:
    return "Shortened names: " + "; ".join(f"{names[name]} is {name}" for name in used) + "."
