"""Names of arms and axis values that are too long for a cell or a legend: shortened there, whole in the notes or the caption."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from drnbench.render import style, text
from drnbench.render.spelling import cut, shortened
from drnbench.render.style import CaptionedFigure
from drnbench.render.table import CaptionedTable, Row
from drnbench.results import labels
from drnbench.results.scores import Scores

WHOLE = 400
"""Characters of a long name in a caption; CSV files and report.html have all of it."""
Names = dict[str, str]
"""Long name -> its short form."""


def long_names(scores: Scores) -> Names:
    """Return the names of a study that are shortened: of arms, axes and their values, test sets and kernels."""
    names = [arm.name for arm in scores.arms]
    names += [text.shown(value, axis.path) for axis in scores.axes for value in axis.values]
    names += [axis.title for axis in scores.axes]
    names += [name for c in scores.conditions for name in (c.dataset, labels.kernel(c.kernel), c.kernel)]
    return {name: short for name in dict.fromkeys(names) if (short := shortened(name)) != name}


def in_table(table: CaptionedTable, names: Names) -> CaptionedTable:
    """Return a table with short names in its cells and heads; its CSV file keeps the whole ones."""
    cells = [entry.main for row in table.rows for entry in row.entries]
    cells += [words for column in table.columns for words in (column.header, column.group)]
    used = [name for name in names if any(name in words for words in cells)]
    endless = {name: short for name, short in names.items() if len(name) > WHOLE}
    table = replace(table, caption=_shorten(table.caption, endless), notes=_shorten(table.notes, endless))
    if not used:
        return table
    columns = tuple(replace(c, header=_shorten(c.header, names), group=_shorten(c.group, names)) for c in table.columns)
    rows = tuple(
        Row(tuple(replace(e, main=_shorten(e.main, names)) for e in row.entries), row.rule) for row in table.rows
    )
    notes = f"{table.notes} {_legend(used, names)}".lstrip()
    return replace(table, columns=columns, rows=rows, notes=notes, csv=table.to_csv())


def in_figure(figure: CaptionedFigure, names: Names) -> CaptionedFigure:
    """Return a figure with legible texts, and a caption that has the whole names."""
    for artist in style.texts(figure.figure):
        artist.set_text(_shorten(artist.get_text(), names))
    texts = ["".join(words.split()) for words in style.make_legible(figure.figure)]  # heads are wrapped
    used = [name for name in names if any("".join(style.legible(name).split()) in words for words in texts)]
    caption = _shorten(figure.caption, {name: short for name, short in names.items() if len(name) > WHOLE})
    return replace(figure, caption=f"{caption} {_legend(used, names)}" if used else caption)


def _shorten(words: str, names: Names) -> str:
    for name in sorted(names, key=len, reverse=True):
        words = words.replace(name, names[name])
    return words


def _legend(used: Iterable[str], names: Names) -> str:
    return "Shortened names: " + "; ".join(f"{names[name]} is {cut(name, WHOLE)}" for name in used) + "."
