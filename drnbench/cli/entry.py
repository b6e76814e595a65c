"""The entry of the command line: streams and signals first, then the verbs; every end is an exit code and at most one line."""

from __future__ import annotations

import gc
import importlib
import os
import pwd
import sys
import threading
import traceback
from typing import Any

from drnbench import streams
from drnbench.cli import failures, signals
from drnbench.cli.failures import NO_READER, REFUSED
from drnbench.errors import redacted

DEBUG = "--debug"
INTERRUPTED = 130
COLLECT = (50_000, 20, 20)
"""Thresholds of the garbage collector: with Python's it looks through all that was imported again and again, a tenth of a
report's time."""
RESUMING = frozenset({"run", "data", "sync"})
"""Verbs that keep what they have done, and go on from there."""


def main(args: list[str] | None = None) -> int:
    """Run the command line and return the exit code; every error is one line on standard error.

    Args:
        args: the words after the command's name; None: those of this process, which is then ours: its streams are made
            usable, its signals are handled.

    """
    is_ours = args is None
    if is_ours:
        gc.set_threshold(*COLLECT)
        signals.install()
        streams.make_usable()
        _name_user()
        threading.excepthook = _warn_of_thread
    words = sys.argv[1:] if args is None else args
    try:
        # Not at the top: Ctrl-C while it is imported must be as quiet as later.
        code = signals.guarded(
            lambda: importlib.import_module("drnbench.cli.app").call([word for word in words if word != DEBUG])
        )
    except BaseException as error:  # noqa: BLE001 - reported below as what it is
        code = _report(error, words)
    return _finish(code) if is_ours else code


def _name_user() -> None:
    """Give a user who is in no list of users (`docker run --user 12345`) a name and a home, which libraries insist on.

    The home is not there: nothing is written into it, and nobody else can put anything there.
    """
    try:
        pwd.getpwuid(os.getuid())
    except KeyError:
        os.environ.setdefault("USER", str(os.getuid()))
        os.environ.setdefault("HOME", "/nonexistent")


def _report(error: BaseException, words: list[str]) -> int:
    """Say in one line what ended the command, and return its exit code."""
    if isinstance(error, SystemExit) and signals.exit_code() is None:
        return error.code if isinstance(error.code, int) else 0 if error.code is None else 1
    if DEBUG in words:
        streams.say(redacted("".join(traceback.format_exception(error)).rstrip()))
    if isinstance(error, KeyboardInterrupt) or signals.exit_code() is not None:
        # An interrupt in the middle of an import comes out as any error.
        verb = next((word for word in words if not word.startswith("-")), None)
        streams.say(f"interrupted{'; run the same command again to go on' if verb in RESUMING else ''}")
        return INTERRUPTED
    code, line = failures.classify(error)
    if line:
        streams.say(f"drnbench: {' '.join(line.split())}")
    return code


def _finish(code: int) -> int:
    """Write out what is buffered, and return the exit code, which a signal or a full disk may change."""
    if code == INTERRUPTED:
        code = signals.exit_code() or code
    signals.leave_with(code)
    failure = streams.flush()
    if failure is not None and code == 0:
        if isinstance(failure, BrokenPipeError):
            code = NO_READER
        else:
            streams.say(f"drnbench: standard output cannot be written: {failure.strerror}")
            code = REFUSED
    if signals.is_repeated():  # nothing is to be waited for
        os._exit(code)
    gc.freeze()  # Python looks through all objects once more as it ends: up to a second, of which nothing comes
    return code


def _warn_of_thread(failure: Any) -> None:
    """Say in one line that a thread failed, which would print its traceback among the output of the others."""
    if failure.exc_value is None or isinstance(failure.exc_value, (SystemExit, OSError)):
        return
    streams.say(f"drnbench: warning: {failures.classify(failure.exc_value).line}")
