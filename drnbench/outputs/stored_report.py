"""The report of a study as it was last written."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from drnbench.errors import UsageError
from drnbench.outputs.sources import digest_of_sources
from drnbench.store import Fault, Store, read_json, renew_json
from drnbench.store.cache_files import hold, lock
from drnbench.store.files import sync
from drnbench.store.integrity import compare, stamp
from drnbench.store.integrity import report as report_fault

FILE = "report.json"
PATIENCE_S = 10.0
"""Seconds of waiting for the report of another run before that is printed."""


@dataclass(frozen=True)
class Report:
    """A report as it was written.

    Attributes:
        settings: the study, its profile and overrides.
        headline: what the study shows, in one to three sentences.
        table: the first table in plain text, for a terminal.
        files: everything written, in the order of use.
        incomplete: trials that are planned and not done.
        warnings: outputs of the study that this installation cannot give, a line each.
        failed: parts that could not be made, a line each; such a report is not kept.

    """

    settings: str
    headline: str
    table: str
    files: list[Path]
    incomplete: int
    warnings: list[str]
    failed: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Record:
    settings: str
    headline: str
    table: str
    files: dict[str, tuple[int, int]]
    incomplete: int
    warnings: list[str]


_RECORD: TypeAdapter[_Record] = TypeAdapter(_Record)


def current(store: Store, location: str) -> Report | None:
    """Return the report that `write` left at a location, where nothing it was made from has changed since; else None.

    Drawing takes seconds; a run that finds everything done shows what is there.
    """
    record = read_json(store.study(location) / FILE)
    if not record or record.get("made_from") != digest_of_sources(store, location):
        return None
    stored, damaged = _parsed(record), faults(store, location)
    for fault in damaged:
        report_fault(fault, "the report is written again")
    if stored is None or damaged:
        return None
    files = [store.study(location) / name for name in stored.files]
    return Report(stored.settings, stored.headline, stored.table, files, stored.incomplete, stored.warnings)


@contextlib.contextmanager
def writing(store: Store, location: str) -> Iterator[None]:
    """Hold the lock of a report, so that of several runs that end together one writes it and the others find it current.

    Without a lock, as on a disk that is full, each writes its own: they are equal.
    """
    name = f"report-{hashlib.sha256(location.encode()).hexdigest()[:12]}"
    with contextlib.ExitStack() as held:
        with contextlib.suppress(OSError, UsageError):
            held.enter_context(hold(lock(store.cache, name), f"{location}: another run writes the report", PATIENCE_S))
        yield


def faults(store: Store, location: str) -> list[Fault]:
    """Return the files of a report that are not as `write` left them."""
    folder = store.study(location)
    stored = _parsed(read_json(folder / FILE))
    files = stored.files if stored is not None else {}
    return [fault for name, stamp in files.items() if (fault := compare(folder / name, stamp)) is not None]


def _parsed(record: dict[str, Any] | None) -> _Record | None:
    """Return a record with its types; None for one of an earlier version, which had no CRC-32 of the files."""
    try:
        return None if record is None else _RECORD.validate_python(record)
    except ValidationError:
        return None


def keep(report: Report, store: Store, location: str, made_from: str) -> None:
    """Sync the files of a report and record it, with their sizes and CRC-32s, for `current`.

    Args:
        report: as it was written.
        store: the results folder.
        location: of the study's report.
        made_from: `digest_of_sources` before anything was read: what changed since is not in the report.

    """
    folder = store.study(location)
    if report.failed:  # made again instead
        (folder / FILE).unlink(missing_ok=True)
        return
    sync([*report.files, folder])
    files = {file.name: stamp(file) for file in report.files}
    record = {"made_from": made_from, **asdict(report), "files": files}
    del record["failed"]
    renew_json(folder / FILE, record, durable=False)
