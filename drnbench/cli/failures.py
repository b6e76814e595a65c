"""What the command line says of an error, in one line, and the exit code that goes with it."""

from __future__ import annotations

from typing import NamedTuple

from drnbench import streams
from drnbench.errors import DrnbenchError, explain_environment, keep_traceback, one_line

REFUSED = 2
"""Exit code of what cannot be done; one line says why."""
FAULT = 70
"""Exit code of an error that this package should have known: its own fault."""
NO_READER = 128 + 13
"""Exit code where the reader of the output has ended, as a shell gives it for SIGPIPE."""


class Failure(NamedTuple):
    """The end of a command by an error: its exit code and its line; without a line where nobody wants one."""

    code: int
    line: str


def classify(error: BaseException) -> Failure:
    """Return exit code and line of an error; the traceback of an unknown one is kept in a file."""
    if isinstance(error, DrnbenchError):
        return Failure(REFUSED, str(error))
    if isinstance(error, OSError) and not streams.has_reader():
        return Failure(NO_READER, "")
    line = explain_environment(error)
    if line is not None:
        return Failure(REFUSED, line)
    kept = keep_traceback(error)
    where = f"its traceback is in {kept}; send that" if kept else "run it with --debug and send what it prints"
    message = f"{type(error).__name__}: {one_line(str(error)) or 'no message'}"
    return Failure(FAULT, f"a fault of drnbench, not yours: {message[:500]}; {where} to those who maintain it, please")
