"""Damage to the files of a store, and runs of a study in the process of the test."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

from drnbench.cli import main
from tests.session.inline import Inline

Damage = Callable[[bytes], bytes | None]


def flipped(content: bytes, draws: random.Random | None = None) -> bytes:
    """Return a file's content with one random bit flipped; without `draws`, the same bit each time."""
    draws, changed = draws or random.Random(len(content)), bytearray(content)
    position = draws.randrange(8 * len(content))
    changed[position // 8] ^= 1 << position % 8
    return bytes(changed)


DAMAGES: dict[str, Damage] = {
    "emptied": lambda content: b"",
    "halved": lambda content: content[: len(content) // 2],
    "garbage": lambda content: random.Random(1).randbytes(len(content)),
    "zeroed": lambda content: bytes(len(content)),
    "deleted": lambda content: None,
    "flipped": flipped,
    "null": lambda content: b"null",
    "list": lambda content: b"[]",
}


def run(study: Path, store: Path, *more: str, tracking: str = "off") -> int:
    """Run a study in this process; the units that ran are in `Inline.ran`."""
    Inline.ran.clear()
    return main(["run", str(study), "--executor", "inline", "--results", str(store), "--tracking-uri", tracking, *more])


def summary(store: Path) -> bytes:
    (path,) = store.glob("*/quick/summary.csv")
    return path.read_bytes()


def hurt(store: Path, pattern: str, damage: str) -> Path:
    """Damage the first file of a pattern."""
    path = min(store.glob(pattern))
    content = DAMAGES[damage](path.read_bytes())
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    return path
