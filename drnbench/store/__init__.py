"""Results on disk: the only source of truth.

Every file is written to a temporary name and renamed, so a reader never sees half of one. A thing is done when its
status.json says so. The layout stands in the README; this module is the one place that knows it.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
import socket
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from drnbench.errors import UsageError

if TYPE_CHECKING:
    from pyarrow import Table

HEARTBEAT_S = 5.0
"""A running worker touches its status this often."""
STALE_S = 60.0
"""A unit that another host runs is given up when its status was not touched for this long."""


ROOM = 2**16
"""Bytes free on a disk below which whatever fails is taken to fail for want of room."""


@dataclass
class Status:
    """What became of a unit: done, failed, running, interrupted.

    Attributes:
        kind: of a failure: error, oom, timeout, killed, diverged.
        pid_start: start time of the process, so that a pid used again is not taken for the old one.
        evaluations: keys of the evaluations that a trial's per_image.parquet holds.

    """

    state: str
    kind: str | None = None
    host: str = field(default_factory=socket.gethostname)
    pid: int = field(default_factory=os.getpid)
    pid_start: float = field(default_factory=lambda: psutil.Process().create_time())
    started: float = field(default_factory=time.time)
    finished: float | None = None
    message: str | None = None
    evaluations: list[str] = field(default_factory=list)


STATUS = frozenset(f.name for f in fields(Status))


@contextlib.contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; on success it takes the name, on failure it is gone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, what: Any) -> None:
    """Write JSON, indented for people, whole or not at all."""
    write_text(path, json.dumps(what, indent=2, ensure_ascii=False, sort_keys=False, default=str) + "\n")


def read_json(path: Path) -> Any:
    """Read JSON, or None where there is no such file."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None


def read_rows(path: Path, columns: list[str]) -> Table:
    """Read columns of a Parquet file: not by pandas, which takes ten times as long; a study may have thousands of them.

    Raises:
        FileNotFoundError: there is no such file.
        pyarrow.ArrowException: it is not a whole Parquet file, or lacks a column.

    """
    from pyarrow import parquet

    # For files this small, buffering and threads cost more than the reading.
    return (
        parquet.ParquetFile(path, pre_buffer=False).read(columns=columns, use_threads=False).replace_schema_metadata()
    )


def out_of_room(error: BaseException, folder: Path) -> bool:
    """Whether an error came of a full disk: by its number, or, since some libraries report it as something else, by the disk."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno in {errno.ENOSPC, errno.EDQUOT}:
            return True
        seen = seen.__cause__ or seen.__context__
    try:
        return shutil.disk_usage(folder).free < ROOM
    except OSError:
        return False


class Store:
    """The folder `results/`.

    Args:
        root: the folder; made when something is first written.

    """

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()

    @property
    def cache(self) -> Path:
        """Fingerprints and degraded LR sets, by content."""
        return self.root / "cache"

    def stage(self, key: str) -> Path:
        """The folder of a trained stage."""
        return self.root / "stages" / key

    def trial(self, key: str) -> Path:
        """The folder of a trial's scores."""
        return self.root / "trials" / key

    def study(self, name: str) -> Path:
        """The folder of a study's plan, tables and figures."""
        return self.root / name

    def prepare(self) -> None:
        """Make the folder and see that it can be written to.

        Raises:
            UsageError: it cannot.

        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with atomic(self.root / ".write-test") as path:
                path.write_bytes(b"ok")
            (self.root / ".write-test").unlink()
        except OSError as error:
            raise UsageError(
                f"results folder {self.root} cannot be written: {error.strerror}; choose another with --results DIR"
            ) from error

    def status(self, folder: Path) -> Status | None:
        """Read a unit's status.json; None where there is none, or one of a foreign shape."""
        raw = read_json(folder / "status.json")
        return Status(**{k: v for k, v in raw.items() if k in STATUS}) if raw else None

    def write_status(self, folder: Path, status: Status) -> None:
        """Record what became of a unit."""
        write_json(folder / "status.json", asdict(status))

    def state(self, folder: Path) -> str:
        """Return missing, done, failed, interrupted, running, or lost (it ran, and its process is gone)."""
        return self.look(folder)[0]

    def look(self, folder: Path) -> tuple[str, Status | None]:
        """Return `state` and `status` of a unit, its file read once."""
        status = self.status(folder)
        if status is None:
            return "missing", None
        if status.state == "running" and not self._alive(folder, status):
            return "lost", status
        return status.state, status

    def names(self, kind: str) -> frozenset[str]:
        """Return the keys that have a folder, of "stages" or "trials": one look instead of one for each."""
        try:
            return frozenset(entry.name for entry in os.scandir(self.root / kind))
        except OSError:
            return frozenset()

    def _alive(self, folder: Path, status: Status) -> bool:
        if status.host != socket.gethostname():
            # Another machine's process cannot be seen; its heartbeat on the shared folder can.
            return time.time() - (folder / "status.json").stat().st_mtime < STALE_S
        try:
            process = psutil.Process(status.pid)
            return bool(
                abs(process.create_time() - status.pid_start) < 1.0 and process.status() != psutil.STATUS_ZOMBIE
            )
        except psutil.NoSuchProcess:
            return False

    def find(self, prefix: str) -> list[Path]:
        """Return the folders of stages and trials whose key begins with `prefix`."""
        if not re.fullmatch(r"[0-9a-f]{4,64}", prefix):
            raise UsageError(
                f"{prefix!r} is not a key: give at least 4 of its hexadecimal characters, as `plan` shows them"
            )
        return sorted(p for kind in ("stages", "trials") for p in (self.root / kind).glob(f"{prefix}*"))


def safe(name: str) -> str:
    """Return a kernel's name as a file or folder may be called."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", name)
