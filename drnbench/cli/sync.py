"""The verb `sync`."""

from __future__ import annotations

from typing import Annotated

from typer import Argument

from drnbench.cli.options import RESULTS, LogModelsOpt, ResultsOpt, TrackOpt
from drnbench.session.mirroring import check_sync, sync
from drnbench.store import Store


def command(
    studies: Annotated[
        list[str] | None, Argument(help="studies; none: every one in the store", show_default=False)
    ] = None,
    results: ResultsOpt = RESULTS,
    tracking_uri: TrackOpt = None,
    log_models: LogModelsOpt = False,
) -> int:
    """Mirror the store into MLflow again; doing it twice adds nothing."""
    store = Store(results)
    for name in check_sync(store, studies or [], tracking_uri):
        result = sync(store, name, tracking_uri, log_models=log_models)
        merged = f"; {result.merged} doubles deleted, which MLflow can restore" if result.merged else ""
        print(f"{name}: {result.runs} runs, {result.new_runs} new, {result.points} new points{merged}")
    return 0
