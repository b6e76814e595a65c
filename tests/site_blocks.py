"""Execution of the code blocks of a page of the documentation.

Every block with a file name (`title="batch.py"`) is written as that file, other Python is executed, and commands of drnbench are called in
order, under these rules: `run` and `report` take `--profile tiny` where no profile is named and units run in this process, without figures
and without MLflow. Comments before a block say otherwise: `<!-- not executed: why -->`, `<!-- planned -->` (`plan` in place of `run`, at
profile tiny), `<!-- planned as it is -->` (at the profile that is named, with the sizes of a paper).
"""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path
from typing import NamedTuple

import pytest

from drnbench.cli import main
from drnbench.outputs import compose
from tests.conftest import REPOSITORY
from tests.session import inline

FENCE = re.compile(
    r"^(?:<!-- (not executed: .+|planned|planned as it is) -->\n)?```(\w*)(?: title=\"(.+)\")?\n((?s:.*?))^```$",
    flags=re.MULTILINE,
)
COMMAND = re.compile(r"^(?:\S*python -m )?drnbench (.*)$")


class Block(NamedTuple):
    """A code block: how it is marked, its language, the file that it is, its text."""

    mark: str
    language: str
    title: str
    text: str


def blocks(page: str) -> list[Block]:
    """Return the code blocks of a page of the repository, in order."""
    return [Block(*match) for match in FENCE.findall((REPOSITORY / page).read_text(encoding="utf-8"))]


def write_files(page: str, folder: Path) -> None:
    """Write every block with a file name; a pyproject.toml is installed as far as its entry points go."""
    for block in blocks(page):
        if block.title:
            path = folder / block.title
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
        if block.title == "pyproject.toml":
            info = folder / "my_sr-1.0.dist-info"
            info.mkdir()
            (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-sr\nVersion: 1.0\n", encoding="utf-8")
            groups = re.sub(r'\[project\.entry-points\."(.+)"\]', r"[\1]", block.text.partition("\n\n")[2])
            (info / "entry_points.txt").write_text(groups.replace('"', ""), encoding="utf-8")


def command(words: list[str], mark: str) -> list[str]:
    """Return the words of a command under the rules above."""
    verb, rest = words[0], words[1:]
    if verb == "run" and mark.startswith("planned"):
        verb = "plan"
    if verb in ("run", "plan", "report") and "--profile" not in rest and mark != "planned as it is":
        rest = [*rest, "--profile", "tiny"]
    if verb == "run":
        rest = [*rest, "--executor", "inline", "--tracking-uri", "off"]
    return [verb, *rest]


def execute(page: str, folder: Path) -> None:
    """Execute a page in a folder that has its files.

    Raises:
        AssertionError: a command that fails, or that is neither drnbench's nor marked as not executed.
    """
    os.chdir(folder)
    with pytest.MonkeyPatch.context() as patch, inline.available():
        patch.setattr(compose, "figures", lambda study, shown: [])
        names: dict[str, object] = {}
        for block in blocks(page):
            if block.mark.startswith("not executed") or block.title:
                continue
            if block.language == "python":
                exec(compile(block.text, page, "exec"), names)
                continue
            for line in block.text.splitlines():
                match = COMMAND.match(line)
                assert match, f"{page}: neither a command of drnbench nor marked: {line}"
                words = command(shlex.split(match[1]), block.mark)
                assert main(words) in ((0, 1) if words[0] == "doctor" else (0,)), words
