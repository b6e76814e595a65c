"""The journal of a search: lines of JSON, each with its CRC-32, that only ever grow; and the end that is not whole."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from drnbench.store.integrity import Damaged, Fault, decode, report, set_aside_name


def fault_of(path: Path) -> tuple[Fault, int] | None:
    """Return the first line of a journal that is not whole, and where it begins in bytes; None where all are."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    offset = 0
    for number, line in enumerate(content.splitlines(keepends=True), 1):
        try:
            decode(line)
            if not line.endswith(b"\n"):
                raise Damaged("ends early")  # noqa: TRY301 - as any other fault
        except Damaged as error:
            return Fault(path, f"line {number} {error}"), offset
        offset += len(line)
    return None


def repair(path: Path) -> None:
    """Cut a journal before its first line that is not whole; the former file is kept under another name.

    What the lines after it said is in the store: the search asks for those candidates again, and takes up their results.
    """
    fault = fault_of(path)
    if fault is None:
        return
    report(fault[0], "the search goes on from the lines before it, and from the results in the store")
    shutil.copyfile(path, set_aside_name(path))
    with path.open("rb+") as file:
        file.truncate(fault[1])
        file.flush()
        os.fsync(file.fileno())
