"""The canonical text of a configuration, and its sha256."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

KEY_VERSION = 1
"""Raised when the meaning of a key changes, so that old results are never mistaken for new ones."""

_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def canonical_json(content: Any) -> str:
    """Return JSON with sorted keys, no spaces and the shortest float that round-trips; NaN and infinity are refused.

    >>> canonical_json({"b": 0.10, "a": [True, None]})
    '{"a":[true,null],"b":0.1}'
    """
    return _ENCODER.encode(content)


def digest(content: dict[str, Any]) -> str:
    """Return the sha256 (hex) of `canonical_json`: equal configurations give equal keys on every machine and Python.

    >>> digest({"scale": 4, "lam": 0.1}) == digest({"lam": 0.10, "scale": 4})
    True
    >>> short(digest({"scale": 4}))
    'b554f078b5db'
    """
    return _sha256(canonical_json({"key_version": KEY_VERSION, **content}))


class Digests:
    """`digest` of many dictionaries that differ in a few values: the content that they share is encoded once.

    Args:
        shared: content of all of them.
        own: names of the values in which they differ.

    """

    def __init__(self, shared: dict[str, Any], *own: str) -> None:
        marks = {f"\0{name}\0": name for name in own}  # no text of a configuration holds a NUL
        text = canonical_json({"key_version": KEY_VERSION, **shared, **{name: mark for mark, name in marks.items()}})
        parts = re.split("|".join(f"({re.escape(canonical_json(mark))})" for mark in marks), text)
        self._parts = [part for part in parts if part is not None]
        self._names = {canonical_json(mark): name for mark, name in marks.items()}

    def of(self, **own: Any) -> str:
        """Return `digest({**shared, **own})`."""
        names = self._names
        return _sha256("".join(canonical_json(own[names[part]]) if part in names else part for part in self._parts))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def short(key: str) -> str:
    """Return the 12 characters of a key that people see; files keep all 64."""
    return key[:12]
