"""The report of a study as it was last written."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from drnbench.outputs.sources import digest_of_sources
from drnbench.store import Store, read_json, write_json

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

    """

    settings: str
    headline: str
    table: str
    files: list[Path]
    incomplete: int
    warnings: list[str]


def current(store: Store, location: str) -> Report | None:
    """Return the report that `write` left at a location, where nothing it was made from has changed since; else None.

    Drawing takes seconds; a run that finds everything done shows what is there.
    """
    record = read_json(store.study(location) / FILE)
    if not record or record["made_from"] != digest_of_sources(store, location):
        return None
    files = [store.study(location) / file for file in record["files"]]
    if not all(file.exists() for file in files):
        return None
    return Report(
        record["settings"], record["headline"], record["table"], files, record["incomplete"], record["warnings"]
    )


def keep(report: Report, store: Store, location: str) -> None:
    """Record a report, for `current`."""
    record = {**asdict(report), "files": [file.name for file in report.files]}
    write_json(store.study(location) / FILE, {"made_from": digest_of_sources(store, location), **record})
