"""What a large set of images costs on the disk: said, and checked, before anything is decoded."""

from __future__ import annotations

import math
import os
import shutil
import sys
from pathlib import Path

from drnbench.errors import UsageError

LARGE_MB = 512.0
"""MiB of decoded images above which a source is kept as files in the cache and not in the memory of each process.

DRNBENCH_PACK_MB gives another number.
"""


def is_large(size: int) -> bool:
    """Whether images of `size` bytes decoded, together, are kept as files.

    Raises:
        UsageError: DRNBENCH_PACK_MB is no number of 0 or more.

    """
    given = os.environ.get("DRNBENCH_PACK_MB", "")
    try:
        limit = float(given) if given.strip() else LARGE_MB
    except ValueError:
        limit = math.nan
    if not limit >= 0:
        raise UsageError(f"DRNBENCH_PACK_MB={given!r}: give a number of MiB, such as {LARGE_MB:.0f}")
    return size > limit * 2**20


def tell(what: str, count: int, size: int, folder: Path) -> None:
    """Say on standard error what will be written, and refuse it where it does not fit.

    Raises:
        UsageError: less than `size` bytes are free.

    """
    fit(what, count, size, folder)
    print(f"{what}: {words(count, size, folder)}", file=sys.stderr, flush=True)


def words(count: int, size: int, folder: Path) -> str:
    """Return how many images, GB decoded, where they go, and what is free there."""
    return f"{_images(count)}, {_gb(size)} decoded, go to {folder} ({_gb(free(folder))} free)"


def fit(what: str, count: int, size: int, folder: Path) -> None:
    """Refuse what does not fit.

    Raises:
        UsageError: less than `size` bytes are free.

    """
    there = free(folder)
    if size > there:
        raise UsageError(
            f"{what}: {_images(count)} would take {_gb(size)} decoded, and {folder} has {_gb(there)} free: make room, choose "
            f"another --results, or use fewer images"
        )


def free(folder: Path) -> int:
    """Return the free bytes of the disk that a folder, which need not be there yet, lies on."""
    there = folder.absolute()
    while not there.exists() and there != there.parent:
        there = there.parent
    return shutil.disk_usage(there).free


def _images(count: int) -> str:
    return f"{count} image{'s' * (count != 1)}"


def _gb(size: int) -> str:
    return f"{size / 1e9:.3g} GB"
