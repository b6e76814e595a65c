"""The verbs, their options and their exit codes: 0 done, 1 some failed, 2 cannot be done, 130 interrupted."""

from __future__ import annotations

import errno
import os
import sys
import warnings
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from drnbench.errors import DrnbenchError, PlugInWarning, UsageError

# typer carries its own click in newer releases; the base class of its errors is reached through typer either way.
ClickException: type[Exception] = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")

_showwarning = warnings.showwarning


class _InterruptedError(Exception):
    """Ctrl-C, under a name that typer does not swallow."""


class _Group(TyperGroup):
    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise _InterruptedError from error


app = typer.Typer(
    cls=_Group,
    name="drnbench",
    help="Ablation studies for super-resolution: one study file, one command, tables and figures for a paper.",
    epilog="Example: python -m drnbench run studies/rho_sweep.py --profile tiny",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@app.callback(invoke_without_command=True)
def _help(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        print(context.get_help())


StudyArg = Annotated[Path, typer.Argument(metavar="STUDY.py", help="the study file", show_default=False)]
ProfileOpt = Annotated[
    str, typer.Option(help="size of the study: tiny, quick, or one that it declares, such as small, paper")
]
SetOpt = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="PATH=VALUE", help="override a field of every trial, such as pretrain.steps=500; repeatable"
    ),
]
ResultsOpt = Annotated[Path, typer.Option(metavar="DIR", help="the store")]
DeviceOpt = Annotated[str, typer.Option(help="auto, cpu or cuda")]
TrackOpt = Annotated[
    str | None, typer.Option(metavar="URI|off", help="MLflow server or store; none: results/mlflow.db; off: no mirror")
]

DataRootOpt = Annotated[
    list[Path] | None,
    typer.Option(
        "--data-root",
        metavar="DIR",
        help="where sets of images lie; repeatable; none: DRNBENCH_DATA, or ./data",
        show_default=False,
    ),
]

MetricsOpt = Annotated[str, typer.Option(help="metric names, with commas")]
RoundOpt = Annotated[bool, typer.Option("--y-round", help="round Y, as MATLAB does on uint8")]
BorderOpt = Annotated[int | None, typer.Option(min=0, help="pixels shaved on each side; none: the scale")]
JsonOpt = Annotated[Path | None, typer.Option(metavar="FILE", help="write the scores there; - for standard output")]
JobsOpt = Annotated[int | None, typer.Option(min=1, help="processes at once; none: one a core where it is worth it")]
AlphaOpt = Annotated[
    str | None, typer.Option(metavar="COLOUR", help="lay transparent images onto white, black or #rrggbb; none: refuse")
]
ForceOpt = Annotated[bool, typer.Option("--force", help="overwrite files that are there")]


@app.command(epilog="Example: python -m drnbench run studies/rho_sweep.py --profile tiny --jobs 2")
def run(
    study: StudyArg,
    profile: ProfileOpt = "quick",
    sets: SetOpt = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="processes at once; none: one a core, or one a GPU")] = None,
    executor: Annotated[str, typer.Option(help="where units run: local, ray or slurm")] = "local",
    device: DeviceOpt = "auto",
    results: ResultsOpt = Path("results"),
    tracking_uri: TrackOpt = None,
    rerun: Annotated[str | None, typer.Option(help="run again: failed, stale or all")] = None,
    fail_fast: Annotated[bool, typer.Option("--fail-fast", help="stop at the first failure")] = False,
    gpus: Annotated[str | None, typer.Option(metavar="0,1", help="GPUs to use; none: all")] = None,
    per_gpu: Annotated[int, typer.Option(min=1, help="units that share a GPU")] = 1,
    time_limit: Annotated[
        float | None,
        typer.Option(min=1, metavar="SECONDS", help="time a stage or a scoring may take; then it saves and ends"),
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(metavar="auto|ray://HOST:PORT|local", help="Ray cluster of --executor ray; none: auto"),
    ] = None,
    partition: Annotated[str | None, typer.Option(help="of --executor slurm; none: the cluster's own default")] = None,
    slurm: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUE",
            help="more of --executor slurm, in submitit's words: timeout_min=600, mem_gb=16, account=x; repeatable",
        ),
    ] = None,
    data_root: DataRootOpt = None,
) -> int:
    """Run what is missing of a study, then report."""
    from drnbench.cli.studies import run_study

    _use_data_roots(data_root)
    return run_study(
        study, profile, sets or [], jobs, executor, device, results, tracking_uri, rerun, fail_fast=fail_fast,
        gpus=gpus, per_gpu=per_gpu, time_limit=time_limit, address=address, partition=partition, slurm=slurm or [],
    )  # fmt: skip


@app.command(epilog="Example: python -m drnbench plan studies/rho_sweep.py --set adapt.steps=500")
def plan(
    study: StudyArg,
    profile: ProfileOpt = "quick",
    sets: SetOpt = None,
    results: ResultsOpt = Path("results"),
    difference: Annotated[
        float | None,
        typer.Option(
            metavar="SIZE", help="how many seeds would show it; none: 0.1 in a metric in dB", show_default=False
        ),
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="processes at once that the time is told for; none: as `run`")
    ] = None,
    device: DeviceOpt = "auto",
    data_root: DataRootOpt = None,
) -> int:
    """Show what `run` would do: trials, stages, states, time, memory, disk, seeds; runs nothing."""
    from drnbench.cli.studies import show_plan

    _use_data_roots(data_root)
    return show_plan(study, profile, sets or [], results, difference, jobs, device)


@app.command(epilog="Example: python -m drnbench report studies/rho_sweep.py")
def report(study: StudyArg, results: ResultsOpt = Path("results")) -> int:
    """Write tables, figures and HTML from the store alone; also while a sweep runs."""
    from drnbench.cli.studies import write_report

    return write_report(study, results)


@app.command("list", epilog="Example: python -m drnbench list methods")
def list_(
    what: Annotated[
        str | None,
        typer.Argument(
            help="methods, models, schemes, kernels, datasets, metrics, studies or costs", show_default=False
        ),
    ] = None,
    data_root: DataRootOpt = None,
) -> int:
    """Show what there is, one line each."""
    from drnbench.cli.listing import show

    _use_data_roots(data_root)
    return show(what)


@app.command(epilog="Example: python -m drnbench evaluate bicubic --scale 4 --data photos/test --json scores.json")
def evaluate(
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
    from drnbench.cli.evaluating import Request, evaluate_method
    from drnbench.cli.scores import colour
    from drnbench.config.protocol import Protocol

    _use_data_roots(data_root)
    return evaluate_method(
        Request(
            method=method, scale=scale, data=data, weights=weights, dual_weights=dual_weights, kernel=kernel, lr=lr,
            metrics=metrics, out=json, save=save, force=force, tile=tile, overlap=overlap, self_ensemble=self_ensemble,
            sets=sets or [], device=device, jobs=jobs, alpha=colour(alpha),
            protocol=Protocol(y_round=y_round, border=border, quantise=not no_quantise),
        )
    )  # fmt: skip


@app.command(epilog="Example: python -m drnbench score sr/ Set5 --scale 4 --metrics psnr_y,ssim_y,lpips")
def score(
    sr: Annotated[str, typer.Argument(metavar="SR_DIR", help="SR images made elsewhere", show_default=False)],
    scale: Annotated[
        int,
        typer.Option(
            min=1, help="HR size over LR size; 1: images of any origin (its border is 1, too: --border 0 for none)"
        ),
    ],
    hr: Annotated[
        str | None,
        typer.Argument(metavar="HR_DIR", help="HR images: a folder or a name; not for niqe", show_default=False),
    ] = None,
    metrics: MetricsOpt = "psnr_y,ssim_y",
    lr: Annotated[
        str | None, typer.Option(metavar="DIR_OR_NAME", help="for lr_psnr: the LR inputs; none: made of HR by --kernel")
    ] = None,
    kernel: Annotated[
        str | None, typer.Option(help="for lr_psnr: the degradation that made the LR inputs; none: bicubic")
    ] = None,
    y_round: RoundOpt = False,
    border: BorderOpt = None,
    json: JsonOpt = None,
    alpha: AlphaOpt = None,
    jobs: JobsOpt = None,
    data_root: DataRootOpt = None,
) -> int:
    """Score SR images made elsewhere; pairs by name, such as baby_RCAN_x4.png with baby.png."""
    from drnbench.cli.scores import colour
    from drnbench.cli.scoring import score_folder
    from drnbench.config.protocol import Protocol

    _use_data_roots(data_root)
    protocol = Protocol(y_round=y_round, border=border)
    return score_folder(sr, hr, lr, scale, metrics, kernel, protocol, json, colour(alpha), jobs)


@app.command(epilog="Example: python -m drnbench degrade Set5 Set5/LR_bicubic/X4 --kernel bicubic --scale 4")
def degrade(
    hr: Annotated[str, typer.Argument(metavar="HR_DIR", help="HR images: a folder or a name", show_default=False)],
    out: Annotated[Path, typer.Argument(metavar="OUT_DIR", help="folder for <stem>.png", show_default=False)],
    kernel: Annotated[str, typer.Option(help="as `list kernels` shows them: bicubic, bd, gaussian:sigma=2.0, ...")],
    scale: Annotated[int, typer.Option(min=1, help="HR size over LR size")],
    border: Annotated[
        str | None, typer.Option(help="beyond the edge: symmetric (MATLAB today) or replicate (older MATLAB)")
    ] = None,
    alpha: AlphaOpt = None,
    jobs: JobsOpt = None,
    force: ForceOpt = False,
    data_root: DataRootOpt = None,
) -> int:
    """Write LR images, without MATLAB."""
    from drnbench.cli.degrading import degrade_folder
    from drnbench.cli.scores import colour

    _use_data_roots(data_root)
    return degrade_folder(hr, out, kernel, scale, border, colour(alpha), jobs, force=force)


@app.command(epilog="Example: python -m drnbench export 3f2a91 weights")
def export(
    key: Annotated[
        str,
        typer.Argument(help="stage or trial: at least 4 characters of its key, as `plan` shows it", show_default=False),
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT_DIR", help="folder for the files", show_default=False)],
    results: ResultsOpt = Path("results"),
    force: Annotated[bool, typer.Option("--force", help="overwrite files that are there")] = False,
) -> int:
    """Write trained weights as files that the authors' code loads."""
    from drnbench.cli.exporting import export_weights

    return export_weights(key, out, results, force=force)


KeyArg = Annotated[
    str, typer.Argument(help="stage or trial: at least 4 characters of its key, as `plan` shows it", show_default=False)
]


@app.command(epilog="Example: python -m drnbench show 3f2a91 --log 50")
def show(
    key: KeyArg,
    results: ResultsOpt = Path("results"),
    log: Annotated[int, typer.Option(min=0, metavar="N", help="lines of the end of its log; 0: none")] = 20,
    json: Annotated[bool, typer.Option("--json", help="as JSON, all of it")] = False,
) -> int:
    """Show one stage or trial: state, configuration, origin, costs, scores, files, log."""
    from drnbench.cli.showing import show as show_unit

    return show_unit(key, results, log, as_json=json)


@app.command(epilog="Example: python -m drnbench clean --checkpoints")
def clean(
    results: ResultsOpt = Path("results"),
    unused: Annotated[bool, typer.Option("--unused", help="stages and trials that no study's plan refers to")] = False,
    checkpoints: Annotated[
        bool, typer.Option("--checkpoints", help="weights of finished stages whose trials are all scored")
    ] = False,
    cache: Annotated[bool, typer.Option("--cache", help="LR images and the like; made again when needed")] = False,
    leftovers: Annotated[
        bool, typer.Option("--leftovers", help="half-written files of killed processes, locks")
    ] = False,
    everything: Annotated[bool, typer.Option("--all", help="all of these")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="delete without asking")] = False,
) -> int:
    """Show what the store holds; delete what is chosen, once confirmed."""
    from drnbench.cli.cleaning import Choice
    from drnbench.cli.cleaning import clean as clean_store

    chosen = [one or everything for one in (unused, checkpoints, cache, leftovers)]
    return clean_store(results, Choice(*chosen), yes=yes)


@app.command(epilog="Example: python -m drnbench reproduce 3f2a91")
def reproduce(
    key: KeyArg,
    results: ResultsOpt = Path("results"),
    device: Annotated[str, typer.Option(help="auto (as recorded, where it is there), cpu or cuda")] = "auto",
    keep: Annotated[
        Path | None, typer.Option(metavar="DIR", help="keep what is made now there; none: it is deleted")
    ] = None,
    data_root: DataRootOpt = None,
) -> int:
    """Run a stored trial or stage again and say whether it is bit-identical."""
    from drnbench.cli.reproducing import reproduce as run_again

    _use_data_roots(data_root)
    return run_again(key, results, device, keep)


@app.command(epilog="Example: python -m drnbench sync")
def sync(
    studies: Annotated[
        list[str] | None, typer.Argument(help="studies; none: every one in the store", show_default=False)
    ] = None,
    results: ResultsOpt = Path("results"),
    tracking_uri: TrackOpt = None,
) -> int:
    """Mirror the store into MLflow again; doing it twice adds nothing."""
    from drnbench.cli.tracked import sync_studies

    return sync_studies(studies or [], results, tracking_uri)


@app.command(epilog="Example: python -m drnbench ui --port 5000")
def ui(
    results: ResultsOpt = Path("results"),
    port: Annotated[int, typer.Option(min=1, max=65535, help="port on this machine")] = 5000,
    host: Annotated[str, typer.Option(help="address to listen on")] = "127.0.0.1",
) -> int:
    """Open the MLflow UI on the project's store."""
    from drnbench.cli.tracked import serve_ui

    return serve_ui(results, host, port)


data_app = typer.Typer(
    help="Fetch published sets of images, and the weights that LPIPS needs.",
    epilog="Example: python -m drnbench data fetch DIV2K --to ~/data",
    rich_markup_mode=None,
)
app.add_typer(data_app, name="data")


@data_app.callback(invoke_without_command=True)
def data_(context: typer.Context) -> None:
    """Show the help where no command is given."""
    if context.invoked_subcommand is None:
        print(context.get_help())


@data_app.command(epilog="Example: python -m drnbench data fetch Set5 Set14 B100 --to ~/data")
def fetch(
    names: Annotated[
        list[str],
        typer.Argument(metavar="NAME", help="as `list datasets` shows them; alexnet, vgg16", show_default=False),
    ],
    to: Annotated[
        Path | None,
        typer.Option(metavar="ROOT", help="images go to ROOT/NAME/HR; none: the first data root, or ./data"),
    ] = None,
    url: Annotated[
        str | None, typer.Option(metavar="MIRROR", help="take the file from there; the checksum stays the same")
    ] = None,
) -> int:
    """Download sets of images, checked and resumable; what is there is left alone."""
    from drnbench.cli.fetching import fetch_data

    return fetch_data(names, to, url)


@app.command(epilog="Example: python -m drnbench bench --only score")
def bench(
    only: Annotated[
        str | None, typer.Option(metavar="PART", help="score, degrade, enlarge, train or sweep; none: all of them")
    ] = None,
    json: JsonOpt = None,
    device: DeviceOpt = "auto",
) -> int:
    """Measure how fast this machine scores, degrades, enlarges and trains, and what a sweep takes besides."""
    from drnbench.cli.benching import bench as measure

    return measure(device, only, json)


def main(args: list[str] | None = None) -> int:
    """Run the command line and return the exit code; every error is one line on standard error."""
    command = typer.main.get_command(app)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _warn
            code = command.main(args=args, prog_name="drnbench", standalone_mode=False)
    except DrnbenchError as error:
        return _refuse(str(error))
    except ClickException as error:
        return _refuse(error.format_message())  # type: ignore[attr-defined]
    except (typer.Abort, KeyboardInterrupt, _InterruptedError):
        print("interrupted; run the same command again to go on", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `drnbench list | head`
        sys.stderr.close()
        return 0
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        where = f" of {error.filename}" if error.filename else ""
        return _refuse(f"the disk{where} is full: nothing is broken; make room and run the same command again")
    return code if isinstance(code, int) else 0


def _use_data_roots(roots: list[Path] | None) -> None:
    """Put --data-root into the environment: worker processes look there too."""
    for root in roots or []:
        if not root.expanduser().is_dir():
            raise UsageError(f"--data-root {root}: no such folder; name the one that holds Set5, DIV2K, ...")
        if os.pathsep in str(root):
            raise UsageError(f"--data-root {root}: a data root has no {os.pathsep!r} in its name: give a link to it")
    if roots:
        os.environ["DRNBENCH_DATA"] = os.pathsep.join(str(root.expanduser().absolute()) for root in roots)


def _warn(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
    """Print our own warnings as one line; leave others' as Python prints them."""
    if issubclass(category, PlugInWarning):
        print(f"drnbench: warning: {' '.join(str(message).split())}", file=sys.stderr)
    else:
        _showwarning(message, category, *where, **more)


def _refuse(message: str) -> int:
    print(f"drnbench: {' '.join(message.split())}", file=sys.stderr)
    return 2
