"""Running a study: what is missing of it, its search before its grid, then its mirror and its report."""

from __future__ import annotations

import contextlib
import multiprocessing
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from drnbench import streams
from drnbench.config.keys import short
from drnbench.errors import UsageError
from drnbench.execution.base import Executor
from drnbench.outputs import on_demand
from drnbench.outputs.stored_report import Report, current, writing
from drnbench.parallel import clock
from drnbench.planning import Plan
from drnbench.planning.costs import Costs
from drnbench.planning.estimate import Estimate, estimate_run
from drnbench.planning.inputs import Inputs
from drnbench.planning.power import seeds_note
from drnbench.results.locations import planned, results_option
from drnbench.session.declared import Declared
from drnbench.session.items import Item, todo, unscored
from drnbench.session.recording import announce, record
from drnbench.session.request import Request
from drnbench.store import Store
from drnbench.store.environment import computes_bf16
from drnbench.store.leases import Leases
from drnbench.training.origin import edited
from drnbench.training.prepare import prepare

if TYPE_CHECKING:
    from drnbench.tracking import Mirror


@dataclass(frozen=True)
class Ended:
    """The end of the run of a study.

    Attributes:
        plan: as it is afterwards.
        report: what was written; None where the run was interrupted, or none was asked for.
        failed: units that failed now, a line each.
        failed_before: trials that failed in an earlier run and were not tried again, a line each.
        interrupted: Ctrl-C ended it; the same call goes on.

    """

    plan: Plan
    report: Report | None
    failed: list[str]
    failed_before: list[str]
    interrupted: bool = False

    @property
    def failures(self) -> list[str]:
        """A line for each unit that failed, now or before, and for each part of the report that could not be made."""
        return [*self.failed, *self.failed_before, *(self.report.failed if self.report else [])]


def run_study(declared: Declared, store: Store, request: Request) -> Ended:
    """Run what is missing of a study, mirror it, report it.

    Raises:
        UsageError: what cannot be run, and why; nothing was started. Or the disk is full.

    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        # A worker imports the script that started it, which would start the run again.
        raise UsageError("put what the script does under `if __name__ == '__main__':`")
    request.check()
    store.prepare()
    declared = replace(declared, inputs=Inputs(store.cache))  # every plan of this run is of the same files
    # A study that was never planned here has something to run.
    is_new = declared.settings.location not in planned(store)
    plan, rerun, failed = declared.plan(store, request.warm_up if is_new else None), request.rerun, []
    if declared.search is not None:
        # Optuna is imported where a study declares a search, and nowhere else.
        from drnbench.session.searching import run_search

        with Leases() as leases:
            leases.need(store.root, ())  # `clean` leaves the cache alone while it is made
            search = run_search(declared, plan, store, request)
        if search is None:
            return Ended(plan, None, [], [], interrupted=True)
        failed, rerun, plan = search, None if rerun == "failed" else rerun, declared.plan(store)
        record(plan, store)
    items = todo(plan, rerun)
    if not items:
        if declared.search is None:
            announce(plan, store)
        print(f"{declared.name}: nothing to train, everything is in {store.root}")
        return _finish(plan, store, request, failed)
    with Leases() as leases:
        leases.need(store.root, [item.unit.key for item in items])
        return _work(declared, plan, store, request, rerun, items, failed)


def _work(
    declared: Declared, plan: Plan, store: Store, request: Request, rerun: str | None, items: list[Item], failed: list[str]
) -> Ended:  # fmt: skip
    # A run with nothing to do imports neither the coordinator nor the mirror.
    from drnbench.session.execute import execute

    trained, scored, fresh, mirror = 0, 0, True, None
    while items:
        executor = request.open(store.root, len(items))
        with contextlib.closing(executor):
            if fresh and declared.search is None:
                announce(plan, store)  # only now: a run that is refused changes nothing
            _announce_work(declared, plan, store, items, executor)
            prepare(unscored(items, plan), store.cache)
            outcome, mirror = execute(plan, store, executor, [item.unit for item in items], request, rerun)
        failed += outcome.failed
        if outcome.interrupted:
            streams.say("interrupted; run the same command again to go on")
            return Ended(plan, None, failed, [], interrupted=True)
        trained, scored, fresh, rerun = trained + outcome.trained, scored + outcome.scored, False, None
        request = request if mirror else replace(request, tracking_uri="off")
        keys = plan.keys
        try:
            plan = declared.plan(store)
            record(plan, store)
        except BaseException:  # there is no report, and no other end
            _update_mirror(plan, store, request, mirror)
            raise
        # Further seeds, where the scores ask for them; what failed is not tried again by itself.
        more = plan.keys - keys if not (outcome.failed and request.fail_fast) else set()
        items = todo(plan, None) if more else []
        if plan.until and items:
            print(
                "adding seeds: " + "; ".join(f"{arm.arm}: {arm.reason}" for arm in plan.until.arms if arm.open),
                flush=True,
            )
    if notes := _note_changes(declared):
        plan.warnings += notes
        record(plan, store)
    print(f"trained {trained} stages, scored {scored} trials, {len(failed)} failed")
    return _finish(plan, store, request, failed, mirror)


def _note_changes(declared: Declared) -> list[str]:
    """Print and return notes on files that were edited while the study ran."""
    notes = []
    if files := declared.changed():
        notes.append(
            f"{', '.join(files)} changed while this ran: the report is of the plan that ran; run it again for the files of now"
        )
    if code := edited():
        notes.append(
            f"{', '.join(code)} changed while this ran: what this run computed is of the code as it was at its start, and "
            "counts as stale with the code of now"
        )
    for note in notes:
        print(f"note: {note}", flush=True)
    return notes


def duration(estimate: Estimate) -> str:
    """Return the time that a run will take, in a word or two."""
    unknown = estimate.unknown_stages + estimate.unknown_scores
    if unknown == len(estimate.tasks):
        return "unknown"
    return f"{'at least' if unknown else 'about'} {clock(estimate.parallel)}"


def _announce_work(declared: Declared, plan: Plan, store: Store, items: Sequence[Any], executor: Executor) -> None:
    stages = sum(item.unit.kind == "stage" for item in items)
    slots = min(executor.slots, len(items))
    queue = [(unit, item.needs, item.rank) for unit, item in zip(unscored(items, plan), items, strict=True)]
    time = duration(estimate_run(plan, Costs(store, executor.device), queue, slots))
    print(f"{declared.name}, {declared.settings.text}: {stages} stages to train, {len(items) - stages} trials to score; "
          f"{slots} at once on {executor.device}; time {time}", flush=True)  # fmt: skip
    for note in (seeds_note(plan.study), _precision_note(items, executor.device)):
        if note:
            print(note, flush=True)


def _precision_note(items: Sequence[Any], device: str) -> str | None:
    """Return the note on stages in bf16 where this processor computes it more slowly than fp32; None for others."""
    stages = [item.unit.stage for item in items if item.unit.kind == "stage"]
    if device != "cpu" or computes_bf16() or not any(stage.precision == "bf16" for stage in stages):
        return None
    return (
        "note: this processor has neither AVX-512 BF16 nor AMX: precision=bf16 takes two to three times as long as fp32 on it; "
        "leave it for a GPU, or set precision=fp32"
    )


def report_of(store: Store, location: str) -> Report:
    """Return the report that is there where nothing has changed, or write it; of runs that end together one writes it."""
    with writing(store, location):
        return current(store, location) or on_demand.report.write(store, location)


def _finish(plan: Plan, store: Store, request: Request, failed: list[str], mirror: Mirror | None = None) -> Ended:
    """Write the report, or take the one that is there where nothing has changed, and bring the mirror up to date."""
    try:
        report = report_of(store, plan.study.settings.location) if request.report else None
    finally:
        _update_mirror(plan, store, request, mirror)
    if report is None:
        settings = plan.study.settings
        # The study's name, not its file: `report` looks it up in the store.
        again = f"python -m drnbench report {shlex.quote(settings.study)} {settings.options}{results_option(store)}"
        print(f"no report was asked for; `{again}` writes it")
    if plan.until:
        print("\n".join(plan.until.lines()), flush=True)
    before = [
        f"{trial.label} ({short(trial.unit.key)}): {trial.status.kind}: {trial.status.message}"
        for trial in plan.trials
        if trial.state == "failed" and trial.status
    ]
    return Ended(plan, report, failed, [] if failed else before)


def _update_mirror(plan: Plan, store: Store, request: Request, mirror: Mirror | None) -> None:
    if request.tracking_uri != "off":
        # Without a mirror nothing of it is imported.
        from drnbench.session.mirroring import update_mirror

        location = plan.study.settings.location
        update_mirror(store, location, request.tracking_uri, log_models=request.log_models, mirror=mirror)
