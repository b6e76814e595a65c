"""Tables for plain pdflatex with booktabs.

pandas' Styler writes neither rules between rows and under grouped heads nor tables that go on in a second block or float,
so the tables are ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from drnbench.render import latex_text
from drnbench.render.latex_text import breakable, em_width, escape
from drnbench.render.table import CaptionedTable, Entry, Row, by_metric, column_groups, group_runs

TEXT_PT, COLUMN_PT = 341.0, 232.0
"""Widths that a table may take: the text of a plain one-column article (345 pt, narrower than the 496 pt of a
two-column page), and one column of a two-column paper (237 pt), with some slack."""
PAGE_PT = 500.0
"""Height that a float may take, of 550 pt of a plain article; a taller one would run into the foot of the page."""
ROW_PT, RULE_PT, CAPTION_PT = 9.6, 5.0, 12.0
"""Heights of a row, of a rule with its space and of a line of a caption."""
CAPTION_EM, COLUMN_EM = 33.0, 22.0
"""Widths of a line of a caption: over the page, and in one column."""
SIZES = {r"\footnotesize": (8.0, 4.0), r"\scriptsize": (7.5, 3.0)}
"""Type size and half the gap between columns, in points. Small type is wider for its size: 7 counts as 7.5."""


def _widths(table: CaptionedTable) -> list[float]:
    cells = [
        [em_width(c.header), *(em_width(row.entries[n].text) for row in table.rows)]
        for n, c in enumerate(table.columns)
    ]
    return [max(column) for column in cells]


def _total(table: CaptionedTable, columns: list[int], size: str) -> float:
    points, gap = SIZES[size]
    widths = _widths(table)
    return sum(points * widths[c] for c in columns) + 2 * gap * (len(columns) - 1)


def _entry(entry: Entry) -> str:
    main = escape(entry.main)
    command = "textbf" if entry.bold else "underline" if entry.underlined else ""
    text = (f"\\{command}{{{main}}}" if command else main) + (f" {escape(entry.tail)}" if entry.tail else "")
    # The mark hangs over the edge, so that numbers stay aligned.
    marks = {"*": "*", "†": r"\dagger", "≈": r"\approx", "≥": r"\geq"}
    raised = "".join(marks[mark] for mark in entry.mark if mark in marks)
    return text + (f"\\rlap{{$^{{{raised}}}$}}" if raised else "")


def _tabular(table: CaptionedTable, columns: list[int], rows: Sequence[Row]) -> list[str]:
    used = [table.columns[c] for c in columns]
    lines = [f"\\begin{{tabular}}{{@{{}}{''.join('l' if c.left else 'r' for c in used)}@{{}}}}", r"\toprule"]
    heads, rules, first = list[str](), list[str](), 1
    for group, width in group_runs(used):
        heads += [f"\\multicolumn{{{width}}}{{c}}{{{escape(group)}}}"] if group else [""] * width
        rules += [f"\\cmidrule(lr){{{first}-{first + width - 1}}}"] if group else []
        first += width
    if rules:
        lines += [" & ".join(heads) + r" \\", "".join(rules)]
    lines += [" & ".join(escape(c.header) for c in used) + r" \\", r"\midrule"]
    for n, row in enumerate(rows):
        lines += _row(row, columns)[0 if n else -1 :]  # a rule stands above the first row anyway
    return [*lines, r"\bottomrule", r"\end{tabular}%"]


def _row(row: Row, columns: list[int]) -> list[str]:
    # A row that begins with a bracket or a star would be read as an argument of the \\ before it.
    line = "{}" + " & ".join(_entry(row.entries[c]) for c in columns) + r" \\"
    return [r"\midrule", line] if row.rule else [line]


def _blocks(table: CaptionedTable) -> tuple[str, list[list[int]]]:
    """Return the type size and the columns of each block; blocks that do not fit side by side are stacked."""
    common, parts = column_groups(table.columns)
    whole = [*common, *(n for part in parts for n in part)]
    for size in SIZES:
        if _total(table, whole, size) <= TEXT_PT:
            return size, [whole]
    size = next(iter(SIZES))
    blocks: list[list[int]] = []
    wide = [part for part in parts if _total(table, [*common, *part], size) > TEXT_PT]
    parts = [piece for part in parts for piece in (by_metric(table.columns, part) if part in wide else [part])]
    for part in parts:
        if blocks and _total(table, [*blocks[-1], *part], size) <= TEXT_PT:
            blocks[-1] += part
        else:
            blocks.append([*common, *part])
    return size, blocks or [whole]


def _height(rows: Sequence[Row]) -> float:
    """Return about how tall a block is: a head of two lines, the rows, the space before the next block."""
    rules = 3 + sum(row.rule for row in rows)
    return (2 + len(rows)) * ROW_PT + rules * RULE_PT + 8


def _cut(rows: Sequence[Row], room: float) -> list[Sequence[Row]]:
    """Cut rows so that each part fits a page, where there is a rule if that is not too early."""
    out = []
    while len(rows) > 1 and _height(rows) > room:  # one row stands whatever its height
        most = max(n for n in range(1, len(rows)) if n == 1 or _height(rows[:n]) <= room)
        at = next((n for n in range(most, most // 2, -1) if rows[n].rule), most)
        out.append(rows[:at])
        rows = rows[at:]
    return [*out, rows]


def _floats(
    table: CaptionedTable, blocks: list[list[int]], *, narrow: bool
) -> list[list[tuple[list[int], Sequence[Row]]]]:
    """Share blocks out over as many floats as their heights ask for."""
    lines = 1 + em_width(table.caption) // (COLUMN_EM if narrow else CAPTION_EM)
    caption = min(CAPTION_PT * lines, PAGE_PT / 2)  # of an endless caption LaTeX says that its float is too large
    floats: list[list[tuple[list[int], Sequence[Row]]]] = [[]]
    left = PAGE_PT - caption
    for columns in blocks:
        for rows in _cut(table.rows, PAGE_PT - caption):
            if floats[-1] and _height(rows) > left:
                floats.append([])
                left = PAGE_PT - 2 * CAPTION_PT
            floats[-1].append((columns, rows))
            left -= _height(rows)
    return floats


def comment(lines: Iterable[str]) -> str:
    """Return lines as a LaTeX comment; each stays one line whatever it holds."""
    return "".join(f"{latex_text.comment(line)}\n" for line in lines)


def render(table: CaptionedTable, label: str) -> str:
    r"""Return a float with caption and `\label{tab:...}`; needs booktabs alone.

    Columns that do not fit the page stand in a second block below, and blocks that do not fit it in a second float.
    Where the text is narrower than a two-column paper's (a plain article), the table is scaled to it if the paper
    loads graphicx.
    """
    label = latex_text.label(label)
    size, blocks = _blocks(table)
    narrow = len(blocks) == 1 and _total(table, blocks[0], size) <= COLUMN_PT
    environment, line = ("table", r"\columnwidth") if narrow else ("table*", r"\textwidth")
    lines = [r"% needs \usepackage{booktabs}; with graphicx, it is scaled where it would be wider than the text"]
    for n, parts in enumerate(_floats(table, blocks, narrow=narrow)):
        lines += [f"\\begin{{{environment}}}[t]", r"\centering"]
        if n:
            lines.append(f"{{\\small Table~\\ref{{tab:{label}}}, continued.}}")
        else:
            lines += [f"\\caption{{{escape(breakable(table.caption))}}}", f"\\label{{tab:{label}}}"]
        lines += [size, f"\\setlength{{\\tabcolsep}}{{{SIZES[size][1]:g}pt}}"]
        for m, (columns, rows) in enumerate(parts):
            lines.append(r"\par\medskip" if m or n else r"\vspace{4pt}")
            lines += [r"\sbox0{%", *_tabular(table, columns, rows), "}%"]
            lines += [
                f"\\ifdim\\wd0>{line}\\ifdefined\\resizebox\\resizebox{{{line}}}{{!}}{{\\usebox0}}%",
                r"\else\usebox0\fi\else\usebox0\fi",
            ]
        lines.append(f"\\end{{{environment}}}")
    return "\n".join([*lines, ""])
