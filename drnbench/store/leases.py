"""Leases: one coordinator at a time works on a unit, also over a network file system.

A lease is a file `lease.<n>` in the unit's folder. The first process to create the next number holds it: creating a file
that must not exist is atomic, on NFS too, where locks are often unavailable. Its holder touches it; a lease that was not
touched for a while, or whose process is gone from this machine, is dead, and the next number may be taken. Nothing else
is decided by a clock: times are those of the file system, compared with each other.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import threading
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from drnbench.store.processes import is_alive, start_time

BEAT_S = 5.0
"""Seconds between two touches."""
DEAD_S = 60.0
"""Seconds without a touch after which the holder on another machine counts as dead."""


@dataclass(frozen=True)
class Lease:
    """A lease that this process took.

    Attributes:
        folder: of the unit.
        file: `lease.<n>` in it.

    """

    folder: Path
    file: Path

    def release(self) -> None:
        """Give the lease back; one that is lost already is left to its new holder."""
        with contextlib.suppress(OSError):
            self.file.unlink(missing_ok=True)

    def held(self) -> bool:
        """Return False where another process took the lease over, as happens to a process that slept too long."""
        return self.file.exists() and _last(self.folder) == _number(self.file)

    def touch(self) -> None:
        """Renew the lease."""
        with contextlib.suppress(OSError):  # a full disk, or a folder that is gone: reported elsewhere
            os.utime(self.file)


def claim(folder: Path) -> Lease | None:
    """Take the lease of a folder, which is made if need be; None where a living process holds it.

    Raises:
        OSError: the folder cannot be written.

    """
    folder.mkdir(parents=True, exist_ok=True)
    last = _last(folder)
    if last and alive(folder / f"lease.{last}"):
        return None
    file = folder / f"lease.{last + 1}"
    try:
        handle = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    except FileExistsError:
        return None  # another process was faster
    with os.fdopen(handle, "w", encoding="utf-8") as out:
        json.dump({"host": socket.gethostname(), "pid": os.getpid(), "pid_start": start_time(os.getpid())}, out)
    if _last(folder) != last + 1:
        # The number was free again because a later one is taken: whoever has that one cleared the others away.
        file.unlink(missing_ok=True)
        return None
    for number in range(1, last + 1):
        (folder / f"lease.{number}").unlink(missing_ok=True)
    return Lease(folder, file)


def alive(file: Path) -> bool:
    """Return True if the holder of a lease lives; a file that is gone was given back."""
    try:
        text, touched = file.read_text(encoding="utf-8"), file.stat().st_mtime
    except FileNotFoundError:
        return False
    try:
        holder = json.loads(text)
        if holder["host"] == socket.gethostname():
            return is_alive(int(holder["pid"]), float(holder["pid_start"]))
    except (ValueError, KeyError, TypeError):
        pass  # being written at this moment, or by a process that died over it: time tells
    return _now(file.parent) - touched < DEAD_S


def leased(folder: Path) -> bool:
    """Return True if a living process works in a folder."""
    last = _last(folder)
    return bool(last) and alive(folder / f"lease.{last}")


@dataclass
class Leases:
    """The leases that one coordinator holds, kept alive by a thread while the context is open, given back at its end."""

    held: dict[Path, Lease] = field(default_factory=dict)

    def __enter__(self) -> Self:
        self._end = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()
        for folder in list(self.held):
            self.release(folder)

    def claim(self, folder: Path) -> bool:
        """Take the lease of a folder; False where another process holds it."""
        if folder in self.held:
            return True
        lease = claim(folder)
        if lease is None:
            return False
        with self._lock:
            self.held[folder] = lease
        return True

    def release(self, folder: Path) -> None:
        """Give the lease of a folder back, if it is held."""
        with self._lock:
            lease = self.held.pop(folder, None)
        if lease is not None:
            lease.release()

    def lost(self) -> list[Path]:
        """Return the folders that another process took over, because this machine was asleep for instance."""
        with self._lock:
            held = list(self.held.items())
        return [folder for folder, lease in held if not lease.held()]

    def _beat(self) -> None:
        while not self._end.wait(BEAT_S):
            with self._lock:
                held = list(self.held.values())
            for lease in held:
                lease.touch()


def _last(folder: Path) -> int:
    try:
        names = os.listdir(folder)  # noqa: PTH208 - a hundred thousand folders are looked at: no objects
    except FileNotFoundError:
        return 0
    return max((int(name[6:]) for name in names if re.fullmatch(r"lease\.\d+", name)), default=0)


def _number(file: Path) -> int:
    return int(file.name[6:])


def _now(folder: Path) -> float:
    """Return the current time of the file system, whose clock need not be this machine's."""
    probe = folder / f".now-{uuid.uuid4().hex}.tmp"
    try:
        probe.touch()
        return probe.stat().st_mtime
    except OSError:
        return time.time()
    finally:
        with contextlib.suppress(OSError):
            probe.unlink(missing_ok=True)
