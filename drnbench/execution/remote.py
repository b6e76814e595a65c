"""The common part of the executors of clusters: a unit as text, the process that runs it elsewhere, its messages.

The coordinator may be on another machine than the worker, so nothing here holds a pipe. A worker calls `exchange` twice a
second with its messages and learns whether it shall stop; each engine carries that in its own way.
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
from drnbench.store.files import remove_temporaries
from drnbench.store.leases import Leases
from drnbench.training.origin import load, origin

EXCHANGE_S = 0.5
"""Seconds between two exchanges of a worker with its coordinator."""
SINGLE = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
"""Threads of the libraries under torch and numpy; engines set them in ways of their own."""
MERGED = {"step", "steps", "loss", "note"}
"""A message that has only such fields is replaced by the next one."""

Exchange = Callable[[list[dict[str, Any]]], bool]
"""Send these messages; return True if the unit shall stop."""


class Job(Frozen):
    """A unit and the surroundings of its process; travels as JSON.

    Attributes:
        root: the coordinator's results folder.
        device: "cpu" or "cuda".
        folder: the coordinator's current folder, which relative paths start from.
        environment: variables of the coordinator that a unit reads.
        origin: of the unit in the coordinator.
    """

    unit: Unit
    root: str
    device: str
    folder: str
    environment: dict[str, str]
    origin: dict[str, Any]


def pack_job(unit: Unit, root: Path, device: str) -> str:
    """Return a unit as a text that `run_job` runs anywhere; `device`: "cpu" or "cuda", the engine says which GPU."""
    environment = {k: v for k, v in os.environ.items() if k.startswith("DRNBENCH_") or k == "TORCH_HOME"}
    job = Job(
        unit=unit, root=str(root), device=device, folder=str(Path.cwd()), environment=environment,
        origin=origin(unit),
    )  # fmt: skip
    return job.model_dump_json()


def run_job(text: str, exchange: Exchange, root: Path | None = None, stop: Callable[[], bool] = lambda: False) -> int:
    """Run one unit in this process, which is used for nothing else before or after; return its exit code.

    Never two processes at once in one folder: where an older one still works, as after a network was cut for a while, this
    one waits for its end, and takes its result.

    Args:
        text: of `pack_job`.
        exchange: carries messages to the coordinator.
        root: a results folder of this machine instead of the coordinator's.
        stop: asked after each step, besides the coordinator.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the coordinator's business
    job = Job.model_validate_json(text)
    apply_environment(job)
    store = Store(root or Path(job.root))
    folder = store.folder(job.unit)
    with Channel(exchange, folder) as channel, Leases() as leases:
        channel.emit({"pid": os.getpid(), "host": socket.gethostname()})

        def stopping() -> bool:
            return channel.stopping or stop()

        with _exclusive(leases, folder, stopping) as is_exclusive:
            if not is_exclusive or finished(store, job.unit):
                return 0
            remove_temporaries(folder)  # of a process that was killed while it wrote
            reason = refusal(job)
            if reason:
                record(store, job.unit, "failed", "error", reason)
                return 1
            return run(job.unit, store, job.device, channel.emit, stopping, folder, job.origin)


def finished(store: Store, unit: Unit) -> bool:
    """Return True if the store has the whole result of a unit."""
    state, status = store.look(store.folder(unit))
    return state == "done" and (unit.kind == "stage" or is_scored(unit.wanted, status))


def record(store: Store, unit: Unit, state: str, kind: str | None = None, message: str | None = None) -> None:
    """Write the status of a unit whose worker could not. Scores that a trial has are kept."""
    folder = store.folder(unit)
    old = store.status(folder)
    evaluations = list(old.evaluations) if old else []
    status = Status(state, kind=kind, message=message, evaluations=evaluations, finished=time.time())
    store.write_status(folder, status)


def refusal(job: Job) -> str | None:
    """Return the reason why this machine cannot run a unit, with its remedy; None where it can."""
    import torch

    host, unit = socket.gethostname(), job.unit
    load()  # before the names are looked up
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
        for evaluation in unit.wanted:
            metrics.get(evaluation.metric)
            parse(evaluation.kernel)


def apply_environment(job: Job) -> None:
    """Give this process the coordinator's variables, data roots and current folder; before torch is imported."""
    node_roots = os.environ.get("DRNBENCH_DATA")
    os.environ.update({k: v for k, v in job.environment.items() if k != "TORCH_HOME" or Path(v).is_dir()})
    if node_roots:
        roots = [*job.environment.get("DRNBENCH_DATA", "").split(os.pathsep), *node_roots.split(os.pathsep)]
        os.environ["DRNBENCH_DATA"] = os.pathsep.join(dict.fromkeys(root for root in roots if root))
    threads = job.unit.stage.threads if job.unit.kind == "stage" else 1
    os.environ.update(dict.fromkeys(SINGLE, str(threads)))
    with contextlib.suppress(OSError):  # where the folder is not there, sources must be absolute
        os.chdir(job.folder)


@contextlib.contextmanager
def _exclusive(leases: Leases, folder: Path, stop: Callable[[], bool]) -> Iterator[bool]:
    """Wait until no other process works in a folder; False where this one was asked to stop before."""
    leased, pause = folder / ".worker", threading.Event()
    try:
        while not leases.claim(leased):
            if stop():
                yield False
                return
            pause.wait(EXCHANGE_S)
        yield True
    finally:
        leases.release(leased)
        with contextlib.suppress(OSError):
            leased.rmdir()


class Channel:
    """The worker's side of the exchange: gathers messages, sends them twice a second, and keeps the status fresh."""

    def __init__(self, exchange: Exchange, folder: Path) -> None:
        self.stopping = False
        self._exchange, self._folder = exchange, folder
        self._messages: list[dict[str, Any]] = []
        self._lock, self._end = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._loop, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()
        self._send()

    def emit(self, message: dict[str, Any]) -> None:
        """Send a message; of mere progress only the newest is sent."""
        with self._lock:
            if self._messages and self._messages[-1].keys() == message.keys() and message.keys() <= MERGED:
                self._messages[-1] = message
            else:
                self._messages.append(message)

    def _loop(self) -> None:
        beaten = time.monotonic()
        while not self._end.wait(EXCHANGE_S):
            self._send()
            if time.monotonic() - beaten >= HEARTBEAT_S:
                beaten = time.monotonic()
                with contextlib.suppress(OSError):
                    os.utime(self._folder / "status.json")

    def _send(self) -> None:
        with self._lock:
            messages, self._messages = self._messages, []
        self.stopping = self._exchange(messages) or self.stopping
