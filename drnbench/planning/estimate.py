"""What a run has ahead of it: time for one process and for several, memory, disk."""

from __future__ import annotations

import functools
import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from drnbench.config.units import StageUnit, Unit
from drnbench.data.cache import fingerprint
from drnbench.planning.costs import Costs, Memory
from drnbench.planning.graph import Plan, PlannedTrial
from drnbench.training.prepare import pixel_sets
from drnbench.training.reads import units_reads


class Task(NamedTuple):
    """A unit to run: the one that it waits for, its place in the queue, and its seconds (None: unknown)."""

    key: str
    needs: str | None
    rank: tuple[int, int]
    seconds: float | None


@dataclass(frozen=True)
class Ahead:
    """What is left to do of a plan.

    Attributes:
        one: seconds of one process for everything that is known.
        several: seconds for `slots` processes; each unit waits for the one it needs.
        stages, scores: how many units of each kind have an unknown time.
        memory: the most of any unit.
        disk: bytes by what takes them; None: nothing like it was measured.

    """

    tasks: tuple[Task, ...]
    slots: int
    one: float
    several: float
    stages: int
    scores: int
    memory: Memory
    disk: dict[str, int | None]

    @functools.cached_property
    def seconds(self) -> dict[str, float | None]:
        """The seconds of every unit to run, by key."""
        return {task.key: task.seconds for task in self.tasks}


def look_ahead(
    plan: Plan, costs: Costs, queue: Sequence[tuple[Unit, str | None, tuple[int, int]]], slots: int
) -> Ahead:
    """Estimate what a run would take.

    Args:
        plan: of the study.
        costs: measured ones.
        queue: units to run, each with the key of the unit it waits for and its rank. Scores hold only what is missing.
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
            seconds, memory = scoring_seconds(costs, trial, len(unit.wanted)), costs.scoring_memory(trial.trial)
            disk["trials"].append(costs.scoring_disk(trial.trial))
        tasks.append(Task(unit.key, needs, rank, seconds))
        memories.append(memory)
    unknown = [unit.kind for (unit, _, _), task in zip(queue, tasks, strict=True) if task.seconds is None]
    return Ahead(
        tuple(tasks), slots, sum(t.seconds or 0.0 for t in tasks), makespan(tasks, slots),
        unknown.count("stage"), unknown.count("evaluate"),
        Memory(max((m.rss for m in memories if m.rss is not None), default=None),
               max((m.gpu for m in memories if m.gpu is not None), default=None)),
        {name: sum(s for s in sizes if s is not None) if None not in sizes else None
         for name, sizes in disk.items() if sizes},
    )  # fmt: skip


def scoring_seconds(costs: Costs, trial: PlannedTrial, evaluations: int) -> float | None:
    """Return the seconds of scoring that many evaluations of a trial; None: unknown."""
    each = costs.scoring(trial.trial)
    return None if each is None else each * evaluations


def trial_seconds(costs: Costs, trial: PlannedTrial, ahead: Ahead) -> float | None:
    """Return the seconds of one process for what a trial lacks, shared stages too; None where some are unknown."""
    known = ahead.seconds
    parts = [known[key] for key in trial.stages if key in known]
    if trial.unit.key in known and trial.missing:
        parts.append(scoring_seconds(costs, trial, len(trial.missing)))
    return None if None in parts else sum(p for p in parts if p is not None)


def makespan(tasks: Sequence[Task], slots: int) -> float:
    """Return the seconds that `slots` processes need: a free one takes the first unit by rank that waits for nothing.

    Unknown times count as 0, so the result is the least that it can be.
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
