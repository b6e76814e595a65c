"""The verb `clean`: the content of the store, and the parts of it that may be deleted.

A unit is deleted under its lease, its status.json first: a run cannot take it meanwhile, and whoever is killed over it
leaves a unit that counts as missing. What a run that goes on reads or makes is left to it, as the run's own lease names
it. Only what the inventory lists inside the store is touched, and no link is followed.
"""

from __future__ import annotations

import contextlib
import shutil
import stat
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from drnbench.config.keys import short
from drnbench.errors import FULL, UsageError
from drnbench.render.terminal import columns, size
from drnbench.results.inventory import CACHES, Holding, Inventory, sizes
from drnbench.store import STALE_S, Store, processes
from drnbench.store.leases import BEAT_S, Lease, claim, needed_units
from drnbench.store.locks import Lock
from drnbench.store.unit_files import CHECKPOINT

COST = "exporting or evaluating these weights, or starting from them, will then need training again"


@dataclass(frozen=True)
class Choice:
    """Kinds of things to delete: units that no study needs, checkpoints, SR images, the cache, leftovers of killed processes."""

    unused: bool = False
    checkpoints: bool = False
    images: bool = False
    cache: bool = False
    leftovers: bool = False

    def __bool__(self) -> bool:
        return self.unused or self.checkpoints or self.images or self.cache or self.leftovers


@dataclass
class _Work:
    """The things that were chosen, and the result."""

    units: list[Holding] = field(default_factory=list)
    checkpoints: list[Holding] = field(default_factory=list)
    images: list[Holding] = field(default_factory=list)
    cache: list[Path] = field(default_factory=list)
    leftovers: list[Path] = field(default_factory=list)
    freed: int = 0
    kept: list[str] = field(default_factory=list)


def clean(results: Path, choice: Choice, *, yes: bool) -> int:
    """Show what the store holds, and delete what was chosen once that is confirmed; returns the exit code.

    Raises:
        UsageError: no such store; or a choice that nobody can confirm, since there is no terminal and no `--yes`.

    """
    store = Store(results)
    if not any((store.root / kind).is_dir() for kind in ("stages", "trials", "cache")):
        raise UsageError(f"no store at {store.root}: give the folder of the results with --results")
    held = Inventory(store)
    print("\n".join(table(held)))
    if not choice:
        return 0
    if _observe(held):
        held = Inventory(store)
    work = _chosen(held, choice)
    lines = _description(work)
    if not lines:
        print("\nnothing of what was chosen is there")
        return 0
    print("\nto be deleted:\n" + "\n".join(f"  {line}" for line in lines))
    if not yes and not _confirmed():
        print("nothing was deleted")
        return 0
    work = _still(work, _chosen(Inventory(store), choice))
    _delete(store, work)
    print(f"deleted {size(work.freed)}")
    for line in work.kept:
        print(f"left alone: {line}", file=sys.stderr)
    return 1 if work.kept else 0


def table(held: Inventory) -> list[str]:
    """Return what the store holds by kind, and what may go, as lines."""
    stages, trials = ([u for u in held.units if u.kind == kind] for kind in ("stage", "trial"))
    samples = [n for u in trials for name, n in u.files.items() if name.startswith("samples/")]
    checkpoints = [u.checkpoint for u in stages if u.checkpoint]
    rows = [("kind", "number", "size")]
    rows.append(_row("stages", len(stages), sum(u.size for u in stages)))
    rows.append(_row("  their checkpoints", len(checkpoints), sum(checkpoints)))
    rows.append(_row("trials", len(trials), sum(u.size for u in trials)))
    rows.append(_row("  their sample images", len(samples), sum(samples)))
    pictures = [len(u.images) for u in trials], [sum(u.images.values()) for u in trials]
    rows.append(_row("  their whole SR images (--images)", sum(pictures[0]), sum(pictures[1])))
    rows += [_row(f"cache: {title}", *counts) for title, counts in held.cache().items()]
    root = held.store.root
    mlflow = [_size(path) for path in root.glob("mlflow.db*")]
    mlflow += list(sizes(root / "mlartifacts").values())
    studies = sorted({location.partition("/")[0] for location in held.plans})
    reports = [n for study in studies for n in sizes(root / study).values()]
    rows += [_row("MLflow", len(mlflow), sum(mlflow)), _row("reports", len(reports), sum(reports))]
    unused, droppable, leftovers = held.unused, held.droppable, held.leftovers()
    rows += [
        ("", "", ""),
        _row("no study needs (--unused)", len(unused), sum(u.size for u in unused)),
        _row("checkpoints nobody waits for (--checkpoints)", len(droppable), sum(u.checkpoint for u in droppable)),
        _row("cache, made again when needed (--cache)", *_sum(held.cache().values())),
        _row("leftovers of ended processes (--leftovers)", len(leftovers), sum(map(_size, leftovers))),
    ]
    lines = [f"{root}:", *columns(rows)]
    if droppable:
        lines.append(f"Without a checkpoint everything stays scored, and nothing is trained again for it; {COST}.")
    if running := held.running:
        lines.append(f"{len(running)} units are worked on now: they stay.")
    lines += [
        f"{_name(unit)} counts as worked on, by {seen}"
        for unit in running
        if (seen := held.store.last_seen(unit.folder)[0])
    ]
    if held.runs:
        lines.append(f"{len(held.runs)} runs go on: what they need stays.")
    return lines


def _observe(held: Inventory) -> bool:
    """Watch processes that cannot be seen from here, and whose last sign of life is dated long ago, or ahead.

    Returns:
        True if that was done: whether they live is clear now.

    """
    last = {unit.folder: held.store.last_seen(unit.folder) for unit in held.running}
    units = [folder for folder, (process, _) in last.items() if process]
    if not any(abs(time.time() - last[folder][1]) > STALE_S for folder in units):
        return False
    wait, pause, start = processes.DEAD_S, threading.Event(), time.monotonic()
    print(
        f"watching for {wait:.0f} s whether {len(units)} units are still worked on elsewhere",
        file=sys.stderr,
        flush=True,
    )
    while any(held.holding(folder).busy for folder in units) and time.monotonic() - start < wait + BEAT_S:
        pause.wait(1.0)
    return True


def _row(name: str, count: int, total: int) -> tuple[str, str, str]:
    return name, str(count), size(total)


def _sum(counts: Iterable[tuple[int, int]]) -> tuple[int, int]:
    pairs = list(counts)
    return sum(n for n, _ in pairs), sum(total for _, total in pairs)


def _chosen(held: Inventory, choice: Choice) -> _Work:
    work = _Work()
    if choice.unused:
        work.units = [unit for unit in held.unused if not unit.busy and not unit.needed]
        work.kept += [f"{_name(unit)} is being worked on" for unit in held.unused if unit.busy]
        work.kept += [f"{_name(unit)} is needed by a run" for unit in held.unused if unit.needed and not unit.busy]
    if choice.unused or choice.checkpoints:
        work.kept += [
            f"what {path} needs, as it is missing or not whole: run its study again" for path in held.unreadable
        ]
    if choice.checkpoints:
        gone = {unit.key for unit in work.units}
        work.checkpoints = [unit for unit in held.droppable if unit.key not in gone]
    if choice.images:
        gone = {unit.key for unit in work.units}
        kept = [unit for unit in held.units if unit.images and unit.key not in gone]
        work.images = [unit for unit in kept if not unit.busy and not unit.needed]
        work.kept += [f"the images of {_name(unit)}, which a run needs" for unit in kept if unit.busy or unit.needed]
    if choice.cache:
        if running := held.running:
            work.kept.append(f"the cache, while {len(running)} units that may read it are worked on")
        elif held.runs:
            work.kept.append(f"the cache, while {len(held.runs)} runs that may read it go on")
        else:
            places = [held.store.cache / name for name in (*CACHES, "fingerprints.json", "alignments.json")]
            work.cache = [path for path in places if path.exists() and not path.is_symlink()]
    if choice.leftovers:
        work.leftovers = held.leftovers()
    return work


def _still(work: _Work, now: _Work) -> _Work:
    """Return what was shown as far as it may still go: a person may take long to answer, and runs start meanwhile."""
    units, checkpoints, images = ({unit.key for unit in chosen} for chosen in (now.units, now.checkpoints, now.images))
    return _Work(
        [unit for unit in work.units if unit.key in units],
        [unit for unit in work.checkpoints if unit.key in checkpoints],
        [unit for unit in work.images if unit.key in images],
        [path for path in work.cache if path in now.cache],
        [path for path in work.leftovers if path in now.leftovers],
        kept=now.kept,
    )


def _description(work: _Work) -> list[str]:
    lines = []
    if work.units:
        kinds = [unit.kind for unit in work.units]
        units = " and ".join(f"{kinds.count(kind)} {kind}s" for kind in ("stage", "trial") if kind in kinds)
        lines.append(
            f"{units} that no plan.json refers to, {size(sum(u.size for u in work.units))}: {_some(work.units)}"
        )
    if work.checkpoints:
        lines.append(
            f"{len(work.checkpoints)} checkpoints, {size(sum(u.checkpoint for u in work.checkpoints))}: {_some(work.checkpoints)}; "
            f"{COST}"
        )
    if work.images:
        pictures = [n for unit in work.images for n in unit.images.values()]
        lines.append(f"{len(pictures)} whole images, {size(sum(pictures))}: figures show crops without them")
    for name, paths in (("the cache", work.cache), ("leftovers", work.leftovers)):
        if paths:
            lines.append(f"{name}, {size(sum(map(_size, paths)))}: {len(paths)} files and folders")
    return lines


def _some(units: Sequence[Holding]) -> str:
    return ", ".join(short(unit.key) for unit in units[:5]) + (", ..." if len(units) > 5 else "")


def _confirmed() -> bool:
    if not (sys.stdin and sys.stdin.isatty()):
        raise UsageError("nothing was deleted: there is no terminal to ask on; give --yes to delete what is listed")
    import typer

    return typer.confirm("delete this?", default=False)


def _delete(store: Store, work: _Work) -> None:
    for unit in work.units:
        _under_lease(store, unit, work, None)
    for unit in work.checkpoints:
        _under_lease(store, unit, work, [CHECKPOINT])
    for unit in work.images:
        _under_lease(store, unit, work, list(unit.images))
    for path in work.cache:
        work.freed += _remove(path)
    for path in work.leftovers:
        work.freed += _remove_leftover(path)


def _under_lease(store: Store, unit: Holding, work: _Work, files: Sequence[str] | None) -> None:
    """Delete files of a unit, or the whole of it, unless a run has taken it since it was looked at."""
    if not unit.folder.is_dir():
        return  # somebody else cleans, too
    lease = claim(unit.folder)
    if lease is None or store.state(unit.folder) != unit.state:
        if lease is not None:
            lease.release()
        work.kept.append(f"{_name(unit)} is being worked on")
        return
    needed = needed_units(store.root)  # only now: a run that begins after this sees what is gone
    if needed is None or unit.key in needed:
        lease.release()
        work.kept.append(f"{_name(unit)} is needed by a run")
        return
    try:
        if files is not None:
            is_written = _unlist(store, unit, files)  # first: one that is listed is missed
            for name in files:
                (unit.folder / name).unlink(missing_ok=True)
            if not is_written:
                _unlist(store, unit, files)
            work.freed += sum(unit.files[name] for name in files)
            return
        (unit.folder / "status.json").unlink(missing_ok=True)
        _empty(unit.folder, lease)
        work.freed += unit.size
    finally:
        lease.release()
        if files is None:
            with contextlib.suppress(OSError):  # a run came the moment the lease was given back: the folder is its own
                unit.folder.rmdir()


def _unlist(store: Store, unit: Holding, files: Sequence[str]) -> bool:
    """Take files out of those that a unit's status lists; False where the disk is full."""
    status = store.status(unit.folder)
    if status is None or not status.files.keys() & set(files):
        return True
    status.files = {name: written for name, written in status.files.items() if name not in files}
    try:
        store.write_status(unit.folder, status)
    except OSError as error:
        if error.errno not in FULL:
            raise
        return False
    return True


def _empty(folder: Path, lease: Lease) -> None:
    for path in list(folder.iterdir()):
        if path != lease.file:
            _remove(path)


def _remove(path: Path) -> int:
    """Delete a file or a folder; a link goes, what it points to stays. Returns the bytes that went."""
    try:
        folder = stat.S_ISDIR(path.lstat().st_mode)
    except FileNotFoundError:
        return 0
    total = _size(path)
    if folder:
        shutil.rmtree(path, ignore_errors=True)  # follows no links
    else:
        path.unlink(missing_ok=True)
    return total


def _remove_leftover(path: Path) -> int:
    """Delete a leftover; a lock or lease only while nobody has it, and so that nobody takes the file that goes."""
    if path.suffix == ".lock" or path.name == ".lock":
        with contextlib.suppress(TimeoutError), Lock(path, 0):
            path.unlink(missing_ok=True)
        return 0
    if path.name.startswith("lease.") and path.parent.is_dir():
        if lease := claim(path.parent):  # removes those before it
            lease.release()
        return 0
    return _remove(path)


def _size(path: Path) -> int:
    if path.is_symlink():
        return 0
    try:
        return sum(sizes(path).values()) if path.is_dir() else path.stat().st_size
    except FileNotFoundError:  # a run goes on
        return 0


def _name(unit: Holding) -> str:
    return f"{unit.kind} {short(unit.key)}"
