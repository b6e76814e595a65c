"""The units that a plan has left to run, each with its state and its place in the queue."""

from __future__ import annotations

import enum
import itertools
from collections.abc import Sequence
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
