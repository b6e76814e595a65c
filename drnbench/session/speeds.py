"""Speeds of this machine, measured in seconds for what no store has measured: `plan --measure`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from drnbench.config.protocol import Protocol
from drnbench.config.units import EvaluateUnit, StageUnit
from drnbench.data.images import to_tensor
from drnbench.data.sampling import pyramid_factors
from drnbench.errors import DrnbenchError
from drnbench.evaluation import metrics as registry
from drnbench.evaluation.dual import MeanKernel
from drnbench.evaluation.evaluator import super_resolve
from drnbench.evaluation.inference import Upscaler
from drnbench.evaluation.metric import Item
from drnbench.evaluation.metric import measure as score
from drnbench.models import models
from drnbench.models.dual import Chain
from drnbench.planning.costs import shape
from drnbench.planning.fit_costs import is_fitted
from drnbench.planning.graph import Plan
from drnbench.planning.speeds import Speeds, dual_shape, needs_dual, network_shape, read_speeds, write_speeds
from drnbench.schemes.base import Batch, Scheme
from drnbench.store import Store
from drnbench.training.graphs import replay_steps
from drnbench.training.loop import build

STEPS, TIMED_S = 9, 1.5
"""Steps of a stage that are timed at most, after two to warm up, and the seconds after which no further one is."""
WARM_UP = 2
LONG_S = 2.0
"""A step that would take longer is timed with two images, and the time taken in proportion to the batch."""
LR_SIDE = 48
"""Side of the image that scoring is timed on, in LR pixels."""


def measure(plan: Plan, store: Store, device: str, progress: Callable[[str], None]) -> None:
    """Measure what the plan has to run and no earlier measurement has; the images need not be here.

    Args:
        plan: of the study.
        store: its cache keeps the speeds.
        device: "cpu" or "cuda", of the units.
        progress: receives the name of what is measured next.
    """
    speeds = read_speeds(store.cache, device)
    for unit in _different(plan, speeds):
        progress(f"{unit.model} x{unit.scale}, {unit.stage.scheme}, batch {unit.stage.batch} x {unit.stage.patch}")
        try:
            speeds.steps[shape(unit)] = _step_seconds(unit, torch.device(device))
        except torch.OutOfMemoryError:  # `run` would take the batch in parts; how long that takes is not known before
            continue
        write_speeds(store.cache, device, speeds)
    with _threads(1):  # as workers score
        _measure_scorings(plan, speeds, torch.device(device), progress)
    write_speeds(store.cache, device, speeds)


def _measure_scorings(plan: Plan, speeds: Speeds, device: torch.device, progress: Callable[[str], None]) -> None:
    """Measure networks, metrics and D of the trials."""
    scored = {(network_shape(t.unit), frozenset(e.metric for e in t.unit.wanted)): t.unit for t in plan.trials}
    for evaluation in scored.values():
        _measure_scoring(evaluation, speeds, device, progress)
    last = (plan.stages[trial.stages[-1]].unit for trial in plan.trials if trial.stages and needs_dual(trial.unit))
    for unit in {dual_shape(unit): unit for unit in last if dual_shape(unit) not in speeds.duals}.values():
        progress(f"D of {unit.model} x{unit.scale}, {unit.stage.unpaired_dual or unit.stage.dual}")
        speeds.duals[dual_shape(unit)] = _dual_seconds(unit, device)


def _different(plan: Plan, speeds: Speeds) -> Iterable[StageUnit]:
    units = {shape(node.unit): node.unit for node in plan.stages.values() if node.state != "done"}
    return [unit for key, unit in units.items() if key not in speeds.steps]


def _step_seconds(unit: StageUnit, device: torch.device) -> float:
    count = min(2, unit.stage.batch)  # one image is too few for the batch normalisation of discriminators
    small = unit.model_copy(update={"stage": unit.stage.model_copy(update={"batch": count})})
    with _threads(unit.stage.threads):
        whole = _timed(small, device, 1) * unit.stage.batch / count
        return whole if whole > LONG_S else _timed(unit, device, STEPS)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Compute with a number of threads in the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _clock(device: torch.device, threads: int) -> Callable[[], float]:
    """Return the clock of a measurement: the time of this process where one thread computes, which other work does not move."""
    return time.process_time if device.type == "cpu" and threads == 1 else time.perf_counter


def _timed(unit: StageUnit, device: torch.device, steps: int) -> float:
    scheme = build(unit)
    scheme.split = 1 if unit.stage.accumulate == "auto" else min(unit.stage.accumulate, unit.stage.batch)
    scheme.prepare(device)
    replay_steps(scheme)
    clock, seconds = _clock(device, unit.stage.threads), list[float]()
    for step in range(steps + WARM_UP):
        batch = _batch(scheme, unit, step, device)
        start = clock()
        losses = scheme.step(batch, unit.stage.lr)
        float(next(iter(losses.values())))  # waits for the device
        seconds.append(clock() - start)
        if sum(seconds[WARM_UP:]) > TIMED_S:
            break
    return float(np.median(seconds[WARM_UP:]))


def _batch(scheme: Scheme, unit: StageUnit, step: int, device: torch.device) -> Batch:
    """Return a batch of noise with the mix of a step."""
    stage, scale, mix = unit.stage, unit.scale, scheme.mix(unit.stage, step)
    side, draw = stage.patch, torch.Generator().manual_seed(step)

    def images(count: int, size: int) -> torch.Tensor:
        return (torch.rand(count, 3, size, size, generator=draw) * 255).to(device)

    pyramid = {factor: images(mix.pairs, side // factor) for factor in pyramid_factors(scale)}
    small = (stage.unpaired_patch or side) // scale
    apart = small != side // scale and mix.pairs > 0
    unpaired = images(mix.unpaired, small)
    return Batch(
        lr=pyramid[scale] if apart or not mix.unpaired else torch.cat([pyramid[scale], unpaired]) if mix.pairs else unpaired,
        pyramid=pyramid, n_pairs=mix.pairs, hr=images(mix.hr, side),
        others=unpaired if apart else torch.zeros(0, 3, 0, 0, device=device),
    )  # fmt: skip


def _dual_seconds(unit: StageUnit, device: torch.device) -> float:
    """Return the seconds that scoring takes by HR pixel for D(HR) and the effective kernel of D."""
    networks = build(unit).extra
    name = next(
        name for name in sorted(networks, reverse=True) if name.startswith("dual")
    )  # that of unpaired images first
    dual = Chain(networks[name].to(device)).eval()
    lr, hr = _noise(unit.scale)
    item, kernel = Item("noise", lr, hr, hr, unit.scale, "bicubic"), MeanKernel(unit.scale, device)
    clock = _clock(device, threads=1)
    for _ in range(2):  # the first warms up
        start = clock()
        with torch.no_grad():
            dual(to_tensor(hr).to(device))
        kernel.add(dual, item)
    return (clock() - start) / hr[..., 0].size


def _noise(scale: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return an LR and an HR image of noise."""
    noise = np.random.default_rng(0)
    lr = noise.integers(0, 256, (LR_SIDE, LR_SIDE, 3), dtype=np.uint8)
    return lr, noise.integers(0, 256, (LR_SIDE * scale, LR_SIDE * scale, 3), dtype=np.uint8)


def _measure_scoring(unit: EvaluateUnit, speeds: Speeds, device: torch.device, progress: Callable[[str], None]) -> None:
    network = network_shape(unit)
    names = {evaluation.metric for evaluation in unit.wanted} - speeds.metrics.keys()
    if is_fitted(unit) or (network in speeds.networks and not names):
        return
    progress(f"scoring {unit.model} x{unit.scale}")
    clock = _clock(device, threads=1)
    lr, hr = _noise(unit.scale)
    with torch.no_grad():
        upscaler = Upscaler(
            models.get(unit.model).make(unit.scale, **unit.options).to(device).eval(), unit.scale, device
        )
        upscaler(lr)
        start = clock()
        item = super_resolve(upscaler, "noise", lr, hr, "bicubic")
        speeds.networks[network] = (clock() - start) / LR_SIDE**2
        item = replace(item, back=lr.astype(np.float64))  # as if of D, which is timed apart
        for name in names:
            try:
                registry.get(name).check_available()
                score(item, name, Protocol())
                start = clock()
                score(item, name, Protocol())
                speeds.metrics[name] = (clock() - start) / hr[..., 0].size
            except DrnbenchError:  # a metric that needs D, or weights that are not here: its time stays unknown
                continue
