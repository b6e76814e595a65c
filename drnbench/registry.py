"""One small registry class for everything that can be added: models, schemes, kernels, metrics, losses, outputs, executors.

A built-in lives in a module named in `home`; another package adds one through the entry-point group. Both
register in one idiom, and nothing is imported before a name is asked for:

    @metrics.register("mae_y")
    class MaeY(Compared): ...
"""

from __future__ import annotations

import functools
import importlib
import sys
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator
from importlib.metadata import Distribution, EntryPoints, entry_points
from typing import Any, Generic, TypeVar

from drnbench.errors import DrnbenchError, PlugInWarning, UsageError, nearest

T = TypeVar("T")

_registries: list[Registry[Any]] = []
"""Those that other packages may add to."""


class Registry(Generic[T]):
    """Names to entries of one kind.

    Args:
        kind: what an entry is called in messages, such as "model".
        home: modules that register the built-ins when they are imported.
        group: entry-point group through which other packages add entries. An entry point names a module (or
            an object in it) whose import registers the entry.
        entry: makes the entry of a name and of what is decorated; further arguments of `register` reach it. None: what
            is decorated is the entry, and a class is given the name as its `name`.

    """

    def __init__(
        self,
        kind: str,
        home: Iterable[str] = (),
        group: str | None = None,
        entry: Callable[..., T] | None = None,
    ) -> None:
        self.kind = kind
        self._entry = entry or _named
        self._home = tuple(home)
        self.group = group
        if group is not None:
            _registries.append(self)
        self._entries: dict[str, T] = {}
        self._modules: dict[str, str] = {}
        self._loaded = False

    def add(self, name: str, entry: T) -> T:
        """Register `entry` under `name`; a clash is an error, since the loser would be silently unreachable."""
        if name in self._entries:
            raise DrnbenchError(f"{self.kind} {name!r} is registered twice")
        self._entries[name] = entry
        return entry

    def register(self, name: str, *args: Any, **fields: Any) -> Callable[[Any], Any]:
        """Return a decorator that registers a class or a function under a name, and returns it unchanged."""
        # The module that calls: what it registers may come from elsewhere, such as a class of this package.
        module = str(sys._getframe(1).f_globals.get("__name__"))  # noqa: SLF001

        def decorate(thing: Any) -> Any:
            self.add(name, self._entry(name, thing, *args, **fields))
            self._modules[name] = module
            return thing

        return decorate

    def get(self, name: str) -> T:
        """Return the entry, or raise a `UsageError` that names the nearest one that is there."""
        if self.group is None or not plug_ins(self.group):
            # No plug-in can clash or be broken: a built-in is there without the others.
            for module in self._home:
                if name in self._entries:
                    break
                importlib.import_module(module)
        else:
            self._load()
        if name not in self._entries:
            raise UsageError(f"unknown {self.kind} {name!r}: {nearest(name, self._entries)}")
        return self._entries[name]

    def plug_in(self, name: str) -> str | None:
        """Return the top-level package or module outside drnbench that registered a name; None where there is none."""
        if self.group is None or not plug_ins(self.group):
            return None
        self._load()
        package = self._modules.get(name, __package__).partition(".")[0]
        return None if package == __package__ else package

    def packages(self) -> set[str]:
        """Return the top-level packages whose entry points add to it."""
        return {point.module.partition(".")[0] for point in plug_ins(self.group)} if self.group else set()

    def withdraw(self, modules: Collection[str]) -> list[tuple[str, str]]:
        """Remove what modules registered; return each name with its module."""
        entries = [(name, module) for name, module in self._modules.items() if module in modules]
        for name, _ in entries:
            del self._entries[name], self._modules[name]
        return entries

    def list(self) -> list[str]:
        """Return every name, sorted."""
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
        for point in plug_ins(self.group) if self.group else ():
            try:
                point.load()
            except Exception as error:  # noqa: BLE001 - a broken plug-in must stop nobody else
                warnings.warn(
                    f"plug-in {point.name!r} ({point.value}) for {self.group} cannot be loaded and is left out: "
                    f"{type(error).__name__}: {error}",
                    PlugInWarning,
                    stacklevel=2,
                )


def withdraw(modules: Collection[str], kinds: Collection[str]) -> Iterator[tuple[str, str, str]]:
    """Remove what modules registered of some kinds; yield kind, name and module of each entry."""
    for registry in _registries:
        if registry.kind in kinds:
            yield from ((registry.kind, name, module) for name, module in registry.withdraw(modules))


@functools.cache
def plug_ins(group: str) -> EntryPoints:
    """Return the entry points of other packages in a group."""
    points: EntryPoints = _installed().select(group=group)
    return points


def distribution(package: str) -> Distribution | None:
    """Return the distribution whose entry points name a module of a top-level package; None where there is none."""
    points = (point for registry in _registries for point in plug_ins(registry.group or ""))
    return next((p.dist for p in points if p.dist is not None and p.module.partition(".")[0] == package), None)


@functools.cache
def _installed() -> Any:
    # Once a process, for all groups: it looks at every installed distribution, for some hundredths of a second.
    return entry_points()


def _named(name: str, thing: Any) -> Any:
    if isinstance(thing, type):
        setattr(thing, "name", name)  # noqa: B010 - the class of a plug-in, whose base class may be any
    return thing
