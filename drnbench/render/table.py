"""A table ready to be rendered: columns, rows of entries, caption."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import pandas as pd

EMPTY = "–"
MARKS = {"better": "*", "worse": "†", "": ""}
"""Verdict of a test -> what follows the number."""
MARGIN_MARKS = {"equivalent": "≈", "not worse": "≥"}
"""Verdict within a margin -> what follows the number."""


def with_columns(text: str, values: Mapping[str, object]) -> str:
    """Return the text of a CSV file with more columns at its end, each of one value; a head that is there stays as it is."""
    # A carriage return in a name is not quoted by csv, and ends a row for those who read the file.
    head, *rows = csv.reader(io.StringIO(text.replace("\r", " ")))
    added = {name: value for name, value in values.items() if name not in head}
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([*head, *added])
    writer.writerows([*row, *added.values()] for row in rows)
    return buffer.getvalue()


@dataclass(frozen=True)
class Column:
    """One column; columns of one group stand under a common head."""

    header: str
    group: str = ""
    left: bool = False


def group_runs(columns: Sequence[Column]) -> list[tuple[str, int]]:
    """Return the groups of columns from the left, each with its number of columns."""
    return [(group, len(list(run))) for group, run in itertools.groupby(columns, key=lambda column: column.group)]


def column_groups(columns: Sequence[Column]) -> tuple[list[int], list[list[int]]]:
    """Return the columns of no group, and those of each group, by number."""
    groups: dict[str, list[int]] = {}
    for n, column in enumerate(columns):
        groups.setdefault(column.group, []).append(n)
    return groups.pop("", []), list(groups.values())


def by_metric(columns: Sequence[Column], group: Sequence[int]) -> list[list[int]]:
    """Split the columns of a group, by number, before each head that says which way is better: one part a metric."""
    parts: list[list[int]] = []
    for n in group:
        if not parts or columns[n].header.endswith(("↑", "↓")):
            parts.append([])
        parts[-1].append(n)
    return parts


@dataclass(frozen=True)
class Entry:
    """One cell: its main part (bold: best of its column, underlined: second best), a tail, and a mark (see `MARKS`).

    Attributes:
        joined: a second number of the cell, after a slash.

    """

    main: str = EMPTY
    tail: str = ""
    mark: str = ""
    bold: bool = False
    underlined: bool = False
    joined: Entry | None = None

    @property
    def text(self) -> str:
        """All of it, without weight."""
        own = self.main + (f" {self.tail}" if self.tail else "") + self.mark
        return f"{own} / {self.joined.text}" if self.joined else own

    @property
    def parts(self) -> list[Entry]:
        """The numbers of the cell, each without those joined to it."""
        return [replace(self, joined=None), *(self.joined.parts if self.joined else [])]


@dataclass(frozen=True)
class Row:
    """One row; `rule` draws a line above it."""

    entries: tuple[Entry, ...]
    rule: bool = False


@dataclass(frozen=True)
class CaptionedTable:
    """A table ready to be rendered, with its file stem and caption.

    Attributes:
        caption: one line, above the table.
        csv: its numbers in full precision; None: its cells, as they are written.
        notes: sentences below the table: what was measured, how, and what its marks mean.
        width: of the LaTeX table: a column, or the page of a two-column paper; None: by its contents.

    """

    name: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    csv: str | None = None
    notes: str = ""
    width: Literal["column", "page"] | None = None

    @classmethod
    def plain(cls, name: str, caption: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> CaptionedTable:
        """Return a table of plain text; its first column is set on the left, numbers on the right."""
        columns = tuple(Column(head, left=n == 0) for n, head in enumerate(heads))
        return cls(name, caption, columns, tuple(Row(tuple(map(Entry, row))) for row in rows))

    def frame(self) -> pd.DataFrame:
        """Return the cells as text; columns are (group, header), where any column has a group."""
        import pandas as pd

        heads = [(column.group, column.header) for column in self.columns]
        labels = pd.MultiIndex.from_tuples(heads) if any(group for group, _ in heads) else [head for _, head in heads]
        return pd.DataFrame([[entry.text for entry in row.entries] for row in self.rows], columns=labels)

    def to_csv(self) -> str:
        """Return the text of the CSV file."""
        if self.csv is not None:
            return self.csv
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow([f"{column.group} {column.header}".lstrip() for column in self.columns])
        writer.writerows([entry.text for entry in row.entries] for row in self.rows)
        return buffer.getvalue()
