"""The training loop: resumes bit for bit, and stops with a clear error when it diverges."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from drnbench.config.protocol import Protocol
from drnbench.config.units import StageUnit
from drnbench.data.images import to_tensor, to_uint8
from drnbench.data.sampling import derived_seed
from drnbench.degradations import check_kernel
from drnbench.errors import ChangedError, DamagedError, DivergedError, NotFiniteError
from drnbench.evaluation import metrics
from drnbench.models import models
from drnbench.models.counting import FlopCounter
from drnbench.models.weights import load_checkpoint, load_dual, load_weights, save_checkpoint, state_digest
from drnbench.schemes import schemes
from drnbench.schemes.base import Scheme
from drnbench.schemes.dual import operators
from drnbench.store import Damaged, Fault, Store
from drnbench.store.files import sync
from drnbench.store.integrity import report, set_aside
from drnbench.training.average import Average
from drnbench.training.feed import Feed
from drnbench.training.graphs import replay_steps
from drnbench.training.history import History
from drnbench.training.losses import Losses
from drnbench.training.numerics import compiling
from drnbench.training.schedule import learning_rate, validation_steps

CHECKPOINT_S = float(os.environ.get("DRNBENCH_CHECKPOINT_S", "20"))
"""Seconds between checkpoints: at most this much work is lost. It moves no number."""

Emit = Callable[[dict[str, Any]], None]
Stop = Callable[[], bool]


def build(unit: StageUnit) -> Scheme:
    """Return the scheme with its model, freshly initialised from the seed (the same weights for every scheme and λ)."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derived_seed(unit.seed, "model"))
        model = models.get(unit.model).make(unit.scale, **unit.options)
        torch.manual_seed(derived_seed(unit.seed, "extra networks"))
        assert unit.stage.scheme is not None
        return schemes.get(unit.stage.scheme)(model, unit.scale, unit.stage)


def train(
    unit: StageUnit, store: Store, device: torch.device, emit: Emit, stop: Stop, checkpoint_s: float = CHECKPOINT_S
) -> bool:
    """Train one stage in its folder, from its last checkpoint if there is one.

    Args:
        unit: the stage with its key.
        store, device: where its files lie, and where it trains.
        emit: receives progress: {"step", "steps", "loss", ...}, {"saved": step} after each checkpoint, and once {"macs":
            multiply-adds of the first step, forward and backward, by image of the batch}.
        stop: called after each step; when it returns True, the stage is checkpointed and left.
        checkpoint_s: seconds between checkpoints.

    Returns:
        True when the stage is complete, False when it was stopped.

    Raises:
        DivergedError: a loss or a weight is not finite. The last good checkpoint stays.
    """
    folder, stage = store.stage(unit.key), unit.stage
    scheme = build(unit)
    for _, spec, _ in operators(stage):  # a known D has read its file by now
        check_kernel(spec, unit.kernel_digests.get(spec))
    scheme.split = unit.split if stage.accumulate == "auto" else stage.accumulate
    scheme.prepare(device)
    replay_steps(scheme)
    step, history = 0, History()
    if (stored := _stored(folder)) is not None:
        state, history = stored
        scheme.load_state_dict({**state, "model": state.get("last_step", state["model"])})
        average = Average(scheme.model, stage, state)
        step = int(state["step"])
        print(f"resumed at step {step} of {stage.steps}", flush=True)
    else:
        _start(scheme, unit, store)
        average = Average(scheme.model, stage)
    if step == stage.steps:
        return True

    feed = Feed(unit, store.cache, device)
    with contextlib.closing(feed):
        step = _steps(
            scheme, feed, average, history, _Course(unit, folder, store.cache, emit, stop, checkpoint_s), step
        )
    return step == stage.steps


@dataclass(frozen=True)
class _Course:
    """Where a stage is kept, whom its progress goes to, and when it is left; as of `train`."""

    unit: StageUnit
    folder: Path
    cache: Path
    emit: Emit
    stop: Stop
    checkpoint_s: float


def _steps(scheme: Scheme, feed: Feed, average: Average, history: History, course: _Course, step: int) -> int:
    """Train from a step until the last, or until it is to stop; returns the step that was reached, which is saved."""
    unit, stage, emit = course.unit, course.unit.stage, course.emit
    validate_at, log_every = validation_steps(stage), max(1, stage.steps // 100)
    saved = time.monotonic()
    losses = Losses(history, stage, every=log_every if feed.device.type == "cuda" else 1)
    scheme.model.train()
    # Compilation does not see through a counter of operations: the first step would not be compiled.
    counter = None if stage.compile else FlopCounter()
    first: contextlib.AbstractContextManager[object] = (
        compiling(course.cache) if stage.compile else contextlib.nullcontext()
    )
    while step < stage.steps:
        batch = feed.batch(step)  # the first call may make LR images, which is not counted
        # Counting sees every operation and changes none; it costs the first step some milliseconds.
        with first, counter or contextlib.nullcontext():
            values = {**scheme.step(batch, learning_rate(stage, step)), **scheme.gradient_norm}
        if counter is not None:
            emit({"macs": counter.total // 2 // stage.batch})
        counter, first = None, contextlib.nullcontext()
        step += 1
        average.update(step)
        losses.add(step, values)
        if step % log_every == 0 or step == stage.steps:
            losses.read()
            means = history.flush(step)
            history.put(step, "lr", learning_rate(stage, step - 1))
            emit({"step": step, "steps": stage.steps, "loss": means["total"]})
        if step in validate_at:
            losses.read()
            for name, score in _validated(average.counted, feed, unit, step).items():
                history.put(step, name, score)
                emit({"step": step, "steps": stage.steps, name: score})
        stopping = course.stop()
        if step == stage.steps or stopping or time.monotonic() - saved >= course.checkpoint_s:
            losses.read()
            _save(course.folder, scheme, average, step, history)
            saved = time.monotonic()
            emit({"saved": step})
            if stopping:
                break
    return step


def _stored(folder: Path) -> tuple[dict[str, Any], History] | None:
    """Return checkpoint and history of a stage that was left; None where there are none.

    Where one of them is not whole both are set aside, and the stage starts over: this process has its folder to itself.
    """
    checkpoint, rows = folder / "checkpoint.pt", folder / "history.parquet"
    if not checkpoint.exists():
        return None
    try:
        state = load_checkpoint(checkpoint)
        history = History.read(rows, int(state["step"]))
        history.sums = {name: list(entry) for name, entry in state["sums"].items()}
        if len(history.rows) != state.get("rows", len(history.rows)):
            raise Damaged("lacks rows of its checkpoint")  # noqa: TRY301 - handled as any other fault of the file
    except (DamagedError, Damaged, FileNotFoundError) as error:
        reasons = {DamagedError: (checkpoint, getattr(error, "reason", "")), Damaged: (rows, str(error))}
        path, reason = reasons.get(type(error), (rows, "is missing"))
        report(Fault(path, reason), "set aside; the stage is trained from its beginning")
        for path in (checkpoint, rows):
            set_aside(path)
        return None
    return state, history


def _start(scheme: Scheme, unit: StageUnit, store: Store) -> None:
    """Initialise from the networks of the stage before, then from the files that the stage names."""
    stage = unit.stage
    if unit.before is not None:
        fresh = scheme.load_networks(load_checkpoint(store.stage(unit.before) / "checkpoint.pt"))
        print(f"started from stage {unit.before}; new networks: {', '.join(fresh) or 'none'}", flush=True)
    _check_weights(unit)
    if stage.weights is not None:
        load_weights(scheme.model, Path(stage.weights))
    for name, file in scheme.weight_files().items():
        load_dual(scheme.extra[name], Path(file))
    _check_weights(unit)  # again: they may have been replaced between the check and the reading


def _check_weights(unit: StageUnit) -> None:
    stage = unit.stage
    for path, digest in (
        (stage.weights, unit.weights_digest),
        (stage.dual_weights, unit.dual_digest),
        (stage.unpaired_dual_weights, unit.unpaired_dual_digest),
    ):
        if path is not None and digest is not None and state_digest(Path(path)) != digest:
            raise ChangedError(f"the weights in {path} changed since the plan was made; run the study again")


def _save(folder: Path, scheme: Scheme, average: Average, step: int, history: History) -> None:
    if not all(torch.isfinite(p).all() for net in (scheme.model, scheme.extra) for p in net.parameters()):
        raise DivergedError(f"a weight is not finite after step {step}; lower lr = {scheme.stage.lr:g}")
    # A state may be computed from the weights (KernelGAN's estimate), so they are checked first.
    counters = {"step": step, "sums": history.sums, "rows": len(history.rows)}
    state = {**scheme.state_dict(), **counters, **average.state()}
    # History first: rows beyond the checkpoint are dropped on resume, missing rows would be lost.
    history.write(folder / "history.parquet")
    save_checkpoint(folder / "checkpoint.pt", state)
    if step < scheme.stage.steps:  # the files of a complete stage are synced together
        sync([folder / "history.parquet", folder / "checkpoint.pt", folder])


def _validated(model: nn.Module, feed: Feed, unit: StageUnit, step: int) -> dict[str, float]:
    try:
        return validate(model, feed, unit)
    except NotFiniteError as error:
        raise DivergedError(
            f"an SR image is not finite at the validation after step {step} of {unit.stage.steps}; "
            f"lower lr = {unit.stage.lr:g} or lam"
        ) from error


@torch.no_grad()
def validate(model: nn.Module, feed: Feed, unit: StageUnit) -> dict[str, float]:
    """Return the mean PSNR-Y on the held-out training images, for each kernel of the stage; never on a test set."""
    psnr, protocol = metrics.get("psnr_y"), Protocol()
    model.eval()
    out = {}
    for kernel, pyramid in feed.heldout().items():
        scores = [
            psnr.score(to_uint8(model(to_tensor(lr).to(feed.device))[-1]), hr, unit.scale, protocol)
            for lr, hr in zip(pyramid[unit.scale], pyramid[1], strict=True)
        ]
        out[f"val_psnr_y/{kernel}"] = sum(scores) / len(scores)
    model.train()
    return out
