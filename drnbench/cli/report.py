"""The verb `report`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from drnbench.cli.options import RESULTS, HalfWidthOpt, ResultsOpt, SeedsOpt, SetOpt, StudyArg
from drnbench.cli.study_output import print_report
from drnbench.config.settings import DEFAULT_PROFILE, Settings
from drnbench.outputs.report import write
from drnbench.results.locations import locate, matching
from drnbench.results.plan_record import find_plan
from drnbench.session.declared import read_overrides
from drnbench.store import Store


def command(
    study: StudyArg,
    profile: Annotated[
        str | None,
        typer.Option(help="as of `run`; none: of the only report of the study, or quick", show_default=False),
    ] = None,
    sets: SetOpt = None,
    seeds: SeedsOpt = None,
    half_width: HalfWidthOpt = None,
    results: ResultsOpt = RESULTS,
) -> int:
    """Write tables, figures and HTML from the store alone; also while a sweep runs."""
    store = Store(results)
    location = report_location(store, study.stem, profile, read_overrides(sets or [], seeds, half_width))
    written = write(store, location)
    print_report(written, store, mirrored=False)
    for line in written.failed:
        print(f"failed: {line}", file=sys.stderr)
    return 1 if written.failed else 0


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
