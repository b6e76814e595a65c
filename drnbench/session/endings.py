"""The end of a unit: its final status, from its process and status.json, and the unit to run again, if any."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from drnbench.config.units import Unit
from drnbench.execution.worker import FULL
from drnbench.session.items import Item, State
from drnbench.store import DISK_FULL, Status

RETRIES = 2
"""A unit whose process was killed is tried again this often; a unit that failed by itself is not."""
TAIL = 8
"""Lines of its log that are shown when a unit fails."""


def final_status(item: Item, status: Status | None, exitcode: int | None, time_limit: float | None) -> Status:
    """Return how a unit ended, from its status.json, also where its worker could not write that down.

    `exitcode`: of its process; negative: the signal that killed it; None: not recorded. `time_limit`: in seconds.
    """
    state = status.state if status else "missing"
    evaluations = list(status.evaluations) if status else []
    if exitcode == FULL:
        return Status("interrupted", message=DISK_FULL, evaluations=evaluations)
    if item.state is State.OVERTIME and state in {"running", "interrupted", "missing"}:
        message = (
            f"stopped after {time_limit:g} s, the time limit; what is done is saved: raise --time-limit and run with "
            "--rerun failed to go on"
        )
        return Status("failed", kind="timeout", message=message, evaluations=evaluations)
    if status is None or state == "running":
        cause = f"signal {-exitcode}" if exitcode and exitcode < 0 else f"exit code {exitcode}"
        return Status("failed", kind="killed", message=f"the process was ended by {cause}", evaluations=evaluations)
    return status


def retry(item: Item, status: Status) -> Unit | None:
    """Return the unit to run again: as it was after a kill, with a batch in smaller parts after it ran out of memory.

    None: it is not run again.
    """
    unit = item.unit
    if status.state != "failed":
        return None
    if status.kind == "oom" and unit.kind == "stage" and unit.stage.accumulate == "auto":
        parts = min(2 * unit.split, unit.stage.batch)
        return unit.model_copy(update={"split": parts}) if parts > unit.split else None
    return unit if status.kind == "killed" and item.tries <= RETRIES else None


def tail(log: Path) -> list[str]:
    """Return the last lines of a unit's log, without the frames of tracebacks: those are for `show KEY --log`."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 8192))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return []
    return [line for line in _without_frames(lines) if line.strip()][-TAIL:]


def _without_frames(lines: Iterable[str]) -> Iterator[str]:
    is_frame = False
    for line in lines:
        is_frame = line.startswith(("Traceback (", '  File "')) or (is_frame and line.startswith("    "))
        if not is_frame:
            yield line
