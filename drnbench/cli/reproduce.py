"""The verb `reproduce`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Option

from drnbench.cli.options import RESULTS, DataRootOpt, KeyArg, ResultsOpt, use_data_roots


def command(
    key: KeyArg,
    results: ResultsOpt = RESULTS,
    device: Annotated[str, Option(help="auto (as recorded, where it is there), cpu or cuda")] = "auto",
    keep: Annotated[Path | None, Option(metavar="DIR", help="keep what is made now there; none: it is deleted")] = None,
    data_root: DataRootOpt = None,
) -> int:
    """Run a stored trial or stage again and say whether it is bit-identical."""
    # PyTorch is imported when the verb runs, not for its --help.
    from drnbench.session.reproduce import reproduce

    use_data_roots(data_root)
    return reproduce(key, results, device, keep)
