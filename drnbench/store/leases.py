"""Leases: one coordinator at a time works on a unit, also over a network file system.

A lease is a file `lease.<n>` in the unit's folder. The first process to create the next number holds it: creating a file
that must not exist is atomic, on NFS too, where locks are often unavailable. Its holder touches it. A lease whose holder
has ended, or whose holder cannot be seen from here and did not touch it while this process watched for a minute, is dead,
and the next number may be taken. No clock decides anything; see `drnbench.store.processes`.

A run is a lease, too, in a folder `.runs/<id>` of the store with the keys of the units that it reads or makes: `clean` leaves
these alone (`needed_units`).
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
import threading
import time
import uuid
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from drnbench.errors import FULL
from drnbench.store import processes
from drnbench.store.integrity import Damaged, Fault, decode, encode, report
from drnbench.store.processes import identity, is_alive, is_visible_alive

BEAT_S = 5.0
"""Seconds between two touches."""
UNREADABLE_S = 15.0
"""Seconds of watching a lease that is not whole without a touch, after which its holder counts as dead."""
ATTEMPTS = 64
"""How often a folder is made again that others remove meanwhile."""
RUNS = ".runs"
"""Folder of a store with a lease for each run that goes on."""
GONE = frozenset({errno.ENOENT, errno.ESTALE, errno.ENOTDIR})
"""Errors of a file that was removed, on a network disk too."""


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


@dataclass(frozen=True)
class Holder:
    """The holder of a lease, for a message.

    Attributes:
        since: seconds since 1970 by the holder's clock; None: not recorded.
        silence: seconds without a sign of life as observed by this process; None: this process can see the holder.

    """

    host: str
    pid: int
    since: float | None
    silence: float | None

    def __str__(self) -> str:
        """Return the name of the holder with the time of its start, and how long it has shown no sign of life."""
        name = f"process {self.pid} on {self.host}" if self.host else "a process that left no name"
        facts = [time.strftime("since %Y-%m-%d %H:%M:%S", time.localtime(self.since))] if self.since else []
        if self.silence is not None and self.silence > 2 * BEAT_S:
            facts.append(
                f"no sign of life for {self.silence:.0f} s, counts as dead after {processes.DEAD_S:.0f} s of watching it"
            )
        return f"{name} ({'; '.join(facts)})" if facts else name


def claim(folder: Path) -> Lease | None:
    """Take the lease of a folder, which is made if need be; None where a living process holds it.

    Raises:
        OSError: the folder cannot be written.

    """
    for _ in range(ATTEMPTS):
        # `clean`, or whoever held a lock, may remove the folder between two of the steps; `mkdir` itself has two.
        try:
            folder.mkdir(parents=True, exist_ok=True)
            return _claim(folder)
        except FileNotFoundError:
            continue
        except FileExistsError:
            if folder.exists() and not folder.is_dir():
                raise
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(folder))


def _claim(folder: Path) -> Lease | None:
    last = _last(folder)
    former = folder / f"lease.{last}"
    if last and alive(former):
        return None
    if last and _read(former) == {}:
        report(Fault(former, "is not whole"), "its holder shows no sign of life and counts as dead")
    file = folder / f"lease.{last + 1}"
    try:
        handle = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    except FileExistsError:
        return None  # another process was faster
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as out:
            out.write(encode({**identity(), "since": time.time()}))
    except OSError as error:
        if error.errno not in FULL:
            file.unlink(missing_ok=True)
            raise
        # `clean` makes room: an empty lease is one too, of a process without a name.
    if _last(folder) != last + 1:
        # The number was free again because a later one is taken: whoever has that one cleared the others away.
        file.unlink(missing_ok=True)
        return None
    if last and alive(former):
        # The number was given back and taken again between the look at its holder and the claim of the next one.
        file.unlink(missing_ok=True)
        return None
    for number in range(1, last + 1):
        (folder / f"lease.{number}").unlink(missing_ok=True)
    return Lease(folder, file)


def alive(file: Path) -> bool:
    """Return True if the holder of a lease lives, as far as can be seen; a file that is gone was given back."""
    record = _read(file)
    if record == {}:
        return processes.watch.silence(file) < UNREADABLE_S
    return record is not None and is_alive(record, file)


def leased(folder: Path) -> bool:
    """Return True if a living process works in a folder."""
    last = _last(folder)
    return bool(last) and alive(folder / f"lease.{last}")


def holder(folder: Path) -> Holder | None:
    """Return the holder of a folder's lease; None where there is none."""
    last = _last(folder)
    record = _read(folder / f"lease.{last}") if last else None
    return None if record is None else holder_of(record, folder / f"lease.{last}")


def holder_of(record: dict[str, Any], heartbeat: Path) -> Holder:
    """Return the process of a record; `heartbeat`: the file that it touches."""
    silence = processes.watch.silence(heartbeat) if is_visible_alive(record) is None else None
    host, pid, since = record.get("host"), record.get("pid"), record.get("since")
    return Holder(
        host if isinstance(host, str) else "", pid if isinstance(pid, int) else 0,
        since if isinstance(since, (int, float)) and 0 < since < 1e11 else None, silence,
    )  # fmt: skip


def needed_units(root: Path) -> Collection[str] | None:
    """Return the keys of the units that runs which go on read or make; None: of every unit, as one has not said which."""
    keys: set[str] = set()
    for run in going_runs(root):
        try:
            keys.update(json.loads((run / "units.json").read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None
    return keys


def going_runs(root: Path) -> list[Path]:
    """Return the folders of runs that go on."""
    return [run for run in _runs(root) if leased(run)]


def ended_runs(root: Path) -> list[Path]:
    """Return the folders of runs whose process has ended without removing them."""
    return [run for run in _runs(root) if not leased(run)]


@dataclass
class Leases:
    """The leases that one coordinator holds, kept alive by a thread while the context is open, given back at its end."""

    held: dict[Path, Lease] = field(default_factory=dict)
    _run: Path | None = None
    _needed: set[str] = field(default_factory=set)

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
        if self._run is not None:
            shutil.rmtree(self._run, ignore_errors=True)
            with contextlib.suppress(OSError):  # other runs go on
                self._run.parent.rmdir()

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

    def need(self, root: Path, keys: Iterable[str]) -> None:
        """Announce a run, or the units that it needs as well from now on; `clean` leaves them alone until the end.

        Args:
            root: the store.
            keys: of all units that the run reads or makes.

        """
        self._needed.update(keys)
        with contextlib.suppress(OSError):  # a full disk, which is reported where results are written
            if self._run is None:
                for run in ended_runs(root):
                    shutil.rmtree(run, ignore_errors=True)
                self._run = root / RUNS / uuid.uuid4().hex[:16]
                self.claim(self._run)
            temporary = self._run / ".units.json.tmp"
            temporary.write_text(json.dumps(sorted(self._needed)), encoding="utf-8")
            temporary.replace(self._run / "units.json")

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


def _read(file: Path) -> dict[str, Any] | None:
    """Return the record of a lease, {} where it is not readable; None where there is no such file."""
    try:
        return decode(file.read_bytes())
    except Damaged:
        return {}  # being written at this moment, or by a process that died over it
    except OSError as error:
        if error.errno in GONE:
            return None
        raise


def _runs(root: Path) -> list[Path]:
    try:
        with os.scandir(root / RUNS) as entries:
            return sorted(Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False))
    except OSError:
        return []
