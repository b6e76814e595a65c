"""The mirror while a study runs: a thread beside the coordinator, which never waits for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from drnbench.errors import one_line
from drnbench.store import Store
from drnbench.tracking import record
from drnbench.tracking.mirror import Mirror

PAUSE_S = 2.0
"""At least this long between two syncs."""
SHARE = 10
"""And at least this many times the duration of the last sync: training needs the processor more."""
AWAY_S = 60.0
"""Seconds before a server that failed is tried again."""


class LiveMirror:
    """Mirrors a study whenever something new is on disk, in a thread of its own.

    Args:
        uri: tracking URI; none is the store's own results/mlflow.db.
        warn: called once with a line when mirroring fails; training goes on, and a later `sync` catches up.

    """

    def __init__(self, store: Store, uri: str | None = None, warn: Callable[[str], None] | None = None) -> None:
        self.mirror = Mirror(store, uri)
        self._warn = warn
        self._condition = threading.Condition()
        self._dirty = False
        self._closing = False
        self._handed_over = False
        self._thread: threading.Thread | None = None
        self._warned = False
        self._failing = False

    def start(self, name: str) -> None:
        """Begin with a study; returns at once."""
        self._dirty = True
        # A daemon: a server that hangs must not keep a finished run from ending.
        self._thread = threading.Thread(target=self._work, args=(name,), name="mlflow-mirror", daemon=True)
        self._thread.start()

    def notify(self) -> None:
        """Note that something new is on disk; cheap, and many calls become one sync: digests find the changed trials."""
        with self._condition:
            self._dirty = True
            self._condition.notify()

    def close(self, timeout: float = 30.0) -> bool:
        """Mirror the rest and end the thread; return True if that was done within `timeout` seconds, else warn."""
        if self._thread is None:
            return True
        with self._condition:
            self._dirty, self._closing = True, True
            self._condition.notify()
        self._thread.join(timeout)
        late = self._thread.is_alive()
        if late:
            self._warn_once(f"did not take everything within {timeout:g} s, so the mirror is behind")
        return not late and not self._failing

    def hand_over(self, timeout: float = 30.0) -> Mirror | None:
        """End the thread within `timeout` seconds; return the mirror, connected, for the rest; None where it has failed.

        A mirror that failed is tried once more, as by `close`.
        """
        self._handed_over = self._thread is not None and not self._failing
        return self.mirror if self.close(timeout) else None

    def _warn_once(self, reason: str) -> None:
        if not self._warned and self._warn is not None:
            self._warned, command = True, record.sync_command(self.mirror.store, self.mirror.uri)
            self._warn(f"MLflow at {record.public(self.mirror.uri)} {reason}; `{command}` catches up")

    def _work(self, name: str) -> None:
        rest = 0.0
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._closing, rest)
                self._condition.wait_for(lambda: self._dirty or self._closing)
                closing, self._dirty = self._closing, False
            if closing and self._handed_over:
                return
            start = time.monotonic()
            done = self._sync(name, closing)
            if closing:
                return
            rest = max(PAUSE_S, SHARE * (time.monotonic() - start)) if done else AWAY_S

    def _sync(self, name: str, closing: bool) -> bool:
        try:
            # The last sync also records how the study ended: an interrupted one is not shown as running.
            self.mirror.sync(name, final=closing)
        except Exception as error:  # noqa: BLE001 - whatever it is, training must not end by it
            self._failing = True
            self._warn_once(
                "is not reachable or not writable, so nothing is mirrored for now "
                f"({type(error).__name__}: {one_line(str(error))[:200]})"
            )
            return False
        self._failing = False
        return True
