"""Files that a run writes into a store beside those of its workers: plan.json and trial.json."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from drnbench.config.trial import Trial
from drnbench.planning import Plan
from drnbench.results.plan_record import find_plan, write_plan
from drnbench.store import Store, write_json


def record(plan: Plan, store: Store) -> None:
    """Write plan.json and the trial.json of every trial."""
    write_plan(plan.record(), store)
    for trial in plan.trials:
        record_trial(store, trial.unit.key, trial.stages, trial.trial)


def announce(plan: Plan, store: Store) -> None:
    """Record a plan as that of its study under its settings; print its warnings, and that it replaces another."""
    for warning in plan.warnings:
        print(f"warning: {warning}")
    settings = plan.study.settings
    before, earlier = find_plan(store, settings.location), find_plan(store, settings.study)
    grown = before is not None and before.until is not None and before.keys <= plan.keys  # seeds were added
    if before and before.keys != plan.keys and not grown:
        print(
            f"note: {settings.text} has other trials than before: the report in {store.study(settings.location)} is "
            "replaced; the former trials stay in the store"
        )
    elif before is None and earlier is not None:
        print(
            f"note: the report of an earlier version in {store.study(settings.study)} (profile {earlier.profile}) stays "
            f"there; this one is kept in {store.study(settings.location)}"
        )
    record(plan, store)


def record_trial(store: Store, key: str, stages: Sequence[str], trial: Trial) -> None:
    """Write the trial.json of a trial, where there is none: its configuration and the keys of its stages."""
    path = store.trial(key) / "trial.json"
    if not path.exists():
        write_json(path, {"key": key, "stages": list(stages), "config": trial.model_dump(mode="json")})


def remove_result(folder: Path) -> None:
    """Remove a unit's result before it is made again: its status first, so that the rest never counts as done."""
    for name in ("status.json", "checkpoint.pt", "history.parquet", "per_image.parquet"):
        (folder / name).unlink(missing_ok=True)
