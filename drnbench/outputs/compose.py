"""Everything that a report of a study holds: tables, figures, the headline."""

from __future__ import annotations

from drnbench.outputs import gap_table, report
from drnbench.outputs import headline as words
from drnbench.outputs import tables as declared_tables
from drnbench.outputs.base import StudyResults
from drnbench.render import style
from drnbench.render.style import CaptionedFigure
from drnbench.render.table import Body


def tables(study: StudyResults) -> list[Body]:
    """Return the tables of a study, in the order of its report."""
    return [
        *declared_tables.bodies(study.scores, study.results, study.costs),
        *gap_table.bodies(study.scores, study.results),
    ]


def figures(study: StudyResults) -> list[CaptionedFigure]:
    """Return the figures of a study, in the order of its report and in its style."""
    with style.styled():
        return report.draw(study.scores, study.results, study.costs, study.store)


def headline(study: StudyResults) -> str:
    """Return what a study shows, in one to three sentences."""
    return words.headline(study.scores, study.results)
