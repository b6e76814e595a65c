"""Tables in GitHub's Markdown, for a README; and in plain text, for a terminal."""

from __future__ import annotations

from drnbench.render.table import CaptionedTable, Entry
from drnbench.render.text import plain


def _bold(entry: Entry) -> str:
    main = f"**{entry.main}**" if entry.bold else entry.main
    # A bare star would open emphasis.
    mark = entry.mark.replace("*", "\\*")
    return _escape(f"{main} {entry.tail}".rstrip()) + mark


def _escape(text: str) -> str:
    return plain(text).replace("|", "\\|").replace("<", "&lt;")


def _grid(rows: list[list[str]], left: list[bool]) -> list[list[str]]:
    widths = [max(len(row[c]) for row in rows) for c in range(len(left))]
    return [
        [
            cell.ljust(width) if is_left else cell.rjust(width)
            for cell, width, is_left in zip(row, widths, left, strict=True)
        ]
        for row in rows
    ]


def render(table: CaptionedTable) -> str:
    """Return caption and table; heads of groups stand in each column's head, since Markdown has no spans."""
    heads = [_escape(f"{c.group}: {c.header}" if c.group else c.header) for c in table.columns]
    left = [c.left for c in table.columns]
    rows = [heads, *([_bold(e) for e in row.entries] for row in table.rows)]
    lines = ["| " + " | ".join(row) + " |" for row in _grid(rows, left)]
    widths = [len(cell) for cell in _grid(rows, left)[0]]
    dashes = [":" + "-" * (w - 1) if is_left else "-" * (w - 1) + ":" for w, is_left in zip(widths, left, strict=True)]
    caption = _escape(table.caption).replace("* better", "\\* better")
    return "\n".join([caption, "", lines[0], "| " + " | ".join(dashes) + " |", *lines[1:], ""])


def terminal(table: CaptionedTable) -> str:
    """Return the table in plain text, one group below the other, so that it fits a terminal."""
    common = [n for n, c in enumerate(table.columns) if not c.group]
    groups = list(dict.fromkeys(c.group for c in table.columns if c.group)) or [""]
    blocks = []
    for group in groups:
        columns = [*common, *(n for n, c in enumerate(table.columns) if c.group and c.group == group)]
        rows = [[table.columns[c].header for c in columns]]
        # A column keeps room for the mark, so that the digits stand under each other.
        marked = {c for c in columns if any(row.entries[c].mark for row in table.rows)}
        rows += [
            [plain(row.entries[c].text) + (" " if c in marked and not row.entries[c].mark else "") for c in columns]
            for row in table.rows
        ]
        lines = ["  ".join(row).rstrip() for row in _grid(rows, [table.columns[c].left for c in columns])]
        width = max(len(line) for line in lines)
        blocks.append("\n".join([*([group] if group else []), lines[0], "-" * width, *lines[1:]]))
    return "\n\n".join(blocks) + "\n"
