"""Part of `bench` on sweeps: planning, what a trial takes beyond its work, and several trials at once on one device."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from drnbench.config.study import Axis, Study
from drnbench.config.trial import Data, Evaluate, Stage, Trial
from drnbench.errors import UnitError
from drnbench.execution.local import LocalExecutor
from drnbench.parallel import cores
from drnbench.planning import make
from drnbench.planning.expand import expand
from drnbench.session.coordinator import Coordinator
from drnbench.session.recording import record
from drnbench.store import Store, read_json

PLANNED = 10_000
"""Trials that are planned."""
SWEPT = 12
"""Trials that are run one at a time."""
STEPS = 200
"""Training steps of each of them."""
TOGETHER, TOGETHER_STEPS = 8, 1000
"""Trials, and training steps of each, that are run several at once on a GPU."""
ON_A_GPU = (1, 2, 4, 8)
"""How many of them at once."""


class Sweep(NamedTuple):
    """A measurement, its unit, and the number of processes."""

    name: str
    rate: float
    unit: str = "s"
    processes: int = 1


def sweep_rates(folder: Path, device: str) -> Iterator[Sweep]:
    """Measure planning, the seconds of a trial beyond its training steps and its scoring, and trials that run at once.

    Args:
        folder: for stores.
        device: "cpu" or one CUDA device, which trials share.

    Raises:
        UnitError: a trial failed.
        KeyboardInterrupt: a run was stopped, by Ctrl-C.
    """
    store = Store(folder)
    make(expand(_study(1, 1), "warm", ""), store)  # fingerprints are made once
    start = time.perf_counter()
    plan = make(expand(_study(PLANNED // 10, 10), "large", ""), store)
    yield Sweep(f"sweep: plan {len(plan.trials) - 1} trials", time.perf_counter() - start)

    _run(folder / "warm", _study(1, 1), 1, device)  # the first worker waits for the fork server
    took = _run(folder / "one", _study(SWEPT, 1), 1, device)
    stages = [read_json(path) or {} for path in sorted(folder.glob("one/stages/*/stage.json"))]
    scored = [(read_json(path) or {})["seconds"] for path in sorted(folder.glob("one/trials/*/scores.json"))]
    work = sum(stage["seconds_per_step"] * stage["steps"] for stage in stages) + sum(scored)
    yield Sweep(f"sweep: a trial of {STEPS} steps, training and scoring", work / SWEPT)
    yield Sweep("sweep: a trial, everything else", (took - work) / SWEPT)

    is_gpu = device.startswith("cuda")
    trials, steps = (TOGETHER, TOGETHER_STEPS) if is_gpu else (SWEPT, STEPS)
    for at_once in ON_A_GPU if is_gpu else sorted({1, cores()}):
        if is_gpu or at_once > 1:  # on a processor, one at a time was measured above
            took = _run(folder / f"{at_once} at once", _study(trials, 1, steps), at_once, device)
        yield Sweep(f"sweep: trials of {steps} steps, {at_once} at once", 60 * trials / took, "trials/min", at_once)


def _study(values: int, seeds: int, steps: int | None = None) -> Study:
    data = Data("photos/train")
    stage = Stage("train", scheme="paired", data=data, steps=steps or STEPS, batch=4, patch=48, validations=0)
    base = Trial(model={"n_blocks": 1, "n_feats": 4}, scale=4, stages=(stage,), evaluate=(Evaluate("photos/test"),))
    return Study(base=base, axes=(Axis("train.lam", [0.01 * i for i in range(values)]),), seeds=seeds)


def _run(folder: Path, study: Study, at_once: int, device: str) -> float:
    """Run a study in a store of its own, without report and mirror; returns the seconds."""
    plan = make(expand(study, "bench", ""), Store(folder))
    record(plan, Store(folder))
    executor = LocalExecutor(folder, at_once, [device])
    start = time.perf_counter()
    try:
        outcome = Coordinator(plan, Store(folder), executor, []).run()
    finally:
        executor.close()
    if outcome.interrupted:  # the coordinator ends in order, but its time says nothing
        raise KeyboardInterrupt
    if outcome.failed:
        raise UnitError(f"a trial of the sweep failed, and its time says nothing: {outcome.failed[0]}")
    return time.perf_counter() - start
