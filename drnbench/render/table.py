"""A table ready to be rendered: columns, rows of entries, caption."""

from __future__ import annotations

from dataclasses import dataclass

from drnbench.results.summary import Result

EMPTY = "–"


MARKS = {"better": "*", "worse": "†", "": ""}


@dataclass(frozen=True)
class Column:
    """One column; columns of one group stand under a common head."""

    header: str
    group: str = ""
    left: bool = False


@dataclass(frozen=True)
class Entry:
    """One cell: what may be bold, what follows it, and a star (*) or a dagger for a significant loss."""

    main: str = EMPTY
    tail: str = ""
    mark: str = ""
    bold: bool = False

    @property
    def text(self) -> str:
        """All of it, without weight."""
        return self.main + (f" {self.tail}" if self.tail else "") + self.mark


@dataclass(frozen=True)
class Row:
    """One row; `rule` draws a line above it."""

    entries: tuple[Entry, ...]
    rule: bool = False


@dataclass(frozen=True)
class Body:
    """A table ready to be drawn, and the results it shows; `csv`: its numbers, where they are no results."""

    name: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    results: tuple[Result, ...] = ()
    csv: str | None = None
