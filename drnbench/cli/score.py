"""The verb `score`."""

from __future__ import annotations

from typing import Annotated

from typer import Argument, Option

import drnbench
from drnbench.cli import options
from drnbench.cli.image_output import check_file, finish
from drnbench.config.protocol import Protocol


def command(
    sr: Annotated[str, Argument(metavar="SR_DIR", help="SR images made elsewhere", show_default=False)],
    scale: Annotated[
        int,
        Option(min=1, help="HR size over LR size; 1: images of any origin (its border is 1, too: --border 0 for none)"),
    ],
    hr: Annotated[
        str | None, Argument(metavar="HR_DIR", help="HR images: a folder or a name; not for niqe", show_default=False)
    ] = None,
    metrics: options.MetricsOpt = "psnr_y,ssim_y",
    lr: Annotated[
        str | None, Option(metavar="DIR_OR_NAME", help="for lr_psnr: the LR inputs; none: made of HR by --kernel")
    ] = None,
    kernel: Annotated[
        str | None, Option(help="for lr_psnr: the degradation that made the LR inputs; none: bicubic")
    ] = None,
    y_round: options.RoundOpt = False,
    border: options.BorderOpt = None,
    json: options.JsonOpt = None,
    alpha: options.AlphaOpt = None,
    jobs: options.JobsOpt = None,
    data_root: options.DataRootOpt = None,
) -> int:
    """Score SR images made elsewhere; pairs by name, such as baby_RCAN_x4.png with baby.png."""
    options.use_data_roots(data_root)
    check_file(json)
    scores = drnbench.score(
        sr, hr, scale=scale, metrics=options.read_metrics(metrics), lr=lr, kernel=kernel,
        protocol=Protocol(y_round=y_round, border=border), alpha=options.read_colour(alpha), jobs=jobs,
    )  # fmt: skip
    return finish(scores, json)
