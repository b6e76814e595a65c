"""Estimate of a run: time for one process and for several, memory, disk."""

from __future__ import annotations

import functools
import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from drnbench.config.units import EvaluateUnit, StageUnit, Unit
from drnbench.data.cache import fingerprint
from drnbench.planning.costs import Costs, Memory
from drnbench.planning.fit_costs import is_fitted
from drnbench.planning.graph import Plan, PlannedTrial
from drnbench.training.prepare import pixel_sets
from drnbench.training.reads import units_reads


class Task(NamedTuple):
    """A unit to run: the key of the unit that it waits for, its rank in the queue, and its seconds (None: unknown)."""

    key: str
    needs: str | None
    rank: tuple[int, int]
    seconds: float | None


@dataclass(frozen=True)
class Estimate:
    """Estimated costs of the units that are left of a plan.

    Attributes:
        tasks: the units, in the order of the queue.
        slots: processes at once.
        sequential: seconds of one process, without units of unknown time.
        parallel: seconds of `slots` processes; a unit waits for the one it needs.
        unknown_stages: number of stages of unknown time.
        unknown_scores: number of trials of unknown time to score.
        memory: the largest of any unit.
        disk: bytes of new stages and trials; None: without a stored sibling.

    """

    tasks: tuple[Task, ...]
    slots: int
    sequential: float
    parallel: float
    unknown_stages: int
    unknown_scores: int
    memory: Memory
    disk: dict[str, int | None]

    @functools.cached_property
    def seconds(self) -> dict[str, float | None]:
        """The seconds of every unit to run, by key."""
        return {task.key: task.seconds for task in self.tasks}


def estimate_run(
    plan: Plan, costs: Costs, queue: Sequence[tuple[Unit, str | None, tuple[int, int]]], slots: int
) -> Estimate:
    """Estimate the costs of a run.

    Args:
        plan: of the study.
        costs: measured in the store.
        queue: units to run, each with the key of the unit it waits for and its rank. Units of scores have only the
            missing evaluations.
        slots: processes at once.

    """
    trials = {trial.unit.key: trial for trial in plan.trials}
    tasks, memories = [], []
    disk: dict[str, list[int | None]] = {"stages": [], "trials": []}
    for unit, needs, rank in queue:
        if isinstance(unit, StageUnit):
            seconds, memory = costs.seconds(unit), costs.memory(unit)
            disk["stages"].append(costs.disk(unit))
        else:
            trial = trials[unit.key]
            stage = plan.stages[trial.stages[-1]].unit if trial.stages else None
            seconds, memory = scoring_seconds(costs, trial, unit, stage), costs.scoring_memory(trial.trial)
            disk["trials"].append(costs.scoring_disk(trial.trial))
        tasks.append(Task(unit.key, needs, rank, seconds))
        memories.append(memory)
    unknown = [unit.kind for (unit, _, _), task in zip(queue, tasks, strict=True) if task.seconds is None]
    return Estimate(
        tuple(tasks), slots, sum(t.seconds or 0.0 for t in tasks), makespan(tasks, slots),
        unknown.count("stage"), unknown.count("evaluate"),
        Memory(max((m.rss for m in memories if m.rss is not None), default=None),
               max((m.gpu for m in memories if m.gpu is not None), default=None)),
        {name: sum(s for s in sizes if s is not None) if None not in sizes else None
         for name, sizes in disk.items() if sizes},
    )  # fmt: skip


def scoring_seconds(costs: Costs, trial: PlannedTrial, unit: EvaluateUnit, stage: StageUnit | None) -> float | None:
    """Return the seconds of scoring the evaluations that a unit lacks, whose last stage is given; None: unknown."""
    if is_fitted(trial.unit):
        return costs.fitting(trial.unit)
    evaluation = costs.scoring(trial.trial)
    return costs.scoring_measured(unit, stage) if evaluation is None else evaluation * len(unit.wanted)


def trial_seconds(trial: PlannedTrial, estimate: Estimate) -> float | None:
    """Return the seconds of one process for the missing units of a trial, shared stages too; None if some are unknown."""
    seconds = [estimate.seconds[key] for key in trial.stages if key in estimate.seconds]
    if trial.unit.key in estimate.seconds and trial.missing:
        seconds.append(estimate.seconds[trial.unit.key])
    return None if None in seconds else sum(s for s in seconds if s is not None)


def makespan(tasks: Sequence[Task], slots: int) -> float:
    """Return the seconds of `slots` processes: a free process takes the first unit by rank that waits for no other.

    Unknown times count as 0, so the result is a lower bound.
    """
    waiting: dict[str, list[Task]] = {}
    keys = {task.key for task in tasks}
    ready: list[tuple[tuple[int, int], int]] = []
    for n, task in enumerate(tasks):
        if task.needs in keys and task.needs is not None:
            waiting.setdefault(task.needs, []).append(task)
        else:
            heapq.heappush(ready, (task.rank, n))
    number = {task.key: n for n, task in enumerate(tasks)}
    running: list[tuple[float, int]] = []
    now = 0.0
    while ready or running:
        while ready and len(running) < max(1, slots):
            n = heapq.heappop(ready)[1]
            heapq.heappush(running, (now + (tasks[n].seconds or 0.0), n))
        now, n = heapq.heappop(running)
        for task in waiting.pop(tasks[n].key, []):
            heapq.heappush(ready, (task.rank, number[task.key]))
    return now


def images_size(units: Iterable[Unit], cache: Path) -> int:
    """Return the bytes of LR images, and of HR images kept as files, that the cache lacks for these units."""
    missing: dict[Path, int] = {}
    for read in units_reads(list(units)):
        images = tuple(read.select(fingerprint(read.data.source, cache).images))
        missing |= {entry.file: entry.size for files in pixel_sets(read, images, cache) for entry in files.missing()}
    return sum(missing.values())
