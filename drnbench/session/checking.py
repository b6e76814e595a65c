"""The verb `check`: every file of a store is read and compared with what was written."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from drnbench.datasets.video import FRAMES_FILE
from drnbench.errors import DamagedError, UsageError
from drnbench.models import on_demand
from drnbench.outputs import stored_report
from drnbench.render.text import count
from drnbench.results.costs import MEASUREMENT
from drnbench.results.inventory import folders
from drnbench.results.locations import lost_plan, report_folders
from drnbench.results.plan_record import find_plan
from drnbench.search import journal
from drnbench.search.record import JOURNAL, lost_journal
from drnbench.session.recording import set_damage_aside
from drnbench.store import Damaged, Fault, Store, read_json, unit_files
from drnbench.store.integrity import (
    ALTERED,
    MISSING,
    SET_ASIDE,
    TRAILER,
    compare,
    decode,
    reporting_to,
    set_aside,
    trailer,
)
from drnbench.store.leases import claim, leased
from drnbench.tracking.record import database_fault

UNIT = "`run` makes it again"
RECORD = "`run` of its study writes it again"
REPORT = "`run` and `report` write it again"
SEARCH = "`run` goes on from what is whole of it, and from the results in the store"
CACHE = "made again when it is needed"
MEASURED = "`measure` measures again"
MIRROR = "`run` and `sync` mirror the store again into a new one"
RECORDS = ("plan.json", "search.json", "mirror.json", "report.json")


@dataclass(frozen=True)
class _Finding:
    """A fault, its consequence, and the way to set it aside, which returns False where a run has it."""

    fault: Fault
    consequence: str
    repair: Callable[[], bool]


def check(results: Path, *, repair: bool) -> int:
    """Print one line a fault, and set aside what is not whole if asked; returns the exit code.

    Args:
        results: the store.
        repair: rename what is not whole, so that it is made again; files of the cache are deleted.

    Raises:
        UsageError: no such store.

    """
    store = Store(results)
    if not store.root.is_dir():
        raise UsageError(f"no store at {store.root}: give the folder of the results with --results")
    findings: dict[Path, _Finding] = {}
    with reporting_to(lambda text: None):  # noqa: ARG005 - each fault is a line of its own here
        for finding in (*_units(store), *_studies(store), *_cache(store), *_mirror(store)):
            findings.setdefault(finding.fault.path, finding)
        for finding in findings.values():
            state = ""
            if repair:
                state = "left alone, a run works on it; "
                if finding.repair():
                    state = "" if finding.fault.reason == MISSING else "set aside; "
            print(f"{finding.fault}: {state}{finding.consequence}")
    print(f"{count(len(findings), 'fault')} in {store.root}" if findings else f"{store.root} is whole")
    return 1 if findings else 0


def _aside(path: Path) -> Callable[[], bool]:
    def repair() -> bool:
        set_aside(path)
        return True

    return repair


def _removed(path: Path) -> Callable[[], bool]:
    def repair() -> bool:
        path.unlink(missing_ok=True)
        return True

    return repair


def _emptied(folder: Path) -> Callable[[], bool]:
    def repair() -> bool:
        shutil.rmtree(folder, ignore_errors=True)
        return True

    return repair


def _units(store: Store) -> Iterator[_Finding]:
    for kind in ("stages", "trials"):
        for folder in folders(store.root / kind):
            if leased(folder) or store.state(folder) == "running":
                continue
            for fault in _unit_faults(store, folder):
                yield _Finding(fault, UNIT, _unit_repair(store, folder, fault.path))
            if (measured := _record_fault(folder / MEASUREMENT)) is not None:
                yield _Finding(measured, MEASURED, _aside(measured.path))
            for path in sorted((folder / unit_files.FITS).glob("*.npz")):
                if (fit := _archive_fault(path)) is not None:
                    yield _Finding(fit, CACHE, _aside(path))


def _unit_repair(store: Store, folder: Path, path: Path) -> Callable[[], bool]:
    def repair() -> bool:
        lease = claim(folder)
        if lease is None:
            return False
        try:
            if path.exists() and path.name in unit_files.DECLARATIONS:
                set_aside(path)
            else:
                set_damage_aside(store, folder, everything=True)
                if path.name != "status.json":  # a new one may be there already
                    set_aside(path)
        finally:
            lease.release()
        return True

    return repair


def _unit_faults(store: Store, folder: Path) -> Iterator[Fault]:
    status, path = store.status(folder), folder / "status.json"
    if status is None and path.exists():
        yield Fault(path, "is not a whole status")
    elif status is None and unit_files.has_result(folder):
        yield Fault(path, MISSING)
    done = status is not None and status.state == "done"
    files, scored = (status.files, status.evaluations) if status is not None else ({}, [])
    yield from unit_files.faults(folder, files, done=done, scored=scored, everything=True)
    for name in (*unit_files.DECLARATIONS, *([] if done else ["stage.json", "scores.json"])):
        if (fault := _record_fault(folder / name)) is not None:
            yield fault
    checkpoint = folder / unit_files.CHECKPOINT
    if checkpoint.exists() and unit_files.CHECKPOINT not in files:
        try:
            on_demand.weights.load_checkpoint(checkpoint)
        except DamagedError as error:
            yield Fault(checkpoint, error.reason)


def _record_fault(path: Path) -> Fault | None:
    try:
        decode(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        return Fault(path, f"cannot be read ({error.strerror})")
    except Damaged as error:
        return Fault(path, str(error))
    return None


def _studies(store: Store) -> Iterator[_Finding]:
    for location in report_folders(store):
        folder = store.study(location)
        for name in RECORDS:
            if (fault := _record_fault(folder / name)) is not None:
                yield _Finding(fault, RECORD, _aside(fault.path))
        if (lost := lost_plan(store, location)) is not None:
            yield _Finding(Fault(lost, MISSING), RECORD, _aside(lost))
        path = folder / "plan.json"
        if read_json(path) is not None and find_plan(store, location) is None:
            yield _Finding(Fault(path, "is not a plan"), RECORD, _aside(path))
        for fault in stored_report.faults(store, location):
            yield _Finding(fault, REPORT, _aside(fault.path))
        if (fault := lost_journal(store, location)) is not None:
            yield _Finding(fault, SEARCH, _aside(fault.path))
        if (line := journal.fault_of(folder / JOURNAL)) is not None:
            yield _Finding(line[0], SEARCH, _journal_repair(folder / JOURNAL))


def _journal_repair(path: Path) -> Callable[[], bool]:
    def repair() -> bool:
        journal.repair(path)
        return True

    return repair


def _cache(store: Store) -> Iterator[_Finding]:
    for name in ("fingerprints.json", "alignments.json", "copies/results.json"):
        if (fault := _record_fault(store.cache / name)) is not None:
            yield _Finding(fault, CACHE, _removed(fault.path))
    for path in sorted(store.cache.glob(f"frames/*/{FRAMES_FILE}")):
        if (
            fault := _record_fault(path)
        ) is not None:  # without it, its frames would count as those of an earlier version
            yield _Finding(fault, CACHE, _emptied(path.parent))
    for pattern, reader in (
        ("lr/*/*.npy", _trailer_fault),
        ("pixels/*/*.npy", _trailer_fault),
        ("copies/keypoints-*/*/*", _trailer_fault),
        ("impulses/*.npz", _archive_fault),
        ("frames/*/*.png", _frame_fault),
    ):
        for path in sorted(store.cache.glob(pattern)):
            if not path.name.startswith(".") and not SET_ASIDE.fullmatch(path.name) and (fault := reader(path)):
                yield _Finding(fault, CACHE, _removed(path))


def _trailer_fault(path: Path) -> Fault | None:
    content = memoryview(path.read_bytes())
    if trailer(content[:-TRAILER]) == bytes(content[-TRAILER:]):
        return None
    return Fault(path, ALTERED if content else "is empty")


def _frame_fault(path: Path) -> Fault | None:
    expected = ((read_json(path.parent / FRAMES_FILE) or {}).get("files") or {}).get(path.name)
    return compare(path, tuple(expected)) if expected else None


def _archive_fault(path: Path) -> Fault | None:
    try:
        with zipfile.ZipFile(path) as archive:
            return Fault(path, ALTERED) if archive.testzip() else None
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError, EOFError):
        return Fault(path, "is not a whole archive")


def _mirror(store: Store) -> Iterator[_Finding]:
    if (fault := database_fault(store.root / "mlflow.db")) is not None:
        yield _Finding(fault, MIRROR, _aside(fault.path))
