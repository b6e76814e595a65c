"""results/<study>/search.json: what each search of a study did, for `plan` and `report`, which read no journal."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drnbench.config.search import FILE, Float, Int, Steps
from drnbench.search.resolve import ResolvedSearch, title
from drnbench.store import Store, read_json, write_json

if TYPE_CHECKING:  # Optuna is imported where a search runs, not where its record is read
    from drnbench.search.candidate import Candidate
    from drnbench.search.engine import Engine

JOURNAL = "search.journal"


def write(
    search: ResolvedSearch,
    engine: Engine,
    name: str,
    store: Store,
    stages: Collection[str] = (),
    trials: Collection[str] = (),
) -> dict[str, Any]:
    """Write the record of a search so far beside the other searches of its study, and return it.

    Args:
        stages: keys of stages that its candidates had since it was taken up, which the earlier ones are kept beside.
        trials: the same of trials.

    """
    path = store.study(search.name) / FILE
    history = read_json(path) or {"searches": {}}
    before = history["searches"].get(name, {})
    best = [c.number for c in engine.best()]
    record = {
        "profile": search.profile,
        "space": [_range(search, key) for key in search.search.space],
        "objectives": [objective.model_dump(mode="json") for objective in search.search.objectives],
        "how": search.search.how,
        "pruner": [f"{type(rule).__name__}({rule!r})" for rule in search.search.pruner],
        "trials": search.search.trials,
        "seeds": list(range(search.search.seeds)),
        "fresh_seeds": list(range(search.search.seeds, search.search.seeds + search.search.fresh_seeds)),
        "state": "done" if engine.finished else "running",
        "candidates": [_candidate(search, candidate) for candidate in engine.candidates],
        "baseline": _candidate(search, engine.baseline) if engine.baseline else None,
        "best": best,
        "found": [candidate.values for candidate in shown(engine.best(), search.search.front)],
    }
    record["uses"] = {
        kind: sorted({*before.get("uses", {}).get(kind, ()), *keys})
        for kind, keys in (("stages", stages), ("trials", trials))
    }
    history["searches"][name] = record
    write_json(path, {"current": name, "searches": history["searches"]})
    return record


def shown(front: list[Candidate], most: int) -> list[Candidate]:
    """Return some of a front, evenly spaced, its ends among them."""
    if len(front) <= most:
        return front
    return [front[round(n * (len(front) - 1) / (most - 1))] for n in range(most)]


def read(store: Store, study: str, name: str | None = None) -> dict[str, Any] | None:
    """Return the record of a search; `name` None: the last that ran. None: there is none yet."""
    history = read_json(store.study(study) / FILE)
    searched: dict[str, Any] | None = history["searches"].get(name or history["current"]) if history else None
    return searched


def journal(store: Store, study: str) -> Path:
    """The journal of a study's searches."""
    return store.study(study) / JOURNAL


def _candidate(search: ResolvedSearch, candidate: Candidate) -> dict[str, Any]:
    return {
        "number": candidate.number, "label": search.label(candidate.values), "values": candidate.values, "state": candidate.state,
        "scores": candidate.scores, "mean": candidate.means, "note": candidate.note, "again": len(candidate.again),
    }  # fmt: skip


def _range(search: ResolvedSearch, path: str) -> dict[str, Any]:
    values = search.search.space[path]
    plain = values.model_dump(mode="json", exclude={"label", "choices"})
    log = isinstance(values, (Float, Int)) and values.log
    return {
        "path": path,
        "title": title(search.search, path),
        "numeric": isinstance(values, (Float, Int, Steps)),
        "log": log,
        **plain,
    }
