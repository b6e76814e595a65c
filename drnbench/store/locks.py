"""Locks between processes: the system's, which are free when their holder dies, and leases where a file system has none.

Network disks and FUSE file systems often refuse locks (ENOLCK, EOPNOTSUPP, ENOSYS), each in its own way.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import threading
import time
from pathlib import Path
from typing import Self

from drnbench.store.leases import Leases

UNSUPPORTED = frozenset({errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS})
"""Errors of a file system that has no locks, or of one whose lock service is down."""
POLL_S = 0.05


class Lock:
    """A lock that one process, and one thread of it, holds at a time.

    Args:
        path: a file, made if need be; where the file system has no locks, the folder `<path>.lease` beside it.
        timeout: seconds that `with` waits for it; None: without end.

    """

    def __init__(self, path: Path, timeout: float | None = None) -> None:
        self.path, self._timeout = path, timeout
        self._handle: int | None = None
        self._leases: Leases | None = None

    def acquire(self, timeout: float | None = None) -> None:
        """Take the lock.

        Args:
            timeout: seconds to wait for it; None: without end.

        Raises:
            TimeoutError: another one holds it.
            OSError: the file cannot be made.

        """
        deadline, pause = None if timeout is None else time.monotonic() + timeout, threading.Event()
        while not self._try():
            if deadline is not None and time.monotonic() >= deadline:
                raise TimeoutError(errno.ETIMEDOUT, "another process holds the lock", str(self.path))
            pause.wait(POLL_S)

    def close(self) -> None:
        """Give the lock back, as `contextlib.closing` asks for."""
        self.release()

    def release(self) -> None:
        """Give the lock back."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
        if self._leases is not None:
            self._leases.__exit__()
            self._leases = None
            with contextlib.suppress(OSError):  # another process takes it
                self._folder.rmdir()

    def __enter__(self) -> Self:
        self.acquire(self._timeout)
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    @property
    def _folder(self) -> Path:
        return self.path.with_name(f"{self.path.name}.lease")

    def _try(self) -> bool:
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # `clean` removes lock files that nobody holds: another process may have made a new one by now.
            if os.fstat(handle).st_nlink:
                self._handle, handle = handle, -1
                return True
        except OSError as error:
            if error.errno in UNSUPPORTED:
                return self._try_lease()
            if error.errno not in {errno.EAGAIN, errno.EACCES}:
                raise
        finally:
            if handle >= 0:
                os.close(handle)
        return False

    def _try_lease(self) -> bool:
        with contextlib.ExitStack() as stack:
            leases = stack.enter_context(Leases())
            if not leases.claim(self._folder):
                return False
            stack.pop_all()
            self._leases = leases
            return True


def has_locks(folder: Path) -> bool:
    """Return True if the file system of a folder has the locks that databases ask for (POSIX record locks)."""
    probe = folder / f".lock-test.{os.getpid()}.tmp"
    try:
        with probe.open("wb") as file:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in UNSUPPORTED
    finally:
        probe.unlink(missing_ok=True)
    return True
