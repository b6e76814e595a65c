"""Running a plan: hands ready units to an executor until none is left, and reports their progress to listeners."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from drnbench import streams
from drnbench.config.keys import short
from drnbench.errors import DamageWarning, UnitError
from drnbench.execution.base import Event, Executor
from drnbench.execution.worker import FULL
from drnbench.planning import Plan
from drnbench.session.endings import RETRIES, final_status, retry, tail
from drnbench.session.items import Item, Queue, State, starts_from, todo
from drnbench.session.listener import Listener, Outcome, Source
from drnbench.session.recording import remove_result, set_damage_aside
from drnbench.store import Status, Store, is_disk_full, is_scored
from drnbench.store.files import sync
from drnbench.store.integrity import compare, set_aside
from drnbench.store.leases import BEAT_S, Leases, leased
from drnbench.store.unit_files import CHECKPOINT

POLL_S = 0.5
"""Seconds that the executor waits for an event."""
NAMED = 3
"""Units of other processes that are named while this one waits for them."""
CLEANED = "the weights that it starts from were removed while it ran"
"""Message of a unit that could not read them, and waits until they are made again."""
GRACE_S = 30.0
"""Seconds that a unit which ran out of time has to finish its step and save, before its process is killed."""


class Coordinator:
    """Runs the units that a plan has left.

    Each unit runs under a lease (`drnbench.store.leases`), so two coordinators on one store share the work and never do
    the same twice. The store may change at any time, by another coordinator or by `clean`: what the plan says of a unit
    is looked up again before it is acted on.

    Args:
        plan: the plan, whose results are in `store`.
        executor: closed at the end.
        rerun: as in `todo`.
        time_limit: seconds that a unit may run; then it saves, ends, and has failed with kind `timeout`. None: no limit.
        source: names units beside those of the plan.
        waiting: called twice a second with a line on the processes that this one waits for; "": it waits for none.
        nothing_waits: called once, when a slot is free and everything that is left runs.
    """

    def __init__(
        self, plan: Plan, store: Store, executor: Executor, listeners: list[Listener],
        rerun: str | None = None, fail_fast: bool = False, time_limit: float | None = None,
        source: Source | None = None, waiting: Callable[[str], None] = lambda line: None,  # noqa: ARG005
        nothing_waits: Callable[[], None] | None = None,
    ) -> None:  # fmt: skip
        self._store, self._executor, self._listeners, self._source = store, executor, listeners, source
        self._fail_fast, self._time_limit = fail_fast, time_limit
        items = todo(plan, rerun)
        self._queue = Queue(items)
        self._planned, self._stages = frozenset(item.unit.key for item in items), plan.stages
        self._stored = {key for key, node in plan.stages.items() if node.state == "done"}
        failed = {key for key, node in plan.stages.items() if node.state == "failed"}
        failed |= {trial.unit.key for trial in plan.trials if trial.state == "failed"}
        self._before = {
            item.unit.key: store.status(store.folder(item.unit))
            for item in items
            if rerun is not None or item.unit.key in failed
        }
        self._leases, self._checked = Leases(), 0.0
        self._waiting, self._taken, self._nothing_waits = waiting, list[Item](), nothing_waits
        self._outcome = Outcome()
        # The name of a status is on the disk a moment later, and no unit waits for it.
        self._syncer = ThreadPoolExecutor(1, thread_name_prefix="sync")

    def run(self) -> Outcome:
        """Run until nothing is left. The first Ctrl-C lets workers checkpoint, the second ends them at once.

        Raises:
            OSError: the machine or the display failed; what ran was saved.
        """
        with self._leases:
            try:
                self._need(self._queue.waiting)
                self._loop()
            except KeyboardInterrupt:
                self._interrupt()
            except (
                OSError,
                UnitError,
            ):  # no more files or processes, a folder that was closed, an output that nobody reads
                self._interrupt()
                raise
            finally:
                self._executor.close()
                self._syncer.shutdown()
        return self._outcome

    def _loop(self) -> None:
        while (more := self._refill()) or self._queue:
            self._submit()
            left = len(self._queue.active)
            if self._nothing_waits and not more and not self._queue.waiting and 0 < left < self._executor.slots:
                self._nothing_waits()
                self._nothing_waits = None
            self._waiting("" if self._queue.active else self._holders())
            self._handle(self._executor.events(POLL_S))
            self._check()

    def _interrupt(self) -> None:
        self._outcome.interrupted = True
        self._queue.drop_waiting()
        try:
            if self._queue.active and streams.has_reader():  # not after `| head`
                streams.say("stopping: what runs is saved first; Ctrl-C again ends it at once")
            self._executor.stop()
            while self._queue.active:
                self._handle(self._executor.events(POLL_S))
        except KeyboardInterrupt:
            self._outcome.hurried = True

    def _refill(self) -> bool:
        """Take further units from the source; return True if more may come."""
        if self._source is None or self._outcome.full or (self._fail_fast and self._outcome.failed):
            return False
        open_keys = {*self._queue.active, *(item.unit.key for item in self._queue.waiting)}
        units = self._source.more(open_keys, self._executor.slots - len(self._queue.active))
        items = [Item(unit, label, None, (-1, n), again=False) for n, (unit, label) in enumerate(units)]
        for item in items:
            self._queue.add(item)
        if items:
            self._need(items)
        return not self._source.finished

    def _need(self, items: Iterable[Item]) -> None:
        """Announce the units that these items read or make, so that `clean` leaves them alone."""
        keys = {key for item in items for key in (item.unit.key, starts_from(item.unit)) if key is not None}
        self._leases.need(self._store.root, keys)

    # --- waiting -> running

    def _submit(self) -> None:
        room, self._taken = self._executor.slots - len(self._queue.active), []
        for item in list(self._queue.waiting) if room > 0 else ():
            if room <= 0:
                return
            needed = self._state(item.needs)
            if needed in {State.FAILED, State.INTERRUPTED}:
                self._queue.move(item, needed)
            elif needed is State.DONE and not self._lacks_weights(item) and self._claim(item):
                self._start(item)
                room -= 1

    def _state(self, key: str | None) -> State:
        """Return the state of a stage that an item needs."""
        if key is None:
            return State.DONE
        if (item := self._queue.get(key)) is not None:
            return item.state
        return State.DONE if key in self._stored else State.WAITING

    def _lacks_weights(self, item: Item) -> bool:
        """Return True where the weights that an item starts from were cleaned away: their stage is queued again."""
        key, own = starts_from(item.unit), self._store.folder(item.unit) / "checkpoint.pt"
        if key is None or (self._store.stage(key) / "checkpoint.pt").exists():
            return False
        if (own.exists() and not item.again) or self._is_complete(item):  # it goes on from its own, or is done
            return False
        stage = self._queue.get(key)
        if stage is None and key in self._stages:
            node = self._stages[key]
            stage = Item(node.unit, node.label, node.unit.before, (0, 0), again=False)
            self._queue.add(stage)
            self._planned |= {key}
            self._need([stage])
        if stage is None or (stage.state is State.DONE and stage.tries > RETRIES):
            return False  # of a search, which hands out what it lacks; or removed whenever it was made
        if stage.state is State.DONE:
            self._queue.move(stage, State.WAITING)
            stage.again = False
        item.needs = key
        return True

    def _claim(self, item: Item) -> bool:
        """Take the lease of an item that is to run now; False where another coordinator has it, or has done the unit."""
        folder = self._store.folder(item.unit)
        running = self._store.state(folder) == "running"
        if running or not self._leases.claim(folder):
            if running:
                leased(folder)  # a lease that its holder left is watched from now on, too
            self._taken.append(item)  # another coordinator has it, or its worker is just dying: tried again soon
            return False
        again = item.again and not item.tries
        if not again:
            set_damage_aside(self._store, folder)
        state = self._state_elsewhere(item)  # only now: the holder before may have done it
        if state is not None:
            self._leases.release(folder)
            self._queue.move(item, state)
            return False
        if again:
            remove_result(folder)
        return True

    def _holders(self) -> str:
        """Return a line on the processes that have what is left to do; "" where there are none."""
        parts = [
            f"{self._holder(item)}, which has {item.label} ({short(item.unit.key)})" for item in self._taken[:NAMED]
        ]
        more = [f"and {len(self._taken) - NAMED} more units"] * (len(self._taken) > NAMED)
        return "waiting for " + "; ".join(parts + more) if parts else ""

    def _holder(self, item: Item) -> str:
        return str(self._store.worker(self._store.folder(item.unit)) or "another process")

    def _state_elsewhere(self, item: Item) -> State | None:
        """Return the state of an item that another coordinator has brought to an end; None where it is to run."""
        state, status = self._store.look(self._store.folder(item.unit))
        changed = status is not None and status != self._before.get(item.unit.key)
        if (changed or not item.again or item.tries) and self._is_complete(item):
            return State.DONE
        if changed and status and state == "failed" and not item.tries and item.unit.key in self._planned:
            again = retry(replace(item, tries=1), status)
            if again is None:
                self._note_failure(item, status)
                return State.FAILED
            item.unit = again
        return None

    def _is_complete(self, item: Item) -> bool:
        state, status = self._store.look(self._store.folder(item.unit))
        if item.unit.kind == "evaluate":
            return state == "done" and is_scored(item.unit.wanted, status)
        # A stage without its checkpoint was cleaned; units that wait for it need its weights.
        folder = self._store.folder(item.unit)
        return state == "done" and ((folder / "checkpoint.pt").exists() or not self._is_awaited(item.unit.key))

    def _is_awaited(self, stage: str) -> bool:
        """Return True if a unit that is not complete starts from a stage."""
        waiting = (item for item in self._queue.waiting if starts_from(item.unit) == stage)
        return stage not in self._planned or any(item.again or not self._is_complete(item) for item in waiting)

    def _start(self, item: Item) -> None:
        self._queue.move(item, State.RUNNING)
        item.tries, item.started = item.tries + 1, time.monotonic()
        try:
            self._executor.submit(item.unit)
        except BaseException:  # Ctrl-C, as a rule: the first process takes seconds to start
            self._queue.move(item, State.WAITING)
            self._leases.release(self._store.folder(item.unit))
            raise
        for listener in self._listeners:
            listener.started(item.unit, item.label)

    # --- running -> overtime, taken over

    def _check(self) -> None:
        """Look every few seconds whether a unit ran out of time, or was taken over while this machine slept."""
        now = time.monotonic()
        if now - self._checked < BEAT_S / 5:
            return
        self._checked = now
        if self._time_limit is not None:
            self._check_time(now, self._time_limit)
        self._check_leases(self._leases.lost())

    def _check_time(self, now: float, limit: float) -> None:
        for item in self._queue.running():
            overtime = now - item.started - limit
            if overtime > GRACE_S and item.state is State.OVERTIME:
                self._executor.kill(item.unit.key)
            elif overtime > 0 and item.state is State.RUNNING:
                self._queue.move(item, State.OVERTIME)
                self._executor.stop(item.unit.key)

    def _check_leases(self, lost: Iterable[Path]) -> None:
        folders = set(lost)
        for item in self._queue.running() if folders else ():
            if self._store.folder(item.unit) in folders:
                self._queue.move(item, State.TAKEN_OVER)
                self._executor.kill(item.unit.key)

    # --- running -> done, failed, or waiting again

    def _handle(self, events: list[Event]) -> None:
        for event in events:
            item = self._queue.active.get(event.key)
            if item is None:
                continue  # of a unit whose start was interrupted
            if event.kind == "ended":
                self._end(item, event.payload.get("exitcode"))
                continue
            if "damaged" in event.payload:
                warnings.warn(DamageWarning(event.payload["damaged"]), stacklevel=2)
                continue
            for listener in self._listeners:
                listener.message(item.unit, item.label, event.payload)

    def _end(self, item: Item, exitcode: int | None) -> None:
        folder, unit = self._store.folder(item.unit), item.unit
        if item.state is State.TAKEN_OVER:  # it is another coordinator's now, its folder too
            self._leases.release(folder)
            self._queue.move(item, State.WAITING)
            return
        status = self._final_status(item, folder, exitcode)
        self._syncer.submit(sync, [folder])
        ending = self._outcome.interrupted or self._outcome.full
        again = None if ending else retry(item, status)
        key = starts_from(unit)
        if status.kind == "damaged" and key is not None and not ending:
            self._set_weights_aside(key)
        if status.state == "failed" and again is None and item.tries <= RETRIES and self._lacks_weights(item):
            message = status.message if status.kind == "damaged" else CLEANED
            status = replace(status, state="interrupted", kind="cleaned", message=message)
            self._store.write_status(folder, status)
            again = None if ending else unit
        elif status.kind == "damaged" and key not in self._stages:  # of a search, which hands out what it lacks
            status = replace(status, state="interrupted")
            self._store.write_status(folder, status)
        self._leases.release(folder)
        if again is not None:
            item.unit = again
            self._queue.move(item, State.WAITING)
            status = replace(status, state="interrupted", message=f"{status.message}; it runs again")
        else:
            self._leases.release(folder)
            self._settle(item, status)
        lines = tail(folder / "log.txt") if status.state == "failed" else []
        for listener in self._listeners:
            listener.ended(unit, item.label, status, lines)

    def _set_weights_aside(self, key: str) -> None:
        """Set the checkpoint of a stage aside that an item could not load, unless another coordinator has the stage."""
        folder = self._store.stage(key)
        if not self._leases.claim(folder):
            return
        status = self._store.status(folder)
        expected = status.files.get(CHECKPOINT) if status is not None else None
        if expected is None or compare(folder / CHECKPOINT, expected) is not None:
            set_aside(folder / CHECKPOINT)
        self._leases.release(folder)

    def _final_status(self, item: Item, folder: Path, exitcode: int | None) -> Status:
        stored = self._store.status(folder)
        status = final_status(item, stored, exitcode, self._time_limit)
        if exitcode == FULL:
            self._outcome.full = True
        if status is stored or exitcode == FULL:
            return status
        try:
            self._store.write_status(folder, status)
        except OSError as error:
            if not is_disk_full(error, self._store.root):
                raise
            self._outcome.full = True
        return status

    def _settle(self, item: Item, status: Status) -> None:
        """Count a unit that is not run again, and end the run where nothing else may start."""
        if status.state == "done":
            self._queue.move(item, State.DONE)
            if item.unit.kind == "stage":
                self._outcome.trained += 1
            else:
                self._outcome.scored += 1
            return
        self._queue.move(item, State.FAILED if status.state == "failed" else State.INTERRUPTED)
        full, failed = self._outcome.full, status.state == "failed"
        if failed and not full:
            self._note_failure(item, status)
        if full or (failed and self._fail_fast):
            self._queue.drop_waiting()
            self._executor.stop()

    def _note_failure(self, item: Item, status: Status) -> None:
        self._outcome.failed.append(f"{item.label} ({short(item.unit.key)}): {status.kind}: {status.message}")
