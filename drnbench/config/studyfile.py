"""Reading of study files, with a one-line error for a file that is wrong."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import runpy
import sys
import traceback
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path

from drnbench.config.study import Study
from drnbench.errors import DrnbenchError, UsageError, nearest, one_line
from drnbench.registry import distribution, withdraw

OF_WORKERS = frozenset({"model", "scheme", "kernel", "metric", "loss"})
"""Kinds of registered entries that the processes which train and score look up."""
OF_REPORTS = frozenset({"output", "executor"})
"""Kinds that this process alone looks up, until it reads another study file."""
_registering = set[str]()
"""Names of the modules that were read as study files, or imported by them from beside them."""
RUN_NAME = "drnbench_study"
"""`__name__` of a study file while it runs."""
NAMED = 5
"""Up to so many files of a folder are named."""


def load(path: Path) -> tuple[Study, str, str, dict[Path, str | None]]:
    """Read a study file.

    Returns:
        The study, its name (the stem), its question (the docstring's first paragraph), and the digests of the file and of
        the modules beside it that it imports, as `file_digest` gives them.

    Raises:
        UsageError: no such file, the file raises, it defines no `study`.

    """
    if path.is_dir():
        files = sorted(p.name for p in path.glob("*.py"))
        more = f" and {len(files) - NAMED} more" if len(files) > NAMED else ""
        raise UsageError(
            f"{path} is a folder; name a study file in it: {', '.join(files[:NAMED]) or 'it has none'}{more}"
        )
    if not path.is_file():
        folder = path.parent if path.parent.is_dir() else Path()
        hint = nearest(path.name, (p.name for p in folder.glob("*.py")), NAMED)
        where = "" if path.parent == folder.resolve() else f" in {folder.resolve()}"
        raise UsageError(f"{path}: no such study file{where}: {hint}")
    if _is_binary(path):
        raise UsageError(f"{path} is not a Python file: name a study file (`drnbench new` writes one)")
    modules: dict[Path, str] = {path: RUN_NAME}
    # What an earlier reading registered for reports makes room for this one.
    for _ in withdraw(frozenset(_registering), OF_REPORTS):
        pass
    try:
        digests = {path: file_digest(path)}  # before it runs
        with _modules_beside(path.resolve().parent, modules):
            names = runpy.run_path(str(path), run_name=RUN_NAME)
        digests.update({file: file_digest(file) for file in modules if file != path})
    except DrnbenchError as error:
        raise UsageError(f"{_line(path, error)}: {error}") from error
    except (Exception, SystemExit) as error:
        message = " ".join(str(error).split()) or "no message"
        raise UsageError(f"{_line(path, error)}: the study file raises {type(error).__name__}: {message}") from error
    finally:
        _registering.update(modules.values())
        entries = list(withdraw(frozenset(modules.values()), OF_WORKERS))  # so that the next reading begins afresh
    if entries:
        kind, name, module = entries[0]
        file = next(file for file, imported in modules.items() if imported == module)
        raise UsageError(
            f"{file} registers the {kind} {name!r}, which the processes that train and score would not know: put it into a "
            "package with an entry point, as CONTRIBUTING.md shows, and install that (pip install -e)"
        )
    study = names.get("study")
    if not isinstance(study, Study):
        value = "nothing of that name" if study is None else f"a {type(study).__name__}"
        raise UsageError(f"{path}: a study file defines `study = Study(...)`; this one has {value}")
    question = (names.get("__doc__") or "").strip().split("\n\n")[0]
    return study, path.stem, one_line(question), digests


@contextlib.contextmanager
def _modules_beside(folder: Path, files: dict[Path, str]) -> Iterator[None]:
    """Import modules of a folder before all others, as `python FILE` does, and forget them afterwards.

    Another study may have a module of the same name, and a changed module is to be read again. `files` has the names
    of these modules by their files afterwards.
    """
    names = {entry.stem if entry.suffix == ".py" else entry.name for entry in folder.iterdir()}
    others = {
        name: module
        for name, module in sys.modules.items()
        if name.partition(".")[0] in names - sys.stdlib_module_names and not _is_installed(name, module)
    }
    bytecode, before = sys.dont_write_bytecode, set(sys.modules)
    for name in others:
        del sys.modules[name]
    sys.path.insert(0, str(folder))
    sys.dont_write_bytecode = True
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.dont_write_bytecode = bytecode
        sys.path.remove(str(folder))
        for name in set(sys.modules) - before | others.keys():
            module = sys.modules.get(name)
            if name in others or (_is_inside(module, folder) and not _is_installed(name, module)):
                sys.modules.pop(name, None)
                files.update({place: name for place in _places(module) if place.suffix == ".py"})
        sys.modules.update(others)


def _is_installed(name: str, module: object) -> bool:
    folders = {"site-packages", "dist-packages"}
    package = name.partition(".")[0]
    # Importing a plug-in a second time would register it twice, which is an error.
    if package in {"drnbench", "__main__"} or distribution(package) is not None:
        return True
    return any(folders & set(place.parts) for place in _places(module))


def _is_inside(module: object, folder: Path) -> bool:
    return any(place.is_relative_to(folder) for place in _places(module))


def _places(module: object) -> list[Path]:
    """Return the file of a module, or the folders of a package without one; [] for what only looks like a module."""
    spec = getattr(module, "__dict__", {}).get("__spec__")
    if not isinstance(spec, ModuleSpec):
        return []
    places = [spec.origin] if spec.has_location else list(spec.submodule_search_locations or ())
    return [Path(place) for place in places if place]


def file_digest(path: Path) -> str | None:
    """Return the sha256 (hex) of a study file; None where it cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None


def _is_binary(path: Path) -> bool:
    try:
        return b"\0" in path.read_bytes()
    except OSError:  # which reading it as a study says
        return False


def _line(path: Path, error: BaseException) -> str:
    """Return the last line of the study file, or of a module beside it, in the error's traceback, with its file."""
    folder = path.resolve().parent
    lines = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        lines.append((error.filename, error.lineno))
    installed = {"site-packages", "dist-packages", "drnbench"}
    for name, line in reversed(lines):
        if name.startswith("<"):  # of Python itself, as in <frozen runpy>
            continue
        file = Path(name).resolve()
        if file.is_relative_to(Path(runpy.__file__).parent):
            continue
        if file.is_relative_to(folder) and installed.isdisjoint(file.relative_to(folder).parts):
            return f"{path.parent / file.relative_to(folder)}:{line}"
    return str(path)
