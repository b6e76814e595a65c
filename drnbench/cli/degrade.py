"""The verb `degrade`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from drnbench.cli.image_output import print_failures
from drnbench.cli.options import AlphaOpt, DataRootOpt, ForceOpt, JobsOpt, read_colour, use_data_roots
from drnbench.session.degrade_images import degrade_folder


def command(
    hr: Annotated[str, Argument(metavar="HR_DIR", help="HR images: a folder or a name", show_default=False)],
    out: Annotated[Path, Argument(metavar="OUT_DIR", help="folder for <stem>.png", show_default=False)],
    kernel: Annotated[str, Option(help="as `list kernels` shows them: bicubic, bd, gaussian:sigma=2.0, ...")],
    scale: Annotated[int, Option(min=1, help="HR size over LR size")],
    border: Annotated[
        str | None, Option(help="beyond the edge: symmetric (MATLAB today) or replicate (older MATLAB)")
    ] = None,
    alpha: AlphaOpt = None,
    jobs: JobsOpt = None,
    force: ForceOpt = False,
    data_root: DataRootOpt = None,
) -> int:
    """Write LR images, without MATLAB."""
    use_data_roots(data_root)
    spec, made, failed = degrade_folder(hr, out, kernel, scale, border, read_colour(alpha), jobs, force=force)
    print_failures(failed)
    if made:
        print(f"{made} LR image{'s' * (made != 1)} in {out}: {spec} x{scale}, HR cropped to a multiple of {scale}")
    return 0 if not failed else 1 if made else 2
