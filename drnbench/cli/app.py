"""The verbs of the command line. `drnbench.cli.entry` calls them, and has their exit codes and errors."""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from typer.core import TyperGroup

from drnbench.errors import DrnbenchWarning, UsageError, in_plain_words, nearest

# typer carries its own click in newer releases; the base class of its errors is reached through typer either way.
ClickException: type[Exception] = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")

_showwarning = warnings.showwarning


class Verb(NamedTuple):
    """A verb: the first line of its help, and an example of its arguments; its code is `command` in the module of its name."""

    summary: str
    example: str = ""


HELP = {"help_option_names": ["-h", "--help"]}

VERBS = {
    "run": Verb("Run what is missing of a study, then report.", "run rho_sweep --profile tiny --jobs 2"),
    "plan": Verb(
        "Show what `run` would do: trials, stages, states, time, memory, disk, seeds; runs nothing.",
        "plan studies/rho_sweep.py --set adapt.steps=500",
    ),
    "report": Verb(
        "Write tables, figures and HTML from the store alone; also while a sweep runs.", "report studies/rho_sweep.py"
    ),
    "measure": Verb(
        "Measure latency and peak memory of a study's networks on this machine; `report` then shows them.",
        "measure studies/method_comparison.py --profile tiny --lr-size 96x96",
    ),
    "new": Verb(
        "Write a commented study file, from answers or from a shipped study.", "new my_study --from lambda_sweep"
    ),
    "demo": Verb("Run a small study on embedded photographs, from training to the report.", "demo"),
    "doctor": Verb("Examine this installation: what is missing, and the command that gets it.", "doctor"),
    "list": Verb("Show what there is, one line each.", "list methods"),
    "evaluate": Verb(
        "Score a method on a set of images.", "evaluate bicubic --scale 4 --data photos/test --json scores.json"
    ),
    "score": Verb(
        "Score SR images made elsewhere; pairs by name, such as baby_RCAN_x4.png with baby.png.",
        "score sr/ Set5 --scale 4 --metrics psnr_y,ssim_y,lpips",
    ),
    "degrade": Verb("Write LR images, without MATLAB.", "degrade Set5 Set5/LR_bicubic/X4 --kernel bicubic --scale 4"),
    "audit": Verb(
        "Name the degradation that made LR images, their shift, noise, JPEG.", "audit Set5 Set5/LR_bicubic/X4 --scale 4"
    ),
    "export": Verb(
        "Write trained weights as files that the authors' code loads, and as ONNX.", "export 3f2a91 weights --onnx"
    ),
    "show": Verb(
        "Show one stage or trial: state, configuration, origin, costs, scores, files, log.", "show 3f2a91 --log 50"
    ),
    "clean": Verb("Show what the store holds; delete what is chosen, once confirmed.", "clean --checkpoints"),
    "check": Verb("Read the whole store and compare it with what was written; one line a fault.", "check --repair"),
    "reproduce": Verb("Run a stored trial or stage again and say whether it is bit-identical.", "reproduce 3f2a91"),
    "sync": Verb("Mirror the store into MLflow again; doing it twice adds nothing.", "sync"),
    "ui": Verb("Open the MLflow UI on the project's store.", "ui --port 5000"),
    "data": Verb("Fetch published sets of images, and the weights that metrics need."),
    "bench": Verb(
        "Measure how fast this machine scores, degrades, enlarges and trains, and what a sweep takes besides.",
        "bench --only score",
    ),
}
"""Verbs in the order of the help; the module of one is imported when it is called."""


_OWN: tuple[type[BaseException], ...] = (ClickException, typer.Exit, typer.Abort, SystemExit)


class _VerbError(Exception):
    """An error of a verb, which typer would swallow or rename: Ctrl-C, the end of a file, a broken pipe."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(str(error))
        self.error = error


class _Verbs(TyperGroup):
    """The group of all verbs, which imports none for its own help."""

    def list_commands(self, ctx: Any) -> list[str]:
        del ctx
        return list(VERBS)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args[0] not in VERBS and not args[0].startswith("-"):
            raise UsageError(f"no such verb {args[0]!r}: {nearest(args[0], VERBS)}")
        return super().resolve_command(ctx, args)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        del ctx
        if cmd_name not in VERBS:
            return None
        module = importlib.import_module(f"drnbench.cli.{cmd_name}")
        if hasattr(module, "app"):  # a verb with verbs of its own
            command: Any = typer.main.get_group(module.app)
        else:
            single = typer.Typer(add_completion=False, rich_markup_mode=None)
            example = f"Example: python -m drnbench {VERBS[cmd_name].example}"
            single.command(cmd_name, epilog=example, context_settings=HELP)(_with_home(module.command))
            command = typer.main.get_command(single)
        command.name = cmd_name
        return command

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, verb.summary) for name, verb in VERBS.items()])

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except _OWN:
            raise
        except BaseException as error:
            raise _VerbError(error) from error


app = typer.Typer(
    cls=_Verbs,
    name="drnbench",
    help="Ablation studies for super-resolution: one study file, one command, tables and figures for a paper.",
    epilog="Example: python -m drnbench run rho_sweep --profile tiny",
    context_settings=HELP,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@app.callback(invoke_without_command=True)
def _help(
    context: typer.Context,
    debug: Annotated[
        bool, typer.Option("--debug", help="print the traceback of an error, too; anywhere in a command")
    ] = False,
    version: Annotated[bool, typer.Option("--version", help="print the version and end")] = False,
) -> None:
    del debug  # `entry` takes it
    if version:
        print(f"drnbench {importlib.metadata.version('drnbench')}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        print(context.get_help())


def call(args: list[str]) -> int:
    """Run a verb and return its exit code.

    Raises:
        UsageError: words that name no verb, or no option of it.
        KeyboardInterrupt: Ctrl-C, also at a question.
        BaseException: whatever the verb raises, as it is.
    """
    command = typer.main.get_command(app)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _warn
            code = command.main(args=args, prog_name="drnbench", standalone_mode=False)
    except ClickException as error:
        where, colon, message = error.format_message().rpartition(": ")  # type: ignore[attr-defined]
        raise UsageError(f"{where}{colon}{in_plain_words(message)}") from error
    except typer.Abort as error:
        raise KeyboardInterrupt from error
    except _VerbError as error:
        raise error.error from error.error.__cause__
    return code if isinstance(code, int) else 0


def _with_home(command: Callable[..., int]) -> Callable[..., int]:
    """Return a verb whose paths begin at home where they begin with `~`: a shell leaves that in `--results=~/r`."""

    @functools.wraps(command)
    def with_home(**values: Any) -> int:
        return command(**{name: _expanded(value) for name, value in values.items()})

    return with_home


def _expanded(value: Any) -> Any:
    if isinstance(value, list):
        return [_expanded(entry) for entry in value]
    if not isinstance(value, Path) or not str(value).startswith("~"):
        return value
    try:
        return value.expanduser()
    except RuntimeError:
        raise UsageError(f"{value}: there is no such home folder; write the path without ~") from None


def _warn(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
    """Print our own warnings as one line; leave others' as Python prints them."""
    if issubclass(category, DrnbenchWarning):
        print(f"drnbench: warning: {' '.join(str(message).split())}", file=sys.stderr)
    else:
        _showwarning(message, category, *where, **more)
