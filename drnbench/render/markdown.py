"""Tables in GitHub's Markdown, for a README; and in plain text, for a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

from drnbench.render.table import CaptionedTable, Entry, by_metric, column_groups
from drnbench.render.text import plain

NARROWEST = 14
"""Characters of the narrowest column of folded labels."""


def _cell(entry: Entry) -> str:
    return " / ".join(map(_number, entry.parts))


def _number(entry: Entry) -> str:
    main = _escape(entry.main)
    main = f"**{main}**" if entry.bold else f"<ins>{main}</ins>" if entry.underlined else main
    # A bare star would open emphasis.
    mark = entry.mark.replace("*", "\\*")
    return f"{main} {_escape(entry.tail)}".rstrip() + mark


def _escape(text: str) -> str:
    return plain(" ".join(text.split())).replace("|", "\\|").replace("<", "&lt;")


def _grid(rows: list[list[str]], left: list[bool]) -> list[list[str]]:
    """Return the cells padded to the widths of their columns; a Chinese character takes two places."""
    from rich.cells import cell_len

    lengths = [[cell_len(cell) for cell in row] for row in rows]
    widths = [max(column) for column in zip(*lengths, strict=True)]
    return [
        [
            cell + " " * (width - length) if is_left else " " * (width - length) + cell
            for cell, length, width, is_left in zip(row, row_lengths, widths, left, strict=True)
        ]
        for row, row_lengths in zip(rows, lengths, strict=True)
    ]


def render(table: CaptionedTable) -> str:
    """Return caption, table and notes; heads of groups stand in each column's head, since Markdown has no spans."""
    heads = [_escape(f"{c.group}: {c.header}" if c.group else c.header) for c in table.columns]
    left = [c.left for c in table.columns]
    rows = [heads, *([_cell(e) for e in row.entries] for row in table.rows)]
    lines = ["| " + " | ".join(row) + " |" for row in _grid(rows, left)]
    widths = [len(cell) for cell in _grid(rows, left)[0]]
    dashes = [":" + "-" * (w - 1) if is_left else "-" * (w - 1) + ":" for w, is_left in zip(widths, left, strict=True)]
    notes = ["", _escape(table.notes).replace("* better", "\\* better")] if table.notes else []
    head = [_escape(table.caption).replace("*", "\\*"), ""] if table.caption else []
    return "\n".join([*head, lines[0], "| " + " | ".join(dashes) + " |", *lines[1:], *notes, ""])


def _emphasised(cell: str, entry: Entry) -> str:
    """Return a padded cell with its main part emphasised."""
    main = plain(entry.main)
    for wanted, on, off in ((entry.bold, 1, 22), (entry.underlined, 4, 24)):
        if wanted:
            cell = cell.replace(main, f"\x1b[{on}m{main}\x1b[{off}m", 1)
    return cell


def comment(lines: Iterable[str]) -> str:
    """Return lines that Markdown does not show: definitions of a link that nothing refers to."""
    texts = (line.replace("\\", "\\\\").replace('"', '\\"').replace("<", "&lt;") for line in lines)
    return "\n" + "".join(f'[//]: # "{text}"\n' for text in texts)


def terminal(table: CaptionedTable, width: int = 80) -> str:
    """Return the table for a terminal, one group below the other; bold and underlined by escape sequences.

    A group that is wider than `width` loses columns from the right, then its labels are folded between words; a line says so.
    """
    common, groups = column_groups(table.columns)
    parts = [part for group in groups for part in by_metric(table.columns, group)]
    blocks, dropped = [], dict[str, None]()
    for part in parts or [[]]:
        columns = [*common, *part]
        cells = _block(table, columns)
        while (
            _width(cells) > width
            and len(columns) > len(common) + 1
            and _width(_folded(table, columns, cells, width)) > width
        ):
            last = table.columns[columns[-1]]
            dropped[plain(f"{last.group} {last.header}").strip()] = None
            columns = columns[:-1]
            cells = _block(table, columns)
        lines = _folded(table, columns, cells, width)
        group = plain(table.columns[part[0]].group) if part else ""
        # A lone kernel `bicubic` would be taken for the row of that name.
        head = [f"scored on {group}" if len(groups) == 1 else group] if group else []
        blocks.append("\n".join([*head, *_lines(table, columns, lines)]))
    left_out = [f"Without {', '.join(dropped)}: table_{table.name}.md has all columns."] if dropped else []
    return "\n\n".join([*blocks, *(_wrapped(line, width) for line in [*_legend(table), *left_out])]) + "\n"


Cells = list[list[list[str]]]
"""Rows of cells, each of one line or more."""


def _block(table: CaptionedTable, columns: list[int]) -> Cells:
    """Return head and rows of some columns."""
    # A column keeps room for the mark, so that the digits stand under each other.
    marked = {c for c in columns if any(row.entries[c].mark for row in table.rows)}
    rows = [[[plain(table.columns[c].header)] for c in columns]]
    rows += [
        [[plain(row.entries[c].text) + (" " if c in marked and not row.entries[c].mark else "")] for c in columns]
        for row in table.rows
    ]
    return rows


def _column_widths(cells: Cells) -> list[int]:
    from rich.cells import cell_len

    return [max(cell_len(line) for row in cells for line in row[n]) for n in range(len(cells[0]))]


def _width(cells: Cells) -> int:
    return sum(_column_widths(cells)) + 2 * (len(cells[0]) - 1)


def _folded(table: CaptionedTable, columns: list[int], cells: Cells, width: int) -> Cells:
    """Return cells whose labels are folded as far as the width asks for; a word that has no line is cut with an ellipsis."""
    excess = _width(cells) - width
    for n in sorted(range(len(columns)), key=lambda n: -_column_widths(cells)[n]):
        own = _column_widths(cells)[n]
        if excess > 0 and table.columns[columns[n]].left and own > NARROWEST:
            room = max(NARROWEST, own - excess)
            cells = [[_fold(lines[0], room) if m == n else lines for m, lines in enumerate(row)] for row in cells]
            excess -= own - _column_widths(cells)[n]
    return cells


def _fold(text: str, room: int) -> list[str]:
    from rich.cells import cell_len, chop_cells

    lines = [""]
    for word in text.split(" "):
        shown = word if cell_len(word) <= room else f"{chop_cells(word, room - 1)[0]}…"
        if lines[-1] and cell_len(f"{lines[-1]} {shown}") > room:
            lines.append(shown)
        else:
            lines[-1] = f"{lines[-1]} {shown}" if lines[-1] else shown
    return lines


def _lines(table: CaptionedTable, columns: list[int], cells: Cells) -> list[str]:
    """Return the lines of a block, with a rule below its head."""
    from rich.cells import cell_len

    widths, out = _column_widths(cells), list[str]()
    for number, row in enumerate(cells):
        for line in range(max(map(len, row))):
            padded = []
            for c, width, texts in zip(columns, widths, row, strict=True):
                words = texts[line] if line < len(texts) else ""
                space = " " * (width - cell_len(words))
                padded.append(words + space if table.columns[c].left else space + words)
            if number:
                entries = table.rows[number - 1].entries
                padded = [_emphasised(cell, entries[c]) for c, cell in zip(columns, padded, strict=True)]
            out.append("  ".join(padded).rstrip())
        if number == 0:
            out.append("-" * _width(cells))
    return out


def _wrapped(text: str, width: int) -> str:
    return textwrap.fill(text, width, break_long_words=False, break_on_hyphens=False)


def _legend(table: CaptionedTable) -> list[str]:
    """Return the sentences of the notes on the marks that the table has, as one line; [] without marks."""
    marks = {mark for row in table.rows for entry in row.entries for mark in entry.mark}
    sentences = (table.notes or table.caption).rstrip(".").split(". ")
    words = [sentence for sentence in sentences if sentence[:2] in ("* ", "≈ ") and marks.intersection(sentence)]
    line = ". ".join(words).replace(" than it:", " than the baseline:").replace(" to it,", " to the baseline,")
    return [f"{plain(line)}."] if words else []
