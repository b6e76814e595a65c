"""Units as SLURM jobs, through submitit. Files on the shared results folder carry messages and the request to stop.

Every job may be killed at any time: its work lies in its unit's folder, and the next job goes on from there. A job that
reaches SLURM's time limit saves, ends, and is sent again.
"""

from __future__ import annotations

import contextlib
import json
import logging
import shutil
import signal
import subprocess
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

from drnbench.config.overrides import parse_value
from drnbench.config.units import Unit
from drnbench.errors import UsageError
from drnbench.execution import executors
from drnbench.execution.base import Event, Executor, Options
from drnbench.execution.remote import Job, pack_job, record, run_job
from drnbench.parallel import cores
from drnbench.store import Store

JOBS = 64
"""Jobs queued or running at once, where --jobs is not given."""
POLL_S = 0.25
"""Seconds between two looks at the files of running units."""
CHECK_S = 5.0
"""Seconds between two looks whether a job is still there."""
ASK_S = 60.0
"""Seconds between two queries of SLURM's accounting, for all jobs at once."""
CLOSE_S = 20.0
"""Seconds that cancelled processes of this machine have to be gone."""
KEEP_S = 30 * 86400.0
"""Seconds without a change after which the folder of a run that was killed is removed."""
DEFAULTS = {"timeout_min": 240, "name": "drnbench", "additional_parameters": {"no-requeue": True}}
"""Four hours suit most partitions, and are no limit: a longer unit goes on in the next job."""
GPU = {"gpus_per_node", "gpus_per_task", "gres"}
"""Parameters that ask for GPUs."""


class Task:
    """The work of a job: one unit. Pickled by submitit, and read again in the job's process.

    Args:
        text: of `pack_job`.
        messages: file that messages are appended to, one JSON object a line.
        control: file that is empty until the unit shall stop.
    """

    def __init__(self, text: str, messages: Path, control: Path) -> None:
        self._text, self._messages, self._control = text, messages, control
        self._signals: set[int] = set()

    def __call__(self) -> int:
        """Run the unit; return its exit code."""
        # Time is nearly up, or the job is preempted: SLURM kills it soon. submitit's own handlers would raise in a step.
        for number in (signal.SIGUSR2, signal.SIGTERM):
            signal.signal(number, lambda number, _: self._signals.add(number))
        code = run_job(self._text, self._exchange, stop=lambda: bool(self._signals))
        self._record_end()
        self._write({"ended": code, "again": signal.SIGUSR2 in self._signals})
        return code

    def _record_end(self) -> None:
        """Mark a unit that SLURM alone stopped as killed, so that it is run again."""
        job = Job.model_validate_json(self._text)
        store = Store(Path(job.root))
        status = store.status(store.folder(job.unit))
        if self._signals and status is not None and status.state == "interrupted" and not self._asked():
            record(store, job.unit, "failed", "killed", "SLURM ended the job: time limit, preempted or cancelled")

    def _exchange(self, messages: list[dict[str, Any]]) -> bool:
        for message in messages:
            self._write(message)
        return self._asked()

    def _asked(self) -> bool:
        try:
            # The file is there from the start and grows: NFS shows that on opening, and a new file perhaps much later.
            return self._control.read_bytes() != b""
        except FileNotFoundError:
            return True  # the run was closed
        except OSError:
            return False

    def _write(self, message: dict[str, Any]) -> None:
        with contextlib.suppress(OSError), self._messages.open("r+b") as file:
            file.seek(0, 2)
            file.write(json.dumps(message).encode() + b"\n")


@dataclass
class _Running:
    unit: Unit
    job: Any
    messages: Path
    control: Path
    read: int = 0
    began: dict[str, Any] | None = None
    saved: bool = False
    checked: float = field(default_factory=time.monotonic)


@executors.register("slurm")
class SlurmExecutor(Executor):
    """Units as jobs of a SLURM cluster, or of submitit's stand-in on this machine.

    Args:
        root: the results folder, on a file system that all nodes share.
        slots: jobs queued or running at once.
        device: "cpu" or "cuda".
        partition: SLURM's partition; None: the cluster's default.
        parameters: more of submitit's parameters, such as {"timeout_min": 600, "mem_gb": 16, "account": "x"}; `cluster`
            "local" runs jobs as processes of this machine.

    Raises:
        UsageError: submitit or SLURM is not there, or a parameter is unknown.
    """

    summary: ClassVar[str] = "jobs of a SLURM cluster, through submitit (--partition, --slurm)"
    options: ClassVar[frozenset[str]] = frozenset({"partition", "slurm"})

    def __init__(
        self, root: Path, slots: int, device: str, partition: str | None = None, parameters: dict[str, Any] | None = None
    ) -> None:  # fmt: skip
        try:
            import submitit
        except ImportError as error:
            raise UsageError("--executor slurm needs submitit: pip install 'drnbench[slurm]'") from error
        logging.getLogger("submitit").setLevel(logging.CRITICAL)
        parameters = dict(parameters or {})
        cluster = str(parameters.pop("cluster", "slurm"))
        if cluster not in {"slurm", "local"}:
            raise UsageError(f"--slurm cluster={cluster}: known: slurm, local (processes of this machine)")
        self.slots, self.device, self._store, self._local = slots, device, Store(root), cluster == "local"
        self._folder = self._store.root / ".slurm" / uuid.uuid4().hex[:12]
        self._running: dict[str, _Running] = {}
        self._jobs: list[Any] = []
        self._events: list[Event] = []
        self._asked = time.monotonic()
        _remove_old(self._folder.parent)
        try:
            self._engine = submitit.AutoExecutor(self._folder, cluster=cluster)
        except RuntimeError as error:
            raise UsageError(
                "--executor slurm: srun is not on this machine; run it where sbatch works, or try it out with "
                "--slurm cluster=local"
            ) from error
        self._parameters = _complete(parameters, partition, device)
        try:
            self._engine.update_parameters(**self._parameters)
        except (NameError, AssertionError, ValueError, TypeError) as error:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise UsageError(f"--slurm: {' '.join(str(error).split())}") from error
        self._folder.mkdir(parents=True, exist_ok=True)

    @classmethod
    def check(cls, options: Options) -> None:
        """See `Executor.check`."""
        if options.per_gpu != 1:
            raise UsageError(
                "--per-gpu: SLURM gives whole GPUs; where the cluster has shards, use --slurm gres=shard:1"
            )
        super().check(options)
        read_parameters(options.slurm)

    @classmethod
    def open(cls, root: Path, options: Options, most: int | None = None) -> Self:  # noqa: ARG003 - jobs wait in a queue
        """See `Executor.open`; `auto` means GPUs where the parameters ask for some."""
        parameters = read_parameters(options.slurm)
        slots = options.jobs or (cores() if parameters.get("cluster") == "local" else JOBS)
        cuda = options.device == "cuda" or (options.device == "auto" and GPU & set(parameters))
        return cls(root, slots, "cuda" if cuda else "cpu", options.partition, parameters)

    def submit(self, unit: Unit) -> None:
        """See `Executor.submit`."""
        name = f"{unit.key[:12]}-{len(self._jobs)}-{uuid.uuid4().hex[:6]}"
        messages, control = self._folder / f"{name}.jsonl", self._folder / f"{name}.stop"
        messages.touch()
        control.touch()
        threads = unit.stage.threads if unit.kind == "stage" else 1
        task = Task(pack_job(unit, self._store.root, self.device), messages, control)
        try:
            self._engine.update_parameters(**{"cpus_per_task": threads, **self._parameters})
            job = self._engine.submit(task)
        except (RuntimeError, OSError, subprocess.SubprocessError) as error:
            lines = [line for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
            if not self._jobs:
                raise UsageError(f"sbatch refused the first job: {lines[-1].strip()}") from error
            record(self._store, unit, "failed", "killed", f"sbatch refused the job: {lines[-1].strip()}")
            self._events.append(Event(unit.key, "ended", {"exitcode": -1}))
            return
        self._jobs.append(job)
        self._running[unit.key] = _Running(unit, job, messages, control)

    def events(self, timeout: float) -> list[Event]:
        """See `Executor.events`."""
        deadline = time.monotonic() + timeout
        while True:
            for running in list(self._running.values()):
                self._look(running)
            events, self._events = self._events, []
            left = deadline - time.monotonic()
            if events or left <= 0:
                return events
            time.sleep(min(POLL_S, left))

    def _look(self, running: _Running) -> None:
        self._read(running)
        now = time.monotonic()
        if running.unit.key not in self._running or now - running.checked < (POLL_S if self._local else CHECK_S):
            return
        running.checked = now
        if self._gone(running):
            self._read(running)  # it may have written its end a moment ago
            if running.unit.key in self._running:
                self._lost(running)

    def _read(self, running: _Running) -> None:
        """Pass on the messages of a job since the last time."""
        with running.messages.open("rb") as file:
            file.seek(running.read)
            text = file.read()
        whole = text.rfind(b"\n") + 1
        running.read += whole
        for line in text[:whole].splitlines():
            message = json.loads(line)
            running.saved |= "saved" in message
            if "pid" in message:
                running.began = message
            if "ended" not in message:
                self._events.append(Event(running.unit.key, "message", message))
            elif message["again"] and running.saved and not running.control.read_bytes():
                del self._running[running.unit.key]
                self.submit(running.unit)
            else:
                self._end(running, message["ended"])

    def _gone(self, running: _Running) -> bool:
        """Return True if a job ended without a message."""
        ask = time.monotonic() - self._asked > ASK_S
        if ask:
            self._asked = time.monotonic()
        if running.job.done(force_check=ask):
            return True
        began = running.began
        state, status = self._store.look(self._store.folder(running.unit))
        if began is None or status is None or (status.pid, status.host) != (began["pid"], began["host"]):
            return False
        # Its heartbeat stopped; a cluster without accounting reports no more than this.
        return state == "lost"

    def _lost(self, running: _Running) -> None:
        self._cancel(running)
        message = f"job {running.job.job_id} ended by itself ({running.job.state})"
        if running.began is None:
            message = f"{message} before it began{_last_line(running.job)}"
        record(self._store, running.unit, "failed", "killed", message)
        self._end(running, -signal.SIGKILL)

    def _end(self, running: _Running, code: int) -> None:
        del self._running[running.unit.key]
        self._events.append(Event(running.unit.key, "ended", {"exitcode": code}))

    def stop(self, key: str | None = None) -> None:
        """See `Executor.stop`; a job that waits in the queue is cancelled."""
        for running in [r for k, r in self._running.items() if key in {None, k}]:
            running.control.write_bytes(b"stop\n")
            self._read(running)
            if running.began is None and running.unit.key in self._running:
                self._cancel(running)
                record(self._store, running.unit, "interrupted")
                self._end(running, 0)

    def kill(self, key: str) -> None:
        """See `Executor.kill`."""
        if key in self._running:
            self._cancel(self._running[key])

    def close(self) -> None:
        """See `Executor.close`."""
        for running in self._running.values():
            self._cancel(running)
        self._running.clear()
        deadline = time.monotonic() + CLOSE_S
        while self._local and not all(job.done() for job in self._jobs) and time.monotonic() < deadline:
            time.sleep(POLL_S / 5)
        shutil.rmtree(self._folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            self._folder.parent.rmdir()

    def _cancel(self, running: _Running) -> None:
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            running.job.cancel(check=False)


def read_parameters(items: Sequence[str]) -> dict[str, Any]:
    """Read the parameters of submitit.

    Raises:
        UsageError: one is not KEY=VALUE.
    """
    parameters = {}
    for item in items:
        key, eq, value = item.partition("=")
        if not eq or not key.strip():
            raise UsageError(f"--slurm {item!r}: write it as KEY=VALUE, such as timeout_min=600")
        parameters[key.strip()] = parse_value(value.strip())
    return parameters


def _complete(parameters: dict[str, Any], partition: str | None, device: str) -> dict[str, Any]:
    """Return submitit's parameters: defaults, then the user's; those of SLURM alone get the prefix that it wants."""
    shared = {"name", "timeout_min", "mem_gb", "nodes", "cpus_per_task", "gpus_per_node", "tasks_per_node"}
    chosen = {**DEFAULTS, **parameters}
    if partition is not None:
        chosen["partition"] = partition
    if device == "cuda" and not GPU & set(parameters):
        chosen["gpus_per_node"] = 1
    own = (key for key in chosen if key not in shared and not key.startswith("slurm_"))
    prefixed = {key: f"slurm_{key}" for key in own}
    return {prefixed.get(key, key): value for key, value in chosen.items()}


def _last_line(job: Any) -> str:
    with contextlib.suppress(OSError):
        lines = [line.strip() for line in (job.stderr() or "").splitlines() if line.strip()]
        if lines:
            return f": {lines[-1]}"
    return ""


def _remove_old(parent: Path) -> None:
    """Remove the folders that killed runs left long ago."""
    with contextlib.suppress(OSError):
        for folder in parent.iterdir():
            newest = max((path.stat().st_mtime for path in [folder, *folder.iterdir()]), default=0.0)
            if time.time() - newest > KEEP_S:
                shutil.rmtree(folder, ignore_errors=True)
