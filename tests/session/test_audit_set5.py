"""`drnbench.audit` names the program behind LR images of Set5, for every listed one at x2, x3 and x4: docs/audit.md has the table.

`python -m tests.session.test_audit_set5` prints it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

import drnbench
from drnbench.data.images import read_rgb
from drnbench.datasets.sources import resolve
from tests.forensics.tools import TOOLS, pairs, save

SCALES = (2, 3, 4)


def named(folder: Path, set5: str, tool: str, scale: int) -> tuple[int, bool, str]:
    """Return the images of Set5 for which a tool's LR images are explained exactly, whether it is named, and the sentence."""
    made = pairs({name: read_rgb(path) for name, path in resolve(set5).images}, tool, scale)
    save(folder / "hr", {name: hr for name, (hr, _) in made.items()}, compress_level=1)
    save(folder / "lr", {name: lr for name, (_, lr) in made.items()}, compress_level=1)
    result = drnbench.audit(folder / "hr", folder / "lr", scale=scale, jobs=1)
    first = result.record["candidates"][0]
    names = {name.partition(", halves")[0] for name in (first["generator"], *result.record["same"])}
    return first["exact"], tool in names and tool in result.sentence, result.sentence


@pytest.mark.real
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("tool", TOOLS)
def test_the_program_behind_set5_is_named(shared_data, tmp_path, tool, scale):
    if "OpenCV" in tool:
        pytest.importorskip("cv2")
    exact, is_named, sentence = named(tmp_path, str(shared_data / "Set5"), tool, scale)
    assert is_named, sentence
    assert exact == 5, sentence


def main(set5: str) -> None:
    """Print the table of docs/audit.md: images of Set5 that are explained exactly, and the tools that are not named."""
    print("| program | " + " | ".join(f"x{scale}" for scale in SCALES) + " |\n|---|" + "---|" * len(SCALES))
    for tool in TOOLS:
        cells = []
        for scale in SCALES:
            with TemporaryDirectory() as folder:
                exact, is_named, _ = named(Path(folder), set5, tool, scale)
            cells.append(f"{exact} of 5{'' if is_named else ', not named'}")
        print(f"| {tool} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1] if sys.argv[1:] else "Set5")
