"""The units that a plan has left to run, each with its state and its place in the queue."""

from __future__ import annotations

import bisect
import enum
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from drnbench.config.units import Unit
from drnbench.planning import Plan, PlannedTrial
from drnbench.store import Status


class State(enum.Enum):
    """State of an item."""

    WAITING = "waiting for a stage, a slot, or another coordinator"
    RUNNING = "running"
    OVERTIME = "running beyond the time limit, and asked to save and leave"
    TAKEN_OVER = "running, but another coordinator has taken its lease; its process is being ended"
    DONE = "done"
    FAILED = "failed, or in need of a stage that failed"
    INTERRUPTED = "saved and left before its end"


ACTIVE = frozenset({State.RUNNING, State.OVERTIME, State.TAKEN_OVER})
"""States of an item that has a process."""


@dataclass
class Item:
    """A unit to run.

    Attributes:
        label: its name in messages.
        needs: key of the stage that it waits for; None: of none.
        rank: place in the queue, lowest first.
        again: the result that the store has is removed first.
        tries: times that it was started.
        started: when it was started last, by the monotonic clock.
    """

    unit: Unit
    label: str
    needs: str | None
    rank: tuple[int, int]
    again: bool
    state: State = State.WAITING
    tries: int = 0
    started: float = 0.0


class Queue:
    """Items by key, those that wait in the order of their ranks; nothing takes longer for those that are done.

    Attributes:
        waiting: items that wait, lowest rank first.
        active: items that have a process, by key.
    """

    def __init__(self, items: Iterable[Item]) -> None:
        self._items: dict[str, Item] = {}
        self.waiting: list[Item] = []
        self.active: dict[str, Item] = {}
        for item in sorted(items, key=_rank):
            self.add(item)

    def __bool__(self) -> bool:
        """Return True while an item waits or has a process."""
        return bool(self.waiting or self.active)

    def get(self, key: str) -> Item | None:
        """Return an item by its key."""
        return self._items.get(key)

    def add(self, item: Item) -> None:
        """Add an item that waits, in place of one of the same key that does not."""
        self._items[item.unit.key] = item
        bisect.insort(self.waiting, item, key=_rank)

    def move(self, item: Item, state: State) -> None:
        """Give an item another state."""
        if item.state is State.WAITING:
            index = bisect.bisect_left(self.waiting, item.rank, key=_rank)
            while self.waiting[index] is not item:
                index += 1
            del self.waiting[index]
        self.active.pop(item.unit.key, None)
        item.state = state
        if state is State.WAITING:
            bisect.insort(self.waiting, item, key=_rank)
        elif state in ACTIVE:
            self.active[item.unit.key] = item

    def running(self) -> list[Item]:
        """Return the items whose process is this coordinator's own to end."""
        return [item for item in self.active.values() if item.state is not State.TAKEN_OVER]

    def drop_waiting(self) -> None:
        """Take out what waits."""
        for item in self.waiting:
            del self._items[item.unit.key]
        self.waiting = []


def _rank(item: Item) -> tuple[int, int]:
    return item.rank


def todo(plan: Plan, rerun: str | None) -> list[Item]:
    """Return the items that have to run: missing scores, and the missing stages that they wait for.

    A stage whose trials are all scored is left alone, even when its checkpoint was cleaned away. Stages that several
    trials wait for go first, then scores (short, and seen at once), then the other stages. With `rerun` "failed" also
    what failed before runs again, with "stale" what other code or packages made, with "all" everything.
    """
    again = _stages_again(plan, rerun)
    waited_for = _remade(plan)
    scores = []
    for n, trial in enumerate(_distinct(plan.trials)):
        fresh = rerun == "all" or bool(again & set(trial.stages)) or (rerun == "stale" and trial.stale)
        # A trial may have all scores and count as failed, where a stage of it was to be made again and failed.
        if not fresh and ((not trial.missing and trial.state != "failed") or _given_up(trial, rerun)):
            continue
        missing = list(
            itertools.takewhile(lambda key: key in again or plan.stages[key].state != "done", trial.stages[::-1])
        )
        waited_for.update(missing)
        scores.append(Item(trial.unit, f"score {trial.label}", missing[0] if missing else None, (1, n), fresh))
    stages = []
    for n, (key, node) in enumerate(plan.stages.items()):
        if key in waited_for:
            before = node.unit.before if node.unit.before in waited_for else None
            stages.append(Item(node.unit, node.label, before, (0 if node.used_by > 1 else 2, n), key in again))
    return stages + scores


def _remade(plan: Plan) -> set[str]:
    """Return the keys of stages that are not whole, and of the missing ones that they start from."""
    keys: set[str] = set()
    for key, node in plan.stages.items():
        start: str | None = key if node.state == "damaged" else None
        while start is not None and plan.stages[start].state != "done":
            keys.add(start)
            start = plan.stages[start].unit.before
    return keys


def _stages_again(plan: Plan, rerun: str | None) -> set[str]:
    """Return the keys of stages that are trained although they are done, and of those that start from them."""
    again = {key for key, node in plan.stages.items() if rerun == "all" or (rerun == "stale" and node.stale)}
    for key, node in plan.stages.items():  # a stage stands after the one it starts from
        if node.unit.before in again:
            again.add(key)
    return again


def _given_up(trial: PlannedTrial, rerun: str | None) -> bool:
    # Nothing was wrong with a unit that was killed, whose files changed, or that lacked the weights of the stage before:
    # it is tried again without being asked.
    status = trial.status
    blameless = status is not None and (status.kind in {"killed", "changed", "cleaned"} or _lacked_weights(status))
    return trial.state == "failed" and rerun != "failed" and not blameless


def _lacked_weights(status: Status) -> bool:
    """Return True for a failure by weights that were cleaned away, as earlier versions recorded it."""
    message = status.message or ""
    return message.startswith("FileNotFoundError") and message.rstrip("'").endswith("checkpoint.pt")


def starts_from(unit: Unit) -> str | None:
    """Return the key of the stage whose weights a unit reads; None: of none."""
    return unit.before if unit.kind == "stage" else unit.stage


def _distinct(trials: Sequence[PlannedTrial]) -> list[PlannedTrial]:
    """Return each trial once: two arms may be the same (λ of a scheme that has none), and want different scores."""
    merged: dict[str, PlannedTrial] = {}
    for trial in trials:
        first = merged.setdefault(trial.unit.key, trial)
        if first is not trial:
            present = {e.key for e in first.unit.wanted}
            more = tuple(e for e in trial.unit.wanted if e.key not in present)
            # A copy: the evaluations that each arm wants stay its own in plan.json.
            merged[trial.unit.key] = replace(
                first,
                unit=first.unit.model_copy(update={"wanted": (*first.unit.wanted, *more)}),
                missing=(*first.missing, *(key for key in trial.missing if key not in first.missing)),
                changes=first.changes or trial.changes,
            )
    return list(merged.values())


def unscored(items: Sequence[Any], plan: Plan) -> list[Unit]:
    """Return the units to run, without the scores that their trials have: nobody reads the images of these."""
    missing: dict[str, set[str]] = {}
    for trial in plan.trials:  # two arms may be one trial
        missing.setdefault(trial.unit.key, set()).update(trial.missing)
    units: list[Unit] = []
    for item in items:
        unit = item.unit
        if unit.kind == "evaluate" and not item.again:
            unit = unit.model_copy(update={"wanted": tuple(e for e in unit.wanted if e.key in missing[unit.key])})
        units.append(unit)
    return units
