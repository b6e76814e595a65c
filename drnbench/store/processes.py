"""Processes, identified by where they run and when they started: ids are used again, host names are shared, clocks are set.

A process that this one can see, in its own boot and PID namespace, is looked up. One elsewhere (another machine, another
container) is judged by its heartbeat alone: a file that it touches, and that changes while this process watches. Dates of
files are never compared with a clock.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

DEAD_S = 60.0
"""Seconds of watching a heartbeat without a change after which a process elsewhere counts as dead."""
TOLERANCE_S = 1.0
"""Start times by the wall clock, as earlier versions recorded them, differ by less when read at different moments."""
INITIAL_NAMESPACE = "4026531836"
"""Inode of the PID namespace of a machine itself, outside of all containers (PROC_PID_INIT_INO of Linux)."""


def identity() -> dict[str, Any]:
    """Return what identifies this process, for a record: host, pid, pid_start (for earlier versions), and `process`.

    `process` has the boot id, a digest of the machine's network cards, the PID namespace, and the start time in ticks
    since boot, which no clock moves.
    """
    pid = os.getpid()
    return {"host": socket.gethostname(), "pid": pid, "pid_start": own_start(), "process": marks()}


def marks() -> dict[str, Any]:
    """Return `process` of `identity`."""
    return dict(_marks(os.getpid()))


def is_visible_alive(record: Mapping[str, Any]) -> bool | None:
    """Return True if the process of a record runs, False if it has ended, None where this process cannot see it.

    Args:
        record: with the fields of `identity`; `process` is empty or missing in those of earlier versions.

    """
    try:
        pid, process = int(record["pid"]), record.get("process") or {}
        if record["host"] != socket.gethostname():
            return None
        if not process:
            return _is_alive_by_clock(pid, float(record["pid_start"]))
        own = marks()
        if process["boot"] != own["boot"]:
            # The machine was started again, unless it is another one (or a container of one) with the same name.
            initial = all(place["namespace"].startswith(INITIAL_NAMESPACE) for place in (process, own))
            return False if initial and own["machine"] and process["machine"] == own["machine"] else None
        if not own["namespace"] or process["namespace"] != own["namespace"]:
            return None
        started = start_ticks(pid)
        return None if started is None else started == int(process["start"])
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        return None  # a record that is damaged, or of a later version


class Watch:
    """Heartbeats as this process observes them: how long each file has been the same, by the monotonic clock."""

    def __init__(self) -> None:
        self._observed: dict[str, tuple[tuple[int, ...], float, float]] = {}

    def silence(self, file: Path) -> float:
        """Look at a file; return for how many seconds it has not changed under observation: 0 at the first look.

        Of a long time between two looks only a part counts: the disk may have been away for both sides.
        """
        now, key = time.monotonic(), str(file)
        try:
            stat = file.stat()
        except FileNotFoundError:
            self._observed.pop(key, None)
            return 0.0
        content = (stat.st_mtime_ns, stat.st_ino, stat.st_size)
        before, silent, looked = self._observed.get(key, (None, 0.0, now))
        silent = silent + min(now - looked, DEAD_S / 2) if before == content else 0.0
        self._observed[key] = (content, silent, now)
        return silent


watch = Watch()
"""That of this process."""


def is_alive(record: Mapping[str, Any], heartbeat: Path) -> bool:
    """Return True if the process of a record runs, as far as can be seen; elsewhere: until its heartbeat stops.

    Args:
        record: see `is_visible_alive`.
        heartbeat: the file that the process touches.

    """
    visible = is_visible_alive(record)
    return watch.silence(heartbeat) < DEAD_S if visible is None else visible


def start_time(pid: int) -> float | None:
    """Return when a process started, in seconds since 1970; None where none runs under this id (a zombie does not)."""
    import psutil

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.NoSuchProcess:
        return None


def own_start() -> float:
    """Return when this process started, in seconds since 1970; 0 where that is hidden."""
    return _own_start(os.getpid())


@functools.lru_cache(maxsize=1)  # by the id, see `_marks`
def _own_start(pid: int) -> float:
    return start_time(pid) or 0.0


def start_ticks(pid: int) -> int | None:
    """Return when a process started, in ticks since boot; 0 where none runs under this id, None where that is hidden."""
    if not sys.platform.startswith("linux"):
        started = start_time(pid)  # kept by these systems as it was at the start, whatever the clock does
        return 0 if started is None else round(started * 100)
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except ProcessLookupError:
        return 0
    except OSError:
        try:  # /proc may hide the processes of other users
            os.kill(pid, 0)
        except ProcessLookupError:
            return 0
        except OSError:
            return None
        return None
    return 0 if fields[0] in "ZX" else int(fields[19])


@functools.lru_cache(maxsize=1)  # by the id: a forked child is another process
def _marks(pid: int) -> dict[str, Any]:
    return {**_place(), "namespace": _namespace(), "start": start_ticks(pid) or 0}


@functools.cache
def _place() -> dict[str, str]:
    """Return the boot id and a digest of the network cards; "" where the system has none."""
    boot = ""
    with contextlib.suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
    if sys.platform == "darwin":
        with contextlib.suppress(OSError):
            command = ["sysctl", "-n", "kern.bootsessionuuid"]
            boot = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    cards = []
    for device in Path("/sys/class/net").glob("*/device"):  # real ones: those of containers are made at each start
        with contextlib.suppress(OSError):
            cards.append((device.parent / "address").read_text(encoding="utf-8").strip())
    machine = hashlib.sha256("\n".join(sorted(cards)).encode()).hexdigest()[:16] if cards else ""
    return {"boot": boot, "machine": machine}


def _namespace() -> str:
    """Return the PID and time namespaces; "" where /proc shows another one's processes, or there is no telling."""
    if not sys.platform.startswith("linux"):
        return sys.platform
    try:
        if str(Path("/proc/self").readlink()) != str(os.getpid()):
            return ""
        files = (Path("/proc/self/ns") / name for name in ("pid", "time"))
        return "-".join(str(file.stat().st_ino) for file in files if file.exists())
    except OSError:
        return ""


def _is_alive_by_clock(pid: int, started: float) -> bool | None:
    """Judge a record of an earlier version; None where a process of that id started at another time by the clock."""
    actual = start_time(pid)
    if actual is None:
        return False
    return True if abs(actual - started) < TOLERANCE_S else None
