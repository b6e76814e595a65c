"""Standard streams of a process: closed ones, ones that are not UTF-8, and ones that nobody reads any more."""

from __future__ import annotations

import os
import select
import sys
from typing import IO, Any

NAMES = {"stdin": "r", "stdout": "w", "stderr": "w"}
"""The streams in the order of their file descriptors, with their modes."""


def make_usable() -> None:
    """Make every standard stream one that can be written to, or read from, without an error of its own.

    A stream that is closed (`cmd >&- 2>&-`, daemons) is the null device, and its descriptor is taken: the next file that
    is opened would get it, and with it what C libraries print. A character that the encoding of a terminal or log lacks
    (Latin-1, ASCII) becomes a question mark.
    """
    for descriptor, (name, mode) in enumerate(NAMES.items()):
        _fill(descriptor)
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8", errors="replace"))  # noqa: SIM115, PTH123
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def _fill(descriptor: int) -> None:
    """Open the null device under a descriptor that is closed; child processes inherit it."""
    try:
        os.fstat(descriptor)
    except OSError:
        null = os.open(os.devnull, os.O_RDWR)
        if null == descriptor:
            os.set_inheritable(descriptor, True)
        else:
            os.dup2(null, descriptor)
            os.close(null)


def has_reader(*streams: IO[Any]) -> bool:
    """Return False where the reader of one of the streams has ended, as in `drnbench list | head`, or its terminal is gone."""
    if not hasattr(select, "poll"):
        return True
    poll = select.poll()
    for stream in streams or (sys.stdout, sys.stderr):
        try:
            poll.register(stream.fileno(), 0)
        except (OSError, ValueError, AttributeError):  # no descriptor: a test, a notebook
            continue
    return not any(event & (select.POLLERR | select.POLLHUP | select.POLLNVAL) for _, event in poll.poll(0))


def say(text: str) -> None:
    """Print a line on standard error, or nothing where nobody can read it any more: an end must not fail over its message."""
    try:
        print(text, file=sys.stderr, flush=True)
    except (OSError, ValueError):
        return


def flush() -> OSError | None:
    """Write out what is buffered; where that fails, drop it, so that the interpreter does not try again, and return why."""
    failure = None
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except ValueError:  # closed
            continue
        except OSError as error:
            failure = failure or error
            with open(os.devnull, "wb") as null:  # noqa: PTH123
                os.dup2(null.fileno(), stream.fileno())
    return failure
