"""The parts of a report, each made on its own: one that fails is left out with a line, and takes no other with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

from drnbench.errors import DrnbenchError, explain_environment, keep_traceback, one_line
from drnbench.outputs.base import Macros, Output, StudyResults
from drnbench.render.style import CaptionedFigure
from drnbench.render.table import CaptionedTable

T = TypeVar("T")
D = TypeVar("D")


class Parts:
    """The parts of one report.

    Attributes:
        failed: a line for each part that could not be made: its name, the reason, where the traceback is.
        absent: by output whose figure the results do not give, a line with what the figure takes.

    """

    def __init__(self) -> None:
        self.failed: list[str] = []
        self.absent: dict[str, str] = {}

    def make(self, name: str, maker: Callable[[], T], instead: D) -> T | D:
        """Return a part, or `instead` where making it fails.

        Raises:
            OSError, MemoryError: the machine failed, and would fail the other parts, too.

        """
        try:
            return maker()
        except DrnbenchError as error:
            self.failed.append(f"{name} is left out: {one_line(str(error))}")
        except Exception as error:
            if explain_environment(error) is not None:
                raise
            kept = keep_traceback(error)
            where = f"; its traceback is in {kept}" if kept else ""
            self.failed.append(f"{name} is left out: {type(error).__name__}: {one_line(str(error))[:300]}{where}")
        return instead

    def guarded(self, output: Output) -> Output:
        """Return an output whose tables, figures, sentences and macros are parts."""
        return cast("Output", _Guarded(output, self))


class _Guarded:
    """An output that gives nothing where it fails."""

    def __init__(self, output: Output, parts: Parts) -> None:
        self._output, self._parts = output, parts

    def __getattr__(self, name: str) -> Any:
        return getattr(self._output, name)

    def _make(self, what: str, study: StudyResults) -> list[Any]:
        name = f"{what} of the output {type(self._output).__name__}"
        return self._parts.make(name, lambda: list(getattr(self._output, what)(study)), [])

    def tables(self, study: StudyResults) -> Sequence[CaptionedTable | None]:
        return self._make("tables", study)

    def figures(self, study: StudyResults) -> Sequence[CaptionedFigure | None]:
        figures = self._make("figures", study)
        if figures and not any(figures):
            name = type(self._output).__name__
            self._parts.absent[self._output.name] = f"{name} has no figure here: it takes {self._output.figure_needs}"
        return figures

    def sentences(self, study: StudyResults) -> Sequence[str]:
        return self._make("sentences", study)

    def macros(self, study: StudyResults) -> Sequence[Macros]:
        return self._make("macros", study)
