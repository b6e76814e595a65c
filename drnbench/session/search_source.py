"""Candidates as work for the coordinator: as many at once as there are slots, each with one seed after the other."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from drnbench.config.search import VALIDATION, Median
from drnbench.config.units import StageUnit, Unit
from drnbench.errors import UnitError, UsageError
from drnbench.planning.keys import Keys
from drnbench.search import measure, record
from drnbench.search.engine import Candidate, Engine
from drnbench.search.measure import Run
from drnbench.search.resolve import Settled
from drnbench.session.recording import record_trial
from drnbench.store import Status, Store, is_scored


@dataclass
class _Active:
    candidate: Candidate
    runs: list[Run]
    label: str
    hopeless: bool = False
    leaving: str | None = None
    given: str | None = None
    read: set[str] = field(default_factory=set)


class Searcher:
    """Asks for candidates while there is room, watches them train, and tells what they scored.

    The store says what a unit became, so a search that is taken up again finds what the killed one had trained.

    Args:
        name: of the search in its journal, from `settle.signature`.
        slots: how many candidates go on at once.
        stop: asks a running unit to save and leave.
        say: told in a line how each candidate ended.
        rerun: "failed" tries candidates again that failed before.
        spare: told the units of a candidate that was given up.

    """

    def __init__(
        self, made: Settled, name: str, store: Store, slots: int, stop: Callable[[str], None], say: Callable[[str], None],
        rerun: str | None = None, spare: Callable[[Sequence[Unit]], None] = lambda units: None,  # noqa: ARG005
    ) -> None:  # fmt: skip
        self.engine = open_engine(made, name, store, retry=rerun == "failed")
        self._made, self._name, self._store, self._slots, self._stop, self._say = made, name, store, slots, stop, say
        self._rerun, self._spare = rerun, spare
        self._keys = Keys(store.cache)
        self._active: list[_Active] = []
        self._given: set[str] = set()
        self._stages: set[str] = set()
        self._trials: set[str] = set()
        self.failed = [
            self._failure(one) for one in self.engine.candidates if one.state == "failed" and not _answer(one)
        ]
        self.write()

    @property
    def finished(self) -> bool:
        """Whether nothing is left to ask or to wait for."""
        return not self._active and self.engine.finished

    def write(self) -> dict[str, Any]:
        """Write search.json."""
        return record.write(self._made, self.engine, self._name, self._store, self._stages, self._trials)

    def more(self, held: Collection[str], room: int) -> list[tuple[Unit, str]]:
        """Return units to run now.

        Args:
            held: keys of units that wait or run.
            room: how many more may start.

        """
        busy, out = set(held), list[tuple[Unit, str]]()
        for active in list(self._active):
            self._advance(active, busy, out)
        while len(out) < room and len(self._active) < self._slots and (found := self.engine.ask()) is not None:
            started = self._start(found)
            if started is not None:
                self._active.append(started)
                self._advance(started, busy, out)
        for active in self._active:  # whoever waits for a stage that another trains looks ahead to its later seeds
            if len(out) >= room:
                break
            self._ahead(active, busy, out)
        return out

    # --- the listener's side

    def started(self, unit: Unit, label: str) -> None:
        """See `Listener`."""

    def message(self, unit: Unit, label: str, payload: dict[str, Any]) -> None:  # noqa: ARG002
        """See `Listener`: validation PSNR may show that a candidate is hopeless."""
        if not isinstance(unit, StageUnit) or "step" not in payload:
            return
        values = [v for k, v in payload.items() if measure.watched(k, unit, self._kernel)]
        for active in self._active if values else ():
            self._report(active, unit, [(payload["step"], values[0])])

    def ended(self, unit: Unit, label: str, status: Status, tail: Any = ()) -> None:
        """See `Listener`: what became of a unit is read from the store."""

    # --- a candidate's way

    @property
    def _kernel(self) -> str | None:
        median, first = self._made.search.find(Median), self._made.search.objectives[0]
        return (median.kernel if median else None) or (
            first.kernel if first.what == VALIDATION or first.source else None
        )

    def _start(self, one: Candidate) -> _Active | None:
        """Make a candidate's units; one whose trial cannot be made has failed."""
        label = self._called(one)
        try:
            runs = [self._run(one, seed) for seed in range(self._made.search.seeds)]
        except UsageError as error:
            self._fail(one, f"error: {error}")
            return None
        return _Active(one, runs, label)

    def _called(self, one: Candidate) -> str:
        # Numbers of the journal have gaps, where the sampler named a point again.
        return f"candidate {self.engine.candidates.index(one)}" if one.number >= 0 else "default in search"

    def _run(self, one: Candidate, seed: int) -> Run:
        made = make_run(self._made, self._keys, one.values, seed)
        self._stages |= {stage.key for stage in made.stages}
        self._trials |= {made.unit.key} if made.unit else set()
        return made

    def _advance(self, active: _Active, busy: set[str], out: list[tuple[Unit, str]]) -> None:
        """Take a candidate as far as the store allows: to its next unit, to its next seed, to its end."""
        one = active.candidate
        while one.state == "running":
            run = active.runs[len(one.scores)]
            unit = self._next(active, run)
            if active.hopeless:
                if active.leaving in busy:
                    return  # it is saving
                self._pruned(unit)
                self.engine.prune(one)
                self._spare([unit for run in active.runs for unit in run.units])
            elif unit is None:
                try:
                    self.engine.scored(one, *measure.scores(run, self._made.search.objectives, self._store))
                except UnitError as error:
                    self._fail(one, f"error: {error}")
            elif unit.key in busy or self._give(active, unit, busy, out):
                return
        self._active.remove(active)
        self._tell(one, active.label)

    def _give(self, active: _Active, unit: Unit, busy: set[str], out: list[tuple[Unit, str]]) -> bool:
        """Hand a unit out; False where it has failed for good, and the candidate with it."""
        folder = self._store.folder(unit)
        status, state = self._store.status(folder), self._store.state(folder)
        if state == "failed" and status is not None:
            killed = status.kind in {"killed", "timeout"} and unit.key not in self._given
            if not killed and (unit.key in self._given or self._rerun != "failed"):
                self._fail(active.candidate, f"{status.kind}: {status.message}")
                return False
        seed = f", seed {unit.seed}"
        what = unit.stage.name if isinstance(unit, StageUnit) else "score"
        if not isinstance(unit, StageUnit):
            self._describe(active, unit)
        busy.add(unit.key)
        self._given.add(unit.key)
        active.given = unit.key
        out.append((unit, f"{what} · {active.label}{seed}"))
        return True

    def _ahead(self, active: _Active, busy: set[str], out: list[tuple[Unit, str]]) -> None:
        """Give a candidate that waits for another's stage a shared stage of a later seed."""
        at = len(active.candidate.scores)
        first = self._next(active, active.runs[at])
        if active.hopeless or first is None or first.key not in busy or active.given in busy:
            return
        for run in active.runs[at + 1 :]:
            unit = self._next(active, run)
            if isinstance(unit, StageUnit) and unit.key not in busy and self._shared(active, unit):
                self._give(active, unit, busy, out)
                return

    def _reach(self, active: _Active) -> set[str]:
        return {stage.key for run in active.runs for stage in run.stages}

    def _shared(self, active: _Active, unit: Unit) -> bool:
        return any(unit.key in self._reach(other) for other in self._active if other is not active)

    def _next(self, active: _Active, run: Run) -> Unit | None:
        """Return the first unit of a run that is not done; None where all is."""
        if run.unit is not None and is_scored(run.unit, self._store.status(self._store.folder(run.unit))):
            return None
        done = -1
        for n, stage in enumerate(run.stages):
            folder = self._store.folder(stage)
            whole = self._store.state(folder) == "done"
            # The checkpoint of an earlier stage is only wanted where a later one starts.
            if whole and ((folder / "checkpoint.pt").exists() or (run.unit is None and stage is run.stages[-1])):
                done = n
                self._read(active, stage)
        if done + 1 < len(run.stages):
            return run.stages[done + 1]
        return run.unit

    # --- pruning

    def _read(self, active: _Active, stage: StageUnit) -> None:
        """Report the validations of a stage that is done, which another candidate or an earlier run may have trained."""
        here = [s.key for s in active.runs[min(len(active.candidate.scores), len(active.runs) - 1)].stages]
        if stage.key in here and stage.key not in active.read and self._made.search.find(Median):
            active.read.add(stage.key)
            self._report(active, stage, measure.validations(stage, self._kernel, self._store))

    def _report(self, active: _Active, unit: StageUnit, values: list[tuple[int, float]]) -> None:
        """Tell the pruner; a unit that nobody else wants is asked to save and leave."""
        at = len(active.candidate.scores)
        run = active.runs[min(at, len(active.runs) - 1)]
        keys = [stage.key for stage in run.stages]
        if active.hopeless or unit.key not in keys or active.candidate.state != "running":
            return
        before = at * run.steps + sum(stage.stage.steps for stage in run.stages[: keys.index(unit.key)])
        for step, value in values:
            if self.engine.report(active.candidate, before + step, value):
                active.hopeless = True
                if not self._shared(active, unit):
                    active.leaving = unit.key
                    self._stop(unit.key)
                return

    def _pruned(self, unit: Unit | None) -> None:
        """Say in a unit's status why it was left; it can be taken up again."""
        if unit is None:
            return
        folder = self._store.folder(unit)
        status = self._store.status(folder)
        if status is not None and status.state == "interrupted":
            status.kind, status.message = "pruned", "given up by the search"
            self._store.write_status(folder, status)

    # --- ends

    def _fail(self, one: Candidate, note: str) -> None:
        self.engine.fail(one, note)
        if not _answer(one):
            self.failed.append(self._failure(one))

    def _failure(self, one: Candidate) -> str:
        return f"{self._called(one)}, {self._made.label(one.values)}: {one.note}"

    def _tell(self, one: Candidate, label: str) -> None:
        self.write()
        best = self.engine.best()
        scored = ", ".join(
            f"{o.what} {v:.6g}" for o, v in zip(self._made.search.objectives, one.means or [], strict=False)
        )
        star = " (best so far)" if len(self._made.search.objectives) == 1 and one in best else ""
        told = f": {one.note}" if one.note else f": {scored}" if scored else ""
        self._say(f"{one.state} {label}, {self._made.label(one.values)}{told}{star}")

    def _describe(self, active: _Active, unit: Unit) -> None:
        """Write trial.json, as for the trials of a plan."""
        run = next(run for run in active.runs if run.unit is not None and run.unit.key == unit.key)
        record_trial(self._store, unit.key, [stage.key for stage in run.stages], run.trial)


def make_run(made: Settled, keys: Keys, values: dict[str, Any], seed: int) -> Run:
    """Return one seed of a candidate as units.

    Raises:
        UsageError: the values make no trial.

    """
    trial = made.trial(values, seed)
    where = f"{made.name}, candidate {made.label(values)}"
    stages = keys.stages(trial, where)
    return Run(trial, tuple(stages), keys.evaluation(trial, stages, where) if made.evaluations else None)


def expected(made: Settled, keys: Keys, candidates: int) -> tuple[list[Unit], frozenset[str]]:
    """Return about the units that so many candidates take, and the keys of those that all candidates share.

    A stage is shared where the ends of the space do not tell it apart.
    """
    ends = [{path: one.ends[end] for path, one in made.search.space.items()} for end in (0, 1)]
    seeds = range(made.search.seeds)
    try:
        runs = [[make_run(made, keys, values, seed) for values in ends] for seed in seeds]
    except UsageError:  # such a candidate will fail by itself
        units = [unit for seed in seeds for unit in make_run(made, keys, {}, seed).units]
        return list(units) * candidates, frozenset()
    low = [unit for first, _ in runs for unit in first.units]
    shared = frozenset(u.key for u in low) & {unit.key for _, last in runs for unit in last.units}
    own = [unit for unit in low if unit.key not in shared]
    return [unit for unit in low if unit.key in shared] + own * candidates, shared


def open_engine(made: Settled, name: str, store: Store, *, retry: bool = False) -> Engine:
    """Open a study's journal."""
    steps = sum(stage.steps for stage in made.base.stages) * made.search.seeds
    return Engine(made.search, name, record.journal(store, made.name), made.study.baseline, steps, retry)


def _answer(one: Candidate) -> bool:
    """Whether a candidate failed by what it is: settings that diverge are an answer, anything else is somebody's fault."""
    return (one.note or "").startswith(("diverged", "a score is not finite"))
