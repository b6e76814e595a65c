"""results/<study>/search.json: what each search of a study did, for `plan` and `report`, which read no journal."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drnbench.config.search import FILE, Float, Int, Steps
from drnbench.search.resolve import Settled, title
from drnbench.store import Store, read_json, write_json

if TYPE_CHECKING:  # Optuna is imported where a search runs, not where its record is read
    from drnbench.search.engine import Candidate, Engine

JOURNAL = "search.journal"


def write(
    made: Settled, engine: Engine, name: str, store: Store, stages: Collection[str] = (), trials: Collection[str] = ()
) -> dict[str, Any]:
    """Write what a search has done so far beside the other searches of its study, and return it.

    Args:
        stages: keys of stages that its candidates had since it was taken up, which the earlier ones are kept beside.
        trials: the same of trials.

    """
    path = store.study(made.name) / FILE
    known = read_json(path) or {"searches": {}}
    before = known["searches"].get(name, {})
    best = [one.number for one in engine.best()]
    record = {
        "profile": made.profile,
        "space": [_range(made, key) for key in made.search.space],
        "objectives": [one.model_dump(mode="json") for one in made.search.objectives],
        "how": made.search.how,
        "pruner": [f"{type(one).__name__}({one!r})" for one in made.search.pruner],
        "trials": made.search.trials,
        "seeds": list(range(made.search.seeds)),
        "fresh_seeds": list(range(made.search.seeds, made.search.seeds + made.search.fresh_seeds)),
        "state": "done" if engine.finished else "running",
        "candidates": [_candidate(made, one) for one in engine.candidates],
        "baseline": _candidate(made, engine.baseline) if engine.baseline else None,
        "best": best,
        "found": [one.values for one in shown(engine.best(), made.search.front)],
    }
    record["uses"] = {
        kind: sorted({*before.get("uses", {}).get(kind, ()), *keys})
        for kind, keys in (("stages", stages), ("trials", trials))
    }
    known["searches"][name] = record
    write_json(path, {"current": name, "searches": known["searches"]})
    return record


def shown(front: list[Candidate], most: int) -> list[Candidate]:
    """Return some of a front, evenly spaced, its ends among them."""
    if len(front) <= most:
        return front
    return [front[round(n * (len(front) - 1) / (most - 1))] for n in range(most)]


def read(store: Store, study: str, name: str | None = None) -> dict[str, Any] | None:
    """Return what a search did; `name` None: the one that ran last. None: nothing yet."""
    known = read_json(store.study(study) / FILE)
    found: dict[str, Any] | None = known["searches"].get(name or known["current"]) if known else None
    return found


def journal(store: Store, study: str) -> Path:
    """The journal of a study's searches."""
    return store.study(study) / JOURNAL


def _candidate(made: Settled, one: Candidate) -> dict[str, Any]:
    return {
        "number": one.number, "label": made.label(one.values), "values": one.values, "state": one.state,
        "scores": one.scores, "mean": one.means, "note": one.note, "again": len(one.again),
    }  # fmt: skip


def _range(made: Settled, path: str) -> dict[str, Any]:
    one = made.search.space[path]
    plain = one.model_dump(mode="json", exclude={"label", "choices"})
    log = isinstance(one, (Float, Int)) and one.log
    return {
        "path": path,
        "title": title(made.search, path),
        "numeric": isinstance(one, (Float, Int, Steps)),
        "log": log,
        **plain,
    }
