"""The verb `clean`."""

from __future__ import annotations

from typing import Annotated

from typer import Option

from drnbench.cli.options import RESULTS, ResultsOpt
from drnbench.session.cleaning import Choice, clean


def command(
    results: ResultsOpt = RESULTS,
    unused: Annotated[bool, Option("--unused", help="stages and trials that no study's plan refers to")] = False,
    checkpoints: Annotated[
        bool, Option("--checkpoints", help="weights of finished stages whose trials are all scored")
    ] = False,
    images: Annotated[bool, Option("--images", help="whole SR images; figures show crops without them")] = False,
    cache: Annotated[bool, Option("--cache", help="LR images and the like; made again when needed")] = False,
    leftovers: Annotated[bool, Option("--leftovers", help="half-written files of killed processes, locks")] = False,
    everything: Annotated[bool, Option("--all", help="all of these")] = False,
    yes: Annotated[bool, Option("--yes", help="delete without asking")] = False,
) -> int:
    """Show what the store holds; delete what is chosen, once confirmed."""
    return clean(
        results, Choice(*(chosen or everything for chosen in (unused, checkpoints, images, cache, leftovers))), yes=yes
    )
