"""The settings of a study: its profile and the overrides on top, as one name, as text and as options of a command."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from drnbench.config.overrides import Ref, parse_value

DEFAULT_PROFILE = "quick"
PLAIN_PROFILE = re.compile(r"(?!.*-[0-9a-f]{8}$)[A-Za-z0-9_][A-Za-z0-9._-]*")
"""Profiles that name a folder as they are: those that are no file names, or end like a digest, get a digest."""


@dataclass(frozen=True)
class Settings:
    """A study with the profile and the overrides that it runs under; make it with `of`.

    Attributes:
        study: its name.
        profile: named overrides of size.
        overrides: path -> plain value, as `--set` gives them, sorted by path; stronger than the profile.

    """

    study: str
    profile: str
    overrides: Mapping[str, Any]

    @classmethod
    def of(cls, study: str, profile: str = DEFAULT_PROFILE, overrides: Mapping[str, Any] | None = None) -> Settings:
        """Return settings whose overrides are in canonical form: equal ones of the command line and of Python are equal.

        >>> Settings.of("sweep", "quick", {"train.steps": 90.0}).location
        'sweep/quick-38ac1ebd'
        >>> Settings.of("sweep", "tiny").location
        'sweep/tiny'
        """
        return cls(study, profile, {path: _plain(value) for path, value in sorted((overrides or {}).items())})

    @property
    def folder(self) -> str:
        """The name of the folder of their report: the profile, with 8 hexadecimal digits of the overrides."""
        plain = PLAIN_PROFILE.fullmatch(self.profile) is not None
        if plain and not self.overrides:
            return self.profile
        content = {"overrides": self.overrides, **({} if plain else {"profile": self.profile})}
        text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        stem = re.sub(r"[^A-Za-z0-9._-]", "-", self.profile).lstrip(".") or "profile"
        return f"{stem[:100]}-{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"

    @property
    def location(self) -> str:
        """The place of their report in a store: `<study>/<folder>`."""
        return f"{self.study}/{self.folder}"

    @property
    def assignments(self) -> list[str]:
        """The overrides as `--set` takes them: `train.steps=90`."""
        return [f"{path}={value_as_argument(value)}" for path, value in self.overrides.items()]

    @property
    def text(self) -> str:
        """The settings in words: `profile quick with train.steps=90, scale=2`."""
        return f"profile {self.profile}" + (f" with {', '.join(self.assignments)}" if self.overrides else "")

    @property
    def options(self) -> str:
        """The settings as options of a command, quoted for a shell."""
        words = ["--profile", self.profile, *(word for item in self.assignments for word in ("--set", item))]
        return shlex.join(words)


def value_as_argument(value: Any) -> str:
    """Return a plain value as the right side of `--set`: the inverse of `parse_value`.

    >>> [value_as_argument(value) for value in (90, "bd:sigma=2.0", "90", None, [2, 4])]
    ['90', 'bd:sigma=2.0', '"90"', 'null', '[2, 4]']
    """
    value = _plain(value)
    if isinstance(value, str) and value == value.strip() and value.isprintable() and parse_value(value) == value:
        return value
    text = json.dumps(value, ensure_ascii=False)
    return text if text.isprintable() else json.dumps(value)


def _plain(value: Any) -> Any:
    """Return a value as JSON has it; a whole float is an integer, since both set the same value."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    if isinstance(value, BaseModel):
        return _plain(value.model_dump(mode="json"))
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in sorted(value.items(), key=lambda item: str(item[0]))}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    if isinstance(value, Ref):
        return {"ref": value.path}
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)
