"""Writing into the cache: one writer at a time, and files that appear whole."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from filelock import FileLock

from drnbench.errors import UsageError


def lock(cache_dir: Path, name: str) -> FileLock:
    """Return the lock of that name; held by the system, so it is free again when its process dies.

    Raises:
        UsageError: the cache cannot be written.

    """
    folder = cache_dir / "locks"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cache {cache_dir} cannot be written ({error.strerror}): choose another --results") from None
    return FileLock(folder / f"{name}.lock")


def write(file: Path, content: bytes) -> None:
    """Write under a temporary name and rename: a reader never sees half a file.

    Raises:
        UsageError: the file cannot be written.

    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=file.parent, prefix=".", suffix=".tmp")
        try:
            with os.fdopen(handle, "wb") as out:
                out.write(content)
            Path(temporary).replace(file)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise unwritable(file, error) from None


def unwritable(file: Path, error: OSError) -> UsageError:
    """Return the error to raise where the disk refuses `file`."""
    return UsageError(f"{file} cannot be written ({error.strerror}): make room or choose another --results")
