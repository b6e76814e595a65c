"""Writing into the cache: one writer at a time, and files that appear whole."""

from __future__ import annotations

import multiprocessing
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from drnbench.errors import UsageError
from drnbench.store.files import atomic
from drnbench.store.integrity import Damaged, Fault, decode, report
from drnbench.store.locks import Lock

PATIENCE_S = 2.0
"""Seconds of waiting for another process before that is printed."""


def lock(cache_dir: Path, name: str) -> Lock:
    """Return the lock of that name; the system holds it, so it is free again when its process dies.

    Raises:
        UsageError: the cache cannot be written.

    """
    folder = cache_dir / "locks"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cache {cache_dir} cannot be written ({error.strerror}): choose another --results") from None
    return Lock(folder / f"{name}.lock")


@contextmanager
def hold(lock: Lock, message: str, patience: float = PATIENCE_S) -> Iterator[None]:
    """Hold a lock; print a message where another process keeps it for more than `patience` seconds."""
    try:
        lock.acquire(timeout=patience)
    except TimeoutError:
        print(message, file=sys.stderr, flush=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def building(cache_dir: Path, name: str, title: str) -> Iterator[Path]:
    """Hold a lock and give a folder for half-written files; those that a killed process left there are removed first.

    Args:
        cache_dir: the cache's folder.
        name: of the lock; the same for all processes that make the same files.
        title: of the files, for the message of a process that has to wait.

    Raises:
        UsageError: the cache cannot be written, or a script without a main guard calls this from its own children.

    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        # A process that was started for this work imports the caller's script, which begins the work again: it would
        # wait for its parent, and the parent for it.
        raise UsageError(f"{title}: put what the script does under `if __name__ == '__main__':`")
    parts = cache_dir / "parts" / name
    with hold(lock(cache_dir, name), f"{title}: waiting for another process that does it"):
        try:
            shutil.rmtree(parts, ignore_errors=True)
            yield parts
        finally:
            shutil.rmtree(parts, ignore_errors=True)


def load_record(file: Path) -> dict[str, Any]:
    """Return a record of the cache; an empty one where it is missing or, which is reported, not whole: it only saves time."""
    try:
        return decode(file.read_bytes())
    except OSError:
        return {}
    except Damaged as error:
        report(Fault(file, str(error)), "it is made again")
        return {}


def write(file: Path, *content: bytes | memoryview, parts: Path | None = None) -> None:
    """Write a file of the cache whole or not at all.

    Args:
        file: the final name.
        content: the bytes, one piece after the other.
        parts: folder of the temporary file, on the same disk; None: that of the file.

    Raises:
        UsageError: the file cannot be written.

    """
    try:
        try:
            _write(file, content, parts)
        except FileNotFoundError:  # the cache was deleted between two of the steps: begin again
            _write(file, content, parts)
    except OSError as error:
        raise unwritable(file, error) from None


def _write(file: Path, content: tuple[bytes | memoryview, ...], parts: Path | None) -> None:
    # Not synced: what a power cut leaves half-written fails its checksum, and is made again.
    with atomic(file, parts, durable=False) as temporary, temporary.open("wb") as out:
        for chunk in content:
            out.write(chunk)


def unwritable(file: Path, error: OSError) -> UsageError:
    """Return the error to raise where `file` cannot be written."""
    return UsageError(f"{file} cannot be written ({error.strerror}): make room or choose another --results")
