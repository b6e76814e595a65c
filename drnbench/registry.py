"""One small registry class for everything that can be added: models, schemes, kernels, metrics.

A built-in lives in a module named in `home`; another package adds one through the entry-point group. Both
register with the same decorator, and nothing is imported before a name is asked for.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Iterable
from importlib.metadata import entry_points
from typing import Any, Generic, TypeVar

from drnbench.errors import DrnbenchError, PlugInWarning, UsageError, nearest

T = TypeVar("T")


class Registry(Generic[T]):
    """Names to entries of one kind.

    Args:
        kind: what an entry is called in messages, such as "model".
        home: modules that register the built-ins when they are imported.
        group: entry-point group through which other packages add entries. An entry point names a module (or
            an object in it) whose import registers the entry.

    """

    def __init__(self, kind: str, home: Iterable[str] = (), group: str | None = None) -> None:
        self.kind = kind
        self._home = tuple(home)
        self._group = group
        self._entries: dict[str, T] = {}
        self._loaded = False

    def add(self, name: str, entry: T) -> T:
        """Register `entry` under `name`; a clash is an error, since the loser would be silently unreachable."""
        if name in self._entries:
            raise DrnbenchError(f"{self.kind} {name!r} is registered twice")
        self._entries[name] = entry
        return entry

    def register(self, name: str, make: Callable[[Any], T] | None = None) -> Callable[[Any], Any]:
        """Return a decorator that registers what it decorates, or `make(it)`, and returns it unchanged."""

        def decorate(thing: Any) -> Any:
            self.add(name, make(thing) if make else thing)
            return thing

        return decorate

    def get(self, name: str) -> T:
        """Return the entry, or raise a `UsageError` that names the nearest known one."""
        self._load()
        if name not in self._entries:
            raise UsageError(f"unknown {self.kind} {name!r}: {nearest(name, self._entries)}")
        return self._entries[name]

    def list(self) -> list[str]:
        """Return every known name, sorted."""
        self._load()
        return sorted(self._entries)

    def __contains__(self, name: object) -> bool:
        self._load()
        return name in self._entries

    def _load(self) -> None:
        if self._loaded:
            return
        self._loaded = True
        for module in self._home:
            importlib.import_module(module)
        for point in entry_points(group=self._group) if self._group else ():
            try:
                point.load()
            except Exception as error:  # noqa: BLE001 - a broken plug-in must stop nobody else
                warnings.warn(
                    f"plug-in {point.name!r} ({point.value}) for {self._group} cannot be loaded and is left out: "
                    f"{type(error).__name__}: {error}",
                    PlugInWarning,
                    stacklevel=2,
                )
