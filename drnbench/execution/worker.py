"""The worker: one unit in one process, with its status on disk and a pipe to its coordinator.

When the coordinator dies, the pipe closes and the worker leaves at once: a killed `run` leaves no writer behind.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from drnbench import streams
from drnbench.config.units import Unit
from drnbench.errors import (
    ChangedError,
    ChangedImageError,
    NotFiniteError,
    UnitError,
    explain_environment,
    is_out_of_memory,
    redacted,
)
from drnbench.parallel import ignore_group_signals, importing
from drnbench.store import DISK_FULL, HEARTBEAT_S, Status, Store, is_disk_full
from drnbench.store.files import remove_temporaries
from drnbench.store.integrity import reporting_to
from drnbench.training.origin import refusal

ORPHANED = 75
"""Exit code of a worker whose coordinator is gone."""
FULL = 74
"""Exit code of a worker whose disk is full: nothing is wrong with its unit, and every other unit will fail, too."""

KINDS = (UnitError, NotFiniteError, ChangedImageError)
"""Errors that have a kind."""

Emit = Callable[[dict[str, Any]], None]
"""Sends progress to the coordinator."""


def main(unit_json: str, root: str, device: str, expected: Mapping[str, Any], pipe: Connection) -> None:
    """Run one unit in this process. Called in a child of the fork server.

    Args:
        unit_json: the unit.
        root: the results folder.
        device: "cpu", "cuda" or "cuda:1".
        expected: `origin` of the unit in the coordinator.
        pipe: to the coordinator, which sends "stop", and is sent progress as dictionaries.
    """
    ignore_group_signals()
    streams.make_usable()
    unit: Unit = TypeAdapter(Unit).validate_json(unit_json)
    store = Store(Path(root))
    folder = store.folder(unit)
    stop = threading.Event()
    threading.Thread(target=_listen, args=(pipe, stop), daemon=True).start()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        remove_temporaries(folder)  # of a process that was killed while it wrote
        threading.Thread(target=_beat, args=(folder,), daemon=True).start()
        code = run(unit, store, _visible(device), _sender(pipe), stop.is_set, folder, expected)
    except Exception as error:  # noqa: BLE001 - beyond the unit: its folder or log cannot be written, threads are lacking
        streams.say(f"drnbench: a worker in {folder}: {explain_environment(error) or _message(error)}")
        code = 1
    sys.exit(code)


def _visible(device: str) -> str:
    """Show this process the one GPU that it may use, before CUDA starts; return the name of the device then."""
    kind, _, number = device.partition(":")
    if kind == "cuda" and number:
        outer = [gpu for gpu in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if gpu]
        os.environ["CUDA_VISIBLE_DEVICES"] = outer[int(number)] if outer else number
        return "cuda"
    return device


def run(
    unit: Unit, store: Store, device: str, emit: Emit, stop: Callable[[], bool], folder: Path, expected: Mapping[str, Any]
) -> int:  # fmt: skip
    """Run a unit, record its status, and return the exit code: 0 done or stopped, 1 failed, `FULL` on a full disk.

    It is refused where this process has other code than `expected`, the `origin` of the unit in the coordinator.
    """
    old, begun = store.look(folder)[1], time.monotonic()
    status = Status("running", evaluations=list(old.evaluations) if old else [])
    try:
        # A power cut must not leave the old status beside new scores; nothing is lost with any other.
        store.write_status(folder, status, durable=bool(old and old.state == "done"))
        with _log(folder / "log.txt"), reporting_to(lambda text: emit({"damaged": text})):
            try:
                with importing():
                    # Not at the top: the local executor imports this module for `main`, and runs without PyTorch.
                    from drnbench.execution.compute import compute

                check_origin(unit, expected)
                status.state = compute(unit, store, device, emit, stop, status)
            except BaseException as error:
                if is_disk_full(error, store.root):
                    raise
                print(redacted(traceback.format_exc()), file=sys.stderr, end="")
                status.state, status.kind, status.message = "failed", kind_of(error), _message(error)
        status.finished = status.started + time.monotonic() - begun  # the clock may be set meanwhile
        if status.state == "done":
            store.finish(folder, status)
        else:
            store.write_status(folder, status)
    except BaseException as error:
        if not is_disk_full(error, store.root):
            raise
        # The checkpoint stays; the unit goes on from there when there is room. Even this status may not fit.
        with contextlib.suppress(OSError):
            store.write_status(folder, replace(status, state="interrupted", finished=time.time(), message=DISK_FULL))
        return FULL
    return int(status.state == "failed")


def check_origin(unit: Unit, expected: Mapping[str, Any]) -> None:
    """Refuse a unit where this process has other code than the coordinator, or other versions of packages that compute.

    Raises:
        ChangedError: what differs.
    """
    if reason := refusal(unit, expected):
        raise ChangedError(
            f"the process of this unit on {socket.gethostname()} has {reason}: where that changed meanwhile, run again; "
            "otherwise install the same on every node"
        )


def kind_of(error: BaseException) -> str:
    """Return the kind of a failure: error, oom, diverged, changed."""
    if is_out_of_memory(error):
        return "oom"
    return error.kind if isinstance(error, KINDS) else "error"


def _message(error: BaseException) -> str:
    text = redacted(" ".join(str(error).split()))
    if isinstance(error, KINDS):
        return text
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {text}{place}"


def _listen(pipe: Connection, stop: threading.Event) -> None:
    try:
        while True:
            if pipe.recv() == "stop":
                stop.set()
    except (EOFError, OSError):
        os._exit(ORPHANED)


def _beat(folder: Path) -> None:
    while True:
        time.sleep(HEARTBEAT_S)
        with contextlib.suppress(OSError):
            os.utime(folder / "status.json")


def _sender(pipe: Connection) -> Emit:
    def emit(message: dict[str, Any]) -> None:
        try:
            pipe.send(message)
        except (BrokenPipeError, OSError):
            os._exit(ORPHANED)

    return emit


@contextlib.contextmanager
def _log(path: Path) -> Any:
    """Redirect the output of this process, also that of C libraries, to the unit's log."""
    with path.open("a", encoding="utf-8") as log:
        saved = [os.dup(1), os.dup(2)]
        sys.stdout.flush()
        sys.stderr.flush()
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        try:
            print(f"--- {time.strftime('%Y-%m-%d %H:%M:%S')} process {os.getpid()}", flush=True)
            yield
        finally:
            with contextlib.suppress(OSError):  # of a full disk: the log ends early
                sys.stdout.flush()
                sys.stderr.flush()
            for fd, old in zip((1, 2), saved, strict=True):
                os.dup2(old, fd)
                os.close(old)
