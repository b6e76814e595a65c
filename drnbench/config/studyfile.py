"""Reading of study files, with a one-line error for a file that is wrong."""

from __future__ import annotations

import runpy
import traceback
from pathlib import Path

from drnbench.config.study import Study
from drnbench.errors import DrnbenchError, UsageError, nearest


def load(path: Path) -> tuple[Study, str, str]:
    """Return the study of a file, its name (the stem) and its question (the docstring's first paragraph).

    Raises:
        UsageError: no such file, the file raises, it defines no `study`.

    """
    if path.is_dir():
        files = sorted(p.name for p in path.glob("*.py"))
        raise UsageError(f"{path} is a folder; name a study file in it: {', '.join(files) or 'it has none'}")
    if not path.is_file():
        folder = path.parent if path.parent.is_dir() else Path()
        hint = nearest(path.name, (p.name for p in folder.glob("*.py")))
        raise UsageError(f"{path}: no such study file in {folder.resolve()}: {hint}")
    try:
        names = runpy.run_path(str(path), run_name="drnbench_study")
    except DrnbenchError as error:
        raise UsageError(f"{_line(path, error)}: {error}") from error
    except (Exception, SystemExit) as error:
        message = " ".join(str(error).split()) or "no message"
        raise UsageError(f"{_line(path, error)}: the study file raises {type(error).__name__}: {message}") from error
    study = names.get("study")
    if not isinstance(study, Study):
        value = "nothing of that name" if study is None else f"a {type(study).__name__}"
        raise UsageError(f"{path}: a study file defines `study = Study(...)`; this one has {value}")
    question = (names.get("__doc__") or "").strip().split("\n\n")[0]
    return study, path.stem, " ".join(question.split())


def _line(path: Path, error: BaseException) -> str:
    """Return the path with the last line of the study file in the error's traceback."""
    if isinstance(error, SyntaxError) and error.lineno:
        return f"{path}:{error.lineno}"
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if Path(f.filename).name == path.name]
    return f"{path}:{lines[-1]}" if lines else str(path)
