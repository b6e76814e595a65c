"""What executors of clusters share: a unit as text, the process that runs it elsewhere, and the line back from there.

The coordinator may be on another machine than the worker, so nothing here holds a pipe. A worker calls `exchange` twice a
second with what it has to tell and learns whether it shall stop; each engine carries that in its own way.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

from drnbench.config.trial import Frozen
from drnbench.config.units import Unit
from drnbench.degradations import parse
from drnbench.errors import UsageError
from drnbench.evaluation import metrics
from drnbench.execution.worker import run
from drnbench.models import models
from drnbench.schemes import schemes
from drnbench.store import HEARTBEAT_S, Status, Store, is_scored
from drnbench.store.code import code_fingerprint
from drnbench.store.files import remove_temporaries
from drnbench.store.leases import Leases

EXCHANGE_S = 0.5
"""Seconds between two exchanges of a worker with its coordinator."""
SINGLE = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
"""Threads of the libraries under torch and numpy; engines set them in ways of their own."""
MERGED = {"step", "steps", "loss", "note"}
"""A message of nothing but these is replaced by the next one."""

Exchange = Callable[[list[dict[str, Any]]], bool]
"""Tell these messages; whether the unit shall stop."""


class Job(Frozen):
    """A unit and what its process needs to know; travels as JSON."""

    unit: Unit
    root: str
    device: str
    folder: str
    environment: dict[str, str]
    code: str


def pack_job(unit: Unit, root: Path, device: str) -> str:
    """Return a unit as a text that `run_job` runs anywhere.

    Args:
        unit: the unit.
        root: the results folder.
        device: "cpu" or "cuda": the engine says which GPU that is.

    """
    ours = {k: v for k, v in os.environ.items() if k.startswith("DRNBENCH_") or k == "TORCH_HOME"}
    return Job(
        unit=unit, root=str(root), device=device, folder=str(Path.cwd()), environment=ours, code=code_fingerprint(unit.kind)
    ).model_dump_json()  # fmt: skip


def run_job(text: str, exchange: Exchange, root: Path | None = None, stop: Callable[[], bool] = lambda: False) -> int:
    """Run one unit in this process, which nothing else uses before or after; return its exit code.

    Never two processes at once in one folder: where an older one still works, as after a network was cut for a while, this
    one waits for its end, and takes what it did.

    Args:
        text: of `pack_job`.
        exchange: the line to the coordinator.
        root: a results folder of this machine instead of the coordinator's.
        stop: asked after each step, besides what the coordinator says.

    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the coordinator's business
    job = Job.model_validate_json(text)
    settle(job)
    store = Store(root or Path(job.root))
    folder = store.folder(job.unit)
    with Line(exchange, folder) as line, Leases() as leases:
        line.emit({"pid": os.getpid(), "host": socket.gethostname()})
        with _alone(leases, folder, lambda: line.stopping or stop()) as alone:
            if not alone:
                return 0
            if finished(store, job.unit):
                return 0
            remove_temporaries(folder)  # of a process that was killed while it wrote
            refused = refusal(job)
            if refused:
                record(store, job.unit, "failed", "error", refused)
                return 1
            return run(job.unit, store, job.device, line.emit, lambda: line.stopping or stop(), folder)


def finished(store: Store, unit: Unit) -> bool:
    """Return True if the store has all that a unit makes."""
    status = store.status(store.folder(unit))
    return status is not None and status.state == "done" and (unit.kind == "stage" or is_scored(unit, status))


def record(store: Store, unit: Unit, state: str, kind: str | None = None, message: str | None = None) -> None:
    """Write down how a unit ended, where its worker could not. Scores that a trial has are kept."""
    folder = store.folder(unit)
    old = store.status(folder)
    kept = list(old.evaluations) if old else []
    store.write_status(folder, Status(state, kind=kind, message=message, evaluations=kept, finished=time.time()))


def refusal(job: Job) -> str | None:
    """Return why this machine cannot run a unit, and what mends it; None where it can."""
    import torch

    host, unit = socket.gethostname(), job.unit
    if code_fingerprint(unit.kind) != job.code:
        return (
            f"the node {host} has other numeric code of drnbench than this run began with: install the same version on every "
            "node, or, where it was edited meanwhile, run again with --rerun failed"
        )
    try:
        _look_up(unit)
    except UsageError as error:
        return f"on the node {host}: {error}; the package that adds it must be installed on every node"
    if job.device == "cuda" and not torch.cuda.is_available():
        return f"PyTorch sees no CUDA device on the node {host}: use --device cpu, or install a CUDA build and driver there"
    return None


def _look_up(unit: Unit) -> None:
    models.get(unit.model)
    if unit.kind == "stage":
        schemes.get(str(unit.stage.scheme))
        for data in (unit.stage.data, unit.stage.unpaired):
            if data is not None:
                parse(data.kernel)
    else:
        for one in unit.wanted:
            metrics.get(one.metric)
            parse(one.kernel)


def settle(job: Job) -> None:
    """Make this process see what the coordinator's does: variables, data roots, folder; before torch is imported."""
    theirs = os.environ.get("DRNBENCH_DATA")
    os.environ.update({k: v for k, v in job.environment.items() if k != "TORCH_HOME" or Path(v).is_dir()})
    if theirs:
        roots = [*job.environment.get("DRNBENCH_DATA", "").split(os.pathsep), *theirs.split(os.pathsep)]
        os.environ["DRNBENCH_DATA"] = os.pathsep.join(dict.fromkeys(root for root in roots if root))
    threads = job.unit.stage.threads if job.unit.kind == "stage" else 1
    os.environ.update(dict.fromkeys(SINGLE, str(threads)))
    with contextlib.suppress(OSError):  # where the folder is not there, sources must be absolute
        os.chdir(job.folder)


@contextlib.contextmanager
def _alone(leases: Leases, folder: Path, stop: Callable[[], bool]) -> Iterator[bool]:
    """Wait until no other process works in a folder; False where it was told to stop before."""
    place, pause = folder / ".worker", threading.Event()
    try:
        while not leases.claim(place):
            if stop():
                yield False
                return
            pause.wait(EXCHANGE_S)
        yield True
    finally:
        leases.release(place)
        with contextlib.suppress(OSError):
            place.rmdir()


class Line:
    """The worker's end of the line: gathers messages, exchanges them twice a second, and keeps the status fresh."""

    def __init__(self, exchange: Exchange, folder: Path) -> None:
        self.stopping = False
        self._exchange, self._folder = exchange, folder
        self._held: list[dict[str, Any]] = []
        self._lock, self._end = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._loop, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()
        self._turn()

    def emit(self, message: dict[str, Any]) -> None:
        """Tell something; of mere progress only the newest is told."""
        with self._lock:
            if self._held and self._held[-1].keys() == message.keys() and message.keys() <= MERGED:
                self._held[-1] = message
            else:
                self._held.append(message)

    def _loop(self) -> None:
        beaten = time.monotonic()
        while not self._end.wait(EXCHANGE_S):
            self._turn()
            if time.monotonic() - beaten >= HEARTBEAT_S:
                beaten = time.monotonic()
                with contextlib.suppress(OSError):
                    os.utime(self._folder / "status.json")

    def _turn(self) -> None:
        with self._lock:
            held, self._held = self._held, []
        self.stopping = self._exchange(held) or self.stopping
