"""Names of arms, which must differ in print."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

BLANK = "\u115f\u1160\u2800\u3164\uffa0"
INVISIBLE = frozenset(f"{BLANK}\u034f\u17b4\u17b5\u180b\u180c\u180d") | {chr(code) for code in range(0xFE00, 0xFE10)}
"""Letters and marks that print as a blank, or as nothing, beside those that Unicode calls spaces or formats."""


def check_names(names: Iterable[str]) -> None:
    """Refuse names of arms that nobody can tell apart in print, or see at all.

    Raises:
        ValueError: which names, with what is not seen of them as escapes.

    """
    earlier: dict[str, str] = {}
    for name in names:
        printed = _printed(name)
        if not printed:
            raise ValueError(f"the arm {name!a} has a name that is not seen in print: rename it")
        if printed in earlier:
            other = earlier[printed]
            alike = f"share a name: {name}" if name == other else f"look alike in print: {other!a} and {name!a}"
            raise ValueError(f"two arms {alike}; rename one ('bicubic' stands in every table by itself)")
        earlier[printed] = name


def _printed(name: str) -> str:
    """Return what is seen of a name: composed, without characters of no width, any run of blanks one space."""
    composed = unicodedata.normalize("NFC", "".join(map(_alike, name)))
    seen = "".join(" " if c.isspace() else "" if unicodedata.category(c) in {"Cf", "Cc"} else c for c in composed)
    return " ".join(seen.split())


def _alike(character: str) -> str:
    """Return a character that is printed in the same way: µ is μ, and a hyphen that no line breaks at is a hyphen."""
    if character in INVISIBLE:
        return " " if character in BLANK else ""
    same = unicodedata.decomposition(character).startswith(("<compat>", "<noBreak>"))
    return unicodedata.normalize("NFKC", character) if same else character
