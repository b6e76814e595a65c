"""The local executor: a process for each unit, forked from a warm server that has torch imported."""

from __future__ import annotations

import multiprocessing
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from drnbench.config.units import Unit
from drnbench.execution.base import Event, Executor
from drnbench.execution.worker import main


class LocalExecutor(Executor):
    """Units on this machine.

    Args:
        root: the results folder.
        slots: processes at once.
        devices: devices given out in turn to free slots, such as ["cpu"] or ["cuda:0", "cuda:1"].

    """

    def __init__(self, root: Path, slots: int, devices: list[str]) -> None:
        self.slots = slots
        self._root = root
        self._free = [devices[i % len(devices)] for i in range(slots)]
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["drnbench.execution.preload"])
        self._running: dict[str, tuple[BaseProcess, Connection, str]] = {}

    def submit(self, unit: Unit) -> None:
        """See `Executor.submit`."""
        ours, theirs = self._context.Pipe()
        device = self._free.pop(0)
        process = self._context.Process(
            target=main, args=(unit.model_dump_json(), str(self._root), device, theirs), daemon=True
        )
        try:
            process.start()
        except BaseException:
            self._free.insert(0, device)
            ours.close()  # a worker that has begun all the same reads EOF and ends
            raise
        finally:
            theirs.close()  # the worker's copy is the last: when it dies, our end reads EOF
        self._running[unit.key] = (process, ours, device)

    def events(self, timeout: float) -> list[Event]:
        """See `Executor.events`."""
        lines = {line: key for key, (_, line, _) in self._running.items()}
        found: list[Event] = []
        for line in wait(list(lines), timeout):
            assert isinstance(line, Connection)
            key = lines[line]
            try:
                while line.poll():
                    found.append(Event(key, "message", line.recv()))
            except (EOFError, OSError):
                found.append(self._ended(key))
        return found

    def _ended(self, key: str) -> Event:
        process, line, device = self._running.pop(key)
        process.join()
        line.close()
        self._free.insert(0, device)
        return Event(key, "ended", {"exitcode": process.exitcode})

    def stop(self, key: str | None = None) -> None:
        """See `Executor.stop`."""
        for running, (_, line, _) in self._running.items():
            if key not in {None, running}:
                continue
            try:
                line.send("stop")
            except OSError:  # it has just ended; its end is read as EOF
                continue

    def kill(self, key: str) -> None:
        """See `Executor.kill`."""
        if key in self._running:
            self._running[key][0].kill()

    def close(self) -> None:
        """See `Executor.close`."""
        for process, _, _ in self._running.values():
            process.kill()
        for key in list(self._running):
            self._ended(key)
