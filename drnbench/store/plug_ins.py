"""Fingerprints of plug-ins: packages beside drnbench that register models, schemes, kernels, metrics and losses.

As with the code of drnbench, the fingerprint is that of the files as they were when it was first taken in this process.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
from importlib.machinery import ModuleSpec
from importlib.metadata import Distribution
from pathlib import Path
from typing import TypedDict

from drnbench.registry import distribution

CODE = frozenset({".py", ".so", ".pyd", ".dylib", ".dll"})
TABLES = frozenset({".npy", ".npz", ".mat", ".json", ".yaml", ".yml", ".toml"})
"""Suffixes of files beside the code that may hold numbers, such as kernels, and settings."""


class PlugIn(TypedDict):
    """A plug-in as results record it.

    Attributes:
        version: of its distribution; None: no distribution says that the package is its own.
        files: sha256 (hex) of its files.
    """

    version: str | None
    files: str


_taken: dict[str, tuple[str, PlugIn]] = {}


def plug_in(package: str) -> tuple[str, PlugIn]:
    """Return the name of the distribution of a top-level package (else that of the package), and its fingerprint."""
    if package not in _taken:
        _taken[package] = _plug_in(package)
    return _taken[package]


def edited() -> list[str]:
    """Return the names of the plug-ins whose files have changed since their fingerprints were taken."""
    return [name for package, (name, plug_in) in _taken.items() if _plug_in(package)[1] != plug_in]


def _plug_in(package: str) -> tuple[str, PlugIn]:
    owner = distribution(package)
    total = hashlib.sha256()
    for name, path in sorted(_files(package, owner).items()):
        try:
            total.update(f"{name}\0".encode() + path.read_bytes() + b"\0")
        except OSError:  # listed by its distribution and removed since
            total.update(f"{name}\0absent\0".encode())
    return owner.name if owner else package, PlugIn(version=owner.version if owner else None, files=total.hexdigest())


def _files(package: str, owner: Distribution | None) -> dict[str, Path]:
    """Return the files of a package by names that are the same on every machine, installed or editable."""
    files: dict[str, Path] = {}
    spec = _spec(package)
    folders = [Path(folder) for folder in (spec.submodule_search_locations if spec else None) or ()]
    for folder in folders:
        inside = (path for path in folder.rglob("*") if path.suffix in CODE | TABLES and path.is_file())
        files |= {f"{package}/{path.relative_to(folder).as_posix()}": path for path in inside}
    if spec and spec.origin and not folders:
        files[Path(spec.origin).name] = Path(spec.origin)
    for listed in (owner.files if owner else None) or ():
        if listed.suffix in CODE and not listed.name.startswith("__editable__"):
            files[listed.as_posix()] = Path(str(listed.locate()))
    return files


@functools.cache
def _spec(package: str) -> ModuleSpec | None:
    try:
        return importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return None
