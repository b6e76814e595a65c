"""What an output is: something a report holds, made from the results of a study.

An output is one class in one file: its fields are what a study declares, its methods give tables, figures, sentences and
macros. A report asks every output for everything; what an output does not give, it does not override.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Self

from drnbench.config.outputs import OutputSpec
from drnbench.config.trial import Trial
from drnbench.planning.graph import PlannedTrial
from drnbench.render.style import CaptionedFigure
from drnbench.render.table import Body
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
        store: for what is read only where it is drawn: histories, sample images, learned kernels.

    """

    scores: Scores
    results: Results
    costs: Costs
    store: Store


class Macro(NamedTuple):
    """A LaTeX command: its name in letters, after `drn`, its body in LaTeX, and what it is, for a comment."""

    name: str
    body: str
    comment: str = ""


class Output(OutputSpec):
    """A table, a figure, sentences or macros of a report.

    Attributes:
        name: what the registry and plan.json call it; given by `@outputs.register(name)`.
        summary: one line for `list outputs`.
        automatic: a report holds it without being asked, made with no arguments: training curves, sample crops.
        leads: the report's first line is its first sentence, where it has one and no declared output before it does.

    """

    summary: ClassVar[str] = ""
    automatic: ClassVar[bool] = False
    leads: ClassVar[bool] = False

    def resolved(self, trial: Trial) -> Self:
        """Return the output with everything filled in that it takes from the base trial; plan.json records this."""
        del trial
        return self

    def check(self, trials: Sequence[PlannedTrial], where: str) -> None:
        """See, before anything is trained, that the planned trials measure what this output shows.

        Raises:
            UsageError: what it lacks and what there is, one line that begins with `where`.

        """

    def tables(self, study: StudyResults) -> list[Body]:
        """Return tables; their names must be those of files, and are made unique where two are equal."""
        del study
        return []

    def figures(self, study: StudyResults) -> list[CaptionedFigure]:
        """Return figures that the scores so far can give."""
        del study
        return []

    def sentences(self, study: StudyResults) -> list[str]:
        """Return what it says in words, each a full sentence; see `leads`."""
        del study
        return []

    def macros(self, study: StudyResults) -> list[Macro]:
        """Return LaTeX commands for its numbers; names are made unique where two are equal."""
        del study
        return []
