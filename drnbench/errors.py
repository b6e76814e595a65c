"""The errors that users meet, as one tree.

    DrnbenchError
    ├── UsageError          what was asked cannot be done: exit 2, one line, nothing was started
    │   └── DataError       an image or a folder is missing, broken or too small
    │       ├── NotFiniteError  an image of a network that has diverged
    │       └── ChangedImageError  an image that has changed since its fingerprint was taken
    └── UnitError           a stage or an evaluation failed while it ran: recorded with its kind
        ├── DamagedError    a file that it starts from is not whole
        ├── DivergedError   the loss stopped being a number
        └── ChangedError    a file that the plan read has changed since: nothing is wrong with the unit itself

A message says what, where and how to mend it, in one line: the command line prints it as it is.
"""

from __future__ import annotations

import contextlib
import difflib
import errno
import os
import re
import sys
import time
from collections.abc import Iterable
from pathlib import Path

_USER = re.compile(r"([a-z][a-z0-9+.-]*://)(?:[^\s'\"]*:[^\s'\"]*|[^\s'\"/@]+)@", re.IGNORECASE)
_SECRET = re.compile(r"\b((?:password|passwd|pwd|token|secret|api[_-]?key|access[_-]?key)=)[^\s&;'\"]+", re.IGNORECASE)


def redacted(text: str, mark: str = "***") -> str:
    """Return text in which the names and passwords of URIs are replaced: what is printed and stored is shared.

    >>> redacted("no answer of postgresql://ann:p@ss/word@db:5432/m?password=x&ssl=1")
    'no answer of postgresql://***@db:5432/m?password=***&ssl=1'
    """
    text = _USER.sub(rf"\g<1>{mark}@" if mark else r"\g<1>", text)
    return _SECRET.sub(rf"\g<1>{mark}", text)


class DrnbenchError(Exception):
    """Base of every error this package raises on purpose; no message holds a password of a URI."""

    def __init__(self, *args: object) -> None:
        super().__init__(*(redacted(arg) if isinstance(arg, str) else arg for arg in args))


class UsageError(DrnbenchError):
    """What was asked cannot be done; raised before any work starts."""


class DataError(UsageError):
    """An image or a folder of images cannot be used."""


class NotFiniteError(DataError):
    """An image holds numbers that are not finite: the network that made it has diverged."""

    kind = "diverged"


class ChangedImageError(DataError):
    """An image has changed since its fingerprint was taken, so that a result would be filed under what it was."""

    kind = "changed"


class StoppedError(DrnbenchError):
    """The work was asked to stop; what it has finished is kept."""


class UnitError(DrnbenchError):
    """A unit of work failed while it ran."""

    kind = "error"


class DamagedError(UnitError):
    """A file that a unit starts from is missing or not whole; `path` is that file."""

    kind = "damaged"

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path} {reason}")
        self.path, self.reason = path, reason


class DivergedError(UnitError):
    """Training produced a loss or a weight that is not finite."""

    kind = "diverged"


class ChangedError(UnitError):
    """Code or data have changed since the run began, so that the result would be filed under what they were."""

    kind = "changed"


class DrnbenchWarning(UserWarning):
    """Base of the warnings that the command line prints as one line."""


class ChoiceWarning(DrnbenchWarning):
    """A file holds several networks, and one of them was chosen."""


class PlugInWarning(DrnbenchWarning):
    """A package that adds to a registry cannot be loaded; everything else goes on without it."""


class DamageWarning(DrnbenchWarning):
    """A file of a store is not whole: it counts as missing, and is made again."""


def nearest(word: str, names: Iterable[str], most: int | None = None, *, before: str = "") -> str:
    """Return the end of an error message: the nearest name, and all of them, or at most so many, the closest first.

    >>> nearest("drn-z", ["drn-s", "edsr"])
    "did you mean 'drn-s'? known: drn-s, edsr"
    >>> nearest("drn-z", ["bicubic", "drn-s", "edsr"], most=2)
    "did you mean 'drn-s'? known: drn-s, edsr and 1 more"
    >>> nearest("lamb", ["lam", "steps"], before="train.")
    "did you mean 'train.lam'? known: lam, steps"
    """
    names = sorted(set(names))
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.5)
    hint = f"did you mean {before + close[0]!r}? " if close else ""
    more = ""
    if most is not None and len(names) > most:
        more = f" and {len(names) - most} more"
        names = sorted(names, key=lambda name: -difflib.SequenceMatcher(None, name, word).ratio())[:most]
    return f"{hint}known: {', '.join(names) or 'none'}{more}"


_WORDS = (
    (r"^Value error, ", ""),
    (r"^String should have at least 1 character$", "must not be empty"),
    (
        r"^String should match pattern '\^\[a-z\]\[a-z0-9_\]\*\$'",
        "must be a letter a-z, then letters a-z, digits and _",
    ),
    (r"^String should match pattern '\^\((.*)\)\$'", lambda match: f"must be {match[1].replace('|', ' or ')}"),
    (r"^\w+ should have at (least|most) (\d+ \w+)(?: after validation.*)?$", r"must have at \1 \2"),
    (r"^Field required$", "is missing"),
    (r", unable to (?:parse|interpret) .*$", ""),
    (r"^Input should be a valid dictionary or (?:an )?instance of (\w+)", r"must be \1(...)"),
    (r"^Input should be an instance of OutputSpec", "must be a table or figure, such as Table()"),
    (r"^Input should be a valid (?:tuple|list)", "must be a list"),
    (r"^Input should be a valid boolean", "must be True or False"),
    (r"^Input should be a valid (?=dictionary|string)", "must be a "),
    (r"^Input should be ", "must be "),
)
"""Patterns of pydantic's messages, which typer prints too, and the words for them here."""


def in_plain_words(message: str) -> str:
    """Return pydantic's message on a value in the words of this package; other messages as they are.

    >>> in_plain_words("Tuple should have at least 1 item after validation, not 0")
    'must have at least 1 item'
    """
    for pattern, words in _WORDS:
        message = re.sub(pattern, words, message)
    return message


def disk_full(path: Path | str | None) -> UsageError:
    """Return the error to raise after a full disk ended a run; `path` lies on it; None: unknown."""
    disk = f"the disk of {path}" if path else "the disk"
    return UsageError(f"{disk} is full: nothing is broken; make room and run the same command again")


FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
"""Numbers of errors by which a file system says that it has no room."""
LIMITS = {
    errno.EMFILE: "raise the limit of open files (`ulimit -n 4096`), or use fewer processes (--jobs)",
    errno.ENFILE: "this machine has no file handle left; end other programs, and run the same command again",
    errno.ENOMEM: "give it more memory, or use fewer processes (--jobs 1)",
    errno.EAGAIN: "this machine starts no more processes or threads; raise its limit (`ulimit -u`), or use fewer (--jobs 1)",
    errno.ENOSYS: "this system does not offer what is needed here; try --jobs 1",
}
"""Remedies of what a machine has too little of, whatever file was meant."""
REMEDIES = {
    errno.EACCES: "change its permissions, or name another place",
    errno.EPERM: "change its permissions, or name another place",
    errno.EROFS: "name a place that can be written to",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ENOENT: "see that it is there, and was not moved or deleted meanwhile",
    errno.ENOTDIR: "a part of its path is a file; name another place",
    errno.EISDIR: "it is a folder; name a file",
    errno.ELOOP: "its links lead in a circle; mend them",
    errno.EIO: "its disk, network or terminal failed; see that it is well, and run the same command again",
    errno.ESTALE: "its network disk was exchanged meanwhile; mount it again, and run the same command again",
    errno.ETXTBSY: "another program uses it; end that, and run the same command again",
    errno.EBUSY: "another program uses it; end that, and run the same command again",
    errno.EINVAL: "its file system does not allow this; name another place",
}
"""Remedies of errors of a file or folder."""
GONE = (
    "another process that this one talks to has ended, perhaps killed for want of memory: what was saved stays; free memory or "
    "use fewer processes (--jobs 1), and run the same command again"
)
MEMORY = (
    "out of memory: what was saved stays; use fewer processes (--jobs 1), smaller batches or patches, tiles (--tile), or "
    "a larger machine"
)


def explain_environment(error: BaseException) -> str | None:
    """Return one line for an error of the machine rather than of this package: what, where, how to mend; None for others.

    Covers every `OSError`, a process at the other end of a pipe that has ended, and memory that ran out.
    """
    if is_out_of_memory(error):
        return MEMORY
    if isinstance(error, (EOFError, ConnectionError)):
        return GONE
    if not isinstance(error, OSError):
        return None
    if error.errno in FULL:
        return str(disk_full(_path_of(error)))
    reason = error.strerror or one_line(str(error)) or type(error).__name__
    if error.errno in LIMITS:
        return f"{reason[:1].lower()}{reason[1:]}: {LIMITS[error.errno]}"
    path = _path_of(error)
    remedy = REMEDIES.get(error.errno or 0, "see that it is there and may be used, and run the same command again")
    return f"{f'{path}: ' if path else ''}{reason[:1].lower()}{reason[1:]}: {remedy}"


def _path_of(error: OSError) -> str | None:
    """Return the file of an error, cut where it is so long that it would fill the terminal."""
    names = (error.filename2, error.filename)
    path = next((os.fsdecode(name) for name in names if isinstance(name, (str, bytes, os.PathLike)) and name), None)
    return path if path is None or len(path) <= 300 else f"{path[:200]}...{path[-80:]}"


def is_out_of_memory(error: BaseException) -> bool:
    """Return True if memory ran out, of this machine or of its GPU, in the words of Python or of PyTorch."""
    # Without importing torch, which may be what memory is lacking for.
    words = "can't allocate memory|not enough memory|cannot allocate memory"
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or (isinstance(error, RuntimeError) and re.search(words, str(error), re.IGNORECASE) is not None)
    )


def one_line(text: str) -> str:
    """Return a message in one line, without control characters and without passwords of URIs."""
    words = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return redacted(words, "")


def keep_traceback(error: BaseException) -> Path | None:
    """Write the traceback of an error into a temporary file and return its path; None where no folder takes it."""
    import tempfile
    import traceback

    head = f"drnbench {_version()}, Python {sys.version.split()[0]}, {sys.platform}\n"
    text = head + redacted("".join(traceback.format_exception(error)))
    prefix = f"drnbench-fault-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}-"
    for folder in (tempfile.gettempdir, Path.cwd):
        with contextlib.suppress(OSError):
            # A name of its own: two faults of one second stay two, and no link of somebody else is followed.
            handle, name = tempfile.mkstemp(prefix=prefix, suffix=".txt", dir=str(folder()))
            with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
                file.write(text)
            return Path(name)
    return None


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("drnbench")
    except PackageNotFoundError:
        return "?"
