"""The verb `check`."""

from __future__ import annotations

from typing import Annotated

from typer import Option

from drnbench.cli.options import RESULTS, ResultsOpt


def command(
    results: ResultsOpt = RESULTS,
    repair: Annotated[bool, Option("--repair", help="set aside what is not whole, so that it is made again")] = False,
) -> int:
    """Read every file of the store and compare it with what was written; one line a fault, and exit code 1."""
    # The checks of checkpoints import PyTorch, not this verb's --help.
    from drnbench.session.checking import check

    return check(results, repair=repair)
