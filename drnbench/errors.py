"""The errors that users meet, as one tree.

    DrnbenchError
    ├── UsageError          what was asked cannot be done: exit 2, one line, nothing was started
    │   └── DataError       an image or a folder is missing, broken or too small
    │       └── NotFiniteError  an image of a network that has diverged
    └── UnitError           a stage or an evaluation failed while it ran: recorded with its kind
        └── DivergedError   the loss stopped being a number

A message says what, where and how to mend it, in one line: the command line prints it as it is.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path


class DrnbenchError(Exception):
    """Base of every error this package raises on purpose."""


class UsageError(DrnbenchError):
    """What was asked cannot be done; raised before any work starts."""


class DataError(UsageError):
    """An image or a folder of images cannot be used."""


class NotFiniteError(DataError):
    """An image holds numbers that are not finite: the network that made it has diverged."""

    kind = "diverged"


class UnitError(DrnbenchError):
    """A unit of work failed while it ran."""

    kind = "error"


class DivergedError(UnitError):
    """Training produced a loss or a weight that is not finite."""

    kind = "diverged"


class PlugInWarning(UserWarning):
    """A package that adds to a registry cannot be loaded; everything else goes on without it."""


def nearest(word: str, names: Iterable[str]) -> str:
    """Return the end of an error message: the nearest name, or all of them.

    >>> nearest("drn-z", ["drn-s", "edsr"])
    "did you mean 'drn-s'? known: drn-s, edsr"
    """
    names = sorted(set(names))
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}known: {', '.join(names) or 'none'}"


def disk_full(path: Path | str | None) -> UsageError:
    """Return the error to raise after a full disk ended a run; `path` lies on it; None: unknown."""
    disk = f"the disk of {path}" if path else "the disk"
    return UsageError(f"{disk} is full: nothing is broken; make room and run the same command again")
