"""Interfaces of the coordinator: observers of a run, sources of further units, and the outcome."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from drnbench.config.units import Unit
from drnbench.store import Status


class Listener(Protocol):
    """An observer of a run, such as the progress display or the MLflow mirror."""

    def started(self, unit: Unit, label: str) -> None:
        """Handle that a unit was handed to the executor."""

    def message(self, unit: Unit, label: str, payload: dict[str, Any]) -> None:
        """Handle progress that a worker reports."""

    def ended(self, unit: Unit, label: str, status: Status, tail: Sequence[str] = ()) -> None:
        """Handle that a unit is done, failed or interrupted, also where it runs again; `tail`: of a failed unit's log."""


class Source(Protocol):
    """A source of further units while a run goes on, such as an adaptive search."""

    @property
    def finished(self) -> bool:
        """True when no more units will come."""

    def more(self, active_keys: Collection[str], room: int) -> Sequence[tuple[Unit, str]]:
        """Return at most `room` units with their labels, to run before all that wait.

        `active_keys`: of units that wait or run; the store has the state of all others.
        """


@dataclass
class Outcome:
    """Outcome of a run.

    Attributes:
        trained: stages trained now.
        scored: trials scored now.
        failed: labels of units that failed, with the reason.
        interrupted: Ctrl-C ended the run.
        hurried: it came a second time: nothing more is waited for.
        full: a full disk ended the run; the units that are left go on when there is room.
    """

    trained: int = 0
    scored: int = 0
    failed: list[str] = field(default_factory=list)
    interrupted: bool = False
    hurried: bool = False
    full: bool = False
