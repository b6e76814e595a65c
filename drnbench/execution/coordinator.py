"""Running a plan: hands ready units to an executor until nothing is left, and tells what happened."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from drnbench.execution.base import Event, Executor
from drnbench.plan import Plan, PlannedTrial
from drnbench.store import Status, Store, write_json
from drnbench.trial import short
from drnbench.units import EvaluateUnit, Unit

RETRIES = 2
"""A unit whose process was killed is tried again this often; one that failed by itself is not."""
POLL_S = 0.5


class Listener(Protocol):
    """Whoever wants to know what goes on: the progress display, the MLflow mirror."""

    def started(self, unit: Unit, label: str) -> None:
        """A unit was handed to the executor."""

    def message(self, unit: Unit, label: str, payload: dict[str, Any]) -> None:
        """A worker reports progress."""

    def ended(self, unit: Unit, label: str, status: Status) -> None:
        """A unit is done, failed or interrupted."""


@dataclass
class Outcome:
    """How a run ended.

    Attributes:
        trained: stages trained now. scored: trials scored now.
        failed: labels of units that failed, with the reason. interrupted: whether Ctrl-C ended it.

    """

    trained: int = 0
    scored: int = 0
    failed: list[str] = field(default_factory=list)
    interrupted: bool = False


@dataclass
class _Item:
    unit: Unit
    label: str
    needs: str | None
    rank: tuple[int, int]
    again: bool
    tries: int = 0


class Coordinator:
    """Runs what a plan has left.

    Args:
        rerun: "failed" also tries again what failed before; "stale" what other numeric code made; "all" everything.
        fail_fast: stop at the first failure.

    """

    def __init__(
        self, plan: Plan, store: Store, executor: Executor, listeners: list[Listener],
        rerun: str | None = None, fail_fast: bool = False,
    ) -> None:  # fmt: skip
        self._plan, self._store, self._executor, self._listeners = plan, store, executor, listeners
        self._fail_fast = fail_fast
        self._outcome = Outcome()
        self._running: dict[str, _Item] = {}
        self._done = {key for key, node in plan.stages.items() if node.state == "done"}
        self._failed: set[str] = set()
        self._pending = todo(plan, rerun)
        self._done -= {item.unit.key for item in self._pending}
        for item in self._pending:
            if item.again:
                forget(self._folder(item.unit))

    def run(self) -> Outcome:
        """Run until nothing is left. The first Ctrl-C lets workers checkpoint, the second ends them at once."""
        try:
            self._loop()
        except KeyboardInterrupt:
            self._outcome.interrupted = True
            self._pending = []
            self._executor.stop()
            try:
                while self._running:
                    self._handle(self._executor.events(POLL_S))
            except KeyboardInterrupt:
                pass
        finally:
            self._executor.close()
        return self._outcome

    def _loop(self) -> None:
        while self._pending or self._running:
            self._submit()
            self._handle(self._executor.events(POLL_S))

    def _submit(self) -> None:
        for item in sorted(self._pending, key=lambda item: item.rank):
            if len(self._running) >= self._executor.slots:
                return
            if item.needs in self._failed:
                self._pending.remove(item)
                self._failed.add(item.unit.key)
                continue
            if item.needs is not None and item.needs not in self._done:
                continue
            folder = self._folder(item.unit)
            state = self._store.state(folder)
            if state == "running":
                continue  # another coordinator has it, or its worker is just dying: look again soon
            if state == "done" and (item.unit.kind == "stage" or finished(item.unit, self._store.status(folder))):
                self._pending.remove(item)
                self._done.add(item.unit.key)
                continue
            self._pending.remove(item)
            self._running[item.unit.key] = item
            item.tries += 1
            self._executor.submit(item.unit)
            for listener in self._listeners:
                listener.started(item.unit, item.label)

    def _handle(self, events: list[Event]) -> None:
        for event in events:
            item = self._running[event.key]
            if event.kind == "message":
                for listener in self._listeners:
                    listener.message(item.unit, item.label, event.payload)
                continue
            del self._running[event.key]
            self._end(item, event.payload.get("exitcode"))

    def _end(self, item: _Item, exitcode: int | None) -> None:
        folder = self._folder(item.unit)
        status = self._store.status(folder)
        if status is None or status.state == "running":
            signal = f"signal {-exitcode}" if exitcode and exitcode < 0 else f"exit code {exitcode}"
            evaluations = status.evaluations if status else []
            status = Status(
                "failed", kind="killed", message=f"the process was ended by {signal}", evaluations=evaluations
            )
            self._store.write_status(folder, status)
            if item.tries <= RETRIES and not self._outcome.interrupted:
                self._pending.append(item)
        retrying = item in self._pending
        if status.state == "done":
            self._done.add(item.unit.key)
            if item.unit.kind == "stage":
                self._outcome.trained += 1
            else:
                self._outcome.scored += 1
        elif status.state == "failed" and not retrying:
            self._failed.add(item.unit.key)
            self._outcome.failed.append(f"{item.label} ({short(item.unit.key)}): {status.kind}: {status.message}")
            if self._fail_fast:
                self._pending = []
                self._executor.stop()
        for listener in self._listeners:
            listener.ended(item.unit, item.label, status)

    def _folder(self, unit: Unit) -> Path:
        return self._store.stage(unit.key) if unit.kind == "stage" else self._store.trial(unit.key)


def todo(plan: Plan, rerun: str | None) -> list[_Item]:
    """Return what has to run: missing scores, and the missing stages that they wait for.

    A stage whose trials are all scored is left alone, even when its checkpoint was cleaned away. Stages that several
    trials wait for go first, then scores (short, and seen at once), then the other stages.
    """
    redo = {key for key, node in plan.stages.items() if rerun == "all" or (rerun == "stale" and node.stale)}
    for key, node in plan.stages.items():  # a stage stands after the one it starts from
        if node.unit.before in redo:
            redo.add(key)
    needed: set[str] = set()
    scores: list[tuple[PlannedTrial, str | None, bool]] = []
    for trial in _distinct(plan.trials):
        again = rerun == "all" or bool(redo & set(trial.stages)) or (rerun == "stale" and trial.stale)
        given_up = trial.state == "failed" and rerun != "failed" and not _killed(trial.status)
        if not again and (not trial.missing or given_up):
            continue
        waits = list(
            itertools.takewhile(lambda key: key in redo or plan.stages[key].state != "done", trial.stages[::-1])
        )
        needed.update(waits)
        scores.append((trial, waits[0] if waits else None, again))
    items = []
    for i, (key, node) in enumerate(plan.stages.items()):
        if key in needed:
            before = node.unit.before if node.unit.before in needed else None
            items.append(_Item(node.unit, node.label, before, (0 if node.used_by > 1 else 2, i), key in redo))
    return items + [_Item(t.unit, f"score {t.label}", wait, (1, i), again) for i, (t, wait, again) in enumerate(scores)]


def _killed(status: Status | None) -> bool:
    # Nothing was wrong with the unit itself: trying again is right without being asked.
    return status is not None and status.kind == "killed"


def _distinct(trials: list[PlannedTrial]) -> list[PlannedTrial]:
    """Two arms may be the same trial (λ of a scheme that has none); one unit scores both, with what both want."""
    by_key: dict[str, PlannedTrial] = {}
    for trial in trials:
        known = by_key.setdefault(trial.unit.key, trial)
        if known is not trial:
            extra = tuple(e for e in trial.unit.wanted if e.key not in {w.key for w in known.unit.wanted})
            # A copy: what each arm wants stays its own in plan.json.
            by_key[trial.unit.key] = replace(
                known,
                unit=known.unit.model_copy(update={"wanted": (*known.unit.wanted, *extra)}),
                missing=(*known.missing, *(k for k in trial.missing if k not in known.missing)),
                stale=known.stale or trial.stale,
            )
    return list(by_key.values())


def finished(unit: EvaluateUnit, status: Status | None) -> bool:
    """Whether a trial has every evaluation that a unit wants."""
    return status is not None and {e.key for e in unit.wanted} <= set(status.evaluations)


def forget(folder: Path) -> None:
    """Take a unit's result away before it is made again: its status first, so that the rest never counts as done."""
    for name in ("status.json", "checkpoint.pt", "history.parquet", "per_image.parquet"):
        (folder / name).unlink(missing_ok=True)


def record(plan: Plan, store: Store) -> None:
    """Write plan.json and the trial.json of every trial."""
    write_json(store.study(plan.study.name) / "plan.json", plan.to_json())
    for trial in plan.trials:
        path = store.trial(trial.unit.key) / "trial.json"
        if not path.exists():
            write_json(
                path, {"key": trial.unit.key, "stages": trial.stages, "config": trial.trial.model_dump(mode="json")}
            )
