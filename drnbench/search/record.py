"""results/<study>/search.json: the record of each search of a study, for `plan` and `report`, which read no journal."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from drnbench.config.search import FILE, Float, Int, Steps
from drnbench.search.resolve import ResolvedSearch, title
from drnbench.store import Store, read_json, write_json

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

    Args:
        resolved: the search.
        engine: its candidates.
        name: of the search in its journal.
        store: of the study.
        stages: keys of stages of its candidates since it was taken up; those recorded before are kept.
        trials: the same of trials.
    """
    path = store.study(resolved.name) / FILE
    searches = (read_json(path) or {"searches": {}})["searches"]
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
    write_json(path, {"current": name, "searches": {**searches, name: record}})
    return record


def spread(items: Sequence[T], most: int) -> Sequence[T]:
    """Return at most so many items, evenly spaced, the first and the last among them."""
    if len(items) <= most:
        return items
    return [items[round(n * (len(items) - 1) / (most - 1))] for n in range(most)]


def read(store: Store, study: str, name: str | None = None) -> dict[str, Any] | None:
    """Return the record of a search; `name` None: of the one that ran last. None: there is none yet."""
    content = read_json(store.study(study) / FILE)
    if content is None:
        return None
    record: dict[str, Any] | None = content["searches"].get(name or content["current"])
    return record


def journal(store: Store, study: str) -> Path:
    """Return the journal of a study's searches."""
    return store.study(study) / JOURNAL


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
