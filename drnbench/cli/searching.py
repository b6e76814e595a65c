"""What `run` and `plan` do before and beside the usual where a study declares a search."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from drnbench.cli.studies import announce, read_sets
from drnbench.cli.tracked import live_mirror
from drnbench.config.study import Study
from drnbench.config.studyfile import load
from drnbench.config.units import StageUnit, Unit
from drnbench.errors import UsageError
from drnbench.execution.engine import Engine
from drnbench.parallel import clock
from drnbench.planning import Plan
from drnbench.planning.costs import Costs
from drnbench.planning.expand import Expanded
from drnbench.planning.keys import Keys
from drnbench.search import record
from drnbench.search.resolve import Settled, expanded, settle, signature
from drnbench.session.coordinator import Coordinator, todo
from drnbench.session.progress import PlainProgress, RichProgress
from drnbench.store import Store
from drnbench.training.prepare import prepare


def found(study: Study, name: str, question: str, profile: str, sets: Mapping[str, Any], store: Store) -> Expanded:
    """Return the arms of the report, what the search found among them as soon as it is over."""
    made = settle(study, name, question, profile, sets)
    known = record.read(store, name, signature(made, store.cache))
    return expanded(made, known["found"] if known and _over(made, known) else ())


def _over(made: Settled, known: Mapping[str, Any]) -> bool:
    ended = [one for one in known["candidates"] if one["state"] != "running"]
    size = made.search.size
    wanted = made.search.trials if size is None else min(size, made.search.trials)
    return bool(known["state"] == "done" and len(ended) >= wanted)


def searched(study: Study, plan: Plan, profile: str, sets: Mapping[str, Any], store: Store) -> str:
    """Return what `plan` says of the search: how many candidates, how many done, the best so far."""
    expanded_study = plan.study
    made = settle(study, expanded_study.name, expanded_study.question, profile, sets)
    known = record.read(store, made.name, signature(made, store.cache)) or {"candidates": [], "best": []}
    states = [one["state"] for one in known["candidates"]]
    counts = ", ".join(f"{states.count(s)} {s}" for s in ("complete", "pruned", "failed", "running") if s in states)
    out = f"search: {len(states)} of {made.search.trials} candidates asked" + (f" ({counts})" if counts else "")
    best = [one for one in known["candidates"] if one["number"] in known["best"]]
    names = [objective.what for objective in made.search.objectives]
    for one in best[:1] if len(names) == 1 else best:
        scores = ", ".join(f"{name} {value:.6g}" for name, value in zip(names, one["mean"], strict=True))
        out += f"; {'best so far' if len(names) == 1 else 'on the front'} {one['label']}: {scores}"
    size = made.search.size
    pending = (
        (made.search.trials if size is None else min(size, made.search.trials)) - len(states) + states.count("running")
    )
    return f"{out}; {_ahead(made, pending, store)}{made.search.how}"


def _ahead(made: Settled, pending: int, store: Store) -> str:
    """Say what the candidates that are left would take, if none were given up."""
    from drnbench.session.search_source import expected

    if pending <= 0:
        return ""
    costs, units = Costs(store), expected(made, Keys(store.cache), pending)[0]
    stages = [u for u in units if isinstance(u, StageUnit) and store.state(store.stage(u.key)) != "done"]
    seconds = [costs.seconds(unit) for unit in stages]
    known = [one for one in seconds if one is not None]
    time = f"{clock(sum(known))} of training for one process" if len(known) == len(seconds) else "of unknown time"
    return f"{pending} more to try: at most {len(stages)} stages, {time}, besides the above; "


def search(
    study: Path, profile: str, sets: list[str], plan: Plan, store: Store, engine: Engine,
    tracking_uri: str | None, rerun: str | None, *, fail_fast: bool, time_limit: float | None,
) -> list[str] | None:  # fmt: skip
    """Run what is missing of a search, and with it what is known of the report's arms.

    Returns:
        Candidates that failed, a line each; None: it was interrupted, and said so.

    Raises:
        UsageError: the disk is full, or no candidate could be scored.

    """
    from drnbench.session.search_source import Searcher, expected

    loaded, name, question = load(study)
    made = settle(loaded, name, question, profile, read_sets(sets))
    console = Console()
    progress: Any = None

    def say(text: str) -> None:
        if isinstance(progress, RichProgress):
            console.print(text, soft_wrap=True, markup=False, highlight=False)
        else:
            print(text, flush=True)

    executor, kind = engine.open(store.root)
    announce(plan, store)
    slots = executor.slots
    shared: frozenset[str] = frozenset()

    def spare(units: Sequence[Unit]) -> None:
        if progress is not None:
            progress.spare(unit for unit in units if unit.key not in shared)

    searcher = Searcher(made, signature(made, store.cache), store, slots, executor.stop, say, rerun, spare)
    if searcher.finished:
        executor.close()
        return _verdict(searcher)
    pending = made.search.trials - sum(one.state != "running" for one in searcher.engine.candidates)
    units, shared = expected(made, Keys(store.cache), max(1, pending))
    left = todo(plan, "failed" if rerun == "failed" else None)
    print(f"{name}, profile {profile}: {pending} of {made.search.trials} candidates to try, {made.search.seeds} seeds each; "
          f"{slots} at once on {kind}", flush=True)  # fmt: skip
    prepare([*units, *(item.unit for item in left)], store.cache)
    whole = [*units, *(item.unit for item in left if item.unit.key not in shared)]
    progress = RichProgress(whole, console) if console.is_terminal else PlainProgress(whole)
    mirror, told = live_mirror(store, name, tracking_uri)
    listeners: list[Any] = [progress, searcher, *told]
    try:
        with progress:
            outcome = Coordinator(
                plan,
                store,
                executor,
                listeners,
                "failed" if rerun == "failed" else None,
                fail_fast,
                time_limit,
                searcher,
            ).run()
    finally:
        if mirror is not None:
            mirror.close()
    searcher.write()
    if outcome.full:
        raise UsageError(
            f"the disk of {store.root} is full: nothing is broken; make room and run the same command again"
        )
    if outcome.interrupted:
        print("interrupted; run the same command again to go on", file=sys.stderr)
        return None
    return _verdict(searcher)


def _verdict(searcher: Any) -> list[str]:
    """Say how candidates ended; the report goes on without those that failed, unless there is nothing else."""
    candidates = searcher.engine.candidates
    states = [one.state for one in candidates]
    counts = ", ".join(f"{states.count(s)} {s}" for s in ("complete", "pruned", "failed") if s in states)
    print(f"searched {len(candidates)} candidates: {counts}", flush=True)
    if not searcher.engine.best():
        notes = [one.note for one in candidates if one.note]
        told = notes[0] if notes else "none was asked"
        raise UsageError(
            f"no candidate could be scored, so there is nothing to report: {told}; --rerun failed tries again"
        )
    return list(searcher.failed)
