"""Candidates as units for the coordinator: as many at once as there are slots, each with its seeds in turn."""

from __future__ import annotations

import contextlib
import enum
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from drnbench.config.search import VALIDATION, Median
from drnbench.config.units import StageUnit, Unit
from drnbench.errors import UnitError, UsageError
from drnbench.planning.keys import Keys
from drnbench.search import measure, record
from drnbench.search.candidate import Candidate, State
from drnbench.search.engine import Engine
from drnbench.search.measure import Run, make_run
from drnbench.search.resolve import ResolvedSearch
from drnbench.session.recording import record_trial
from drnbench.store import Status, Store, is_scored
from drnbench.store.integrity import report


class Phase(enum.Enum):
    """The phase of a candidate that is tried; `Searcher._advance` takes it from one to the next.

    WORKING   its next unit waits, runs or is handed out; a seed is scored when all its units are done
       |  a validation shows that it is hopeless
    STOPPING  its running unit saves and leaves
       |  nothing of it runs any more, or its last seed is scored, or a unit failed for good
    ENDED     complete, pruned or failed
    """

    WORKING = enum.auto()
    STOPPING = enum.auto()
    ENDED = enum.auto()


@dataclass
class _Active:
    """A candidate that is tried.

    Attributes:
        runs: its units, by seed.
        leaving: key of the unit that is asked to save and leave.
        handed_out: key of the unit that was handed out last.
        reported: keys of the stages whose validations the pruner has.
    """

    candidate: Candidate
    runs: list[Run]
    label: str
    phase: Phase = Phase.WORKING
    leaving: str | None = None
    handed_out: str | None = None
    reported: set[str] = field(default_factory=set)

    @property
    def seed(self) -> int:
        """The position of the seed that is next to be scored."""
        return min(len(self.candidate.scores), len(self.runs) - 1)

    @property
    def run(self) -> Run:
        """The units of that seed."""
        return self.runs[self.seed]

    @property
    def stages(self) -> set[str]:
        """The keys of its stages, over all seeds."""
        return {stage.key for run in self.runs for stage in run.stages}


class Searcher:
    """Asks for candidates while there is room, watches them train, and records their scores.

    The store has the state of each unit, so a search that is taken up again uses the units that a killed run trained.

    Args:
        name: of the search in its journal, from `resolve.signature`.
        slots: candidates at once.
        stop: asks a running unit to save and leave.
        say: prints a line on the end of each candidate.
        rerun: "failed" tries candidates again that failed before.
        spare: takes the units of a candidate that was given up off the progress display.
    """

    def __init__(
        self, search: ResolvedSearch, name: str, store: Store, slots: int, stop: Callable[[str], None],
        say: Callable[[str], None], rerun: str | None = None,
        spare: Callable[[Sequence[Unit]], None] = lambda units: None,  # noqa: ARG005
    ) -> None:  # fmt: skip
        self.engine = open_engine(search, name, store, retry=rerun == "failed")
        self._search, self._objectives, self._name = search, search.search.objectives, name
        self._store, self._slots, self._rerun = store, slots, rerun
        self._stop, self._say, self._spare = stop, say, spare
        self._keys = Keys(store.cache)
        self._active: list[_Active] = []
        self._handed_out: set[str] = set()
        self._stages: set[str] = set()
        self._trials: set[str] = set()
        if record.read(store, search, name) is None:  # it was lost: `clean` must know what the candidates need
            for candidate in self.engine.candidates:
                with contextlib.suppress(UsageError):
                    self._runs(candidate)
        failed = (c for c in self.engine.candidates if c.state is State.FAILED and not c.diverged)
        self.failed = [self._failure(candidate) for candidate in failed]
        self.write()

    @property
    def finished(self) -> bool:
        """True when nothing is left to ask or to wait for."""
        return not self._active and self.engine.finished

    def write(self) -> dict[str, Any]:
        """Write search.json."""
        return record.write(self._search, self.engine, self._name, self._store, self._stages, self._trials)

    def more(self, active_keys: Collection[str], room: int) -> list[tuple[Unit, str]]:
        """See `Source`."""
        busy, out = set(active_keys), list[tuple[Unit, str]]()
        for active in list(self._active):
            self._advance(active, busy, out)
        while len(out) < room and len(self._active) < self._slots and (candidate := self.engine.ask()) is not None:
            started = self._start(candidate)
            if started is not None:
                self._active.append(started)
                self._advance(started, busy, out)
        for active in self._active:  # while another candidate trains a stage that this one needs
            if len(out) >= room:
                break
            self._look_ahead(active, busy, out)
        return out

    # --- as a listener

    def started(self, unit: Unit, label: str) -> None:
        """See `Listener`."""

    def message(self, unit: Unit, label: str, payload: dict[str, Any]) -> None:  # noqa: ARG002
        """See `Listener`: validation PSNR may show that a candidate is hopeless."""
        if not isinstance(unit, StageUnit) or "step" not in payload:
            return
        values = [value for name, value in payload.items() if measure.is_validation(name, unit, self._kernel)]
        for active in self._active if values else ():
            self._report(active, unit, [(payload["step"], values[0])])

    def ended(self, unit: Unit, label: str, status: Status, tail: Any = ()) -> None:
        """See `Listener`: the state of a unit is read from the store."""

    # --- phases of a candidate

    @property
    def _kernel(self) -> str | None:
        median, first = self._search.search.find(Median), self._objectives[0]
        validated = first.kernel if first.what == VALIDATION or first.source else None
        return (median.kernel if median else None) or validated

    def _start(self, candidate: Candidate) -> _Active | None:
        """Make a candidate's units; one whose trial cannot be made has failed."""
        try:
            runs = self._runs(candidate)
        except UsageError as error:
            self._fail(candidate, f"error: {error}")
            return None
        return _Active(candidate, runs, self._label(candidate))

    def _runs(self, candidate: Candidate) -> list[Run]:
        """Return the units of a candidate, by seed, and record that they are used."""
        runs = [make_run(self._search, self._keys, candidate.values, s) for s in range(self._search.search.seeds)]
        self._stages |= {stage.key for run in runs for stage in run.stages}
        self._trials |= {run.unit.key for run in runs if run.unit}
        return runs

    def _label(self, candidate: Candidate) -> str:
        # Numbers of the journal have gaps, where the sampler drew a point again.
        in_space = candidate.number >= 0
        return f"candidate {self.engine.candidates.index(candidate)}" if in_space else "default in search"

    def _advance(self, active: _Active, busy: set[str], out: list[tuple[Unit, str]]) -> None:
        """Take a candidate from phase to phase as far as the store allows."""
        while active.phase is not Phase.ENDED:
            waits = self._work(active, busy, out) if active.phase is Phase.WORKING else self._leave(active, busy)
            if waits:
                return
        self._active.remove(active)
        self._announce(active)

    def _work(self, active: _Active, busy: set[str], out: list[tuple[Unit, str]]) -> bool:
        """Hand out the next unit, or score the seed that is done; return True if the candidate has to wait."""
        unit = self._next(active, active.run)
        if active.phase is not Phase.WORKING:
            return False  # the validations of a stage that is done have shown that it is hopeless
        if unit is not None:
            return unit.key in busy or self._hand_out(active, unit, busy, out)
        try:
            values, images = measure.scores(active.run, self._objectives, self._store)
            if self.engine.scored(active.candidate, values, images):
                active.phase = Phase.ENDED
        except UnitError as error:
            self._fail(active.candidate, f"error: {error}")
            active.phase = Phase.ENDED
        return False

    def _leave(self, active: _Active, busy: set[str]) -> bool:
        """Give a hopeless candidate up once its unit has left; return True while that is saving."""
        if active.leaving in busy:
            return True
        self._mark_pruned(self._next(active, active.run))
        self.engine.prune(active.candidate)
        self._spare([unit for run in active.runs for unit in run.units])
        active.phase = Phase.ENDED
        return False

    def _hand_out(self, active: _Active, unit: Unit, busy: set[str], out: list[tuple[Unit, str]]) -> bool:
        """Hand a unit out; return False where it has failed for good, and the candidate with it."""
        folder = self._store.folder(unit)
        state, status = self._store.look(folder)
        if state == "failed" and status is not None:
            killed = status.kind in {"killed", "timeout", "changed"} and unit.key not in self._handed_out
            if not killed and (unit.key in self._handed_out or self._rerun != "failed"):
                self._fail(active.candidate, f"{status.kind}: {status.message}")
                active.phase = Phase.ENDED
                return False
        stage = unit.stage.name if isinstance(unit, StageUnit) else None
        if stage is None:
            run = next(run for run in active.runs if run.unit is not None and run.unit.key == unit.key)
            record_trial(self._store, unit.key, [s.key for s in run.stages], run.trial)
        busy.add(unit.key)
        self._handed_out.add(unit.key)
        active.handed_out = unit.key
        out.append((unit, f"{stage or 'score'} · {active.label}, seed {unit.seed}"))
        return True

    def _look_ahead(self, active: _Active, busy: set[str], out: list[tuple[Unit, str]]) -> None:
        """Give a candidate that waits for another's stage a shared stage of a later seed."""
        first = self._next(active, active.run)
        if active.phase is not Phase.WORKING or first is None or first.key not in busy or active.handed_out in busy:
            return
        for run in active.runs[active.seed + 1 :]:
            unit = self._next(active, run)
            if isinstance(unit, StageUnit) and unit.key not in busy and self._shared(active, unit):
                self._hand_out(active, unit, busy, out)
                return

    def _shared(self, active: _Active, unit: Unit) -> bool:
        return any(unit.key in other.stages for other in self._active if other is not active)

    def _next(self, active: _Active, run: Run) -> Unit | None:
        """Return the first unit of a run that is not done; None where all are."""
        if run.unit is not None and is_scored(run.unit.wanted, self._store.look(self._store.folder(run.unit))[1]):
            return None
        done = -1
        for n, stage in enumerate(run.stages):
            folder = self._store.folder(stage)
            whole = self._store.state(folder) == "done"
            # The checkpoint of a stage is only needed where a later unit starts from it.
            if whole and ((folder / "checkpoint.pt").exists() or (run.unit is None and stage is run.stages[-1])):
                done = n
                self._report_stage(active, stage)
        return run.stages[done + 1] if done + 1 < len(run.stages) else run.unit

    # --- pruning

    def _report_stage(self, active: _Active, stage: StageUnit) -> None:
        """Report the validations of a stage that is done, which another candidate or an earlier run may have trained."""
        current = {unit.key for unit in active.run.stages}
        if stage.key in current and stage.key not in active.reported and self._search.search.find(Median):
            active.reported.add(stage.key)
            self._report(active, stage, measure.validations(stage, self._kernel, self._store))

    def _report(self, active: _Active, unit: StageUnit, values: list[tuple[int, float]]) -> None:
        """Report validations to the pruner; a unit that no other candidate needs is asked to save and leave."""
        run, keys = active.run, [stage.key for stage in active.run.stages]
        if active.phase is not Phase.WORKING or unit.key not in keys or active.candidate.state is not State.RUNNING:
            return
        before = len(active.candidate.scores) * run.steps
        before += sum(stage.stage.steps for stage in run.stages[: keys.index(unit.key)])
        for step, value in values:
            if self.engine.report(active.candidate, before + step, value):
                active.phase = Phase.STOPPING
                if not self._shared(active, unit):
                    active.leaving = unit.key
                    self._stop(unit.key)
                return

    def _mark_pruned(self, unit: Unit | None) -> None:
        """Record the reason in the status of a unit that was left; it can be taken up again."""
        if unit is None:
            return
        folder = self._store.folder(unit)
        status = self._store.status(folder)
        if status is not None and status.state == "interrupted":
            status.kind, status.message = "pruned", "given up by the search"
            self._store.write_status(folder, status)

    # --- ends

    def _fail(self, candidate: Candidate, note: str) -> None:
        self.engine.fail(candidate, note)
        if not candidate.diverged:
            self.failed.append(self._failure(candidate))

    def _failure(self, candidate: Candidate) -> str:
        return f"{self._label(candidate)}, {self._search.label(candidate.values)}: {candidate.note}"

    def _announce(self, active: _Active) -> None:
        """Write search.json and print how a candidate ended."""
        self.write()
        candidate = active.candidate
        values = zip(self._objectives, candidate.means or [], strict=False)
        result = candidate.note or ", ".join(f"{objective.what} {value:.6g}" for objective, value in values)
        best = " (best so far)" if len(self._objectives) == 1 and candidate in self.engine.best() else ""
        label = f"{active.label}, {self._search.label(candidate.values)}"
        self._say(f"{candidate.state} {label}{': ' + result if result else ''}{best}")


def open_engine(search: ResolvedSearch, name: str, store: Store, *, retry: bool = False) -> Engine:
    """Open the journal of a search."""
    record.take_over(store, search, name)
    journal = record.journal(store, search.settings.location)
    if (fault := record.lost_journal(store, search.settings.location)) is not None:
        report(fault, "the search takes up the results in the store")
    steps = sum(stage.steps for stage in search.base.stages) * search.search.seeds
    return Engine(search.search, name, journal, search.study.baseline, steps, retry)
