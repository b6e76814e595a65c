"""Speeds of this machine, measured in seconds for what no store has measured: `plan --measure`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import numpy as np
import torch

from drnbench.config.protocol import Protocol
from drnbench.config.units import EvaluateUnit, StageUnit
from drnbench.data.sampling import pyramid_factors
from drnbench.errors import DrnbenchError
from drnbench.evaluation import metrics as registry
from drnbench.evaluation.evaluator import super_resolve
from drnbench.evaluation.inference import Upscaler
from drnbench.evaluation.metric import measure as score
from drnbench.models import models
from drnbench.planning.costs import shape
from drnbench.planning.fit_costs import is_fitted
from drnbench.planning.graph import Plan
from drnbench.planning.speeds import Speeds, network_shape, read_speeds, write_speeds
from drnbench.schemes.base import Batch, Scheme
from drnbench.store import Store
from drnbench.training.loop import build

STEPS = 3
"""Steps of a stage that are timed, after one to warm up."""
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
    scored = {(network_shape(t.unit), frozenset(e.metric for e in t.unit.wanted)): t.unit for t in plan.trials}
    for evaluation in scored.values():
        if _measure_scoring(evaluation, speeds, torch.device(device), progress):
            write_speeds(store.cache, device, speeds)


def _different(plan: Plan, speeds: Speeds) -> Iterable[StageUnit]:
    units = {shape(node.unit): node.unit for node in plan.stages.values() if node.state != "done"}
    return [unit for key, unit in units.items() if key not in speeds.steps]


def _step_seconds(unit: StageUnit, device: torch.device) -> float:
    threads = torch.get_num_threads()
    torch.set_num_threads(unit.stage.threads)
    try:
        count = min(2, unit.stage.batch)  # one image is too few for the batch normalisation of discriminators
        small = unit.model_copy(update={"stage": unit.stage.model_copy(update={"batch": count})})
        whole = _timed(small, device, 1) * unit.stage.batch / count
        return whole if whole > LONG_S else _timed(unit, device, STEPS)
    finally:
        torch.set_num_threads(threads)


def _timed(unit: StageUnit, device: torch.device, steps: int) -> float:
    scheme = build(unit)
    scheme.split = 1 if unit.stage.accumulate == "auto" else min(unit.stage.accumulate, unit.stage.batch)
    scheme.prepare(device)
    seconds = []
    for step in range(steps + 1):
        batch = _batch(scheme, unit, step, device)
        start = time.perf_counter()
        losses = scheme.step(batch, unit.stage.lr)
        float(next(iter(losses.values())))  # waits for the device
        seconds.append(time.perf_counter() - start)
    return float(np.mean(seconds[1:]))  # the mix of pairs and unpaired images changes from step to step


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


def _measure_scoring(unit: EvaluateUnit, speeds: Speeds, device: torch.device, progress: Callable[[str], None]) -> bool:
    network = network_shape(unit)
    names = {evaluation.metric for evaluation in unit.wanted} - speeds.metrics.keys()
    if is_fitted(unit) or (network in speeds.networks and not names):
        return False
    progress(f"scoring {unit.model} x{unit.scale}")
    noise = np.random.default_rng(0)
    lr = noise.integers(0, 256, (LR_SIDE, LR_SIDE, 3), dtype=np.uint8)
    hr = noise.integers(0, 256, (LR_SIDE * unit.scale, LR_SIDE * unit.scale, 3), dtype=np.uint8)
    with torch.no_grad():
        upscaler = Upscaler(
            models.get(unit.model).make(unit.scale, **unit.options).to(device).eval(), unit.scale, device
        )
        upscaler(lr)
        start = time.perf_counter()
        item = super_resolve(upscaler, "noise", lr, hr, "bicubic")
        speeds.networks[network] = (time.perf_counter() - start) / LR_SIDE**2
        for name in names:
            try:
                registry.get(name).check_available()
                score(item, name, Protocol())
                start = time.perf_counter()
                score(item, name, Protocol())
                speeds.metrics[name] = (time.perf_counter() - start) / hr[..., 0].size
            except DrnbenchError:  # a metric that needs D, or weights that are not here: its time stays unknown
                continue
    return True
