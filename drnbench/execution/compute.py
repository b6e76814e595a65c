"""The computation of a unit: a stage is trained or a model is scored, and the cost is recorded beside the result.

This imports PyTorch; `drnbench.execution.worker`, which starts it, does not.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import torch

from drnbench.config.units import EvaluateUnit, StageUnit, Unit
from drnbench.errors import StoppedError
from drnbench.evaluation.evaluator import evaluate
from drnbench.execution.worker import Emit
from drnbench.models.costs import LR_SIZE, costs
from drnbench.store import Status, Store, read_json, write_json
from drnbench.store.environment import capture, signature
from drnbench.training.loop import train
from drnbench.training.numerics import set_numerics
from drnbench.training.origin import continued, origin


def compute(unit: Unit, store: Store, device: str, emit: Emit, stop: Callable[[], bool], status: Status) -> str:
    """Train or score a unit in its folder; return "done", or "interrupted" where it was stopped before its end.

    Args:
        unit: the unit, in a folder of this store.
        store: the results folder.
        device: "cpu" or "cuda".
        emit: receives progress.
        stop: asked after each step.
        status: of the unit; of a trial, its `evaluations` are brought up to date.
    """
    if isinstance(unit, EvaluateUnit):
        set_numerics(1, deterministic=True, tf32=False)
        return _score(unit, store, torch.device(device), emit, stop, status)
    stage = unit.stage
    set_numerics(stage.threads, deterministic=stage.deterministic, tf32=stage.precision == "tf32")
    return _train(unit, store, torch.device(device), emit, stop)


def _score(
    unit: EvaluateUnit, store: Store, device: torch.device, emit: Emit, stop: Callable[[], bool], status: Status
) -> str:
    start, cpu, before = time.monotonic(), time.process_time(), len(status.evaluations)
    path = store.trial(unit.key) / "scores.json"
    earlier = read_json(path) if before else None
    tiles: dict[str, int] = (earlier or {}).get("tiles") or {}

    def progress(message: dict[str, Any]) -> None:
        tiles.update(message.get("tiles") or {})
        if "step" in message:
            emit(message)

    try:
        status.evaluations = evaluate(unit, store, device, progress, stop)
    except StoppedError:
        return "interrupted"
    seconds = time.monotonic() - start
    cost = costs(unit.model, unit.scale, unit.options)
    record = {
        **capture(),
        **continued(earlier, origin(unit), "evaluate"),
        "signature": signature(device.type, 1, "fp32", deterministic=True),
        "costs": {**asdict(cost), "lr_size": list(LR_SIZE)},
        "seconds": seconds,
        "cpu_seconds": time.process_time() - cpu,
        "scored": len(status.evaluations) - before,
        **({"tiles": tiles} if tiles else {}),
        **_peak_memory(device.type),
    }
    write_json(path, record, durable=False)
    return "done"


def _train(unit: StageUnit, store: Store, device: torch.device, emit: Emit, stop: Callable[[], bool]) -> str:
    stage, folder = unit.stage, store.stage(unit.key)
    # `Store.finish` syncs these with the result; before that nothing is lost with them.
    write_json(folder / "unit.json", unit.model_dump(mode="json"), durable=False)
    before = read_json(folder / "stage.json") if (folder / "checkpoint.pt").exists() else None
    record = {
        "key": unit.key,
        **capture(),
        **continued(before, origin(unit), "stage"),
        "signature": signature(
            device.type, stage.threads, stage.precision, stage.deterministic, unit.split, compiled=stage.compile
        ),
        "data": {"paired": unit.data_digest, "unpaired": unit.unpaired_digest},
    }
    write_json(folder / "stage.json", record, durable=False)
    meter = _Meter(emit)
    complete = train(unit, store, device, meter, stop)
    cost = meter.cost(stage.steps, device.type)
    if before is not None and "seconds" not in cost["costs"]:  # every step was done before
        cost = {name: value for name, value in before.items() if name not in record}
    write_json(folder / "stage.json", {**record, **cost}, durable=False)
    return "done" if complete else "interrupted"


class _Meter:
    """Passes progress on and measures the cost of the stage, for the estimates of later plans."""

    def __init__(self, emit: Emit) -> None:
        self._emit, self._start, self._first, self._last = emit, time.monotonic(), None, 0
        self._cpu = time.process_time()
        self._macs: int | None = None

    def __call__(self, message: dict[str, Any]) -> None:
        if "macs" in message:
            self._macs = message["macs"]
            return
        if "loss" in message:
            if self._first is None:
                self._first, self._start, self._cpu = message["step"], time.monotonic(), time.process_time()
            self._last = message["step"]
        self._emit(message)

    def cost(self, steps: int, device: str) -> dict[str, Any]:
        """Return the cost; seconds a step count from the first logged step on, without start-up and resume."""
        done = self._last - (self._first or 0)
        record = _peak_memory(device)
        measured: dict[str, Any] = {"macs": self._macs}
        if done > 0:
            record["seconds_per_step"] = (time.monotonic() - self._start) / done
            record["cpu_seconds"] = (time.process_time() - self._cpu) / done * steps
            measured["seconds"] = record["seconds_per_step"] * steps
        return {**record, "steps": steps, "costs": measured}


def _peak_memory(device: str) -> dict[str, Any]:
    """Return the peak memory of this process in MiB, on the GPU too, for the estimates of later plans."""
    peak = {"peak_rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}
    if device == "cuda":
        peak["peak_gpu_mib"] = torch.cuda.max_memory_allocated() // 2**20
    return {"device": device, **peak}
