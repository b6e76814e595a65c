"""Processes of this machine, each known by its id and its start time: ids are used again."""

from __future__ import annotations

import psutil

TOLERANCE_S = 1.0
"""Start times of one process that were read at different moments differ by less."""


def start_time(pid: int) -> float | None:
    """Return when a process started, in seconds since 1970; None where none runs under this id (a zombie does not)."""
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.NoSuchProcess:
        return None


def is_alive(pid: int, started: float) -> bool:
    """Return True if the process that started under this id at that time still runs."""
    actual = start_time(pid)
    return actual is not None and abs(actual - started) < TOLERANCE_S
