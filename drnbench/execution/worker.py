"""The worker: one unit in one process, with its status on disk and a line to its coordinator.

When the coordinator dies, the line closes and the worker leaves at once: a killed `run` leaves no writer behind.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from drnbench.config.units import EvaluateUnit, StageUnit, Unit
from drnbench.errors import UnitError
from drnbench.store import DISK_FULL, HEARTBEAT_S, Status, Store, is_disk_full, write_json, write_text
from drnbench.store.environment import capture, signature
from drnbench.store.files import remove_temporaries

ORPHANED = 75
"""Exit code of a worker whose coordinator is gone."""
FULL = 74
"""Exit code of a worker whose disk is full: nothing is wrong with its unit, and every other one will fail, too."""

Emit = Callable[[dict[str, Any]], None]


def main(unit_json: str, root: str, device: str, line: Connection) -> None:
    """Run one unit in this process. Called in a child of the fork server.

    Args:
        unit_json: the unit.
        root: the results folder.
        device: "cpu", "cuda" or "cuda:1".
        line: to the coordinator. It sends "stop"; it is sent progress as dictionaries.

    """
    # Ctrl-C reaches the whole process group; the coordinator decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    unit: Unit = TypeAdapter(Unit).validate_json(unit_json)
    store = Store(Path(root))
    folder = store.folder(unit)
    folder.mkdir(parents=True, exist_ok=True)
    remove_temporaries(folder)  # of a process that was killed while it wrote
    stop = threading.Event()
    threading.Thread(target=_listen, args=(line, stop), daemon=True).start()
    threading.Thread(target=_beat, args=(folder,), daemon=True).start()
    sys.exit(run(unit, store, _visible(device), _sender(line), stop.is_set, folder))


def _visible(device: str) -> str:
    """Show this process the one GPU that it may use, before CUDA starts; return what to call it then."""
    kind, _, number = device.partition(":")
    if kind == "cuda" and number:
        outer = [one for one in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if one]
        os.environ["CUDA_VISIBLE_DEVICES"] = outer[int(number)] if outer else number
        return "cuda"
    return device


def run(unit: Unit, store: Store, device: str, emit: Emit, stop: Callable[[], bool], folder: Path) -> int:
    """Run a unit, record its status, and return the exit code: 0 done or stopped, 1 failed, `FULL` on a full disk."""
    old = store.status(folder)
    status = Status("running", evaluations=list(old.evaluations) if old else [])
    try:
        store.write_status(folder, status)
        with _log(folder / "log.txt"):
            try:
                status.state = _work(unit, store, device, emit, stop, status)
            except BaseException as error:
                if is_disk_full(error, store.root):
                    raise
                traceback.print_exc()
                status.state, status.kind, status.message = "failed", kind_of(error), _message(error)
        status.finished = time.time()
        store.write_status(folder, status)
    except BaseException as error:
        if not is_disk_full(error, store.root):
            raise
        # What was saved stays; the unit goes on from there when there is room. Even this word may not fit.
        with contextlib.suppress(OSError):
            store.write_status(folder, replace(status, state="interrupted", finished=time.time(), message=DISK_FULL))
        return FULL
    return int(status.state == "failed")


def kind_of(error: BaseException) -> str:
    """Return the kind of a failure: error, oom, diverged."""
    import torch

    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return "oom"
    return error.kind if isinstance(error, UnitError) else "error"


def _message(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, UnitError) else f"{type(error).__name__}: {text}"


def _work(unit: Unit, store: Store, device: str, emit: Emit, stop: Callable[[], bool], status: Status) -> str:
    import torch

    stage = unit.stage if isinstance(unit, StageUnit) else None
    threads, deterministic = (stage.threads, stage.deterministic) if stage else (1, True)
    torch.set_num_threads(threads)
    # cuBLAS is deterministic only with a workspace of its own; it reads this when CUDA starts.
    os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"
    # Not use_deterministic_algorithms(), which does the same and imports the compiler: three seconds a unit.
    torch.set_deterministic_debug_mode("error" if deterministic else "default")
    torch.backends.cudnn.benchmark = False
    # TF32 would change fp32 numbers with the GPU's generation.
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    where = torch.device(device)
    if isinstance(unit, EvaluateUnit):
        # They need PyTorch, and the coordinator imports this module for its exit codes alone.
        from drnbench.evaluation.evaluator import evaluate
        from drnbench.models.costs import LR_SIZE, costs

        start, before = time.monotonic(), len(status.evaluations)
        status.evaluations = evaluate(unit, store, where, emit)
        seconds = time.monotonic() - start
        cost = costs(unit.model, unit.scale, unit.options)
        write_json(
            store.trial(unit.key) / "scores.json",
            {
                **capture("evaluate"),
                "signature": signature(where.type, threads, "fp32", deterministic),
                "costs": {"parameters": cost.parameters, "macs": cost.macs, "lr_size": list(LR_SIZE)},
                "seconds": seconds,
                "scored": len(status.evaluations) - before,
                **_used(where.type),
            },
        )
        return "done"

    # It needs PyTorch; see above.
    from drnbench.training.loop import train

    assert stage is not None
    folder = store.stage(unit.key)
    write_text(folder / "unit.json", unit.model_dump_json(indent=2) + "\n")
    record = {
        "key": unit.key,
        **capture("stage"),
        "signature": signature(where.type, threads, stage.precision, deterministic, unit.split),
        "data": {"paired": unit.data_digest, "unpaired": unit.unpaired_digest},
    }
    write_json(folder / "stage.json", record)
    meter = _Meter(emit)
    complete = train(unit, store, where, meter, stop)
    write_json(folder / "stage.json", {**record, **meter.cost(stage.steps, where.type)})
    return "done" if complete else "interrupted"


class _Meter:
    """Passes progress on and keeps what the stage cost, for the estimates of later plans."""

    def __init__(self, emit: Emit) -> None:
        self._emit, self._start, self._first, self._last = emit, time.monotonic(), None, 0
        self._macs: int | None = None

    def __call__(self, message: dict[str, Any]) -> None:
        if "macs" in message:
            self._macs = message["macs"]
            return
        if "loss" in message:
            if self._first is None:
                self._first, self._start = message["step"], time.monotonic()
            self._last = message["step"]
        self._emit(message)

    def cost(self, steps: int, device: str) -> dict[str, Any]:
        """Seconds a step from the first logged step on, so that start-up and a resume do not count."""
        done = self._last - (self._first or 0)
        out = _used(device)
        costs: dict[str, Any] = {"macs": self._macs}
        if done > 0:
            out["seconds_per_step"] = (time.monotonic() - self._start) / done
            costs["seconds"] = out["seconds_per_step"] * steps
        return {**out, "steps": steps, "costs": costs}


def _used(device: str) -> dict[str, Any]:
    """Return what a unit took at most, for the estimates of later plans: MiB of memory, on the GPU too."""
    import resource

    import torch

    out: dict[str, Any] = {"device": device, "peak_rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}
    if device == "cuda":
        out["peak_gpu_mib"] = torch.cuda.max_memory_allocated() // 2**20
    return out


def _listen(line: Connection, stop: threading.Event) -> None:
    try:
        while True:
            if line.recv() == "stop":
                stop.set()
    except (EOFError, OSError):
        os._exit(ORPHANED)


def _beat(folder: Path) -> None:
    while True:
        time.sleep(HEARTBEAT_S)
        with contextlib.suppress(OSError):
            os.utime(folder / "status.json")


def _sender(line: Connection) -> Emit:
    def emit(message: dict[str, Any]) -> None:
        try:
            line.send(message)
        except (BrokenPipeError, OSError):
            os._exit(ORPHANED)

    return emit


@contextlib.contextmanager
def _log(path: Path) -> Any:
    """Send what this process prints, C libraries included, to the unit's log."""
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
