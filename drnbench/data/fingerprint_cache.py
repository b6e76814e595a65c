"""What is known of image files: the sha256 of their pixels and their sizes, by path, size and time of the file."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from drnbench.errors import DataError
from drnbench.store.cache_files import lock, write


class Stamp(NamedTuple):
    """A file as the system tells it: its real path, its size in bytes and its time in nanoseconds."""

    path: str
    size: int
    time: int


class Look(NamedTuple):
    """What decoding an image told: sha256 (hex) of its pixels, height and width."""

    sha: str
    height: int
    width: int


def stamp(path: Path) -> Stamp:
    """Return the stamp of a file.

    Raises:
        DataError: it cannot be read.

    """
    try:
        stat = path.stat()
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}): check the path and its permissions") from None
    return Stamp(str(path.resolve()), stat.st_size, stat.st_mtime_ns)


class Known:
    """The file `fingerprints.json` of a cache, as it was when this was made; broken or absent: nothing is known."""

    def __init__(self, cache: Path) -> None:
        self._entries = _load(cache)

    def get(self, of: Stamp) -> Look | None:
        """Return what is known of a file; None: nothing, or it has changed."""
        found = self.last(of)
        return found if found is not None and self._entries[of.path][:2] == [of.size, of.time] else None

    def last(self, of: Stamp) -> Look | None:
        """Return what was last known of a file of that path, changed since or not."""
        entry = self._entries.get(of.path)
        if not isinstance(entry, list) or len(entry) != 5 or not isinstance(entry[2], str):
            return None
        return Look(*entry[2:]) if all(isinstance(side, int) for side in entry[3:]) else None


def learn(cache: Path, looks: Mapping[Stamp, Look]) -> None:
    """Add to what a cache knows.

    Raises:
        UsageError: the cache cannot be written.

    """
    fresh = {of.path: [of.size, of.time, *look] for of, look in looks.items()}
    with lock(cache, "fingerprints"):
        # Read again under the lock: another process may have added its images meanwhile.
        write(cache / "fingerprints.json", json.dumps(_load(cache) | fresh, indent=0).encode())


def header_size(path: Path) -> tuple[int, int]:
    """Return the height and width that an image's header claims, (0, 0) where it cannot be read; decodes nothing.

    A picture that lies on its side comes out turned: good for its area.
    """
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on huge sizes: decoding refuses them
            with Image.open(path) as image:
                return image.height, image.width
    except Exception:  # noqa: BLE001 - decoders raise anything on broken bytes; decoding the image says it better
        return 0, 0


def _load(cache: Path) -> dict[str, Any]:
    try:
        loaded = json.loads((cache / "fingerprints.json").read_bytes())
    except (OSError, ValueError):
        return {}  # it only saves time, so it is built again
    return loaded if isinstance(loaded, dict) else {}
