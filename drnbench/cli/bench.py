"""The verb `bench`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Option

from drnbench.cli.image_output import check_file
from drnbench.cli.options import DeviceOpt


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
    device: DeviceOpt = "auto",
) -> int:
    """Measure how fast this machine scores, degrades, enlarges and trains, and what a sweep takes besides."""
    # PyTorch is imported when the verb runs, not for its --help.
    from drnbench.session.bench import bench

    check_file(json)
    return bench(device, only, json, compare)
