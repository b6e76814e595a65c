"""Units as tasks of a Ray cluster.

A task is tried once by Ray: that a unit is run again, elsewhere and from its last checkpoint, after its node was lost is the
coordinator's work, which alone knows the store. Messages and the request to stop go through one small actor beside the
coordinator. Nodes that do not have the results folder are sent what a unit reads, and send back what it wrote.
"""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import os
import shutil
import signal
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drnbench.config.units import Unit
from drnbench.errors import UsageError
from drnbench.execution.base import Event, Executor
from drnbench.execution.ray_connect import connect
from drnbench.execution.remote import Exchange, Job, pack_job, record, run_job, settle
from drnbench.execution.staging import needed, pack, unpack
from drnbench.execution.worker import ORPHANED
from drnbench.store import Store, write_text
from drnbench.store.processes import start_time

QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_USAGE_STATS_PROMPT_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
}
"""Ray neither asks, reports nor prints."""
SEND_S = 300.0
"""Seconds between two checkpoints that a node without the results folder sends: at most this much work is lost with it.
The environment variable DRNBENCH_SEND_S sets it."""
ANSWER_S = 120.0
"""Seconds that the cluster has to answer."""
COUNT_S = 5.0
"""Seconds between two counts of the cluster's processors."""


class Mailbox:
    """The actor between workers and coordinator, on the coordinator's own node; one that is killed starts again, empty."""

    def __init__(self) -> None:
        self._held: list[tuple[str, dict[str, Any]]] = []
        self._some = asyncio.Event()
        self._stopping: set[str] = set()

    async def exchange(self, name: str, messages: list[dict[str, Any]]) -> bool:
        """Take a worker's messages; returns whether it shall stop."""
        if messages:
            self._held += [(name, message) for message in messages]
            self._some.set()
        return name in self._stopping

    async def take(self) -> list[tuple[str, dict[str, Any]]]:
        """Return all messages, as soon as there are any."""
        await self._some.wait()
        held, self._held = self._held, []
        self._some.clear()
        return held

    async def flush(self) -> None:
        """Make `take` return now."""
        self._some.set()

    async def stop(self, name: str) -> None:
        """Remember that a worker shall stop."""
        self._stopping.add(name)


def task(text: str, mailbox: Any, name: str, token: str, inputs: list[tuple[str, Any]] | None) -> dict[str, Any]:
    """Run one unit in a process of a node.

    Args:
        text: of `pack_job`.
        mailbox: handle of the `Mailbox`.
        name: what this task is called there.
        token: name of a file in the results folder, by which this node knows whether it has that folder.
        inputs: paths relative to the results folder and references to what lies there; None: not sent yet.

    Returns:
        {"code": exit code, "files": what the unit wrote, where this node has no results folder}; code None: this node has no
        results folder and was sent nothing.

    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    job = Job.model_validate_json(text)
    settle(job)
    exchange = _exchange(mailbox, name)
    if (Path(job.root) / token).exists():
        return {"code": run_job(text, exchange)}
    if inputs is None:
        return {"code": None}
    import ray

    with _scratch() as root:
        for place, reference in inputs:
            unpack(ray.get(reference), root / place)
        folder = Store(root).folder(job.unit)
        code = run_job(text, _sending(exchange, folder), root)
        return {"code": code, "files": pack(folder)}


def _exchange(mailbox: Any, name: str) -> Exchange:
    import ray

    def exchange(messages: list[dict[str, Any]]) -> bool:
        try:
            return bool(ray.get(mailbox.exchange.remote(name, messages), timeout=ANSWER_S))
        except Exception:  # noqa: BLE001 - the coordinator is gone, and nobody wants what would come
            os._exit(ORPHANED)

    return exchange


def _sending(exchange: Exchange, folder: Path) -> Exchange:
    """Add the unit's files to the messages now and then: its node may be lost, and its checkpoints with it.

    The log goes along whenever it grew: people follow it.
    """
    sent, told, log = time.monotonic(), 0, folder / "log.txt"

    def sending(messages: list[dict[str, Any]]) -> bool:
        nonlocal sent, told
        if any("saved" in message for message in messages) and time.monotonic() - sent >= _send_s():
            sent = time.monotonic()
            messages = [{"files": pack(folder, status=False)}, *messages]
        size = log.stat().st_size if log.exists() else 0
        if size != told:
            told = size
            messages = [{"files": pack(folder, names=[log.name])}, *messages]
        return exchange(messages)

    return sending


def _send_s() -> float:
    return float(os.environ.get("DRNBENCH_SEND_S", SEND_S))


@contextlib.contextmanager
def _scratch() -> Iterator[Path]:
    """Give a results folder of this node: one for each process, with a cache for all of them."""
    place = Path(os.environ.get("DRNBENCH_SCRATCH") or tempfile.gettempdir()) / f"drnbench-{getpass.getuser()}"
    (place / "cache").mkdir(parents=True, exist_ok=True)
    for left in place.glob("unit-*"):  # of processes that were killed
        if start_time(int(left.name.split("-")[1])) is None:
            shutil.rmtree(left, ignore_errors=True)
    here = place / f"unit-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    here.mkdir()
    (here / "cache").symlink_to(place / "cache")
    try:
        yield here
    finally:
        shutil.rmtree(here, ignore_errors=True)


@dataclass
class _Running:
    unit: Unit
    name: str
    reference: Any
    began: bool = False
    asked: bool = False


class RayExecutor(Executor):
    """Units as tasks of a Ray cluster.

    Args:
        root: the results folder.
        slots: tasks at once; None: as many as the cluster has processors or GPUs for, counted again as nodes come and go.
        device: "cpu", "cuda", or "auto": GPUs where the cluster has some.
        address: "auto", "ray://host:10001", "host:6379", or "local" for a cluster of this machine alone.
        gpus: GPUs that a unit takes on "cuda"; 0.5 lets two units share one.

    Raises:
        UsageError: Ray is not there, or no cluster answers.

    """

    def __init__(
        self, root: Path, slots: int | None, device: str, address: str = "auto", gpus: float = 1.0
    ) -> None:  # fmt: skip
        for variable, value in QUIET.items():
            os.environ.setdefault(variable, value)
        try:
            import ray
        except ImportError as error:
            raise UsageError("--executor ray needs Ray: pip install 'drnbench[ray]', here and on every node") from error
        self._ray: Any = ray
        self._store = Store(root)
        self._running: dict[str, _Running] = {}
        self._ready: list[Event] = []
        self._inputs: dict[tuple[str, int], Any] = {}
        self._apart = False
        self._mailbox: Any = None
        self._token = f".shared-{uuid.uuid4().hex[:12]}"
        connect(ray, address)
        try:
            self._begin(slots, device, gpus)
        except BaseException:
            self.close()
            raise
        write_text(self._store.root / self._token, "a node that sees this file has this results folder\n")

    def _begin(self, slots: int | None, device: str, gpus: float) -> None:
        ray = self._ray
        # Here and nowhere else: a node that is lost must not take it along.
        here = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
            ray.get_runtime_context().get_node_id(), soft=False
        )
        again = {"max_restarts": -1, "max_task_retries": -1}
        self._mailbox = ray.remote(num_cpus=0, scheduling_strategy=here, **again)(Mailbox).remote()
        try:
            ray.get(self._mailbox.exchange.remote("", []), timeout=ANSWER_S)
        except ray.exceptions.RayError as error:
            lines = [line for line in str(error).splitlines() if line.strip()]
            raise UsageError(
                f"the Ray cluster cannot run drnbench; install the same version on every node: {lines[-1] if lines else error}"
            ) from error
        self._take = self._mailbox.take.remote()
        have = ray.cluster_resources().get("GPU", 0)
        if device == "cuda" and not have:
            raise UsageError(
                "--device cuda: the Ray cluster has no GPU; use --device cpu, or start nodes with --num-gpus"
            )
        self.device = "cuda" if have and device != "cpu" else "cpu"
        self._gpus = gpus if self.device == "cuda" else 0
        self._slots = slots
        self._count()

    def _count(self) -> None:
        self._counted = time.monotonic()
        have = self._ray.cluster_resources()
        fit = have.get("GPU", 0) / self._gpus if self._gpus else have.get("CPU", 1)
        self.slots = self._slots or max(1, int(fit))

    def submit(self, unit: Unit) -> None:
        """See `Executor.submit`."""
        ray, name = self._ray, uuid.uuid4().hex
        threads = unit.stage.threads if unit.kind == "stage" else 1
        # A process for each unit: threads and CUDA are set once in a process's life.
        run = ray.remote(max_calls=1, max_retries=0, num_cpus=threads, num_gpus=self._gpus, name=unit.key[:12])(task)
        text = pack_job(unit, self._store.root, self.device)
        inputs = self._parcels(unit) if self._apart else None
        self._running[unit.key] = _Running(unit, name, run.remote(text, self._mailbox, name, self._token, inputs))

    def _parcels(self, unit: Unit) -> list[tuple[str, Any]]:
        """Return what a unit reads, as references; a checkpoint that many units start from is put there once."""
        out = []
        for place in needed(self._store, unit):
            path = self._store.root / place
            if path.is_dir():
                out.append((str(place), self._ray.put(pack(path))))
                continue
            known = (str(place), path.stat().st_mtime_ns)
            if known not in self._inputs:
                self._inputs[known] = self._ray.put(pack(path.parent))
            out.append((str(place.parent), self._inputs[known]))
        return out

    def events(self, timeout: float) -> list[Event]:
        """See `Executor.events`."""
        if time.monotonic() - self._counted > COUNT_S:
            self._count()
            for running in self._running.values():
                if running.asked:  # a mailbox that was killed and started again has forgotten it
                    self._mailbox_call("stop", running.name)
        references = [self._take, *(running.reference for running in self._running.values())]
        if not self._ready:
            self._ray.wait(references, num_returns=1, timeout=timeout)
        ready, _ = self._ray.wait(references, num_returns=len(references), timeout=0)
        ended = [running for running in self._running.values() if running.reference in ready]
        if ended:  # what they told before they ended comes first
            self._mailbox_call("flush")
        if ended or self._take in ready:
            self._deliver()
        for running in ended:
            self._end(running)
        found, self._ready = self._ready, []
        return found

    def _mailbox_call(self, method: str, *args: Any) -> Any:
        try:
            return self._ray.get(getattr(self._mailbox, method).remote(*args), timeout=ANSWER_S)
        except self._ray.exceptions.RayError as error:
            raise UsageError("the Ray cluster is gone; run the same command again to go on") from error

    def _deliver(self) -> None:
        try:
            messages = self._ray.get(self._take, timeout=ANSWER_S)
        except self._ray.exceptions.RayError as error:
            raise UsageError("the Ray cluster is gone; run the same command again to go on") from error
        self._take = self._mailbox.take.remote()
        names = {running.name: running for running in self._running.values()}
        for name, message in messages:
            running = names.get(name)
            if running is None:
                continue
            running.began = True
            if "files" in message:
                unpack(message["files"], self._store.folder(running.unit))
            else:
                self._ready.append(Event(running.unit.key, "message", message))

    def _end(self, running: _Running) -> None:
        errors, unit = self._ray.exceptions, running.unit
        del self._running[unit.key]
        code = -signal.SIGKILL
        try:
            result = self._ray.get(running.reference)
        except errors.RayTaskError as error:
            told = str(error).strip().splitlines()[-1]
            record(self._store, unit, "failed", "error", f"the task failed on its node: {told}")
            code = 1
        except errors.RayError as error:
            if isinstance(error, errors.TaskCancelledError) and running.asked:
                code = 0
                if not running.began or self._store.state(self._store.folder(unit)) != "done":
                    record(self._store, unit, "interrupted")
            else:
                record(self._store, unit, "failed", "killed", _why(error))
        else:
            if result["code"] is None and not running.asked:
                self._apart = True
                self.submit(unit)
                return
            if "files" in result:
                unpack(result["files"], self._store.folder(unit))
            code = result["code"] or 0
        self._ready.append(Event(unit.key, "ended", {"exitcode": code}))

    def stop(self, key: str | None = None) -> None:
        """See `Executor.stop`; a task that waits for a free processor is cancelled."""
        self._mailbox_call("flush")
        self._deliver()  # who has begun by now?
        for running in [r for k, r in self._running.items() if key in {None, k}]:
            running.asked = True
            self._mailbox_call("stop", running.name)
            if not running.began:
                self._ray.cancel(running.reference, force=False)

    def kill(self, key: str) -> None:
        """See `Executor.kill`."""
        if key in self._running:
            self._running[key].asked = False
            self._ray.cancel(self._running[key].reference, force=True)

    def close(self) -> None:
        """See `Executor.close`."""
        if not self._ray.is_initialized():
            return
        with contextlib.suppress(self._ray.exceptions.RayError, ConnectionError):
            for key in self._running:
                self.kill(key)
            references = [running.reference for running in self._running.values()]
            if references:
                self._ray.wait(references, num_returns=len(references), timeout=ANSWER_S / 4, fetch_local=False)
            if self._mailbox is not None:
                self._ray.kill(self._mailbox)
        self._running.clear()
        self._ray.shutdown()
        (self._store.root / self._token).unlink(missing_ok=True)


def _why(error: Exception) -> str:
    """Return what became of a task, in a line: Ray says it in paragraphs."""
    words = {
        "NodeDiedError": "its node was lost",
        "WorkerCrashedError": "its process was killed, or its node was lost",
        "OutOfMemoryError": "Ray ended it: its node ran out of memory",
        "TaskCancelledError": "it was ended",
    }
    return words.get(type(error).__name__, f"Ray lost it ({type(error).__name__})")
