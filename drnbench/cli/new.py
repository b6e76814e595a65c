"""The verb `new`."""

from __future__ import annotations

import ast
import shlex
from dataclasses import asdict, fields
from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from drnbench.cli.options import ForceOpt
from drnbench.config.shipped import locate, shipped
from drnbench.errors import UsageError, one_line
from drnbench.session.declared import check_name
from drnbench.session.new_study import Answers, text
from drnbench.store import write_text

QUESTIONS = {
    "question": "The question, in one sentence", "method": "Method (`drnbench list methods`)", "scale": "Scale",
    "train": "Training images (a name of `drnbench list datasets`, or a folder)", "test": "Test images",
    "axis": "Field that is varied", "values": "Its values, with commas; the first is the baseline", "seeds": "Seeds",
}  # fmt: skip


def command(
    name: Annotated[Path, Argument(metavar="NAME", help="the file to write, .py is added", show_default=False)],
    source: Annotated[
        Path | None,
        Option("--from", metavar="STUDY", help="copy a shipped study or a study file; none: a commented one"),
    ] = None,
    ask: Annotated[bool, Option("--ask", help="ask for the question, method, images, axis and values first")] = False,
    force: ForceOpt = False,
) -> int:
    """Write a study file that runs as it is."""
    path = name if name.suffix == ".py" else name.parent / f"{name.name}.py"
    check_name(name.name.removesuffix(".py"))
    if ask and source is not None:
        raise UsageError("--ask and --from: a copied study needs no answers; give one of them")
    if path.exists() and not force:
        raise UsageError(f"{path} is there already: choose another name, or overwrite it with --force")
    if not path.parent.is_dir():
        raise UsageError(f"{path}: there is no folder {path.parent}")
    if source is None:
        content = text(_asked() if ask else Answers())
    else:
        file = locate(source.expanduser())
        if not file.is_file():
            raise UsageError(f"--from {source}: no such study file; these come with drnbench: {', '.join(shipped())}")
        content = _checked(source, file)
    write_text(path, content)
    shown = shlex.quote(str(path))
    print(
        f"wrote {path}\nplan it: python -m drnbench plan {shown}\nrun it:  python -m drnbench run {shown} --profile tiny"
    )
    return 0


def _checked(source: Path, file: Path) -> str:
    """Return the text of a file that defines a study; it is not executed."""
    try:
        content = file.read_text(encoding="utf-8")
        body = ast.parse(content).body
    except (SyntaxError, UnicodeDecodeError, ValueError) as error:
        raise UsageError(f"--from {source}: not a study file ({one_line(str(error))})") from error
    assigned = [target for node in body if isinstance(node, ast.Assign) for target in node.targets]
    assigned += [node.target for node in body if isinstance(node, ast.AnnAssign)]
    if not any(isinstance(target, ast.Name) and target.id == "study" for target in assigned):
        raise UsageError(f"--from {source}: a study file defines `study = Study(...)`, and this one does not")
    return content


def _asked() -> Answers:
    given = asdict(Answers())
    for field in fields(Answers):
        given[field.name] = typer.prompt(QUESTIONS[field.name], default=given[field.name], err=True)
    return Answers(**given)
