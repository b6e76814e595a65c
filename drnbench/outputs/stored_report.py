"""The report of a study as it was last written."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from drnbench.outputs.sources import digest_of_sources
from drnbench.store import Store, read_json, renew_json
from drnbench.store.files import sync
from drnbench.store.integrity import compare, stamp
from drnbench.store.integrity import report as report_fault

FILE = "report.json"


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
    folder = store.study(location)
    record = read_json(folder / FILE)
    if not record or record.get("made_from") != digest_of_sources(store, location):
        return None
    try:
        stored = _RECORD.validate_python(record)
    except ValidationError:
        return None  # of an earlier version, which recorded no CRC-32
    faults = [fault for name, stamp in stored.files.items() if (fault := compare(folder / name, stamp)) is not None]
    for fault in faults:
        report_fault(fault, "the report is written again")
    files = [folder / name for name in stored.files]
    report = Report(stored.settings, stored.headline, stored.table, files, stored.incomplete, stored.warnings)
    return None if faults else report


def keep(report: Report, store: Store, location: str) -> None:
    """Sync the files of a report and record it, with their sizes and CRC-32s, for `current`."""
    folder = store.study(location)
    if report.failed:  # made again instead
        (folder / FILE).unlink(missing_ok=True)
        return
    sync([*report.files, folder])
    files = {file.name: stamp(file) for file in report.files}
    record = {"made_from": digest_of_sources(store, location), **asdict(report), "files": files}
    del record["failed"]
    renew_json(folder / FILE, record, durable=False)
