"""Tables in GitHub's Markdown, for a README; and in plain text, for a terminal."""

from __future__ import annotations

from collections.abc import Iterable

from drnbench.render.table import CaptionedTable, Entry, by_metric, column_groups
from drnbench.render.text import plain


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


def terminal(table: CaptionedTable) -> str:
    """Return the table for a terminal, one group below the other; bold and underlined by escape sequences."""
    common, groups = column_groups(table.columns)
    parts = [part for group in groups for part in by_metric(table.columns, group)]
    blocks = []
    for part in parts or [[]]:
        group = plain(table.columns[part[0]].group) if part else ""
        columns = [*common, *part]
        rows = [[plain(table.columns[c].header) for c in columns]]
        # A column keeps room for the mark, so that the digits stand under each other.
        marked = {c for c in columns if any(row.entries[c].mark for row in table.rows)}
        rows += [
            [plain(row.entries[c].text) + (" " if c in marked and not row.entries[c].mark else "") for c in columns]
            for row in table.rows
        ]
        cells = _grid(rows, [table.columns[c].left for c in columns])
        width = max(len("  ".join(row).rstrip()) for row in cells)
        for row, line in zip(table.rows, cells[1:], strict=True):
            line[:] = [_emphasised(cell, row.entries[c]) for cell, c in zip(line, columns, strict=True)]
        lines = ["  ".join(row).rstrip() for row in cells]
        # A lone kernel `bicubic` would be taken for the row of that name.
        head = [f"scored on {group}" if len(groups) == 1 else group] if group else []
        blocks.append("\n".join([*head, lines[0], "-" * width, *lines[1:]]))
    return "\n\n".join([*blocks, *_legend(table)]) + "\n"


def _legend(table: CaptionedTable) -> list[str]:
    """Return the sentences of the notes on the marks that the table has, as one line; [] without marks."""
    marks = {mark for row in table.rows for entry in row.entries for mark in entry.mark}
    sentences = (table.notes or table.caption).rstrip(".").split(". ")
    words = [sentence for sentence in sentences if sentence[:2] in ("* ", "≈ ") and marks.intersection(sentence)]
    line = ". ".join(words).replace(" than it:", " than the baseline:").replace(" to it,", " to the baseline,")
    return [f"{plain(line)}."] if words else []
