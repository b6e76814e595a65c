"""Fingerprint of the numeric code: equal for two versions of drnbench that compute the same numbers.

It is that of the code that this process runs: the sources are read once, when this module is imported, before the numeric
code is. Files that are edited later change neither the fingerprint nor what was imported.

The modules that reach the numbers of a kind of unit are those that its roots import, directly or through others, within
the numeric packages. They are parsed and not imported. Hashed is the syntax tree: comments, docstrings, line breaks and
the messages of errors move nothing. What is read from disk is fingerprinted elsewhere, by its pixels, so packages that
find, fetch or unpack images do not count.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import hashlib
import importlib
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from drnbench.store.files import write_json
from drnbench.store.integrity import decode

Origin = Literal["same", "other", "unknown"]
"""The code that made a stored result, compared with this one; unknown where an earlier rule fingerprinted it."""
RULE = 2
"""Version of the rule by which the code is fingerprinted; recorded beside each fingerprint. 1 hashed source text."""
PACKAGE = Path(__file__).parents[1]
NUMERIC = ("models", "zeroshot", "schemes", "degradations", "data", "training", "evaluation")
"""Packages whose code computes numbers."""
NETWORKS = ("models._registry", "models.on_demand")
ROOTS = {
    # Validation PSNR is among the numbers of a stage.
    "stage": ("training.loop", "schemes", "degradations", *NETWORKS, "evaluation.metric"),
    "evaluate": ("evaluation.evaluator", "evaluation", "degradations", *NETWORKS),
}
"""Modules that a unit of a kind starts from, and those that list what is registered."""
PARTS = {**ROOTS, "degradation": ("degradations",), "fit": ("zeroshot", "zeroshot.on_demand", "degradations")}
"""The same with the code that makes LR images, whose cache is shared by units, and that of fits of zero-shot methods."""
UNHASHED = frozenset({"ctx", "kind", "type_comment"})
"""Fields of syntax trees that follow from the others, or say how something was written."""
KEPT = 16
"""Versions of the code whose fingerprints are kept in the user's cache."""


def _read(package: Path) -> dict[str, bytes]:
    """Return the sources of the numeric packages, by path within the package."""
    sources = {}
    for path in sorted(path for name in NUMERIC for path in (package / name).rglob("*.py")):
        with contextlib.suppress(FileNotFoundError):  # removed at this moment
            sources[path.relative_to(package).as_posix()] = path.read_bytes()
    return sources


SOURCES = _read(PACKAGE)
"""Sources of the numeric code that this process runs."""
_THIS = Path(__file__).read_bytes()
_loaded: dict[str, bool] = {}
"""Files that `load` has imported, and whether they had been edited by then."""


@functools.cache
def code_fingerprint(kind: str) -> str:
    """Return the sha256 (hex) of the code that a kind of unit's numbers depend on; the same under every Python.

    Args:
        kind: "stage", "evaluate", or "degradation" for LR images.

    """
    return _fingerprints()[kind]


def origin(record: Mapping[str, Any] | None, kind: str) -> Origin:
    """Return the origin of a stored result.

    Args:
        record: stage.json or scores.json.
        kind: "stage" or "evaluate".

    """
    if (record or {}).get("code") == code_fingerprint(kind):
        return "same"
    return "other" if (record or {}).get("code_rule") == RULE else "unknown"


def fingerprint(kind: str, package: Path = PACKAGE) -> str:
    """Return the fingerprint of the code of this process, or of that in another folder; see `code_fingerprint`."""
    total = hashlib.sha256(f"{RULE} {kind}".encode())
    for name, module in sorted(modules(kind, package).items()):
        total.update(f"\0{name}\0{module.text}".encode())
    return total.hexdigest()


class Parsed(NamedTuple):
    """A module of the numeric packages.

    Attributes:
        text: its syntax tree; see `_canonical`.
        imported: names of the first-party modules that it may import.
        registered: names of the modules that it names as the homes of a registry's entries.

    """

    text: str
    imported: tuple[str, ...]
    registered: tuple[str, ...]


@functools.lru_cache(maxsize=512)
def _parse(source: bytes, name: str, *, is_package: bool) -> Parsed:
    """Return a parsed module; kept, since most kinds of units share most modules."""
    tree = ast.parse(source)
    return Parsed(_canonical(tree), tuple(_imported(tree, name, is_package=is_package)), tuple(_registered(tree)))


def modules(kind: str, package: Path = PACKAGE) -> dict[str, Parsed]:
    """Return the parsed modules that reach the numbers of a kind of unit, by name within the package."""
    sources = SOURCES if package == PACKAGE else _read(package)
    parsed: dict[str, Parsed] = {}
    waiting = list(PARTS[kind])
    while waiting:
        name = waiting.pop()
        if name in parsed or name.partition(".")[0] not in NUMERIC or (file := _file(sources, name)) is None:
            continue
        parsed[name] = _parse(sources[file], name, is_package=file.endswith("__init__.py"))
        waiting += parsed[name].imported
        if name in PARTS[kind]:
            waiting += parsed[name].registered
        if "." in name:
            waiting.append(name.rpartition(".")[0])
    return parsed


def load() -> list[str]:
    """Import all numeric code, so that nothing of it is read from the disk later.

    Returns:
        Files that were edited between the reading of the sources and the import: either version may have been imported.
    """
    fresh = []
    for file in SOURCES.keys() - _loaded.keys():
        with contextlib.suppress(Exception):  # for want of memory: tried again by the worker, which reports it
            importlib.import_module(f"drnbench.{_module(file)}")
            fresh.append(file)
    if fresh:
        changed = edited()
        _loaded.update({file: f"drnbench/{file}" in changed for file in fresh})
    return [f"drnbench/{file}" for file, was_edited in _loaded.items() if was_edited]


def edited() -> list[str]:
    """Return the files that compute something else now than when this process read them, as paths that begin with drnbench/.

    Changes that do not reach a fingerprint, such as those of comments, do not count.
    """
    current = _read(PACKAGE)
    changed = [file for file, source in SOURCES.items() if not _same_code(source, current.get(file))]
    reached = {name for kind in ROOTS for name in modules(kind)} if changed else set()
    return [f"drnbench/{file}" for file in changed if _module(file) in reached]


def _same_code(source: bytes, current: bytes | None) -> bool:
    if source == current or current is None:
        return source == current
    try:
        return _canonical(ast.parse(source)) == _canonical(ast.parse(current))
    except (SyntaxError, ValueError):  # it is being written
        return False


def _module(file: str) -> str:
    return file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _file(sources: Mapping[str, bytes], name: str) -> str | None:
    path = name.replace(".", "/")
    return next((file for file in (f"{path}.py", f"{path}/__init__.py") if file in sources), None)


def _imported(tree: ast.Module, name: str, *, is_package: bool) -> Iterator[str]:
    """Yield the names of first-party modules that a module may import, at its top or inside functions."""
    here = ["drnbench", *name.split(".")] if is_package else ["drnbench", *name.split(".")][:-1]
    imported: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = here[: len(here) + 1 - node.level] if node.level else []
            base = [*base, *filter(None, [node.module])]
            imported += [".".join([*base, *rest]) for rest in ([], *([alias.name] for alias in node.names))]
    return (module.removeprefix("drnbench.") for module in imported if module.startswith("drnbench."))


def _registered(tree: ast.Module) -> Iterator[str]:
    """Yield the modules that a registry names as the homes of its entries."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and (match := re.fullmatch(r"drnbench\.([\w.]*\w)", str(node.value))):
            yield match[1]


def _canonical(node: Any) -> str:
    """Return a syntax tree as text; not by `ast.dump`, whose text depends on the version of Python."""
    if isinstance(node, list):
        return f"[{','.join(_canonical(item) for item in node if not _is_text(item))}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = {name: value for name, value in ast.iter_fields(node) if name not in UNHASHED and value not in (None, [])}
    if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
        fields["exc"] = node.exc.func  # without the message
    return f"{type(node).__name__}({','.join(f'{name}={_canonical(value)}' for name, value in fields.items())})"


def _is_text(node: Any) -> bool:
    """Return True for a statement that is a string alone: a docstring of a module, class, function or constant."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _fingerprints() -> dict[str, str]:
    """Return the fingerprint of each kind, from the user's cache where the sources are the same: parsing takes 0.3 s."""
    sources = hashlib.sha256(_THIS)
    for name, source in SOURCES.items():
        sources.update(name.encode() + b"\0" + source + b"\0")
    file = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "drnbench" / "code-crc.json"
    kept: dict[str, dict[str, str]] = {}
    with contextlib.suppress(OSError, ValueError):
        kept = decode(file.read_bytes())
    if (current := kept.get(sources.hexdigest())) is not None:
        return current
    current = {kind: fingerprint(kind) for kind in PARTS}
    kept = dict([*kept.items(), (sources.hexdigest(), current)][-KEPT:])
    with contextlib.suppress(OSError):  # a home that cannot be written: computed again next time
        write_json(file, kept)
    return current
