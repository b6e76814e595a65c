"""The verbs, their options and their exit codes: 0 done, 1 some failed, 2 cannot be done, 130 interrupted."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Annotated, Any

import typer

from drnbench.errors import DrnbenchError, PlugInWarning

# typer carries its own click in newer releases; the base class of its errors is reached through typer either way.
ClickException: type[Exception] = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")

_showwarning = warnings.showwarning

app = typer.Typer(
    name="drnbench",
    help="Ablation studies for super-resolution: one study file, one command, tables and figures for a paper.",
    epilog="Example: python -m drnbench run studies/rho_sweep.py --profile tiny",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

StudyArg = Annotated[Path, typer.Argument(metavar="STUDY.py", help="the study file", show_default=False)]
ProfileOpt = Annotated[str, typer.Option(help="size of the study: tiny, quick, small, paper, or one of its own")]
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


@app.command(epilog="Example: python -m drnbench run studies/rho_sweep.py --profile tiny --jobs 2")
def run(
    study: StudyArg,
    profile: ProfileOpt = "quick",
    sets: SetOpt = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="processes at once; none: one a core, or one a GPU")] = None,
    executor: Annotated[str, typer.Option(help="where units run: local")] = "local",
    device: DeviceOpt = "auto",
    results: ResultsOpt = Path("results"),
    tracking_uri: TrackOpt = None,
    rerun: Annotated[str | None, typer.Option(help="run again: failed, stale or all")] = None,
    fail_fast: Annotated[bool, typer.Option("--fail-fast", help="stop at the first failure")] = False,
) -> int:
    """Run what is missing of a study, then report."""
    from drnbench.cli.studies import run_study

    return run_study(
        study, profile, sets or [], jobs, executor, device, results, tracking_uri, rerun, fail_fast=fail_fast
    )


@app.command(epilog="Example: python -m drnbench plan studies/rho_sweep.py --set adapt.steps=500")
def plan(
    study: StudyArg,
    profile: ProfileOpt = "quick",
    sets: SetOpt = None,
    results: ResultsOpt = Path("results"),
) -> int:
    """Show what `run` would do: trials, stages, states, time; runs nothing."""
    from drnbench.cli.studies import show_plan

    return show_plan(study, profile, sets or [], results)


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
) -> int:
    """Show what there is, one line each."""
    from drnbench.cli.listing import show

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
    kernel: Annotated[str, typer.Option(help="degradation that makes the LR inputs")] = "bicubic",
    metrics: Annotated[str, typer.Option(help="metric names, with commas")] = "psnr_y,ssim_y",
    y_round: Annotated[bool, typer.Option("--y-round", help="round Y, as MATLAB does on uint8")] = False,
    json: Annotated[
        Path | None, typer.Option(metavar="FILE", help="write the scores there; - for standard output")
    ] = None,
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="SIZE=VALUE", help="size of the model, such as n_feats=8; repeatable"),
    ] = None,
    device: DeviceOpt = "auto",
    results: ResultsOpt = Path("results"),
) -> int:
    """Score a method on a set of images."""
    from drnbench.cli.evaluating import Request, evaluate_method

    return evaluate_method(
        Request(
            method=method, scale=scale, data=data, weights=weights, dual_weights=dual_weights, kernel=kernel,
            metrics=[name.strip() for name in metrics.split(",")], out=json, sets=sets or [], device=device,
            results=results, y_round=y_round,
        )
    )  # fmt: skip


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
    except (typer.Abort, KeyboardInterrupt):
        print("interrupted; run the same command again to go on", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `drnbench list | head`
        sys.stderr.close()
        return 0
    return code if isinstance(code, int) else 0


def _warn(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
    """Print our own warnings as one line; leave others' as Python prints them."""
    if issubclass(category, PlugInWarning):
        print(f"drnbench: warning: {' '.join(str(message).split())}", file=sys.stderr)
    else:
        _showwarning(message, category, *where, **more)


def _refuse(message: str) -> int:
    print(f"drnbench: {' '.join(message.split())}", file=sys.stderr)
    return 2
