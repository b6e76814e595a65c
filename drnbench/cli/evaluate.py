"""The verb `evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import drnbench
from drnbench.cli.image_output import check_json, finish
from drnbench.cli.options import (
    AlphaOpt,
    BorderOpt,
    DataRootOpt,
    DeviceOpt,
    ForceOpt,
    JobsOpt,
    JsonOpt,
    MetricsOpt,
    RoundOpt,
    read_colour,
    read_metrics,
    use_data_roots,
)
from drnbench.config.protocol import Protocol
from drnbench.session.declared import read_overrides


def command(
    method: Annotated[str, typer.Argument(help="a method, as `list methods` shows them", show_default=False)],
    scale: Annotated[int, typer.Option(min=1, help="HR size over LR size")],
    data: Annotated[str, typer.Option(metavar="DIR_OR_NAME", help="HR test images: a name or a folder")],
    weights: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="of a trainable method: checkpoint.pt, or the authors' DRNS4x.pt"),
    ] = None,
    dual_weights: Annotated[
        Path | None, typer.Option(metavar="FILE", help="of the dual network, for the metric dual_mae")
    ] = None,
    kernel: Annotated[
        str, typer.Option(help="degradation that makes the LR inputs; real: the images are LR")
    ] = "bicubic",
    lr: Annotated[
        str | None,
        typer.Option(
            metavar="DIR_OR_NAME", help="ready-made LR images, matched by name; --kernel then says what made them"
        ),
    ] = None,
    metrics: MetricsOpt = "psnr_y,ssim_y",
    y_round: RoundOpt = False,
    border: BorderOpt = None,
    no_quantise: Annotated[
        bool, typer.Option("--no-quantise", help="compare SR before it is rounded to 8 bits")
    ] = False,
    json: JsonOpt = None,
    save: Annotated[Path | None, typer.Option(metavar="DIR", help="write the SR images there, as PNG")] = None,
    force: ForceOpt = False,
    tile: Annotated[
        int | None, typer.Option(min=1, help="enlarge in tiles of this many LR pixels a side: less memory")
    ] = None,
    overlap: Annotated[
        int | None, typer.Option(min=0, help="LR pixels that a tile sees beyond its own; none: 16")
    ] = None,
    self_ensemble: Annotated[
        bool, typer.Option("--self-ensemble", help="mean of the eight flips and turns; the + of EDSR+")
    ] = False,
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="SIZE=VALUE", help="size of the model, such as n_feats=8; repeatable"),
    ] = None,
    device: DeviceOpt = "auto",
    jobs: JobsOpt = None,
    alpha: AlphaOpt = None,
    data_root: DataRootOpt = None,
) -> int:
    """Score a method on a set of images."""
    use_data_roots(data_root)
    check_json(json)
    scores = drnbench.evaluate(
        method, scale, data, weights=weights, dual_weights=dual_weights, kernel=kernel, lr=lr,
        metrics=read_metrics(metrics), protocol=Protocol(y_round=y_round, border=border, quantise=not no_quantise),
        save=save, force=force, tile=tile, overlap=overlap, self_ensemble=self_ensemble, sizes=read_overrides(sets or []),
        device=device, jobs=jobs, alpha=read_colour(alpha),
    )  # fmt: skip
    return finish(scores, json)
