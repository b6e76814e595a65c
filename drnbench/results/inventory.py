"""The content of a store, the studies that need it, and what may be removed; nothing is deleted by this module.

Links are never followed: files behind a link are not the store's, and are neither counted nor offered.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from drnbench.errors import UsageError
from drnbench.results.locations import FILE, lost_plan, planned, report_folders
from drnbench.results.plan_record import PlanRecord, find_plan
from drnbench.store import STALE_S, Store, read_json
from drnbench.store.files import TEMPORARY
from drnbench.store.integrity import SET_ASIDE
from drnbench.store.leases import ended_runs, going_runs, holder, leased, needed_units
from drnbench.store.processes import start_time
from drnbench.store.unit_files import IMAGES

CACHES = {
    "lr": "LR images",
    "pixels": "decoded HR images",
    "frames": "frames of videos",
    "impulses": "true kernels for D",
    "copies": "keypoints of images",
    "parts": "half-made files",
}
"""The folders of the cache; everything in it is made again where it is missing."""


@dataclass(frozen=True)
class Use:
    """The use of a unit by the report of a study under its settings, `<study>/<settings>`."""

    report: str
    arm: str
    seed: int


@dataclass(frozen=True)
class Holding:
    """One stage or trial of the store.

    Attributes:
        kind: "stage" or "trial".
        state: as `Store.state` has it.
        busy: it runs, or a living process holds its lease.
        needed: a run that goes on reads it, or makes it.
        files: sizes in bytes by path within its folder.
        used_by: the arms that need it.

    """

    kind: str
    key: str
    folder: Path
    state: str
    busy: bool
    needed: bool
    files: dict[str, int]
    used_by: tuple[Use, ...]

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        return sum(self.files.values())

    @property
    def checkpoint(self) -> int:
        """Bytes of its checkpoint; 0 without one."""
        return self.files.get("checkpoint.pt", 0)

    @property
    def images(self) -> dict[str, int]:
        """Bytes of its whole SR images, and of the LR and HR images beside them, by path."""
        return {name: count for name, count in self.files.items() if name.startswith(f"{IMAGES}/")}


@dataclass
class Inventory:
    """Everything in a store, as it was when it was first asked for.

    Attributes:
        plans: by the location of their report.
        unreadable: plan.json that a report lacks, plan.json and search.json that are not whole; the units that they need
            are not known.

    """

    store: Store
    plans: dict[str, PlanRecord] = field(init=False)
    unreadable: list[Path] = field(init=False)

    def __post_init__(self) -> None:
        locations = planned(self.store, replaced=True)
        plans = {location: find_plan(self.store, location) for location in locations}
        self.plans = {location: plan for location, plan in plans.items() if plan is not None}
        records = [self.store.study(location) / FILE for location, plan in plans.items() if plan is None]
        reports = list(report_folders(self.store))
        records += [path for location in reports if (path := lost_plan(self.store, location)) is not None]
        searches = [self.store.study(location) / "search.json" for location in reports]
        self.unreadable = [*records, *(path for path in searches if path.exists() and read_json(path) is None)]

    @cached_property
    def uses(self) -> dict[str, tuple[Use, ...]]:
        """The uses of each unit, by its key, in every plan.json and among the candidates of every search.json."""
        users: dict[str, dict[Use, None]] = {}
        for study, plan in self.plans.items():
            for trial in plan.trials:
                use = Use(study, trial.arm, trial.seed)
                for key in (trial.key, *trial.stages):
                    users.setdefault(key, {})[use] = None
        for location in report_folders(self.store):
            record = read_json(self.store.study(location) / "search.json") or {}
            searches = record.get("searches")
            for search in searches.values() if isinstance(searches, dict) else ():
                for keys in (search.get("uses") or {}).values():
                    for key in keys:
                        users.setdefault(key, {})[Use(location, "a candidate of the search", 0)] = None
        return {key: tuple(uses) for key, uses in users.items()}

    @cached_property
    def units(self) -> list[Holding]:
        """Every stage and trial."""
        return [self.holding(folder) for kind in ("stages", "trials") for folder in folders(self.store.root / kind)]

    def holding(self, folder: Path) -> Holding:
        """Return one unit."""
        state, has_lease = self.store.state(folder), leased(folder)
        needed = self.needed is None or folder.name in self.needed
        return Holding(
            folder.parent.name[:-1], folder.name, folder, state, state == "running" or has_lease, needed, sizes(folder),
            self.uses.get(folder.name, ()),
        )  # fmt: skip

    @cached_property
    def needed(self) -> Collection[str] | None:
        """The keys of the units that runs which go on need; None: every one."""
        return needed_units(self.store.root)

    @cached_property
    def runs(self) -> list[Path]:
        """The leases of the runs that go on."""
        return going_runs(self.store.root)

    @property
    def unused(self) -> list[Holding]:
        """Units that no plan refers to, such as those of an earlier profile or of a study that is gone.

        None where a plan cannot be read: it may need any of them.
        """
        return [] if self.unreadable else [unit for unit in self.units if not unit.used_by]

    @property
    def droppable(self) -> list[Holding]:
        """Finished stages whose checkpoint is not needed: every trial is scored, no unfinished stage starts there."""
        if self.unreadable:
            return []
        needed = self._unscored | self._starts
        return [
            unit for unit in self.units
            if unit.kind == "stage" and unit.state == "done" and unit.checkpoint and unit.key not in needed and not unit.needed
        ]  # fmt: skip

    @cached_property
    def _unscored(self) -> set[str]:
        """Stages of trials that lack a score, by plans, and by the trials in the store that are not done."""
        needed: set[str] = set()
        for plan in self.plans.values():
            for trial in plan.trials:
                status = self.store.look(self.store.trial(trial.key))[1]
                if not {e.key for e in trial.wanted} <= set(status.evaluations if status else ()):
                    needed.update(trial.stages)
        for unit in self.units:
            if unit.kind == "trial" and unit.state != "done":
                needed.update((read_json(unit.folder / "trial.json") or {}).get("stages") or ())
        return needed

    @cached_property
    def _starts(self) -> set[str]:
        """Stages that unfinished ones start from."""
        starts = set()
        for unit in self.units:
            if unit.kind == "stage" and unit.state != "done":
                starts.add((read_json(unit.folder / "unit.json") or {}).get("before"))
        return {key for key in starts if key}

    @property
    def running(self) -> list[Holding]:
        """Units that a process works on now."""
        return [unit for unit in self.units if unit.busy]

    def cache(self) -> dict[str, tuple[int, int]]:
        """Return number of files and bytes of each part of the cache."""
        parts = {}
        for name, title in CACHES.items():
            files = sizes(self.store.cache / name)
            if files:
                parts[title] = (len(files), sum(files.values()))
        return parts

    def leftovers(self) -> list[Path]:
        """Return temporary files and folders whose process is gone, locks and leases that are not held, what was set aside."""
        # Half-written files name their process by its id alone: it may be that of a run which cannot be seen from here.
        unseen = any((process := holder(run)) and process.silence is not None for run in self.runs)
        paths = [path for path in _hidden(self.store) if not unseen and _is_abandoned(path)] + ended_runs(
            self.store.root
        )
        for unit in self.units:
            if not unit.busy:
                paths += [unit.folder / name for name in unit.files if Path(name).name.startswith(".now-") or (
                    TEMPORARY.fullmatch(Path(name).name) and _is_abandoned(unit.folder / name))]  # fmt: skip
                paths += [unit.folder / name for name in unit.files if re.fullmatch(r"lease\.\d+|\.lock", name)]
            paths += [unit.folder / name for name in unit.files if not unit.busy and SET_ASIDE.fullmatch(name)]
        paths += [path for path in _temporaries(self.store.cache) if not unseen and _is_abandoned(path)]
        locks = [self.store.cache / "locks" / name for name in sizes(self.store.cache / "locks")]
        paths += [path for path in locks if not leased(path.parent)]
        return sorted({*paths, *_set_aside(self.store)})


def resolve(store: Store, key: str) -> Path:
    """Return the folder of the one stage or trial whose key begins with `key`.

    Raises:
        UsageError: none or several do.

    """
    matches = store.find(key)
    if not matches:
        raise UsageError(f"no stage and no trial in {store.root} begins with {key!r}; `plan` shows the keys of a study")
    if len(matches) > 1:
        names = ", ".join(f"{path.parent.name[:-1]} {path.name[:16]}" for path in matches[:4])
        more = ", ..." if len(matches) > 4 else ""
        raise UsageError(f"{key!r} begins {len(matches)} keys ({names}{more}); give more of its characters")
    return matches[0]


def folders(place: Path) -> list[Path]:
    """Return the real folders in a place, by name; [] where it is a link, or not there."""
    if place.is_symlink():
        return []
    try:
        with os.scandir(place) as entries:
            return sorted(
                Path(e.path) for e in entries if e.is_dir(follow_symlinks=False) and not e.name.startswith(".")
            )
    except (FileNotFoundError, NotADirectoryError):
        return []


def sizes(folder: Path) -> dict[str, int]:
    """Return bytes by path within a folder; nothing that is a link, or behind one."""
    return {} if folder.is_symlink() else dict(_files(str(folder), ""))


def _files(folder: str, prefix: str) -> Iterator[tuple[str, int]]:
    try:
        with os.scandir(folder) as unordered:
            entries = sorted(unordered, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in entries:
        try:
            if entry.is_dir(follow_symlinks=False):
                yield from _files(entry.path, f"{prefix}{entry.name}/")
            elif entry.is_file(follow_symlinks=False):
                yield f"{prefix}{entry.name}", entry.stat(follow_symlinks=False).st_size
        except FileNotFoundError:  # a run goes on
            continue


def _hidden(store: Store) -> Iterator[Path]:
    """Yield the hidden files and folders of processes beside the folders of the store, and in those of reports."""
    for folder in [store.root, *(store.study(location) for location in planned(store, replaced=True))]:
        real = not any(part.is_symlink() for part in (folder, *folder.parents) if part.is_relative_to(store.root))
        names: list[str] = []
        with contextlib.suppress(FileNotFoundError):
            names = os.listdir(folder) if real else []  # noqa: PTH208 - names are enough
        yield from (folder / name for name in names if TEMPORARY.fullmatch(name))


def _set_aside(store: Store) -> Iterator[Path]:
    """Yield the records of studies that were not whole and were set aside."""
    for location in report_folders(store):
        folder = store.study(location)
        yield from (folder / name for name in sizes(folder) if "/" not in name and SET_ASIDE.fullmatch(name))


def _temporaries(cache: Path) -> Iterator[Path]:
    return (cache / name for name in sizes(cache) if Path(name).name.startswith(".") and name.endswith(".tmp"))


def _is_abandoned(path: Path) -> bool:
    """Return True if its process is not on this machine, and it was not touched for a minute."""
    match = TEMPORARY.fullmatch(path.name)
    if match and start_time(int(match[1])) is not None:
        return False
    try:
        times = [path.lstat().st_mtime, *(p.lstat().st_mtime for p in path.rglob("*"))]
    except OSError:
        return False
    return abs(time.time() - max(times)) > STALE_S  # a date ahead is that of another clock
