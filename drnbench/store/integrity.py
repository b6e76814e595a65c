"""Wholeness of files: a CRC-32 in each record, reports of what is not whole, and names for what is set aside.

What is not whole counts as not there: it is reported in one line, set aside by the process that makes it again, and made again.
"""

from __future__ import annotations

import contextlib
import functools
import io
import json
import re
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any, NamedTuple

from drnbench.errors import DamageWarning

CRC = "crc32"
"""Last key of a JSON record: CRC-32 of all before it as compact JSON, 8 hexadecimal digits; earlier versions wrote none."""
SET_ASIDE = re.compile(r".+\.damaged-\d+")
"""Names of files that were not whole and were set aside."""
CHUNK = 2**20
TRAILER = 4
"""Bytes of the CRC-32 at the end of a binary file of the cache."""
MISSING = "is missing"
ALTERED = "is not what was written (CRC-32)"

_reporter: ContextVar[Callable[[str], None] | None] = ContextVar("reporter", default=None)


class Fault(NamedTuple):
    """A file that is missing or not whole, and in what way."""

    path: Path
    reason: str

    def __str__(self) -> str:
        return f"{self.path} {self.reason}"


class Damaged(ValueError):  # noqa: N818 - a state of a file, not of this program
    """The content of a file is not whole; the message says in what way."""


def report(fault: Fault, consequence: str = "it counts as missing, and `run` makes it again") -> None:
    """Say once that a file is not whole: as a warning, or to the coordinator where this process is its worker."""
    text = f"{fault}: {consequence}"
    reporter = _reporter.get()
    if reporter is not None:
        reporter(text)
        return
    warnings.warn(DamageWarning(text), stacklevel=2)


@contextlib.contextmanager
def reporting_to(reporter: Callable[[str], None]) -> Iterator[None]:
    """Send the reports of this context to a function."""
    token = _reporter.set(reporter)
    try:
        yield
    finally:
        _reporter.reset(token)


def crc_text(value: int) -> str:
    """Return a CRC-32 as 8 hexadecimal digits."""
    return f"{value & 0xFFFFFFFF:08x}"


def signed(content: dict[str, Any]) -> dict[str, Any]:
    """Return a record with its CRC-32 as the last key, in place of an earlier one."""
    content = {name: value for name, value in content.items() if name != CRC}
    return {**content, CRC: _crc_of(content)}


def encode(content: Any) -> str:
    """Return a record as JSON, indented for people, with its CRC-32."""
    if isinstance(content, dict):
        content = signed(content)
    text = io.StringIO()  # not json.dumps, which keeps a million pieces of the plan of a large study at once
    json.dump(content, text, indent=2, ensure_ascii=False, default=str)
    return f"{text.getvalue()}\n"


def decode(text: bytes) -> dict[str, Any]:
    """Return the record of `encode`, or one that an earlier version wrote without a CRC-32.

    Raises:
        Damaged: it is no JSON object, or its content is not that of its CRC-32.

    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        raise Damaged("is empty" if not text else "is not JSON") from None
    if not isinstance(content, dict):
        raise Damaged("is not a JSON object")
    if CRC in content and content.pop(CRC) != _crc_of(content):
        raise Damaged(ALTERED)
    return content


def _crc_of(content: dict[str, Any]) -> str:
    # In the order of the file: reading keeps it, and text of the same content is the same.
    return crc_text(zlib.crc32(json.dumps(content, ensure_ascii=False, default=str).encode("utf-8", "surrogatepass")))


def trailer(*content: bytes | memoryview) -> bytes:
    """Return the CRC-32 of a file's content as the bytes at its end."""
    return functools.reduce(lambda value, piece: zlib.crc32(piece, value), content, 0).to_bytes(TRAILER, "little")


def crc_of_file(path: Path) -> int:
    """Return the CRC-32 of a file's bytes.

    Raises:
        OSError: it cannot be read.

    """
    value = 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            value = zlib.crc32(chunk, value)
    return value


def stamp(path: Path) -> tuple[int, int]:
    """Return size and CRC-32 of a file, as a unit's status lists them."""
    return path.stat().st_size, crc_of_file(path)


def compare(path: Path, expected: tuple[int, int], *, content: bool = True) -> Fault | None:
    """Return in what way a file is not the one of size and CRC-32; None where it is.

    Args:
        path: the file.
        expected: as of `stamp`.
        content: read it; otherwise its size alone is compared.

    """
    size, crc = expected
    try:
        found_size = path.stat().st_size
        if found_size != size:
            return Fault(path, "is empty" if not found_size else f"has {found_size} bytes instead of {size}")
        if content and crc_of_file(path) != crc:
            return Fault(path, ALTERED)
    except (FileNotFoundError, NotADirectoryError):
        return Fault(path, MISSING)
    except OSError as error:
        return Fault(path, f"cannot be read ({error.strerror})")
    return None


def set_aside(path: Path) -> Path | None:
    """Rename a file that is not whole to `<name>.damaged-<n>` and return that; None where it is gone already.

    Only for a process that holds the lease of its unit, or makes the file again.
    """
    try:
        return path.rename(set_aside_name(path))
    except FileNotFoundError:
        return None


def set_aside_name(path: Path) -> Path:
    """Return the first free name for a file that is not whole."""
    number = 1
    while (target := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    return target
