"""Running a plan: hands ready units to an executor until nothing is left, and tells what happened."""

from __future__ import annotations

import itertools
import os
import sys
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from drnbench.config.keys import short
from drnbench.config.units import EvaluateUnit, Unit
from drnbench.execution.base import Event, Executor
from drnbench.execution.worker import FULL
from drnbench.planning import Plan, PlannedTrial
from drnbench.results.plan_record import write_plan
from drnbench.store import DISK_FULL, Status, Store, is_disk_full, write_json
from drnbench.store.leases import BEAT_S, Leases

RETRIES = 2
"""A unit whose process was killed is tried again this often; one that failed by itself is not."""
POLL_S = 0.5
TAIL = 8
"""Lines of its log that are shown when a unit fails."""
GRACE_S = 30.0
"""Seconds that a unit which ran out of time has to finish its step and save, before it is ended."""


class Listener(Protocol):
    """Whoever wants to know what goes on: the progress display, the MLflow mirror."""

    def started(self, unit: Unit, label: str) -> None:
        """A unit was handed to the executor."""

    def message(self, unit: Unit, label: str, payload: dict[str, Any]) -> None:
        """A worker reports progress."""

    def ended(self, unit: Unit, label: str, status: Status, tail: Sequence[str] = ()) -> None:
        """A unit is done, failed or interrupted (also where it runs again); `tail`: of its log, of one that failed."""


class Source(Protocol):
    """Whoever names more units while a run goes on, as an adaptive search does."""

    @property
    def finished(self) -> bool:
        """Whether it will name no more."""

    def more(self, held: Collection[str], room: int) -> Sequence[tuple[Unit, str]]:
        """Return at most `room` units with their labels, to run before all that waits.

        `held` are the keys of units that wait or run; of any other that it named, the store says what became of it.
        """


@dataclass
class Outcome:
    """How a run ended.

    Attributes:
        trained: stages trained now. scored: trials scored now.
        failed: labels of units that failed, with the reason. interrupted: whether Ctrl-C ended it.
        full: whether it ended because the disk is full; what is missing goes on when there is room.

    """

    trained: int = 0
    scored: int = 0
    failed: list[str] = field(default_factory=list)
    interrupted: bool = False
    full: bool = False


@dataclass
class _Item:
    unit: Unit
    label: str
    needs: str | None
    rank: tuple[int, int]
    again: bool
    tries: int = 0
    started: float = 0.0
    overtime: bool = False
    taken: bool = False


class Coordinator:
    """Runs what a plan has left.

    Each unit is run under a lease (`drnbench.store.leases`), so two coordinators on one store share the work and never do the
    same twice.

    Args:
        rerun: "failed" also tries again what failed before; "stale" what other numeric code made; "all" everything.
        fail_fast: stop at the first failure.
        time_limit: seconds that a unit may run; then it saves, ends, and has failed with kind `timeout`. None: no limit.
        source: names units beside those of the plan.

    """

    def __init__(
        self, plan: Plan, store: Store, executor: Executor, listeners: list[Listener],
        rerun: str | None = None, fail_fast: bool = False, time_limit: float | None = None,
        source: Source | None = None,
    ) -> None:  # fmt: skip
        self._source = source
        self._plan, self._store, self._executor, self._listeners = plan, store, executor, listeners
        self._fail_fast, self._time_limit = fail_fast, time_limit
        self._leases, self._looked = Leases(), 0.0
        self._outcome = Outcome()
        self._running: dict[str, _Item] = {}
        self._done = {key for key, node in plan.stages.items() if node.state == "done"}
        self._failed: set[str] = set()
        self._pending = todo(plan, rerun)
        self._done -= {item.unit.key for item in self._pending}

    def run(self) -> Outcome:
        """Run until nothing is left. The first Ctrl-C lets workers checkpoint, the second ends them at once."""
        with self._leases:
            try:
                self._loop()
            except KeyboardInterrupt:
                self._outcome.interrupted = True
                self._pending = []
                try:
                    if self._running:
                        print(
                            "stopping: what runs is saved first; Ctrl-C again ends it at once",
                            file=sys.stderr,
                            flush=True,
                        )
                    self._executor.stop()
                    while self._running:
                        self._handle(self._executor.events(POLL_S))
                except KeyboardInterrupt:
                    pass
            finally:
                self._executor.close()
        return self._outcome

    def _loop(self) -> None:
        while self._refill() or self._pending or self._running:
            self._submit()
            self._handle(self._executor.events(POLL_S))
            self._look()

    def _refill(self) -> bool:
        """Take what the source names now; return whether more may come of it."""
        if self._source is None or self._outcome.full or (self._fail_fast and self._outcome.failed):
            return False
        held = {item.unit.key for item in self._pending} | set(self._running)
        named = self._source.more(held, self._executor.slots - len(self._running))
        self._pending += [_Item(unit, label, None, (-1, n), again=False) for n, (unit, label) in enumerate(named)]
        return not self._source.finished

    def _look(self) -> None:
        """See every few seconds whether a unit runs out of time, or was taken over while this machine slept."""
        now = time.monotonic()
        if now - self._looked < BEAT_S / 5:
            return
        self._looked = now
        for item in self._running.values() if self._time_limit is not None else ():
            over = now - item.started - (self._time_limit or 0)
            if over > 0 and not item.overtime:
                item.overtime = True
                self._executor.stop(item.unit.key)
            elif over > GRACE_S:
                self._executor.kill(item.unit.key)
        lost = set(self._leases.lost())
        for item in self._running.values() if lost else ():
            if self._folder(item.unit) in lost and not item.taken:
                item.taken = True
                self._executor.kill(item.unit.key)

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
            folder, fresh = self._folder(item.unit), item.again and not item.tries
            if self._store.state(folder) == "running" or not self._leases.claim(folder):
                continue  # another coordinator has it, or its worker is just dying: look again soon
            # Only now: who had the lease before may have done it.
            state = self._store.state(folder)
            if not fresh and state == "done" and self._complete(item.unit, folder):
                self._leases.release(folder)
                self._pending.remove(item)
                self._done.add(item.unit.key)
                continue
            if fresh:
                forget(folder)
            self._pending.remove(item)
            self._running[item.unit.key] = item
            item.tries, item.started, item.overtime, item.taken = item.tries + 1, time.monotonic(), False, False
            try:
                self._executor.submit(item.unit)
            except BaseException:  # Ctrl-C, as a rule: the first process starts for seconds
                del self._running[item.unit.key]
                self._leases.release(folder)
                raise
            for listener in self._listeners:
                listener.started(item.unit, item.label)

    def _handle(self, events: list[Event]) -> None:
        for event in events:
            item = self._running.get(event.key)
            if item is None:
                continue  # of a unit whose start was interrupted
            if event.kind == "message":
                for listener in self._listeners:
                    listener.message(item.unit, item.label, event.payload)
                continue
            del self._running[event.key]
            self._end(item, event.payload.get("exitcode"))

    def _complete(self, unit: Unit, folder: Path) -> bool:
        # A stage without its checkpoint was cleaned; whoever waits for it wants its weights.
        if unit.kind == "stage":
            return (folder / "checkpoint.pt").exists()
        return finished(unit, self._store.status(folder))

    def _end(self, item: _Item, exitcode: int | None) -> None:
        folder = self._folder(item.unit)
        if item.taken:  # it is another coordinator's now, its folder too
            self._leases.release(folder)
            self._pending.append(item)
            return
        status = self._settled(item, folder, exitcode)
        retrying = self._retry(item, status)
        if retrying:
            self._pending.append(item)
        self._leases.release(folder)
        if status.state == "done":
            self._done.add(item.unit.key)
            if item.unit.kind == "stage":
                self._outcome.trained += 1
            else:
                self._outcome.scored += 1
        elif exitcode == FULL:
            self._outcome.full = True
            self._pending = []
            self._executor.stop()
        elif status.state == "failed" and not retrying:
            self._failed.add(item.unit.key)
            self._outcome.failed.append(f"{item.label} ({short(item.unit.key)}): {status.kind}: {status.message}")
            if self._fail_fast:
                self._pending = []
                self._executor.stop()
        if retrying:
            status = replace(status, state="interrupted", message=f"{status.message}; it runs again")
        tail = _tail(folder / "log.txt") if status.state == "failed" else []
        for listener in self._listeners:
            listener.ended(item.unit, item.label, status, tail)

    def _settled(self, item: _Item, folder: Path, exitcode: int | None) -> Status:
        """Return how a unit ended, and write it down where its worker could not."""
        status = self._store.status(folder)
        was, evaluations = status.state if status else "missing", status.evaluations if status else []
        if exitcode == FULL:
            return Status("interrupted", message=DISK_FULL, evaluations=evaluations)
        if item.overtime and was in {"running", "interrupted", "missing"}:
            told = (
                f"stopped after {self._time_limit:g} s, the time limit; what is done is saved: raise --time-limit and run with "
                "--rerun failed to go on"
            )
            status = Status("failed", kind="timeout", message=told, evaluations=evaluations)
        elif status is None or was == "running":
            signal = f"signal {-exitcode}" if exitcode and exitcode < 0 else f"exit code {exitcode}"
            told = f"the process was ended by {signal}"
            status = Status("failed", kind="killed", message=told, evaluations=evaluations)
        else:
            return status
        try:
            self._store.write_status(folder, status)
        except OSError as error:
            if not is_disk_full(error, self._store.root):
                raise
            self._outcome.full = True
        return status

    def _retry(self, item: _Item, status: Status) -> bool:
        """Whether to run a unit again: after a kill, and in smaller parts after an out-of-memory error if its stage says so."""
        if status.state != "failed" or self._outcome.interrupted or self._outcome.full:
            return False
        unit = item.unit
        if (
            status.kind == "oom"
            and unit.kind == "stage"
            and unit.stage.accumulate == "auto"
            and unit.split < unit.stage.batch
        ):
            item.unit = unit.model_copy(update={"split": min(2 * unit.split, unit.stage.batch)})
            return True
        return status.kind == "killed" and item.tries <= RETRIES

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


def _tail(log: Path) -> list[str]:
    """Return the last lines of a unit's log."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 8192))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return []
    return [line for line in lines if line.strip()][-TAIL:]


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
                code=known.code if known.stale else trial.code,
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
    write_plan(plan.record(), store)
    for trial in plan.trials:
        path = store.trial(trial.unit.key) / "trial.json"
        if not path.exists():
            write_json(
                path, {"key": trial.unit.key, "stages": trial.stages, "config": trial.trial.model_dump(mode="json")}
            )
