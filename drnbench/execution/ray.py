"""Units as tasks of a Ray cluster.

A task is tried once by Ray: that a unit is run again, elsewhere and from its last checkpoint, after its node was lost is
left to the coordinator, which alone knows the store. Messages and the request to stop go through one small actor beside
the coordinator. Nodes that do not have the results folder are sent the files that a unit reads, and send back those that
it wrote.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

from drnbench.config.units import Unit
from drnbench.errors import UsageError
from drnbench.execution import executors
from drnbench.execution.base import Event, Executor, Options
from drnbench.execution.ray_connect import connect
from drnbench.execution.ray_task import ANSWER_S, Mailbox, task
from drnbench.execution.remote import pack_job, record
from drnbench.execution.staging import needed, pack, unpack
from drnbench.store import Store, write_text

QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_USAGE_STATS_PROMPT_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
}
"""Ray neither asks, reports nor prints."""
COUNT_S = 5.0
"""Seconds between two counts of the cluster's processors."""
CAUSES = {
    "NodeDiedError": "its node was lost",
    "WorkerCrashedError": "its process was killed, or its node was lost",
    "OutOfMemoryError": "Ray ended it: its node ran out of memory",
    "TaskCancelledError": "it was ended",
}
"""Causes of a task's end, by the name of Ray's error, whose own text takes paragraphs."""


@dataclass
class _Running:
    unit: Unit
    name: str
    reference: Any
    began: bool = False
    asked: bool = False


@executors.register("ray")
class RayExecutor(Executor):
    """Units as tasks of a Ray cluster.

    Args:
        slots: tasks at once; None: as many as the cluster has processors or GPUs for, counted again as nodes come and go.
        device: "cpu", "cuda", or "auto": GPUs where the cluster has some.
        address: "auto", "ray://host:10001", "host:6379", or "local" for a cluster of this machine alone.
        gpus: GPUs that a unit takes on "cuda"; 0.5 lets two units share one.

    Raises:
        UsageError: Ray is not installed, no cluster answers, or it has no GPU to use or share.
    """

    summary: ClassVar[str] = "tasks of a Ray cluster (--address)"
    options: ClassVar[frozenset[str]] = frozenset({"address", "per_gpu"})

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
        self._events: list[Event] = []
        self._inputs: dict[tuple[str, int], Any] = {}
        self._sends_files = False
        self._mailbox: Any = None
        self._token = f".shared-{uuid.uuid4().hex[:12]}"
        connect(ray, address)
        try:
            self._begin(slots, device, gpus)
        except BaseException:
            self.close()
            raise
        write_text(self._store.root / self._token, "a node that sees this file has this results folder\n")

    @classmethod
    def open(cls, root: Path, options: Options, most: int | None = None) -> Self:  # noqa: ARG003 - the cluster may grow
        """See `Executor.open`."""
        return cls(root, options.jobs, options.device, options.address or "auto", 1 / options.per_gpu)

    def _begin(self, slots: int | None, device: str, gpus: float) -> None:
        ray = self._ray
        # On this node and no other: a node that is lost must not take it along.
        affinity = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
            ray.get_runtime_context().get_node_id(), soft=False
        )
        again = {"max_restarts": -1, "max_task_retries": -1}
        self._mailbox = ray.remote(num_cpus=0, scheduling_strategy=affinity, **again)(Mailbox).remote()
        try:
            ray.get(self._mailbox.exchange.remote("", []), timeout=ANSWER_S)
        except ray.exceptions.RayError as error:
            lines = [line for line in str(error).splitlines() if line.strip()]
            raise UsageError(
                f"the Ray cluster cannot run drnbench; install the same version on every node: {lines[-1] if lines else error}"
            ) from error
        self._take = self._mailbox.take.remote()
        self.device = self._choose_device(device, gpus)
        self._gpus = gpus if self.device == "cuda" else 0
        self._slots = slots
        self._count()

    def _choose_device(self, device: str, gpus: float) -> str:
        gpu_count = self._ray.cluster_resources().get("GPU", 0)
        if device == "cuda" and not gpu_count:
            raise UsageError(
                "--device cuda: the Ray cluster has no GPU; use --device cpu, or start nodes with --num-gpus"
            )
        if gpu_count and device != "cpu":
            return "cuda"
        if gpus != 1:
            raise UsageError("--per-gpu: units run on CPUs of the Ray cluster, where none shares a GPU; use --jobs")
        return "cpu"

    def _count(self) -> None:
        self._counted = time.monotonic()
        resources = self._ray.cluster_resources()
        room = resources.get("GPU", 0) / self._gpus if self._gpus else resources.get("CPU", 1)
        self.slots = self._slots or max(1, int(room))

    def submit(self, unit: Unit) -> None:
        """See `Executor.submit`."""
        ray, name = self._ray, uuid.uuid4().hex
        threads = unit.stage.threads if unit.kind == "stage" else 1
        # A process for each unit: threads and CUDA are set once in a process's life.
        run = ray.remote(max_calls=1, max_retries=0, num_cpus=threads, num_gpus=self._gpus, name=unit.key[:12])(task)
        text = pack_job(unit, self._store.root, self.device)
        inputs = self._put_inputs(unit) if self._sends_files else None
        self._running[unit.key] = _Running(unit, name, run.remote(text, self._mailbox, name, self._token, inputs))

    def _put_inputs(self, unit: Unit) -> list[tuple[str, Any]]:
        """Return the files that a unit reads, as references; a checkpoint that many units start from is put there once."""
        inputs = []
        for relative in needed(self._store, unit):
            path = self._store.root / relative
            if path.is_dir():
                inputs.append((str(relative), self._ray.put(pack(path))))
                continue
            version = (str(relative), path.stat().st_mtime_ns)
            if version not in self._inputs:
                self._inputs[version] = self._ray.put(pack(path.parent))
            inputs.append((str(relative.parent), self._inputs[version]))
        return inputs

    def events(self, timeout: float) -> list[Event]:
        """See `Executor.events`."""
        if time.monotonic() - self._counted > COUNT_S:
            self._count()
            for running in self._running.values():
                if running.asked:  # a mailbox that was killed and started again has forgotten it
                    self._call_mailbox("stop", running.name)
        references = [self._take, *(running.reference for running in self._running.values())]
        if not self._events:
            self._ray.wait(references, num_returns=1, timeout=timeout)
        ready, _ = self._ray.wait(references, num_returns=len(references), timeout=0)
        ended = [running for running in self._running.values() if running.reference in ready]
        if ended:  # the messages before their end come first
            self._call_mailbox("flush")
        if ended or self._take in ready:
            self._deliver()
        for running in ended:
            self._end(running)
        events, self._events = self._events, []
        return events

    def _call_mailbox(self, method: str, *args: Any) -> Any:
        return self._get(getattr(self._mailbox, method).remote(*args))

    def _get(self, reference: Any) -> Any:
        try:
            return self._ray.get(reference, timeout=ANSWER_S)
        except self._ray.exceptions.RayError as error:
            raise UsageError("the Ray cluster is gone; run the same command again to go on") from error

    def _deliver(self) -> None:
        messages = self._get(self._take)
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
                self._events.append(Event(running.unit.key, "message", message))

    def _end(self, running: _Running) -> None:
        unit = running.unit
        del self._running[unit.key]
        try:
            result = self._ray.get(running.reference)
        except self._ray.exceptions.RayError as error:
            code = self._record_error(running, error)
        else:
            if result["code"] is None and not running.asked:
                self._sends_files = True
                self.submit(unit)
                return
            if "files" in result:
                unpack(result["files"], self._store.folder(unit))
            code = result["code"] or 0
        self._events.append(Event(unit.key, "ended", {"exitcode": code}))

    def _record_error(self, running: _Running, error: Exception) -> int:
        """Write the status of a unit whose task has no result; return the exit code to report."""
        errors, unit = self._ray.exceptions, running.unit
        if isinstance(error, errors.RayTaskError):
            reason = str(error).strip().splitlines()[-1]
            record(self._store, unit, "failed", "error", f"the task failed on its node: {reason}")
            return 1
        if isinstance(error, errors.TaskCancelledError) and running.asked:
            if not running.began or self._store.state(self._store.folder(unit)) != "done":
                record(self._store, unit, "interrupted")
            return 0
        kind = type(error).__name__
        record(self._store, unit, "failed", "killed", CAUSES.get(kind, f"Ray lost it ({kind})"))
        return -signal.SIGKILL

    def stop(self, key: str | None = None) -> None:
        """See `Executor.stop`; a task that waits for a free processor is cancelled."""
        self._call_mailbox("flush")
        self._deliver()  # some may have begun by now
        for running in [r for k, r in self._running.items() if key in {None, k}]:
            running.asked = True
            self._call_mailbox("stop", running.name)
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
