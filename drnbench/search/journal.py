"""The journal: one append-only file, locked by a file beside it, so that it also works on a network file system."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any


def storage(path: Path | None) -> Any:
    """Return Optuna's storage over a journal file, repaired where a process was killed while it wrote; in memory for None."""
    from optuna.storages import InMemoryStorage, JournalStorage
    from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

    if path is None:
        return InMemoryStorage()
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = JournalFileOpenLock(str(path))
    lock.acquire()
    try:
        _repair(path)
    finally:
        lock.release()
    return JournalStorage(JournalFileBackend(str(path), lock_obj=JournalFileOpenLock(str(path))))


def _repair(path: Path) -> None:
    """Cut a last line that was not finished: Optuna would append to it, and refuse the file from then on."""
    if not path.exists():
        return
    with path.open("rb+") as file:
        text = file.read()
        whole = text.rfind(b"\n") + 1
        if whole < len(text):
            file.truncate(whole)
            file.flush()
            os.fsync(file.fileno())
