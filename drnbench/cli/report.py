"""The verb `report`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from drnbench.cli.options import RESULTS, HalfWidthOpt, OptionalStudyArg, ResultsOpt, SeedsOpt, SetOpt
from drnbench.cli.study_output import open_page, print_report
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
    if opened:
        open_page(page)
    return 1 if failed else 0


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
