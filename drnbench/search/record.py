"""search.json beside plan.json: the record of each search of a study under its settings, for `plan` and `report`.

Neither reads the journal.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from drnbench.config.search import FILE, Float, Int, Steps
from drnbench.results.locations import report_folders
from drnbench.search.resolve import ResolvedSearch, title
from drnbench.store import Fault, Store, atomic, read_json, renew_json, write_json
from drnbench.store.integrity import MISSING

if TYPE_CHECKING:  # Optuna is imported where a search runs, not where its record is read
    from drnbench.search.candidate import Candidate
    from drnbench.search.engine import Engine

T = TypeVar("T")
JOURNAL = "search.journal"


def write(
    resolved: ResolvedSearch, engine: Engine, name: str, store: Store,
    stages: Collection[str] = (), trials: Collection[str] = (),
) -> dict[str, Any]:  # fmt: skip
    """Write the record of a search so far beside those of the other searches of its study, and return it.

    `name`: of the search in its journal; `stages`, `trials`: keys of those of its candidates since it was taken up, beside
    which those recorded before are kept.
    """
    path = store.study(resolved.settings.location) / FILE
    searches = _searches(store, resolved.settings.location)
    search, uses = resolved.search, searches.get(name, {}).get("uses", {})
    best = engine.best()
    record = {
        "profile": resolved.profile,
        "space": [_range(resolved, key) for key in search.space],
        "objectives": [objective.model_dump(mode="json") for objective in search.objectives],
        "how": search.sampler_settings,
        "pruner": [f"{type(pruner).__name__}({pruner!r})" for pruner in search.pruner],
        "trials": search.trials,
        "seeds": list(range(search.seeds)),
        "fresh_seeds": list(range(search.seeds, search.seeds + search.fresh_seeds)),
        "state": "done" if engine.finished else "running",
        "candidates": [_candidate(resolved, candidate) for candidate in engine.candidates],
        "baseline": _candidate(resolved, engine.baseline) if engine.baseline else None,
        "best": [candidate.number for candidate in best],
        "found": [candidate.values for candidate in spread(best, search.front)],
        "uses": {
            "stages": sorted({*uses.get("stages", ()), *stages}),
            "trials": sorted({*uses.get("trials", ()), *trials}),
        },
    }
    renew_json(path, {"current": name, "searches": {**searches, name: record}})
    return record


def spread(items: Sequence[T], most: int) -> Sequence[T]:
    """Return at most so many items, evenly spaced, the first and the last among them."""
    if len(items) <= most:
        return items
    return [items[round(n * (len(items) - 1) / (most - 1))] for n in range(most)]


def read(store: Store, resolved: ResolvedSearch, name: str) -> dict[str, Any] | None:
    """Return the record of a search of that name in its journal; None: there is none yet. See `origin`."""
    location = origin(store, resolved, name)
    record: dict[str, Any] | None = _searches(store, location).get(name)
    return record


def journal(store: Store, location: str) -> Path:
    """Return the journal of the searches of a study under its settings."""
    return store.study(location) / JOURNAL


def lost_journal(store: Store, location: str) -> Fault | None:
    """Return the fault of a journal that is missing or empty although search.json beside it has candidates; else None."""
    path = journal(store, location)
    if path.exists() and path.stat().st_size:
        return None
    if not any(search.get("candidates") for search in _searches(store, location).values()):
        return None  # a search that has just begun
    return Fault(path, "is empty" if path.exists() else MISSING)


def origin(store: Store, resolved: ResolvedSearch, name: str) -> str:
    """Return the location whose journal a search goes on from: its own as soon as it has one.

    The same search may have begun under other settings, with fewer candidates, or in the study's folder, where earlier
    versions kept it.
    """
    own = resolved.settings.location
    if journal(store, own).exists():
        return own
    sizes = {}
    for location in report_folders(store):
        if location.partition("/")[0] == resolved.name and (record := _searches(store, location).get(name)):
            size = len(record["candidates"])
            if location == resolved.name or size <= resolved.search.candidates:
                sizes[location] = size
    return max(sizes, key=sizes.__getitem__, default=own)


def take_over(store: Store, resolved: ResolvedSearch, name: str) -> None:
    """Copy the journal and the record that a search goes on from into its own folder."""
    own, other = resolved.settings.location, origin(store, resolved, name)
    if other == own:
        return
    write_json(store.study(own) / FILE, {"current": name, "searches": {name: _searches(store, other)[name]}})
    if journal(store, other).exists():
        with atomic(journal(store, own)) as temporary:
            shutil.copyfile(journal(store, other), temporary)


def _searches(store: Store, location: str) -> dict[str, Any]:
    """Return the records of a location by their names in its journal."""
    searches = (read_json(store.study(location) / FILE) or {}).get("searches")
    return dict(searches) if isinstance(searches, dict) else {}


def _candidate(resolved: ResolvedSearch, candidate: Candidate) -> dict[str, Any]:
    return {
        "number": candidate.number, "label": resolved.label(candidate.values), "values": candidate.values,
        "state": candidate.state, "scores": candidate.scores, "mean": candidate.means, "note": candidate.note,
        "again": len(candidate.again),
    }  # fmt: skip


def _range(resolved: ResolvedSearch, path: str) -> dict[str, Any]:
    values = resolved.search.space[path]
    return {
        "path": path,
        "title": title(resolved.search, path),
        "numeric": isinstance(values, (Float, Int, Steps)),
        "log": isinstance(values, (Float, Int)) and values.log,
        **values.model_dump(mode="json", exclude={"label", "choices"}),
    }
