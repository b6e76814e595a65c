"""Files of a store: written under a temporary name, synced and renamed, so that nobody ever sees half of one.

A file is on the disk before it takes its name, and its folder's entry after that. A sync waits for the disk, 3 ms on an
SSD; the files of a unit are synced together (`sync`), which costs one or two such waits.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import os
import re
import shutil
import uuid
import zipfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drnbench.errors import FULL
from drnbench.store.integrity import ALTERED, Damaged, Fault, decode, encode, report, set_aside

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray
    from pyarrow import Table

TEMPORARY = re.compile(r"\..+\.(\d+)\.tmp")
"""Temporary names that `atomic` gives, with the id of the process that writes."""
LONGEST_NAME = 200
"""Bytes of a file's name that is made here, of the 255 that file systems allow."""
MIN_FREE = 2**16
"""Bytes free on a disk below which any failure is taken for one of a full disk."""
SQLITE_FULL = 13
"""Code of an error of SQLite by which it has no room (`sqlite3.SQLITE_FULL`)."""
ROWS = b"drnbench.rows"
"""Key of the number of rows in the metadata of a Parquet file: page checksums do not cover it."""
INTEGERS = ("step", "scale")
FLOATS = ("value", "time")
TEXTS = ("name", "image", "dataset", "kernel", "metric", "evaluation", "protocol")
"""Columns of histories and scores by type."""
DISK_FULL = "the disk is full"
"""Message of a unit that was interrupted by a full disk."""


SYNCED_AT_ONCE = 16
"""Files that are synced side by side: the disk serves them with one or two waits."""


@contextlib.contextmanager
def atomic(path: Path, folder: Path | None = None, *, durable: bool = True) -> Iterator[Path]:
    """Give a temporary path; on success it is renamed to `path`, on failure it is removed.

    Args:
        path: the final name.
        folder: where the temporary file lies, on the same disk; None: beside `path`.
        durable: sync the file before it takes its name, and the entry of its folder after; otherwise the caller does (`sync`),
            or the file can be made again.

    """
    folder = folder or path.parent
    folder.mkdir(parents=True, exist_ok=True)
    # Not the id alone: processes of two machines or containers may have the same.
    temporary = folder / f".{_room_for_more(path.name)}.{uuid.uuid4().hex[:8]}.{os.getpid()}.tmp"
    try:
        yield temporary
        path.parent.mkdir(parents=True, exist_ok=True)
        if durable:
            sync([temporary])
        temporary.replace(path)
        if durable:
            sync([path.parent])
    except OSError as error:
        if error.filename is None or str(error.filename) == str(temporary):
            error.filename = str(path)  # of this name the user knows
        raise
    finally:
        with contextlib.suppress(OSError):  # a read-only disk says so of a file that is not there, too
            temporary.unlink(missing_ok=True)


def sync(paths: Iterable[Path]) -> None:
    """Wait until files, or the entries of folders, are on the disk: side by side, as each alone costs as much as all.

    Raises:
        OSError: the disk failed, or is full.

    """
    paths = list(paths)
    if len(paths) < 2:
        for path in paths:
            _sync(path)
        return
    with ThreadPoolExecutor(min(len(paths), SYNCED_AT_ONCE)) as pool:
        list(pool.map(_sync, paths))


def _sync(path: Path) -> None:
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return
    try:
        os.fsync(handle)
    except OSError as error:
        # Some network file systems cannot sync a folder.
        if error.errno not in {errno.EINVAL, errno.ENOTSUP, errno.EBADF}:
            raise
    finally:
        os.close(handle)


def remove_temporaries(folder: Path) -> None:
    """Remove the temporary files in a folder; only where no other process writes there."""
    for path in folder.glob(".*.tmp"):
        path.unlink(missing_ok=True)


def write_text(path: Path, text: str, *, durable: bool = True) -> None:
    """Write a text file whole or not at all; `durable`: as in `atomic`.

    Half of a surrogate pair, which UTF-8 lacks, is written as its escape.
    """
    with atomic(path, durable=durable) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def write_json(path: Path, content: Any, *, durable: bool = True) -> None:
    """Write a record as JSON with its CRC-32, whole or not at all; `durable`: as in `atomic`."""
    write_text(path, encode(content), durable=durable)


def renew_json(path: Path, content: Any, *, durable: bool = True) -> None:
    """Write a record; one that is there and not whole is set aside first."""
    if path.exists() and read_json(path) is None:
        set_aside(path)
    write_json(path, content, durable=durable)


def read_json(path: Path) -> dict[str, Any] | None:
    """Read a record; None where there is no such file, or, which is reported, one that is not whole."""
    try:
        return decode(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except Damaged as error:
        report(Fault(path, str(error)))
        return None


def write_rows(path: Path, frame: pd.DataFrame, *, durable: bool = True) -> None:
    """Write a table as Parquet with checksums of its pages and its number of rows; `durable`: as in `atomic`."""
    import pyarrow as pa
    from pyarrow import parquet

    table = pa.Table.from_pandas(frame, preserve_index=False)
    metadata = {**(table.schema.metadata or {}), ROWS: str(table.num_rows).encode()}
    with atomic(path, durable=durable) as temporary:
        parquet.write_table(table.replace_schema_metadata(metadata), temporary, write_page_checksum=True)


def read_rows(path: Path, columns: list[str] | None = None) -> Table:
    """Read columns of a Parquet file: not by pandas, which takes ten times as long; a study may have thousands of them.

    Raises:
        FileNotFoundError: there is no such file.
        Damaged: it is not a whole Parquet file, or lacks a column.

    """
    import pyarrow as pa
    from pyarrow import parquet

    try:
        # For files this small, buffering and threads cost more than the reading.
        file = parquet.ParquetFile(path, pre_buffer=False, page_checksum_verification=True)
        table = file.read(columns=columns, use_threads=False)
    except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise Damaged("is not a whole Parquet file") from None
    rows = (table.schema.metadata or {}).get(ROWS)
    if rows is not None and rows != str(table.num_rows).encode():
        raise Damaged("has other rows than were written")
    return _typed(table.replace_schema_metadata(), columns)


def _typed(table: Table, columns: list[str] | None) -> Table:
    """Return a table with text of one type: pandas has written several.

    Raises:
        Damaged: it lacks a column, or one is of another type.

    """
    import pyarrow as pa

    if missing := set(columns or ()) - set(table.column_names):
        raise Damaged(f"lacks the columns {', '.join(sorted(missing))}")
    types = {
        **dict.fromkeys(INTEGERS, pa.int64()),
        **dict.fromkeys(FLOATS, pa.float64()),
        **dict.fromkeys(TEXTS, pa.large_string()),
    }
    fields = []
    for field in table.schema:
        expected = types.get(field.name, field.type)
        if field.type != expected and not (expected == pa.large_string() and pa.types.is_string(field.type)):
            raise Damaged(f"has a column {field.name} of type {field.type}")
        fields.append((field.name, expected))
    schema = pa.schema(fields)
    # Not always: `cast` imports pyarrow.compute, which `plan` needs for nothing else.
    return table if table.schema == schema else table.cast(schema)


def stored_rows(path: Path, columns: list[str] | None = None) -> Table | None:
    """Read columns of a Parquet file; None where there is no such file, or, which is reported, one that is not whole."""
    try:
        return read_rows(path, columns)
    except FileNotFoundError:
        return None
    except Damaged as error:
        report(Fault(path, str(error)))
        return None


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Read an .npz file whole: NumPy alone compares no CRC-32 where an altered header asks for fewer bytes.

    Raises:
        FileNotFoundError: there is no such file.
        Damaged: it is not a whole archive of arrays.

    """
    import numpy as np

    try:
        content = io.BytesIO(path.read_bytes())
        with zipfile.ZipFile(content) as archive:
            altered = archive.testzip()
        content.seek(0)
        with np.load(content, allow_pickle=False) as arrays:
            read = {name: arrays[name] for name in arrays.files}
    except FileNotFoundError:
        raise
    except Exception:  # noqa: BLE001 - bytes of another format raise nearly anything
        raise Damaged("is not a whole archive of arrays") from None
    if altered:
        raise Damaged(ALTERED)
    return read


def is_disk_full(error: BaseException, folder: Path) -> bool:
    """Return True if an error is due to a full disk: by its number, or by the free space of the folder's disk.

    Some libraries raise an error of their own, without that number.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in FULL:
            return True
        if getattr(cause, "sqlite_errorcode", None) == SQLITE_FULL:
            return True
        cause = cause.__cause__ or cause.__context__
    try:
        return shutil.disk_usage(folder).free < MIN_FREE
    except OSError:
        return False


def safe(name: str) -> str:
    """Return a kernel's name as a file or folder may be called; one that is too long for that ends in a digest of it."""
    plain = re.sub(r"[^A-Za-z0-9._-]", "-", name)
    return plain if len(plain) <= LONGEST_NAME else f"{plain[: LONGEST_NAME - 17]}-{_digest(name)}"


def _room_for_more(name: str) -> str:
    """Return a file's name with room for what a temporary name adds; one that is too long ends in a digest of it."""
    encoded = os.fsencode(name)
    if len(encoded) <= LONGEST_NAME:
        return name
    return f"{encoded[: LONGEST_NAME - 17].decode('utf-8', 'ignore')}-{_digest(name)}"


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:16]
