"""Folders of a store as bytes, for machines that do not share it."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Collection
from pathlib import Path, PurePosixPath

from drnbench.config.units import Unit
from drnbench.store import Store, atomic

PRIVATE = re.compile(r"lease\.\d+|\..*")
"""Files that belong to one machine's processes: leases, locks, half-written files."""
LAST = ("history.parquet", "checkpoint.pt", "status.json")
"""Written after all others and in this order: where a later one is seen, the files that it refers to are there."""


def pack(folder: Path, *, status: bool = True, names: Collection[str] | None = None) -> bytes:
    """Return the files of a unit's folder as a zip archive, uncompressed; of one that is being written, too.

    `status`: with its status.json; `names`: of files directly in it, and no others; None: all.
    """
    out = io.BytesIO()
    relative = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    kept = [n for n in relative if not any(PRIVATE.fullmatch(part) for part in n.parts)]
    kept = [n for n in kept if (status or n.name != "status.json") and (names is None or n.as_posix() in names)]
    with zipfile.ZipFile(out, "w") as archive:
        # The checkpoint before the history: rows beyond a checkpoint are dropped on resume, lacking ones would be lost.
        for name in sorted(kept, key=_order, reverse=True):
            archive.writestr(name.as_posix(), (folder / name).read_bytes())
    return out.getvalue()


def unpack(content: bytes, folder: Path) -> None:
    """Write the files of `pack` into a folder, each whole, the status last.

    Raises:
        ValueError: a name leads out of the folder.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for name in sorted(archive.namelist(), key=lambda name: _order(Path(name))):
            inside = PurePosixPath(name)
            if inside.is_absolute() or ".." in inside.parts:
                raise ValueError(f"{name} leads out of {folder}")
            with atomic(folder / inside) as temporary:
                temporary.write_bytes(archive.read(name))


def needed(store: Store, unit: Unit) -> list[Path]:
    """Return the files and folders of a store, relative to it, that a unit reads: its own, and the checkpoint before."""
    before = unit.before if unit.kind == "stage" else unit.stage
    paths = [store.folder(unit)]
    if before is not None:
        paths.append(store.stage(before) / "checkpoint.pt")
    return [path.relative_to(store.root) for path in paths if path.exists()]


def _order(name: Path) -> tuple[int, str]:
    return (LAST.index(name.name) if name.name in LAST and len(name.parts) == 1 else -1, str(name))
