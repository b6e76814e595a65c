"""The canonical text of a configuration, and its sha256."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

KEY_VERSION = 1
"""Raised when the meaning of a key changes, so that old results are never mistaken for new ones."""


def digest(what: dict[str, Any]) -> str:
    """Return the sha256 (hex) of canonical JSON: sorted keys, no spaces, shortest float that round-trips.

    Equal configurations give equal keys on every machine and Python; NaN and infinity are refused.
    """
    return hashlib.sha256(_canonical({"key_version": KEY_VERSION, **what}).encode()).hexdigest()


class Digests:
    """`digest` of many dictionaries that differ in a few values: what they share is written out once.

    Args:
        shared: what all of them hold.
        own: the names of what each of them has of its own.

    """

    def __init__(self, shared: dict[str, Any], *own: str) -> None:
        marks = {f"\0{name}\0": name for name in own}  # no text of a configuration holds a NUL
        text = _canonical({"key_version": KEY_VERSION, **shared, **{name: mark for mark, name in marks.items()}})
        found = re.split("|".join(f"({re.escape(_canonical(mark))})" for mark in marks), text)
        self._parts = [part for part in found if part is not None]
        self._marks = {_canonical(mark): name for mark, name in marks.items()}

    def of(self, **own: Any) -> str:
        """Return `digest({**shared, **own})`."""
        known = self._marks
        text = "".join(_canonical(own[known[part]]) if part in known else part for part in self._parts)
        return hashlib.sha256(text.encode()).hexdigest()


def _canonical(what: Any) -> str:
    return json.dumps(what, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def short(key: str) -> str:
    """Return the 12 characters of a key that people see; files keep all 64."""
    return key[:12]
