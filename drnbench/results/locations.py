"""Places of the reports of a store: `<study>/<settings>`, and `<study>` where a version before these wrote it."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from pathlib import Path

from drnbench.config.settings import Settings
from drnbench.errors import UsageError, nearest
from drnbench.store import Store, read_json

FILE = "plan.json"
RESERVED = frozenset({"stages", "trials", "cache", "mlartifacts"})
"""Folders of a store that are no study's."""


def report_folders(store: Store) -> Iterator[str]:
    """Yield the folders of a store that may hold a report: `<study>`, as earlier versions wrote it, and `<study>/<settings>`."""
    for study in _folders(store.root):
        if study not in RESERVED:
            yield study
            yield from (f"{study}/{settings}" for settings in _folders(store.study(study)))


def lost_plan(store: Store, location: str) -> Path | None:
    """Return the path of the plan.json that a location with a report lacks; None where nothing is lacking."""
    path = store.study(location) / FILE
    return path if path.with_name("report.json").exists() and not path.exists() else None


def planned(store: Store, *, replaced: bool = False) -> list[str]:
    """Return the locations of the reports of a store, those of each study together.

    Args:
        store: the results folder.
        replaced: also reports of earlier versions whose study has a newer one under the same profile.

    """
    locations = [location for location in report_folders(store) if (store.study(location) / FILE).is_file()]
    return [location for location in locations if replaced or not _is_replaced(store, location)]


def matching(store: Store, name: str) -> list[str]:
    """Return the locations of the reports that a name means: those of a study, or the one of `<study>/<settings>`."""
    return [location for location in planned(store) if name in (location, location.partition("/")[0])]


def locate(store: Store, name: str) -> str:
    """Return the location of the one report that a name means, a study's or `<study>/<settings>`.

    Raises:
        UsageError: the store has none of that name, or several.

    """
    locations = matching(store, name)
    if len(locations) > 1:
        raise UsageError(
            f"study {name!r} has {len(locations)} reports in {store.root}; name one: {', '.join(locations)}"
        )
    if locations:
        return locations[0]
    study = name.partition("/")[0]
    if siblings := matching(store, study):
        raise UsageError(f"no report {name!r} in {store.root}: run it first; there is {', '.join(siblings)}")
    studies = dict.fromkeys(location.partition("/")[0] for location in planned(store))
    hint = f"; {nearest(study, studies)}" if studies else ""
    raise UsageError(f"no study {study!r} in {store.root}: run it first{hint}")


def _folders(place: Path) -> list[str]:
    try:
        with os.scandir(place) as entries:
            return sorted(entry.name for entry in entries if not entry.name.startswith(".") and _is_folder(entry))
    except OSError:
        return []


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself, or into a folder that may not be read
        return False


def _is_replaced(store: Store, location: str) -> bool:
    """Return True for a report of an earlier version whose study was run again under the same profile."""
    if "/" in location:
        return False
    profile = (read_json(store.study(location) / FILE) or {}).get("profile")
    return isinstance(profile, str) and (store.study(Settings.of(location, profile).location) / FILE).is_file()


def results_option(store: Store) -> str:
    """Return the option that names a store in a command that is started in this folder, quoted for a shell.

    Empty, or with a space before it: ` --results 'my results'`.
    """
    try:
        root = store.root.relative_to(Path.cwd())
    except (ValueError, OSError):  # elsewhere, or this folder is gone
        root = store.root
    return "" if root == Path("results") else f" --results {shlex.quote(str(root))}"
