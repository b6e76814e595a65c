"""The verb `bench`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Option

from drnbench.cli.image_output import check_file
from drnbench.cli.options import DeviceOpt
from drnbench.errors import UsageError


def command(
    only: Annotated[
        str | None,
        Option(metavar="PART", help="score, degrade, enlarge, train, step, feed or sweep; none: all of them"),
    ] = None,
    json: Annotated[
        Path | None, Option(metavar="FILE", help="write the measurements there; - for standard output")
    ] = None,
    compare: Annotated[
        Path | None,
        Option(metavar="FILE", help="measurements of another run, to stand beside these", show_default=False),
    ] = None,
    figure: Annotated[
        Path | None,
        Option(metavar="FILE", help="draw the variants of a training step there, as .png or .pdf", show_default=False),
    ] = None,
    device: DeviceOpt = "auto",
) -> int:
    """Measure how fast this machine scores, degrades, enlarges and trains, and what a sweep takes besides."""
    # PyTorch is imported when the verb runs, not for its --help.
    from drnbench.session.bench import bench

    check_file(json)
    check_file(figure, "--figure")
    if figure is not None and figure.suffix.lower() not in {".png", ".pdf"}:
        raise UsageError(f"--figure {figure}: name a file that ends in .png or .pdf")
    if figure is not None and only not in {None, "step"}:
        raise UsageError(f"--figure {figure}: it draws the variants of a training step; measure them with --only step")
    return bench(device, only, json, compare, figure)
