"""The interface that every executor has. Resume comes from the store and never from the engine."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any

from drnbench.config.units import Unit


@dataclass(frozen=True)
class Event:
    """What an executor tells about a unit.

    Attributes:
        kind: "message" (progress from the worker) or "ended" (its process is gone; the store knows how it went).
        payload: of a message; of an end, {"exitcode": int}: negative is the signal that killed it.

    """

    key: str
    kind: str
    payload: dict[str, Any] = field(default_factory=dict)


class Executor(ABC):
    """Runs units, each in a process of its own whose death costs that unit alone.

    Attributes:
        slots: how many units may run at once.

    """

    slots: int

    @abstractmethod
    def submit(self, unit: Unit) -> None:
        """Start a unit now; the caller keeps within `slots`."""

    @abstractmethod
    def events(self, timeout: float) -> list[Event]:
        """Return what happened since the last call, waiting up to `timeout` seconds for something."""

    @abstractmethod
    def stop(self, key: str | None = None) -> None:
        """Ask a running unit, or every one, to finish its step, checkpoint, and leave."""

    @abstractmethod
    def close(self) -> None:
        """End every running unit at once and give everything back."""

    def kill(self, key: str) -> None:
        """End one running unit at once; an "ended" event follows."""
        self.stop(key)
