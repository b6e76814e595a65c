"""Files of a store: written under a temporary name and renamed, so that a reader never sees half of one."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyarrow import Table

TEMPORARY = re.compile(r"\..+\.(\d+)\.tmp")
"""Temporary names that `atomic` gives, with the id of the process that writes."""
MIN_FREE = 2**16
"""Bytes free on a disk below which any failure is taken for one of a full disk."""
DISK_FULL = "the disk is full"
"""Message of a unit that was interrupted by a full disk."""


@contextlib.contextmanager
def atomic(path: Path, folder: Path | None = None) -> Iterator[Path]:
    """Give a temporary path; on success it is renamed to `path`, on failure it is removed.

    Args:
        path: the final name.
        folder: where the temporary file lies, on the same disk; None: beside `path`.

    """
    folder = folder or path.parent
    folder.mkdir(parents=True, exist_ok=True)
    # Not the id alone: processes of two machines or containers may have the same.
    temporary = folder / f".{path.name}.{uuid.uuid4().hex[:8]}.{os.getpid()}.tmp"
    try:
        yield temporary
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def remove_temporaries(folder: Path) -> None:
    """Remove the temporary files in a folder; only where no other process writes there."""
    for path in folder.glob(".*.tmp"):
        path.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, content: Any) -> None:
    """Write JSON, indented for people, whole or not at all."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False, sort_keys=False, default=str) + "\n")


def read_json(path: Path) -> Any:
    """Read JSON, or None where there is no such file."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None


def read_rows(path: Path, columns: list[str]) -> Table:
    """Read columns of a Parquet file: not by pandas, which takes ten times as long; a study may have thousands of them.

    Raises:
        FileNotFoundError: there is no such file.
        pyarrow.ArrowException: it is not a whole Parquet file, or lacks a column.

    """
    from pyarrow import parquet

    # For files this small, buffering and threads cost more than the reading.
    return (
        parquet.ParquetFile(path, pre_buffer=False).read(columns=columns, use_threads=False).replace_schema_metadata()
    )


def is_disk_full(error: BaseException, folder: Path) -> bool:
    """Return True if an error is due to a full disk: by its number, or by the free space of the folder's disk.

    Some libraries raise an error of their own, without that number.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in {errno.ENOSPC, errno.EDQUOT}:
            return True
        cause = cause.__cause__ or cause.__context__
    try:
        return shutil.disk_usage(folder).free < MIN_FREE
    except OSError:
        return False


def safe(name: str) -> str:
    """Return a kernel's name as a file or folder may be called."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", name)
