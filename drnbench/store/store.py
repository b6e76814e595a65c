"""The results folder and the status of what lies in it. The layout stands in the README; this module alone knows it."""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from drnbench.config.keys import digest
from drnbench.config.units import Evaluation, Unit
from drnbench.errors import UsageError
from drnbench.store import unit_files
from drnbench.store.files import atomic, read_json, safe, sync, write_json
from drnbench.store.integrity import MISSING, Fault, encode, report, stamp
from drnbench.store.leases import Holder, holder, holder_of, leased
from drnbench.store.processes import DEAD_S, is_alive, marks, own_start
from drnbench.store.unit_files import IMAGES

HEARTBEAT_S = 5.0
"""A running worker touches its status this often."""
STALE_S = DEAD_S
"""A unit that runs where this process cannot see is given up when its status was not touched for this long."""


Seconds = Annotated[float, Field(ge=0, lt=2**36)]
"""Seconds since 1970, or since a machine started."""


@dataclass
class Status:
    """State of a unit as its status.json holds it.

    Attributes:
        state: done, failed, running or interrupted.
        kind: of a failure: error, oom, timeout, killed, diverged, damaged.
        host, pid, pid_start, process: its process, see `drnbench.store.processes.identity`.
        evaluations: keys of the evaluations that a trial's per_image.parquet holds.
        files: of a unit that is done, its result: size in bytes and CRC-32 by path within its folder. Empty in a store of
            an earlier version.

    """

    __pydantic_config__ = ConfigDict(allow_inf_nan=False)

    state: Annotated[str, Field(pattern="^(done|failed|running|interrupted)$")]
    kind: str | None = None
    host: str = field(default_factory=socket.gethostname)
    pid: int = field(default_factory=os.getpid)
    pid_start: float = field(default_factory=own_start)
    process: dict[str, Any] = field(default_factory=marks)
    started: Seconds = field(default_factory=time.time)
    finished: Seconds | None = None
    message: str | None = None
    evaluations: list[str] = field(default_factory=list)
    files: dict[str, tuple[int, int]] = field(default_factory=dict)


STATUS_FIELDS = frozenset(f.name for f in fields(Status))
_STATUS: TypeAdapter[Status] = TypeAdapter(Status)


def parse_status(record: dict[str, Any]) -> Status:
    """Return a status of its record, fields of other versions left out.

    Raises:
        ValidationError: the record is of another form.

    """
    known_fields = {name: value for name, value in record.items() if name in STATUS_FIELDS}
    return _STATUS.validate_python({"process": {}, **known_fields})


class Store:
    """The folder `results/`.

    Args:
        root: the folder; made when something is first written.

    """

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()

    @property
    def cache(self) -> Path:
        """Folder of fingerprints and degraded LR sets, by content."""
        return self.root / "cache"

    def stage(self, key: str) -> Path:
        """Return the folder of a trained stage."""
        return self.root / "stages" / key

    def trial(self, key: str) -> Path:
        """Return the folder of a trial's scores."""
        return self.root / "trials" / key

    def folder(self, unit: Unit) -> Path:
        """Return the folder of a unit."""
        return self.stage(unit.key) if unit.kind == "stage" else self.trial(unit.key)

    def study(self, location: str) -> Path:
        """Return the folder of a report, its plan, tables and figures; see `drnbench.results.locations`."""
        return self.root / location

    def prepare(self) -> None:
        """Make the folder and see that it can be written to.

        Raises:
            UsageError: it cannot.

        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with atomic(self.root / ".write-test", durable=False) as path:
                path.write_bytes(b"ok")
            (self.root / ".write-test").unlink(missing_ok=True)  # another process may do the same
        except OSError as error:
            raise UsageError(
                f"results folder {self.root} cannot be written: {error.strerror}; choose another with --results DIR"
            ) from error

    def status(self, folder: Path) -> Status | None:
        """Read a unit's status.json; None where there is none, or, which is reported, one that is not whole."""
        record = read_json(folder / "status.json")
        if record is None:
            return None
        try:
            return parse_status(record)
        except ValidationError as error:
            first = error.errors()[0]
            field_name = ".".join(map(str, first["loc"]))
            report(Fault(folder / "status.json", f"is not a status ({field_name}: {first['msg']})"))
            return None

    def write_status(self, folder: Path, status: Status, *, durable: bool = True) -> None:
        """Write a unit's status.json; `durable`: as in `atomic`."""
        write_json(folder / "status.json", asdict(status), durable=durable)

    def finish(self, folder: Path, status: Status) -> None:
        """Write the status of a unit that is done, with size and CRC-32 of the files of its result.

        Everything is on the disk before status.json takes its name: what it vouches for is there after a power cut. Its name
        itself is synced by who waits for the unit, see `Coordinator`: without it the unit would be made again.

        Raises:
            OSError: the disk failed, or is full.

        """
        names = [name for name in unit_files.result_files(folder) if (folder / name).is_file()]
        status.files = {name: stamp(folder / name) for name in names}
        path, main = folder / "status.json", [*unit_files.main_files(folder), *unit_files.DECLARATIONS]
        with atomic(path, durable=False) as temporary:
            temporary.write_text(encode(asdict(status)), encoding="utf-8")
            sync([temporary, *(folder / name for name in main), folder, folder.parent, self.root])

    def state(self, folder: Path) -> str:
        """Return missing, done, failed, interrupted, running, lost (its process is gone), damaged (not whole)."""
        return self.look(folder)[0]

    def look(self, folder: Path) -> tuple[str, Status | None]:
        """Return `state` and `status` of a unit, its file read once.

        Of a unit that is done, the files of its result are compared with what its status lists, a checkpoint by its size
        alone. A trial has no evaluations where its scores are not whole.
        """
        status = self.status(folder)
        if status is None:
            return "damaged" if (folder / "status.json").exists() or self._lost_status(folder) else "missing", None
        running = status.state == "running" and is_alive(vars(status), folder / "status.json")
        state = "lost" if status.state == "running" and not running else status.state
        if not (faults := unit_files.faults(folder, status.files, done=state == "done", scored=status.evaluations)):
            return state, status
        if self.status(folder) != status:  # it is being made again
            return self.look(folder)
        for fault in faults:
            report(fault)
        return "damaged" if state == "done" else state, replace(status, evaluations=[])

    def _lost_status(self, folder: Path) -> bool:
        """Return True, which is reported, for a unit that has a result, and no status.json although nobody works on it."""
        path = folder / "status.json"
        # In this order: `clean` removes a status first, and gives its lease back after the rest.
        if leased(folder) or not unit_files.has_result(folder) or path.exists():
            return False
        report(Fault(path, MISSING), "`run` makes the unit again")
        return True

    def worker(self, folder: Path) -> Holder | None:
        """Return the process that works on a unit; None where none does."""
        process, status = holder(folder), self.status(folder)
        if process is None and status is not None and status.state == "running":
            process = holder_of({**vars(status), "since": status.started}, folder / "status.json")
        return process

    def last_seen(self, folder: Path) -> tuple[str, float]:
        """Return the process that works on a unit and cannot be seen from here, with the date of its last sign of life.

        Returns:
            The process and the date as a text, and the date in seconds since 1970; "" and 0 where there is no such process.

        """
        process = self.worker(folder)
        if process is None or process.silence is None:
            return "", 0.0
        date = max(path.stat().st_mtime for path in (folder / "status.json", *folder.glob("lease.*")) if path.exists())
        return f"{process}, as last seen {time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(date))}", date

    def unseen_holder(self, folder: Path) -> str:
        """Return by which process a unit is held that cannot be seen from here, as words; "" where there is none."""
        process = self.worker(folder)
        if process is None or process.silence is None:
            return ""
        return f"held by process {process.pid} on {process.host or 'a host without a name'}, not seen from here"

    def names(self, kind: str) -> frozenset[str]:
        """Return the keys that have a folder, of "stages" or "trials": one look instead of one for each."""
        try:
            return frozenset(os.listdir(self.root / kind))  # noqa: PTH208 - a hundred thousand of them: no objects
        except OSError:
            return frozenset()

    def find(self, prefix: str) -> list[Path]:
        """Return the folders of stages and trials whose key begins with `prefix`."""
        if not re.fullmatch(r"[0-9a-f]{4,64}", prefix):
            raise UsageError(
                f"{prefix!r} is not a key: give at least 4 of its hexadecimal characters, as `plan` shows them"
            )
        return sorted(p for kind in ("stages", "trials") for p in (self.root / kind).glob(f"{prefix}*"))


def sample_folder(evaluation: Evaluation) -> str:
    """Return the folder of an evaluation's sample images within that of its trial.

    A method that is not trained is one trial for every study and setting: crops of several sizes stay apart.
    """
    crop = "" if evaluation.crop is None else f"-crop{evaluation.crop}"
    return f"samples/{evaluation.dataset}/{safe(evaluation.kernel)}{crop}"


def image_folder(evaluation: Evaluation) -> str:
    """Return the folder of an evaluation's whole images within that of its trial: one for each content and kernel."""
    content = {"images": evaluation.images, "lr": evaluation.lr_images, "kernel": evaluation.kernel_digest}
    crop = "" if evaluation.crop is None else f"-crop{evaluation.crop}"
    return f"{IMAGES}/{evaluation.dataset}/{safe(evaluation.kernel)}{crop}-{digest(content)[:8]}"


def is_scored(wanted: Iterable[Evaluation], status: Status | None) -> bool:
    """Return True if a trial has every wanted evaluation.

    A failure in some other metric, which another study may have asked for, takes nothing from them; a divergence does, as
    the network itself is at fault.
    """
    if status is None or (status.state == "failed" and status.kind == "diverged"):
        return False
    return {e.key for e in wanted} <= set(status.evaluations)
