"""Study files that come with drnbench, which commands take by name: `run rho_sweep`."""

from __future__ import annotations

import ast
from pathlib import Path

from drnbench.errors import UsageError, nearest

_PACKAGE = Path(__file__).resolve().parent.parent
_FOLDERS = (_PACKAGE / "shipped", _PACKAGE.parent / "studies")
"""Of an installed wheel, and of a checkout."""


def shipped() -> dict[str, Path]:
    """Return the study files that come with this installation, by name."""
    folder = next((folder for folder in _FOLDERS if folder.is_dir()), None)
    return {} if folder is None else {path.stem: path for path in sorted(folder.glob("*.py"))}


def locate(study: Path) -> Path:
    """Return the file of a study that is given as a path or as the name of a shipped one; a path comes first.

    Raises:
        UsageError: a name without a suffix that neither is.
    """
    if study.suffix or len(study.parts) != 1 or study.is_file():
        return study
    studies = shipped()
    if study.name not in studies:
        raise UsageError(
            f"no study {study.name!r} comes with drnbench: {nearest(study.name, studies)}; "
            f"one of your own is named by its file, such as {study.name}.py"
        )
    return studies[study.name]


def is_installed(path: Path) -> bool:
    """Return True for a file of an installed wheel, whose folder says nothing to the readers of a report."""
    return path.parent == _FOLDERS[0]


def question(path: Path) -> str:
    """Return the first paragraph of a study file's docstring, without executing the file; "" without one."""
    document = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return " ".join(document.split("\n\n")[0].split())
