"""Tables for plain pdflatex with booktabs.

pandas' Styler writes neither rules between rows and under grouped heads nor tables that go on in a second block or float,
so the tables are ours.
"""

from __future__ import annotations

import itertools
from collections.abc import Container, Iterable, Sequence

from drnbench.render import latex_text, math_text
from drnbench.render.latex_text import GLYPHS, breakable, em_width
from drnbench.render.table import CaptionedTable, Entry, Row, by_metric, column_groups, group_runs

TEXT_PT, COLUMN_PT = 341.0, 232.0
"""Widths that a table may take: the text of a plain one-column article (345 pt, narrower than the 496 pt of a
two-column page), and one column of a two-column paper (237 pt), with some slack."""
WIDTHS = {"column": COLUMN_PT, "page": 490.0}
"""Widths that a table may ask for."""
PAGE_PT = 500.0
"""Height that a float may take, of 550 pt of a plain article; a taller one would run into the foot of the page."""
ROW_PT, RULE_PT, CAPTION_PT = 9.6, 5.0, 12.0
"""Heights of a row, of a rule with its space and of a line of a caption."""
CAPTION_EM, COLUMN_EM = 33.0, 22.0
"""Widths of a line of a caption: over the page, and in one column."""
NOTE_PT, NOTE_EM = 8.5, 7.0
"""Heights of a line of the notes, and the width of its em, in points."""
SIZES = {r"\footnotesize": (8.0, 4.0), r"\scriptsize": (7.5, 3.0)}
"""Type size and half the gap between columns, in points. Small type is wider for its size: 7 counts as 7.5."""


def _set(text: str) -> str:
    return latex_text.escape(text, glyphs=True)


def _widths(table: CaptionedTable) -> list[float]:
    widths = []
    for n, column in enumerate(table.columns):
        entries = [row.entries[n] for row in table.rows]
        main = max((em_width(entry.main) for entry in entries), default=0)
        tail = max((em_width(f" {entry.tail}") for entry in entries if entry.tail), default=0)
        widths.append(max(em_width(column.header), main + tail))
    return widths


def _total(table: CaptionedTable, columns: list[int], size: str) -> float:
    points, gap = SIZES[size]
    widths = _widths(table)
    return sum(points * widths[c] for c in columns) + 2 * gap * (len(columns) - 1)


def _entry(entry: Entry, *, paired: bool, hanging: bool = True) -> str:
    """Return a cell; with `paired` its main part and its tail are two, so that the points of the main parts are aligned."""
    first, *others = entry.parts
    if others:  # one column: of a test set, the digits of each metric are as many in every row
        return " / ".join(_entry(part, paired=False, hanging=False) for part in (first, *others))
    main = _set(entry.main)
    command = "textbf" if entry.bold else "underline" if entry.underlined else ""
    text = f"\\{command}{{{main}}}" if command else main
    # The mark hangs over the edge, so that numbers stay aligned; before a slash it would lie on it.
    marks = {"*": "*", "†": r"\dagger", "≈": r"\approx", "≥": r"\geq"}
    raised = "".join(marks[mark] for mark in entry.mark if mark in marks)
    mark = f"$^{{{raised}}}$" if raised else ""
    mark = f"\\rlap{{{mark}}}" if raised and hanging else mark
    if not entry.tail:
        return f"{text}{mark} &" if paired else f"{text}{mark}"
    return f"{text} & {_set(entry.tail)}{mark}" if paired else f"{text} {_set(entry.tail)}{mark}"


def _tabular(table: CaptionedTable, columns: list[int], rows: Sequence[Row]) -> list[str]:
    used = [table.columns[c] for c in columns]
    paired = _paired(table)
    layout = "".join("r@{ }l" if c in paired else "l" if table.columns[c].left else "r" for c in columns)
    lines = [f"\\begin{{tabular}}{{@{{}}{layout}@{{}}}}", r"\toprule"]
    heads, rules, first = list[str](), list[str](), 1
    spans = iter([2 if c in paired else 1 for c in columns])
    for group, count in group_runs(used):
        width = sum(itertools.islice(spans, count))
        heads += [f"\\multicolumn{{{width}}}{{c}}{{{_set(group)}}}"] if group else [""] * width
        rules += [f"\\cmidrule(lr){{{first}-{first + width - 1}}}"] if group else []
        first += width
    if rules:
        lines += [" & ".join(heads) + r" \\", "".join(rules)]
    titles = [
        f"\\multicolumn{{2}}{{c}}{{{_set(table.columns[c].header)}}}" if c in paired else _set(table.columns[c].header)
        for c in columns
    ]
    lines += [" & ".join(titles) + r" \\", r"\midrule"]
    for n, row in enumerate(rows):
        lines += _row(row, columns, paired)[0 if n else -1 :]  # a rule stands above the first row anyway
    return [*lines, r"\bottomrule", r"\end{tabular}%"]


def _paired(table: CaptionedTable) -> set[int]:
    """Return the columns of numbers with a tail somewhere, which are set as two."""
    return {
        n
        for n, column in enumerate(table.columns)
        if not column.left and any(row.entries[n].tail for row in table.rows)
    }


def _row(row: Row, columns: list[int], paired: Container[int]) -> list[str]:
    # A row that begins with a bracket or a star would be read as an argument of the \\ before it.
    line = "{}" + " & ".join(_entry(row.entries[c], paired=c in paired) for c in columns) + r" \\"
    return [r"\midrule", line] if row.rule else [line]


def _blocks(table: CaptionedTable) -> tuple[str, list[list[int]]]:
    """Return the type size and the columns of each block; blocks that do not fit side by side are stacked."""
    limit = WIDTHS[table.width] if table.width else TEXT_PT
    common, parts = column_groups(table.columns)
    whole = [*common, *(n for part in parts for n in part)]
    widths = [min(COLUMN_PT, limit), limit] if table.width != "page" else [limit]
    for width, size in itertools.product(widths, SIZES):
        if _total(table, whole, size) <= width:
            return size, [whole]
    size = next(iter(SIZES))
    blocks: list[list[int]] = []
    wide = [part for part in parts if _total(table, [*common, *part], size) > limit]
    parts = [piece for part in parts for piece in (by_metric(table.columns, part) if part in wide else [part])]
    for part in parts:
        if blocks and _total(table, [*blocks[-1], *part], size) <= limit:
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
    """Share blocks out over as many floats as their heights ask for; an empty one has room for the notes alone."""
    lines = 1 + em_width(table.caption) // (COLUMN_EM if narrow else CAPTION_EM)
    caption = min(CAPTION_PT * lines, PAGE_PT / 2)  # of an endless caption LaTeX says that its float is too large
    notes = NOTE_PT * (1 + NOTE_EM * em_width(table.notes) // (COLUMN_PT if narrow else TEXT_PT)) if table.notes else 0
    floats: list[list[tuple[list[int], Sequence[Row]]]] = [[]]
    left = PAGE_PT - caption
    for columns in blocks:
        for rows in _cut(table.rows, PAGE_PT - caption):
            if floats[-1] and _height(rows) > left:
                floats.append([])
                left = PAGE_PT - 2 * CAPTION_PT
            floats[-1].append((columns, rows))
            left -= _height(rows)
    return [*floats, []] if notes > left else floats


def _written(table: CaptionedTable) -> str:
    """Return all texts of a table."""
    cells = (entry.text for row in table.rows for entry in row.entries)
    heads = (words for column in table.columns for words in (column.header, column.group))
    return "\n".join([table.caption, table.notes, *heads, *cells])


def comment(lines: Iterable[str]) -> str:
    """Return lines as a LaTeX comment; each stays one line whatever it holds."""
    return "".join(f"{latex_text.comment(line)}\n" for line in lines)


def render(table: CaptionedTable, label: str) -> str:
    r"""Return a float with caption, `\label{tab:...}` and the notes below the table; needs booktabs alone.

    The main parts and the tails of a column of numbers are columns of their own, so that their points are aligned
    without siunitx, which cannot read a number with an interval. The notes are a paragraph as wide as the text, which
    no threeparttable needs to measure.

    Columns that do not fit the page stand in a second block below, and blocks that do not fit it in a second float.
    Where the text is narrower than a two-column paper's (a plain article), the table is scaled to it if the paper
    loads graphicx.
    """
    label = latex_text.label(label)
    size, blocks = _blocks(table)
    narrow = table.width != "page" and all(_total(table, block, size) <= COLUMN_PT for block in blocks)
    narrow = narrow and (len(blocks) == 1 or table.width == "column")
    environment, line = ("table", r"\columnwidth") if narrow else ("table*", r"\textwidth")
    lines = [r"% needs \usepackage{booktabs}; with graphicx, it is scaled where it would be wider than the text"]
    written = _written(table)
    lines += [f"% and \\usepackage{{{package}}}" for package in sorted(math_text.packages(written))]
    lines += [GLYPHS] if "\\drnglyphs" in _set(written) else []
    floats = _floats(table, blocks, narrow=narrow)
    for n, parts in enumerate(floats):
        lines += [f"\\begin{{{environment}}}[t]", r"\centering"]
        if n:
            lines.append(f"{{\\small Table~\\ref{{tab:{label}}}, continued.}}")
        else:
            lines += [f"\\caption{{{_set(breakable(table.caption))}}}", f"\\label{{tab:{label}}}"]
        lines += [size, f"\\setlength{{\\tabcolsep}}{{{SIZES[size][1]:g}pt}}"]
        for m, (columns, rows) in enumerate(parts):
            lines.append(r"\par\medskip" if m or n else r"\vspace{4pt}")
            lines += [r"\sbox0{%", *_tabular(table, columns, rows), "}%"]
            lines += [
                f"\\ifdim\\wd0>{line}\\ifdefined\\resizebox\\resizebox{{{line}}}{{!}}{{\\usebox0}}%",
                r"\else\usebox0\fi\else\usebox0\fi",
            ]
        if table.notes and n == len(floats) - 1:
            lines += [
                r"\par\medskip",
                f"\\parbox{{{line}}}{{\\scriptsize\\raggedright {_set(breakable(table.notes))}}}",
            ]
        lines.append(f"\\end{{{environment}}}")
    return "\n".join([*lines, ""])
