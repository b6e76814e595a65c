"""The interface of executors and their options. Resume comes from the store and never from the engine."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

from drnbench.config.units import Unit
from drnbench.errors import UsageError
from drnbench.execution import executors
from drnbench.store.devices import check_device


@dataclass(frozen=True)
class Event:
    """An event of a unit that an executor reports.

    Attributes:
        key: of the unit.
        kind: "message" (progress from the worker) or "ended" (its process is gone; the store has its status).
        payload: of a message; of an end, {"exitcode": int}: negative is the signal that killed it.
    """

    key: str
    kind: str
    payload: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Options:
    """Options of executors, as `drnbench.run` describes them.

    Each executor takes `device`, whose auto it interprets, and `jobs`, and those of the others that it names.
    """

    device: str = "auto"
    jobs: int | None = None
    gpus: str | None = None
    per_gpu: int = 1
    address: str | None = None
    partition: str | None = None
    slurm: Sequence[str] = ()

    def given(self) -> list[str]:
        """Return the names of the options that only some executors take and that were given."""
        values = {"gpus": self.gpus is not None, "per_gpu": self.per_gpu != 1, "address": self.address,
                  "partition": self.partition, "slurm": self.slurm}  # fmt: skip
        return [name for name, value in values.items() if value]


class Executor(ABC):
    """Runs units, each in a process of its own whose death costs that unit alone.

    Attributes:
        name: under which it is registered.
        options: names of the options that it takes beside `device` and `jobs`.
        slots: the largest number of units at once.
        device: kind of device that units run on, "cpu" or "cuda".
    """

    name: ClassVar[str]
    summary: ClassVar[str] = ""
    options: ClassVar[frozenset[str]] = frozenset()
    slots: int
    device: str = "cpu"

    @classmethod
    def check(cls, options: Options) -> None:
        """Refuse options that this executor does not take, before any work.

        Raises:
            UsageError: an unknown device, or an option of another executor.
        """
        check_device(options.device)
        for option in options.given():
            if option not in cls.options:
                owners = " and ".join(name for name in executors.list() if option in executors.get(name).options)
                flag = f"--{option.replace('_', '-')}"
                raise UsageError(f"{flag} is for --executor {owners}, and this is --executor {cls.name}")
        if options.per_gpu != 1 and options.device == "cpu":
            raise UsageError(f"--per-gpu {options.per_gpu}: with --device cpu no unit shares a GPU; use --jobs")

    @classmethod
    def open(cls, root: Path, options: Options, most: int | None = None) -> Self:
        """Return an executor that is ready for units; every one that is registered has this.

        Args:
            root: the results folder.
            options: as `check` passed them.
            most: number of units that there are; None: not known yet.

        Raises:
            UsageError: the engine is not installed, or does not answer.
        """
        raise NotImplementedError

    @classmethod  # noqa: B027 - most engines have nothing to begin
    def warm_up(cls, options: Options) -> None:
        """Begin what `open` would wait for, while a plan is made; for nothing where that is refused.

        Args:
            options: as `check` passed them.
        """

    @abstractmethod
    def submit(self, unit: Unit) -> None:
        """Start a unit now; the caller keeps within `slots`."""

    @abstractmethod
    def events(self, timeout: float) -> list[Event]:
        """Return the events since the last call, waiting up to `timeout` seconds for one."""

    @abstractmethod
    def stop(self, key: str | None = None) -> None:
        """Ask a running unit, or every one, to finish its step, checkpoint, and leave."""

    @abstractmethod
    def close(self) -> None:
        """End every running unit at once and release all resources."""

    def kill(self, key: str) -> None:
        """End one running unit at once; an "ended" event follows."""
        self.stop(key)
