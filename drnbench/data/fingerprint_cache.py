"""The cache of image fingerprints: sha256 of the pixels and size, by path, size and time of the file."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from drnbench.data.images import check_file
from drnbench.store.cache_files import load_record, lock, write
from drnbench.store.integrity import encode


class FileStamp(NamedTuple):
    """State of a file: its real path, its size in bytes and its modification time in nanoseconds."""

    path: str
    size: int
    time: int


class PixelRecord(NamedTuple):
    """A decoded image: sha256 (hex) of its pixels, height and width."""

    sha: str
    height: int
    width: int


def stamp(path: Path) -> FileStamp:
    """Return the stamp of a file.

    Raises:
        DataError: it is missing, or no file.
    """
    status = check_file(path)
    return FileStamp(os.path.realpath(path), status.st_size, status.st_mtime_ns)


class FingerprintCache:
    """The file `fingerprints.json` of a cache, as it was when this object was made; empty if it is broken or absent."""

    def __init__(self, cache: Path) -> None:
        self._entries = _load(cache)

    def get(self, file: FileStamp) -> PixelRecord | None:
        """Return the record of a file; None if there is none, or the file has changed."""
        record = self.latest(file)
        return record if record is not None and self._entries[file.path][:2] == [file.size, file.time] else None

    def latest(self, file: FileStamp) -> PixelRecord | None:
        """Return the last record of a file of that path, changed since or not."""
        entry = self._entries.get(file.path)
        if not isinstance(entry, list) or len(entry) != 5 or not isinstance(entry[2], str):
            return None
        return PixelRecord(*entry[2:]) if all(isinstance(side, int) for side in entry[3:]) else None


def save_records(cache: Path, records: Mapping[FileStamp, PixelRecord]) -> None:
    """Add records to the file of a cache.

    Raises:
        UsageError: the cache cannot be written.
    """
    fresh = {file.path: [file.size, file.time, *record] for file, record in records.items()}
    with lock(cache, "fingerprints"):
        # Read again under the lock: another process may have added its images meanwhile.
        write(cache / "fingerprints.json", encode(_load(cache) | fresh).encode())


def header_size(path: Path) -> tuple[int, int]:
    """Return the height and width that an image's header claims, (0, 0) if it cannot be read; decodes nothing.

    The orientation of EXIF is not applied, so the sides may be exchanged: good for the area.
    """
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on huge sizes: decoding refuses them
            with Image.open(path) as image:
                return image.height, image.width
    except Exception:  # noqa: BLE001 - decoders raise anything on broken bytes; decoding the image reports it better
        return 0, 0


def _load(cache: Path) -> dict[str, Any]:
    return load_record(cache / "fingerprints.json")
