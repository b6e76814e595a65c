"""Running the search that a study declares, and what `plan` says of it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from drnbench.config.units import StageUnit, Unit
from drnbench.errors import UsageError
from drnbench.parallel import clock
from drnbench.planning import Plan
from drnbench.planning.costs import Costs
from drnbench.planning.inputs import Inputs
from drnbench.planning.keys import Keys
from drnbench.search import record
from drnbench.search.measure import expected
from drnbench.search.resolve import ResolvedSearch, signature
from drnbench.session.declared import Declared
from drnbench.session.execute import display, execute
from drnbench.session.items import todo
from drnbench.session.progress import Progress, RichProgress
from drnbench.session.recording import announce
from drnbench.session.request import Request
from drnbench.session.search_source import Searcher
from drnbench.store import Store
from drnbench.training.prepare import prepare

STATES = ("complete", "pruned", "failed", "running")


def run_search(declared: Declared, plan: Plan, store: Store, request: Request) -> list[str] | None:
    """Run what is missing of a search, and with it those of the report's arms that are decided already.

    Returns:
        Candidates that failed, a line each; None: it was interrupted, and said so.

    Raises:
        UsageError: the disk is full, or no candidate could be scored.
    """
    settled = declared.settled()
    progress: Progress | None = None
    shared: frozenset[str] = frozenset()

    def say(text: str) -> None:
        if isinstance(progress, RichProgress):
            progress.console.print(text, soft_wrap=True, markup=False, highlight=False)
        else:
            print(text, flush=True)

    def spare(units: Sequence[Unit]) -> None:
        if progress is not None:
            progress.spare(unit for unit in units if unit.key not in shared)

    executor = request.open(store.root)
    announce(plan, store)
    slots = executor.slots
    searcher = Searcher(
        settled, signature(settled, store.cache), store, slots, executor.stop, say, request.rerun, spare
    )
    if searcher.finished:
        executor.close()
        return _summary(searcher)
    rerun = "failed" if request.rerun == "failed" else None
    pending = settled.search.trials - sum(c.state != "running" for c in searcher.engine.candidates)
    units, shared = expected(settled, Keys(store.cache), max(1, pending))
    items = todo(plan, rerun)
    print(f"{declared.name}, {declared.settings.text}: {pending} of {settled.search.trials} candidates to try, "
          f"{settled.search.seeds} seeds each; {slots} at once on {executor.device}", flush=True)  # fmt: skip
    prepare([*units, *(item.unit for item in items)], store.cache)
    everything = [*units, *(item.unit for item in items if item.unit.key not in shared)]
    progress = display(everything)
    outcome, _ = execute(plan, store, executor, everything, request, rerun, [searcher], searcher, progress)
    searcher.write()
    if outcome.interrupted:
        print("interrupted; run the same command again to go on", file=sys.stderr)
        return None
    return _summary(searcher)


def search_state(declared: Declared, store: Store) -> str:
    """Return the line of `plan` on a search: how many candidates, how many done, the best so far, what is left."""
    settled = declared.settled()
    history = record.read(store, settled, signature(settled, store.cache, declared.inputs)) or {
        "candidates": [],
        "best": [],
    }
    states = [candidate["state"] for candidate in history["candidates"]]
    counts = _counts(states, STATES)
    line = f"search: {len(states)} of {settled.search.trials} candidates asked" + (f" ({counts})" if counts else "")
    best = [candidate for candidate in history["candidates"] if candidate["number"] in history["best"]]
    names = [objective.what for objective in settled.search.objectives]
    title = "best so far" if len(names) == 1 else "on the front"
    for candidate in best[:1] if len(names) == 1 else best:
        scores = ", ".join(f"{name} {value:.6g}" for name, value in zip(names, candidate["mean"], strict=True))
        line += f"; {title} {candidate['label']}: {scores}"
    left = settled.search.candidates - len(states) + states.count("running")
    return f"{line}; {_left(settled, left, store, declared.inputs)}{settled.search.sampler_settings}"


def _left(settled: ResolvedSearch, pending: int, store: Store, inputs: Inputs | None) -> str:
    """Return what the candidates that are left would take, if none were given up."""
    if pending <= 0:
        return ""
    costs, units = Costs(store), expected(settled, Keys(store.cache, inputs), pending)[0]
    stages = [u for u in units if isinstance(u, StageUnit) and store.state(store.stage(u.key)) != "done"]
    seconds = [costs.seconds(unit) for unit in stages]
    measured = [value for value in seconds if value is not None]
    complete = len(measured) == len(seconds)
    time = f"{clock(sum(measured))} of training for one process" if complete else "of unknown time"
    return f"{pending} more to try: at most {len(stages)} stages, {time}, besides the above; "


def _summary(searcher: Any) -> list[str]:
    """Print how candidates ended; the report goes on without those that failed, unless there is nothing else."""
    candidates = searcher.engine.candidates
    counts = _counts([candidate.state for candidate in candidates], STATES[:3])
    print(f"searched {len(candidates)} candidates: {counts}", flush=True)
    if not searcher.engine.best():
        reason = next((candidate.note for candidate in candidates if candidate.note), "none was asked")
        raise UsageError(
            f"no candidate could be scored, so there is nothing to report: {reason}; --rerun failed tries again"
        )
    return list(searcher.failed)


def _counts(states: Sequence[str], order: Sequence[str]) -> str:
    return ", ".join(f"{states.count(state)} {state}" for state in order if state in states)
