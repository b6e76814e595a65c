"""The interface of an output: contents of a report, made from the results of a study.

An output is one class in one file: its fields are what a study declares, its methods give tables, figures, sentences and
macros. A report asks every output for everything; a method that an output does not override gives nothing.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

from pydantic import Field

from drnbench.config.outputs import OutputSpec
from drnbench.render.style import Width
from drnbench.results.histories import read_histories

if TYPE_CHECKING:
    import pandas as pd

    from drnbench.render.style import CaptionedFigure
    from drnbench.render.table import CaptionedTable
    from drnbench.results.costs import Costs
    from drnbench.results.scores import Scores
    from drnbench.results.summary import Results
    from drnbench.store import Store


@dataclass(frozen=True)
class StudyResults:
    """Everything that an output may look at, read once for a report.

    Attributes:
        scores: the plan as it was recorded, arms, conditions and every per-image value.
        results: mean, interval and difference to the baseline of each arm, condition and metric.
        costs: what each arm costs: parameters, multiply-adds, seconds.
        store: for what is read only where it is drawn: sample images, learned kernels.

    """

    scores: Scores
    results: Results
    costs: Costs
    store: Store

    @functools.cached_property
    def histories(self) -> pd.DataFrame | None:
        """Step, name, value, stage, key and arm of every value that training recorded; None where there is none."""
        return read_histories(self.scores, self.store)


class Macros(NamedTuple):
    r"""LaTeX commands for the numbers of one thing, such as an arm on a test set.

    Attributes:
        name: of the thing; `drnbench.render.spelling.letters` makes letters of it.
        bodies: quantity -> LaTeX; the command is `\drn<quantity><name>`.
        comment: description for a line above the commands.

    """

    name: str
    bodies: Mapping[str, str]
    comment: str


class Output(OutputSpec):
    """A table, a figure, sentences or macros of a report.

    Attributes:
        summary: one line for `list outputs`.
        automatic: every report holds one, made with no arguments, unless the study declares one itself.
        position: outputs of a low position come first in a report, those of one position as they are declared.
        headline: where the sentences stand in the report's headline: "opening" it, "before" or "after" the comparison of
            the arms with their baseline, or "instead" of it (then the first output that has sentences speaks alone).
        quantities: lines for the head of macros.tex that explain the quantities of `macros`.
        figure_needs: the results that a figure of it takes, for the line of a report that lacks it.

    """

    summary: ClassVar[str] = ""
    automatic: ClassVar[bool] = False
    position: ClassVar[int] = 50
    headline: ClassVar[Literal["opening", "before", "instead", "after"]] = "after"
    quantities: ClassVar[tuple[str, ...]] = ()
    figure_needs: ClassVar[str] = "results that are not in the store"

    def tables(self, study: StudyResults) -> Sequence[CaptionedTable | None]:
        """Return tables, None for one that the scores so far cannot give.

        Their names must be those of files; where two are equal, a number makes them unique.
        """
        del study
        return []

    def figures(self, study: StudyResults) -> Sequence[CaptionedFigure | None]:
        """Return figures, None for one that the scores so far cannot give; for their names see `tables`."""
        del study
        return []

    def sentences(self, study: StudyResults) -> Sequence[str]:
        """Return what the results say, each a full sentence or empty; see `headline`."""
        del study
        return []

    def macros(self, study: StudyResults) -> Sequence[Macros]:
        """Return LaTeX commands for its numbers; where two names are equal, a letter makes them unique."""
        del study
        return []


class FigureOutput(Output):
    """An output with one figure, whose width a study may choose."""

    width: Width = Field(
        None, description="of the figure, that of a column or of the page; none: what its panels ask for"
    )
