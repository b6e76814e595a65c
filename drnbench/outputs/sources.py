"""The digest of everything that a report is made from: the plan, scores, histories and states, and the code that draws."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path

from drnbench.outputs import GROUP
from drnbench.registry import plug_ins
from drnbench.results.plan_record import PlanRecord, find_plan
from drnbench.store import Store, read_json

PACKAGES = ("outputs", "render", "results", "published")
"""The packages whose files decide what a report says."""


def digest_of_sources(store: Store, location: str) -> str:
    """Return a digest of everything that the report of a location is made from; files of the store by size and time."""
    total = _code().copy()
    plan = find_plan(store, location)
    total.update(plan.model_dump_json().encode() if plan else b"")
    total.update(json.dumps(read_json(store.study(location) / "search.json"), sort_keys=True).encode())
    for path in [*_plug_ins(), *(_results(store, plan) if plan else ())]:
        total.update(f"{path.parent.name}/{path.name} {_state(path)}".encode())
    return total.hexdigest()


@functools.cache
def _code() -> hashlib._Hash:
    # Once a process, whose reports are drawn by the code that it imported.
    total = hashlib.sha256()
    package = Path(__file__).parents[1]
    for path in sorted(path for folder in PACKAGES for path in (package / folder).rglob("*")):
        if path.is_file() and path.suffix != ".pyc":
            total.update(path.read_bytes())
    return total


def _plug_ins() -> Iterator[Path]:
    """Yield the modules of other packages that register outputs, without importing them."""
    for point in plug_ins(GROUP):
        try:
            spec = importlib.util.find_spec(point.module)
        except Exception:  # noqa: BLE001, S112 - the registry says that it is broken
            continue
        if spec is not None and spec.origin is not None:
            yield Path(spec.origin)


def _results(store: Store, plan: PlanRecord) -> Iterator[Path]:
    for key in sorted(plan.keys):
        # `scores.json` has what D learned.
        yield from (store.trial(key) / file for file in ("status.json", "per_image.parquet", "scores.json"))
    for key in plan.stages:
        yield from (store.stage(key) / file for file in ("status.json", "history.parquet", "stage.json"))


def _state(path: Path) -> tuple[int, int] | None:
    """Return size and time of a file; None where there is none."""
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    return stat.st_size, stat.st_mtime_ns
