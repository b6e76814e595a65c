"""The part of the Ray executor that runs on nodes: a unit as a task, and the actor that carries its messages."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import stat
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from drnbench.errors import UnitError
from drnbench.execution.remote import Exchange, Job, apply_environment, run_job
from drnbench.execution.staging import pack, unpack
from drnbench.execution.worker import ORPHANED
from drnbench.store import Store
from drnbench.store.processes import start_time

SEND_S = 300.0
"""Seconds between two checkpoints that a node without the results folder sends: at most this much work is lost with it.
The environment variable DRNBENCH_SEND_S sets it."""
ANSWER_S = 120.0
"""Seconds that the cluster has to answer."""


class Mailbox:
    """The actor between workers and coordinator, on the coordinator's own node; if killed, it starts again, empty."""

    def __init__(self) -> None:
        import asyncio  # in the actor's process alone

        self._messages: list[tuple[str, dict[str, Any]]] = []
        self._filled = asyncio.Event()
        self._stopping: set[str] = set()

    async def exchange(self, name: str, messages: list[dict[str, Any]]) -> bool:
        """Take a worker's messages; return True if it shall stop."""
        if messages:
            self._messages += [(name, message) for message in messages]
            self._filled.set()
        return name in self._stopping

    async def take(self) -> list[tuple[str, dict[str, Any]]]:
        """Return all messages, as soon as there are any."""
        await self._filled.wait()
        messages, self._messages = self._messages, []
        self._filled.clear()
        return messages

    async def flush(self) -> None:
        """Make `take` return now."""
        self._filled.set()

    async def stop(self, name: str) -> None:
        """Remember that a worker shall stop."""
        self._stopping.add(name)


def task(text: str, mailbox: Any, name: str, token: str, inputs: list[tuple[str, Any]] | None) -> dict[str, Any]:
    """Run one unit in a process of a node.

    Args:
        text: of `pack_job`.
        mailbox: handle of the `Mailbox`.
        name: of this task in the mailbox.
        token: name of a file in the results folder, by which this node knows whether it has that folder.
        inputs: paths relative to the results folder and references to their content; None: not sent yet.

    Returns:
        {"code": exit code, "files": the files that the unit wrote, where this node has no results folder}; code None: this
        node has no results folder and was sent nothing.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    job = Job.model_validate_json(text)
    apply_environment(job)
    exchange = _exchange(mailbox, name)
    if (Path(job.root) / token).exists():
        return {"code": run_job(text, exchange)}
    if inputs is None:
        return {"code": None}
    import ray

    with _scratch_store() as root:
        for path, reference in inputs:
            unpack(ray.get(reference), root / path)
        folder = Store(root).folder(job.unit)
        code = run_job(text, _with_files(exchange, folder), root)
        return {"code": code, "files": pack(folder)}


def _exchange(mailbox: Any, name: str) -> Exchange:
    import ray

    def exchange(messages: list[dict[str, Any]]) -> bool:
        try:
            return bool(ray.get(mailbox.exchange.remote(name, messages), timeout=ANSWER_S))
        except Exception:  # noqa: BLE001 - the coordinator is gone, and the result would be lost
            os._exit(ORPHANED)

    return exchange


def _with_files(exchange: Exchange, folder: Path) -> Exchange:
    """Add the unit's files to the messages now and then: its node may be lost, and its checkpoints with it.

    The log is sent whenever it grew: people follow it.
    """
    sent, log_size, log = time.monotonic(), 0, folder / "log.txt"
    pause = float(os.environ.get("DRNBENCH_SEND_S", SEND_S))

    def exchange_files(messages: list[dict[str, Any]]) -> bool:
        nonlocal sent, log_size
        if any("saved" in message for message in messages) and time.monotonic() - sent >= pause:
            sent = time.monotonic()
            messages = [{"files": pack(folder, status=False)}, *messages]
        size = log.stat().st_size if log.exists() else 0
        if size != log_size:
            log_size = size
            messages = [{"files": pack(folder, names=[log.name])}, *messages]
        return exchange(messages)

    return exchange_files


@contextlib.contextmanager
def _scratch_store() -> Iterator[Path]:
    """Give a results folder of this node: one for each process, with a cache for all of them."""
    parent = _private_folder(Path(os.environ.get("DRNBENCH_SCRATCH") or tempfile.gettempdir()))
    (parent / "cache").mkdir(exist_ok=True)
    for folder in parent.glob("unit-*"):
        if start_time(int(folder.name.split("-")[1])) is None:  # its process was killed
            shutil.rmtree(folder, ignore_errors=True)
    root = parent / f"unit-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    root.mkdir()
    (root / "cache").symlink_to(parent / "cache")
    try:
        yield root
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _private_folder(parent: Path) -> Path:
    """Return this user's folder below one that others may write to: nobody else can read it, or put anything into it.

    Raises:
        UnitError: somebody else made it, it is a link, or others may write to it.
    """
    parent.mkdir(parents=True, exist_ok=True)
    folder = parent / f"drnbench-{os.getuid()}"
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    status = folder.lstat()  # follows no link
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or stat.S_IMODE(status.st_mode) & 0o077:
        raise UnitError(
            f"{folder} on {socket.gethostname()} is not a folder of this user alone (mode 0700): remove it, or name another "
            "folder in DRNBENCH_SCRATCH"
        )
    return folder
