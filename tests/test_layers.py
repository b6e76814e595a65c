"""Imports: at the top of files, downwards only (the layers contract in pyproject.toml), with few exceptions that say why."""

import ast
import statistics
from pathlib import Path

from tests.conftest import REPOSITORY

FILES = sorted((REPOSITORY / "drnbench").rglob("*.py"))
EXCEPTIONS = 10
"""Function-level imports of this package that may be left, each with a comment that says why."""


def late_imports(file: Path) -> list[tuple[int, str]]:
    """Return line and text of every import of this package inside a function."""
    text = file.read_text(encoding="utf-8")
    lines, imports = text.splitlines(), []
    if "    from drnbench" not in text and "    import drnbench" not in text:  # walking a tree takes long
        return []
    for function in ast.walk(ast.parse(text)):
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
            for node in ast.walk(function):
                names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                if any(name.split(".")[0] == "drnbench" for name in names):
                    imports.append((node.lineno, lines[node.lineno - 1].strip()))
    return sorted(set(imports))


def test_first_party_imports_stand_at_the_top_but_for_a_few_that_say_why():
    late = {file: imports for file in FILES if (imports := late_imports(file))}
    assert sum(len(imports) for imports in late.values()) <= EXCEPTIONS, late
    for file, imports in late.items():
        lines = file.read_text(encoding="utf-8").splitlines()
        for number, text in imports:
            above = number - 2
            while lines[above].strip().startswith(("from drnbench", "import drnbench")):
                above -= 1
            assert lines[above].strip().startswith("#"), f"{file.name}:{number}: {text}: say why above it"


def test_files_stay_small():
    sizes = {file: len(file.read_text(encoding="utf-8").splitlines()) for file in FILES}
    assert statistics.median(sizes.values()) <= 130
    assert max(sizes.values()) <= 400, max(sizes, key=sizes.get)
