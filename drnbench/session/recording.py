"""Files that a run writes into a store beside those of its workers: plan.json and trial.json."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from drnbench.config.trial import Trial
from drnbench.planning import Plan
from drnbench.results.locations import lost_plan
from drnbench.results.plan_record import find_plan, write_plan
from drnbench.store import Fault, Status, Store, read_json, renew_json, unit_files
from drnbench.store.integrity import MISSING, report, set_aside


def record(plan: Plan, store: Store) -> None:
    """Write plan.json, the trial.json of every trial, and each unit.json of a stage that is done and lost it."""
    write_plan(plan.record(), store)
    for trial in plan.trials:
        record_trial(store, trial.unit.key, trial.stages, trial.trial)
    for key, node in plan.stages.items():
        if node.state == "done":
            _declare(store.stage(key) / "unit.json", node.unit.model_dump(mode="json"))


def announce(plan: Plan, store: Store) -> None:
    """Record a plan as that of its study under its settings; print its warnings, and that it replaces another."""
    for warning in plan.warnings:
        print(f"warning: {warning}")
    settings = plan.study.settings
    if (path := lost_plan(store, settings.location)) is not None:
        report(Fault(path, MISSING), "it is written again")
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
    _declare(path, {"key": key, "stages": list(stages), "config": trial.model_dump(mode="json")})


def _declare(path: Path, content: dict[str, Any]) -> None:
    """Write a record that says what a unit is, where there is none that is whole."""
    if read_json(path) is None:
        if not path.exists() and (read_json(path.parent / "status.json") or {}).get("files"):
            report(Fault(path, MISSING), "it is written again")
        # Not durable by itself: the unit syncs it with its result, and it can be written again.
        renew_json(path, content, durable=False)


def remove_result(folder: Path) -> None:
    """Remove a unit's result before it is made again: its status first, so that the rest never counts as done."""
    for name in ("status.json", "checkpoint.pt", "history.parquet", "per_image.parquet"):
        (folder / name).unlink(missing_ok=True)
    for name in (unit_files.FITS, unit_files.IMAGES):
        shutil.rmtree(folder / name, ignore_errors=True)


def set_damage_aside(store: Store, folder: Path, *, everything: bool = False) -> None:
    """Set aside what is not whole of a unit, so that it is made again; only under its lease.

    `everything`: read checkpoints and pictures, too.

    A unit that was done is made again from its beginning: its checkpoint is set aside with the rest. Rows of scores that are
    whole stay, as other studies may want them.
    """
    status = store.status(folder)
    if status is None:
        set_aside(folder / "status.json")
        if unit_files.has_result(folder):  # a stage goes on from its checkpoint, a trial is scored again
            store.write_status(folder, Status("interrupted", message="its status.json was missing or not whole"))
        return
    done = status.state == "done"
    faults = unit_files.faults(folder, status.files, done=done, scored=status.evaluations, everything=everything)
    faults += unit_files.picture_faults(folder, status.files)
    if faults:
        for path in [*(fault.path for fault in faults), *([folder / unit_files.CHECKPOINT] if done else [])]:
            set_aside(path)
        (folder / "status.json").unlink()
