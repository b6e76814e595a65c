"""Disk space that a large set of images takes: reported and checked before anything is decoded."""

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
    """Return True if images of `size` bytes decoded, together, are kept as files.

    Raises:
        UsageError: DRNBENCH_PACK_MB is no number of 0 or more.
    """
    setting = os.environ.get("DRNBENCH_PACK_MB", "")
    try:
        limit = float(setting) if setting.strip() else LARGE_MB
    except ValueError:
        limit = math.nan
    if not limit >= 0:
        raise UsageError(f"DRNBENCH_PACK_MB={setting!r}: give a number of MiB, such as {LARGE_MB:.0f}")
    return size > limit * 2**20


def announce(title: str, count: int, size: int, folder: Path) -> None:
    """Check that images of `size` bytes decoded fit on the disk, and print on standard error how much will be written.

    The title begins the message; the folder, their destination, need not exist yet.

    Raises:
        UsageError: less than `size` bytes are free.
    """
    check_free_space(title, count, size, folder)
    print(f"{title}: {summary(count, size, folder)}", file=sys.stderr, flush=True)


def summary(count: int, size: int, folder: Path) -> str:
    """Return number of images, GB decoded, destination and free space, as a sentence."""
    return f"{_images(count)}, {_gb(size)} decoded, go to {folder} ({_gb(free_bytes(folder))} free)"


def check_free_space(title: str, count: int, size: int, folder: Path) -> None:
    """Refuse images that do not fit on the disk; arguments as in `announce`.

    Raises:
        UsageError: less than `size` bytes are free.
    """
    free = free_bytes(folder)
    if size > free:
        raise UsageError(
            f"{title}: {_images(count)} would take {_gb(size)} decoded, and {folder} has {_gb(free)} free: make room, choose "
            f"another --results, or use fewer images"
        )


def free_bytes(folder: Path) -> int:
    """Return the bytes that are free where a folder is, or will be."""
    existing = folder.absolute()
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    return shutil.disk_usage(existing).free


def _images(count: int) -> str:
    return f"{count} image{'s' * (count != 1)}"


def _gb(size: int) -> str:
    return f"{size / 1e9:.3g} GB"
