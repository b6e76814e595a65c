"""A clock for what a process observes."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest

from drnbench.store import processes


@pytest.fixture
def advance(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Let the monotonic clock stand still, but for the seconds that a test lets pass."""
    now = [1000.0]

    def advance(seconds: float) -> None:
        now[0] += seconds

    monkeypatch.setattr(processes, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(processes, "watch", processes.Watch())
    return advance
