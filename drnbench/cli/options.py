"""Options and arguments that several verbs take."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from drnbench.errors import UsageError

StudyArg = Annotated[
    Path,
    Argument(
        metavar="STUDY.py|NAME", help="a study file, or the name of one that comes with drnbench", show_default=False
    ),
]
OptionalStudyArg = Annotated[
    Path | None, Argument(metavar="STUDY.py|NAME", help="as of `run`; none: with --all", show_default=False)
]
ProfileOpt = Annotated[
    str, Option(help="size of the study: tiny, quick, or one that it declares, such as small, paper")
]
SetOpt = Annotated[
    list[str] | None,
    Option(
        "--set", metavar="PATH=VALUE", help="override a field of every trial, such as pretrain.steps=500; repeatable"
    ),
]
SeedsOpt = Annotated[
    str | None,
    Option(metavar="N|MIN-MAX|until", help="number of seeds; a range or until: as many as --half-width needs"),
]
HalfWidthOpt = Annotated[
    float | None,
    Option(
        metavar="SIZE", help="add seeds until differences to the baseline have this half-width, in the metric's unit"
    ),
]
ResultsOpt = Annotated[Path, Option(metavar="DIR", help="the store")]
DeviceOpt = Annotated[str, Option(help="auto, cpu or cuda")]
TrackOpt = Annotated[
    str | None, Option(metavar="URI|off", help="MLflow server or store; none: results/mlflow.db; off: no mirror")
]
LogModelsOpt = Annotated[
    bool, Option("--log-models", help="log the trained networks in MLflow, too, as models with their signature")
]

DataRootOpt = Annotated[
    list[Path] | None,
    Option(
        "--data-root",
        metavar="DIR",
        help="where sets of images lie; repeatable; none: DRNBENCH_DATA, or ./data",
        show_default=False,
    ),
]

MetricsOpt = Annotated[str, Option(help="metric names, with commas")]
RoundOpt = Annotated[bool, Option("--y-round", help="round Y, as MATLAB does on uint8")]
BorderOpt = Annotated[int | None, Option(min=0, help="pixels shaved on each side; none: the scale")]
JsonOpt = Annotated[Path | None, Option(metavar="FILE", help="write the scores there; - for standard output")]
JobsOpt = Annotated[int | None, Option(min=1, help="processes at once; none: one a core where it is worth it")]
AlphaOpt = Annotated[
    str | None, Option(metavar="COLOUR", help="lay transparent images onto white, black or #rrggbb; none: refuse")
]
ForceOpt = Annotated[bool, Option("--force", help="overwrite files that are there")]
KeyArg = Annotated[
    str, Argument(help="stage or trial: at least 4 characters of its key, as `plan` shows it", show_default=False)
]


RESULTS = Path("results")


def use_data_roots(roots: list[Path] | None) -> None:
    """Put --data-root into the environment: worker processes look there too.

    Raises:
        UsageError: no such folder, or one whose name cannot stand in a list of folders.
    """
    for root in roots or []:
        if not root.expanduser().is_dir():
            raise UsageError(f"--data-root {root}: no such folder; name the one that holds Set5, DIV2K, ...")
        if os.pathsep in str(root):
            raise UsageError(f"--data-root {root}: a data root has no {os.pathsep!r} in its name: give a link to it")
    if roots:
        os.environ["DRNBENCH_DATA"] = os.pathsep.join(str(root.expanduser().absolute()) for root in roots)


def read_colour(text: str | None) -> tuple[int, int, int] | None:
    """Read `--alpha`: white, black or #rrggbb.

    Raises:
        UsageError: anything else.
    """
    named = {"white": "#ffffff", "black": "#000000"}
    if text is None:
        return None
    digits = named.get(text, text)
    if not re.fullmatch("#[0-9a-fA-F]{6}", digits):
        raise UsageError(f"--alpha {text}: name a colour as white, black or #rrggbb, such as #808080")
    red, green, blue = bytes.fromhex(digits[1:])
    return red, green, blue


def read_metrics(text: str) -> tuple[str, ...]:
    """Read `--metrics a,b`.

    Raises:
        UsageError: it names none.
    """
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not names:
        raise UsageError(f"--metrics {text!r}: name at least one metric, such as psnr_y")
    return names
