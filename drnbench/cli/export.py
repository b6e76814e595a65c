"""The verb `export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from drnbench.cli.options import RESULTS, ResultsOpt
from drnbench.session.export import export_weights


def command(
    key: Annotated[
        str,
        typer.Argument(help="stage or trial: at least 4 characters of its key, as `plan` shows it", show_default=False),
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT_DIR", help="folder for the files", show_default=False)],
    results: ResultsOpt = RESULTS,
    force: Annotated[bool, typer.Option("--force", help="overwrite files that are there")] = False,
) -> int:
    """Write trained weights as files that the authors' code loads."""
    return export_weights(key, out, results, force=force)
