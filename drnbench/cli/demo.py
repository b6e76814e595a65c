"""The verb `demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Option

from drnbench.cli import run
from drnbench.cli.options import JobsOpt, ResultsOpt
from drnbench.cli.study_output import open_page
from drnbench.config.settings import DEFAULT_PROFILE, Settings
from drnbench.session.declared import read_overrides
from drnbench.store import Store

STUDY, OVERRIDES = "dual_ablation", ["train.steps=120"]


def command(
    results: ResultsOpt = Path("demo-results"),
    jobs: JobsOpt = None,
    show: Annotated[bool, Option("--open/--no-open", help="open the report in a browser")] = True,
) -> int:
    """Run a small study on embedded photographs, from training to the report, in one to two minutes on two cores."""
    code = run.command(Path(STUDY), sets=OVERRIDES, jobs=jobs, results=results)
    page = Store(results).study(Settings.of(STUDY, DEFAULT_PROFILE, read_overrides(OVERRIDES)).location) / "report.html"
    if show and page.is_file():
        open_page(page)
    return code
