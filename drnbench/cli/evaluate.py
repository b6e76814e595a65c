"""The verb `evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

import drnbench
from drnbench.cli import options
from drnbench.cli.image_output import check_file, finish
from drnbench.config.protocol import Protocol
from drnbench.session.declared import read_overrides


def command(
    method: Annotated[str, Argument(help="a method, as `list methods` shows them", show_default=False)],
    scale: Annotated[int, Option(min=1, help="HR size over LR size")],
    data: Annotated[str, Option(metavar="DIR_OR_NAME", help="HR test images: a name or a folder")],
    weights: Annotated[
        Path | None, Option(metavar="FILE", help="of a trainable method: checkpoint.pt, or the authors' DRNS4x.pt")
    ] = None,
    dual_weights: Annotated[
        Path | None, Option(metavar="FILE", help="of the dual network, for the metric dual_mae")
    ] = None,
    kernel: Annotated[str, Option(help="degradation that makes the LR inputs; real: the images are LR")] = "bicubic",
    lr: Annotated[
        str | None,
        Option(metavar="DIR_OR_NAME", help="ready-made LR images, matched by name; --kernel then says what made them"),
    ] = None,
    metrics: options.MetricsOpt = "psnr_y,ssim_y",
    y_round: options.RoundOpt = False,
    border: options.BorderOpt = None,
    no_quantise: Annotated[bool, Option("--no-quantise", help="compare SR before it is rounded to 8 bits")] = False,
    json: options.JsonOpt = None,
    save: Annotated[Path | None, Option(metavar="DIR", help="write the SR images there, as PNG")] = None,
    force: options.ForceOpt = False,
    tile: Annotated[
        int | None, Option(min=1, help="enlarge in tiles of this many LR pixels a side: less memory")
    ] = None,
    overlap: Annotated[int | None, Option(min=0, help="LR pixels that a tile sees beyond its own; none: 16")] = None,
    self_ensemble: Annotated[
        bool, Option("--self-ensemble", help="mean of the eight flips and turns; the + of EDSR+")
    ] = False,
    sets: Annotated[
        list[str] | None, Option("--set", metavar="SIZE=VALUE", help="size of the model, such as n_feats=8; repeatable")
    ] = None,
    test_time: Annotated[
        str | None,
        Option(
            metavar="SPEC", help="adapt the network to each image, such as srtta:types=blur; none: the method's own"
        ),
    ] = None,
    device: options.DeviceOpt = "auto",
    jobs: options.JobsOpt = None,
    alpha: options.AlphaOpt = None,
    data_root: options.DataRootOpt = None,
) -> int:
    """Score a method on a set of images."""
    options.use_data_roots(data_root)
    check_file(json)
    scores = drnbench.evaluate(
        method, scale, data, weights=weights, dual_weights=dual_weights, kernel=kernel, lr=lr,
        metrics=options.read_metrics(metrics), protocol=Protocol(y_round=y_round, border=border, quantise=not no_quantise),
        save=save, force=force, tile=tile, overlap=overlap, self_ensemble=self_ensemble, sizes=read_overrides(sets or []),
        test_time=test_time, device=device, jobs=jobs, alpha=options.read_colour(alpha),
    )  # fmt: skip
    return finish(scores, json)
