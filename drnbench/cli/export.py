"""The verb `export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from drnbench.cli.options import RESULTS, ForceOpt, KeyArg, ResultsOpt
from drnbench.session.export import export_weights


def command(
    key: KeyArg,
    out: Annotated[Path, Argument(metavar="OUT_DIR", help="folder for the files", show_default=False)],
    results: ResultsOpt = RESULTS,
    force: ForceOpt = False,
    onnx: Annotated[
        bool, Option("--onnx", help="write the network as an ONNX file, too, checked through onnxruntime")
    ] = False,
) -> int:
    """Write trained weights as files that the authors' code loads, and as ONNX."""
    return export_weights(key, out, results, force=force, onnx=onnx)
