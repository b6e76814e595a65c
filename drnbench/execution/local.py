"""The local executor: a process for each unit, forked from a warm server that has torch imported."""

from __future__ import annotations

import contextlib
import multiprocessing
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import ClassVar, Self

from drnbench.config.units import Unit
from drnbench.errors import UnitError
from drnbench.execution import executors
from drnbench.execution.base import Event, Executor, Options
from drnbench.execution.worker import main
from drnbench.parallel import check_script, start_fork_server
from drnbench.store.devices import pick_devices
from drnbench.training.origin import origin

STARTS = 3
"""Times that a worker is started where the fork server is killed meanwhile."""
TEARDOWN = 0.2
"""Seconds between these: a killed server takes a moment to end, and until then it counts as running and is asked again."""


@dataclass(frozen=True)
class _Worker:
    process: BaseProcess
    pipe: Connection
    device: str


@executors.register("local")
class LocalExecutor(Executor):
    """Units on this machine.

    Args:
        slots: processes at once.
        devices: devices given out in turn to free slots, such as ["cpu"] or ["cuda:0", "cuda:1"].
    """

    summary: ClassVar[str] = "processes of this machine, one a core or one a GPU"
    options: ClassVar[frozenset[str]] = frozenset({"gpus", "per_gpu"})

    def __init__(self, root: Path, slots: int, devices: list[str]) -> None:
        self.slots = slots
        self.device = devices[0].partition(":")[0]
        self._root = root
        self._free = [devices[i % len(devices)] for i in range(slots)]
        self._context = multiprocessing.get_context("forkserver")
        self._workers: dict[str, _Worker] = {}

    @classmethod
    def check(cls, options: Options) -> None:
        """See `Executor.check`; devices that this machine does not have are refused, too."""
        super().check(options)
        check_script()
        pick_devices(options.device, options.jobs, options.gpus, options.per_gpu)

    @classmethod
    def open(cls, root: Path, options: Options, most: int | None = None) -> Self:
        """See `Executor.open`."""
        devices, slots = pick_devices(options.device, options.jobs, options.gpus, options.per_gpu)
        _warm_up(devices[0])
        return cls(root, min(slots, most or slots), devices)

    @classmethod
    def warm_up(cls, options: Options) -> None:
        """See `Executor.warm_up`; the fork server imports PyTorch beside the plan."""
        devices, _ = pick_devices(options.device, options.jobs, options.gpus, options.per_gpu)
        _warm_up(devices[0])

    def submit(self, unit: Unit) -> None:
        """See `Executor.submit`."""
        pipe, other_end = self._context.Pipe()
        device = self._free.pop(0)
        try:
            process = self._start(unit, device, other_end)
        except BaseException:
            self._free.insert(0, device)
            pipe.close()  # a worker that has begun all the same reads EOF and ends
            raise
        finally:
            other_end.close()  # the worker's copy is the last: when it dies, our end reads EOF
        self._workers[unit.key] = _Worker(process, pipe, device)

    def _start(self, unit: Unit, device: str, pipe: Connection) -> BaseProcess:
        """Start a worker; a fork server that was killed, as it holds more memory than most, is started again."""
        cause: Exception | None = None
        arguments = (unit.model_dump_json(), str(self._root), device, origin(unit), pipe)
        for _ in range(STARTS):
            process = self._context.Process(target=main, args=arguments, daemon=True)
            try:
                _start_server(self.device)
                process.start()
            except (EOFError, ConnectionError) as error:
                cause = error
                time.sleep(TEARDOWN)
            else:
                return process
        raise UnitError(
            f"the process that starts the workers was killed {STARTS} times, for want of memory as a rule: what is done is "
            "saved; free memory or use fewer processes (--jobs 1), and run the same command again"
        ) from cause

    def events(self, timeout: float) -> list[Event]:
        """See `Executor.events`."""
        keys = {worker.pipe: key for key, worker in self._workers.items()}
        events: list[Event] = []
        for pipe in wait(list(keys), timeout):
            assert isinstance(pipe, Connection)
            key = keys[pipe]
            try:
                while pipe.poll():
                    events.append(Event(key, "message", pipe.recv()))
            except (EOFError, OSError):
                events.append(self._end(key))
        return events

    def _end(self, key: str) -> Event:
        worker = self._workers.pop(key)
        worker.process.join()
        worker.pipe.close()
        self._free.insert(0, worker.device)
        return Event(key, "ended", {"exitcode": worker.process.exitcode})

    def stop(self, key: str | None = None) -> None:
        """See `Executor.stop`."""
        for running, worker in self._workers.items():
            if key not in {None, running}:
                continue
            try:
                worker.pipe.send("stop")
            except OSError:  # it has just ended; its end is read as EOF
                continue

    def kill(self, key: str) -> None:
        """See `Executor.kill`."""
        if key in self._workers:
            self._workers[key].process.kill()

    def close(self) -> None:
        """See `Executor.close`."""
        for worker in self._workers.values():
            worker.process.kill()
        for key in list(self._workers):
            self._end(key)


def _warm_up(device: str) -> None:
    with contextlib.suppress(EOFError, OSError):  # a failure is told where a worker is started
        _start_server(device)


def _start_server(device: str) -> None:
    start_fork_server(compiler=device.startswith("cuda"))
