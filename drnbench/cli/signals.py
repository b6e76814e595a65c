"""Signals of the command line: Ctrl-C, SIGTERM and SIGHUP end a command alike, and each has its exit code.

The first raises `KeyboardInterrupt` in what `guarded` calls, upon which a run saves; before and after it, where nobody
would catch that, it ends the process. A second Ctrl-C raises it again, which ends the run at once; a third ends the
process. SIGTERM and SIGHUP come several times as a rule, to a process and to its group, so only the first counts. One
that is ignored (`nohup`, `trap '' TERM`) stays ignored.
"""

from __future__ import annotations

import _thread
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

HARD = 3
"""Number of Ctrl-C that leaves a command that does not come to its end."""
_RETRY_S = 0.02

_received: list[int] = []


def install() -> None:
    """Handle the signals of this process, in its main thread, from now on."""
    _received.clear()
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _handle)
    sys.unraisablehook = _raise_again


def guarded(command: Callable[[], int]) -> int:
    """Call a function in which signals raise `KeyboardInterrupt`; the caller catches it."""
    return command()


def exit_code() -> int | None:
    """Return the exit code of the first signal, 128 and its number: 130 Ctrl-C, 143 SIGTERM, 129 SIGHUP; None: no signal."""
    return 128 + _received[0] if _received else None


def is_repeated() -> bool:
    """Return True after a second signal: nothing is to be waited for."""
    return len(_received) > 1


def leave_with(code: int) -> None:
    """Let every further signal end the process with this code: the command is over, only the interpreter still ends."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is _handle:
            signal.signal(number, lambda *_: os._exit(code))


def _handle(number: int, frame: FrameType | None) -> None:
    if _received and number != signal.SIGINT:
        return
    _received.append(number)
    if len(_received) >= HARD or not _is_guarded(frame):
        os._exit(128 + _received[0])
    raise KeyboardInterrupt


def _is_guarded(frame: FrameType | None) -> bool:
    """Return True within `guarded`. The stack says so, since a flag would be set or cleared a moment too early or late."""
    while frame is not None and frame.f_code is not guarded.__code__:
        frame = frame.f_back
    return frame is not None


def _raise_again(failure: Any) -> None:
    """Raise an interrupt again that fell into a callback of the interpreter, which would print and forget it."""
    if failure.exc_type is KeyboardInterrupt and _received:
        again = threading.Timer(_RETRY_S, _thread.interrupt_main, (_received.pop(),))
        again.daemon = True
        again.start()
    elif not issubclass(failure.exc_type, OSError):  # of a stream or pipe that is closed at the end
        sys.__unraisablehook__(failure)
