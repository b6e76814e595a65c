"""The files of a unit's result, and whether they are there and whole."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from drnbench.store.files import read_json, read_rows
from drnbench.store.integrity import MISSING, Damaged, Fault, compare

CHECKPOINT = "checkpoint.pt"
MAIN = {"stages": (CHECKPOINT, "history.parquet", "stage.json"), "trials": ("per_image.parquet", "scores.json")}
"""Files without which a unit is not done, by the folder of its kind; a checkpoint may have been cleaned away."""
IMAGES = "images"
"""Folder of a trial with whole SR images, of one seed of an arm."""
PICTURES = ("samples", "dual_kernel", IMAGES)
"""Folders of what figures show of a trial."""
FITS = "fits"
"""Folder of a trial with the result of a zero-shot method on each test image."""
DECLARATIONS = ("unit.json", "trial.json")
"""Files that say what a unit is: written again from the study wherever they are missing."""
EOCD = 22
"""Bytes of the record that ends a zip archive without a comment, such as a checkpoint."""


def main_files(folder: Path) -> Sequence[str]:
    """Return the names of the files without which a unit is not done."""
    return MAIN.get(folder.parent.name, ())


def has_result(folder: Path) -> bool:
    """Return True if the files without which a unit is not done are there, whole or not."""
    return all((folder / name).exists() for name in main_files(folder))


def result_files(folder: Path) -> list[str]:
    """Return the files of a unit's result, relative to its folder."""
    pictures = sorted(path for name in PICTURES for path in (folder / name).rglob("*") if path.is_file())
    return [*main_files(folder), *(path.relative_to(folder).as_posix() for path in pictures)]


def faults(
    folder: Path, files: Mapping[str, tuple[int, int]], *, done: bool, scored: Sequence[str], everything: bool = False
) -> list[Fault]:
    """Return what is missing of a unit's result, or not whole.

    Args:
        folder: of the unit.
        files: as its status lists them; none in a store of an earlier version, whose files are parsed.
        done: it is; otherwise its scores alone are looked at.
        scored: the evaluations that it has.
        everything: read checkpoints and pictures, too; otherwise a checkpoint is compared by its size, pictures not at all.

    """
    if not done:
        return [fault for fault in [_parsed(folder / "per_image.parquet")] if fault] if scored else []
    if not files:
        return _earlier(folder, scored=bool(scored))
    compared = []
    for name, expected in files.items():
        if everything or "/" not in name:
            content = everything or name != CHECKPOINT
            compared.append(compare(folder / name, expected, content=content))
    return [fault for fault in compared if fault and not (fault.path.name == CHECKPOINT and fault.reason == MISSING)]


def picture_faults(folder: Path, files: Mapping[str, tuple[int, int]]) -> list[Fault]:
    """Return the pictures of a trial that are missing or have another size."""
    names = [name for name, (size, _) in files.items() if "/" in name and _size(f"{folder}/{name}") != size]
    return [fault for name in names if (fault := compare(folder / name, files[name], content=False))]


def _size(path: str) -> int | None:
    """Return the size of a file; None where it cannot be looked at. Of text: a store may have tens of thousands of pictures."""
    try:
        return os.stat(path).st_size  # noqa: PTH116
    except OSError:
        return None


def _earlier(folder: Path, *, scored: bool) -> list[Fault]:
    """Return the faults of a unit whose status lists no files: of those that are there, and of scores that are not."""
    checks = [_parsed(folder / "history.parquet", optional=True)]
    checks += [_parsed(folder / "per_image.parquet", optional=not scored)]
    checks += [_zip_end(folder / CHECKPOINT)]
    for name in ("stage.json", "scores.json"):
        if (folder / name).exists() and read_json(folder / name) is None:
            checks.append(Fault(folder / name, "is not whole"))
    return [fault for fault in checks if fault]


def _parsed(path: Path, *, optional: bool = False) -> Fault | None:
    try:
        read_rows(path)
    except FileNotFoundError:
        return None if optional else Fault(path, MISSING)
    except Damaged as error:
        return Fault(path, str(error))
    return None


def _zip_end(path: Path) -> Fault | None:
    """Return a fault where a file does not end as a zip archive does."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - EOCD))
            return None if file.read(4) == b"PK\5\6" else Fault(path, "is cut off" if size else "is empty")
    except (FileNotFoundError, NotADirectoryError):
        return None
