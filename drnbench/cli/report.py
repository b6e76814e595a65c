"""The verb `report`."""

from __future__ import annotations

import os
import sys
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from drnbench.cli.options import RESULTS, HalfWidthOpt, OptionalStudyArg, ResultsOpt, SeedsOpt, SetOpt
from drnbench.cli.study_output import print_report
from drnbench.config.settings import DEFAULT_PROFILE, Settings
from drnbench.errors import UsageError
from drnbench.outputs import index_page
from drnbench.outputs.report import write
from drnbench.results.locations import locate, matching
from drnbench.results.plan_record import find_plan
from drnbench.session.declared import read_overrides
from drnbench.store import Store


def command(
    study: OptionalStudyArg = None,
    profile: Annotated[
        str | None,
        typer.Option(help="as of `run`; none: of the only report of the study, or quick", show_default=False),
    ] = None,
    sets: SetOpt = None,
    seeds: SeedsOpt = None,
    half_width: HalfWidthOpt = None,
    results: ResultsOpt = RESULTS,
    every: Annotated[
        bool, typer.Option("--all", help="write what is out of date of every study, and index.html of the store")
    ] = False,
    opened: Annotated[bool, typer.Option("--open", help="open the page in a browser")] = False,
) -> int:
    """Write tables, figures and HTML from the store alone; also while a sweep runs."""
    store = Store(results)
    if every == (study is not None):
        raise UsageError("report: name one study file, or --all for every study of the store")
    if every and (profile or sets or seeds or half_width):
        raise UsageError(
            "report --all: every study is written under all its settings; leave out --profile and overrides"
        )
    if study is None:
        index = index_page.write(store)
        failed, page = index.failed, index.file
        print(f"{page}: {len(index.rows)} reports")
    else:
        location = report_location(store, study.stem, profile, read_overrides(sets or [], seeds, half_width))
        written = write(store, location)
        failed, page = written.failed, store.study(location) / "report.html"
        print_report(written, store, mirrored=False)
    for line in failed:
        print(f"failed: {line}", file=sys.stderr)
    if opened and not open_in_browser(page):
        print(f"no browser here; the page is {page.absolute()}")
    return 1 if failed else 0


def open_in_browser(page: Path) -> bool:
    """Open a page in the user's browser; return False where there is none, or no screen to show it on."""
    screens = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER", "WSL_DISTRO_NAME")
    if sys.platform == "linux" and not any(map(os.environ.get, screens)):
        return False  # browsers of a terminal would take it over
    try:
        return webbrowser.open(page.absolute().as_uri())
    except webbrowser.Error:
        return False


def report_location(store: Store, study: str, profile: str | None, overrides: dict[str, object]) -> str:
    """Return the location of the report that `run` writes with these options; without any, of the only one."""
    asked, reports = Settings.of(study, profile or DEFAULT_PROFILE, overrides).location, matching(store, study)
    if asked not in reports and not overrides:
        if profile is None:
            return locate(store, study)
        # Earlier versions kept one report of a study, in its folder.
        earlier = find_plan(store, study) if study in reports else None
        if earlier is not None and earlier.profile == profile:
            return study
    return locate(store, asked)
