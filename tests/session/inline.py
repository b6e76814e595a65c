"""An executor that runs each unit in the process of the test: no process is started, and faults can be put in its way."""

from __future__ import annotations

import contextlib
import functools
import json
from typing import ClassVar

import pytest

from drnbench.execution import compute, executors, worker
from drnbench.execution.base import Event, Executor
from drnbench.models.costs import costs
from drnbench.store import Store
from drnbench.training.origin import origin


class Inline(Executor):
    """Runs a unit when it is submitted.

    Attributes:
        ran: kind and key of each unit that ran, in order.
        most_steps: a stage is asked to save and leave after so many of its steps; None: never.

    """

    name = "inline"
    ran: ClassVar[list[tuple[str, str]]] = []
    most_steps: ClassVar[int | None] = None

    def __init__(self, root):
        self.slots, self._store, self._events = 1, Store(root), []

    @classmethod
    def open(cls, root, options, most=None):
        return cls(root)

    def submit(self, unit):
        asked = []

        def stop():
            asked.append(None)
            return len(asked) == Inline.most_steps

        def emit(message):
            self._events.append(Event(unit.key, "message", message))

        folder = self._store.folder(unit)
        Inline.ran.append((unit.kind, unit.key))
        code = worker.run(unit, self._store, "cpu", emit, stop, folder, origin(unit))
        self._events.append(Event(unit.key, "ended", {"exitcode": code}))

    def events(self, timeout):
        events, self._events = self._events, []
        return events

    def stop(self, key=None):
        pass

    close = stop


@contextlib.contextmanager
def available():
    """Make it an executor of this process while the context is open; lists of executors do not have it afterwards.

    A network is counted once, and not after each trial.
    """
    with pytest.MonkeyPatch.context() as patch:
        counted = functools.cache(lambda method, scale, sizes: costs(method, scale, json.loads(sizes)))
        patch.setattr(compute, "costs", lambda method, scale, sizes: counted(method, scale, json.dumps(sizes)))
        patch.setitem(executors._entries, Inline.name, Inline)
        patch.setitem(executors._modules, Inline.name, __name__)
        yield
