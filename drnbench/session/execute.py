"""Running units under progress and mirror, whatever asked for them: a study, or its search."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from rich.console import Console

from drnbench.config.units import Unit
from drnbench.errors import disk_full
from drnbench.execution.base import Executor
from drnbench.outputs import on_demand
from drnbench.planning import Plan
from drnbench.session.coordinator import Coordinator
from drnbench.session.listener import Outcome
from drnbench.session.mirroring import live_mirror
from drnbench.session.progress import PlainProgress, Progress, RichProgress
from drnbench.session.request import Request
from drnbench.store import Store
from drnbench.tracking import Mirror

MIRROR_S = 30.0
"""Seconds that the mirror has at the end for what is left."""


def execute(
    plan: Plan, store: Store, executor: Executor, units: Sequence[Unit], request: Request, rerun: str | None,
    listeners: Sequence[Any] = (), source: Any = None, progress: Progress | None = None,
) -> tuple[Outcome, Mirror | None]:  # fmt: skip
    """Run units under progress and mirror; return how it ended, and the mirror for its end: None where it is off or failed.

    The mirror of a run that was interrupted, or that fails here, is brought up to date at once.

    Args:
        units: everything that is to run, for the progress display.
        listeners: further ones beside display and mirror.
        source: names units beside those of the plan.
        progress: the display; None: a live one on a terminal, plain lines elsewhere.

    Raises:
        UsageError: the disk is full.

    """
    progress = progress or display(units)
    mirror, notifiers = live_mirror(store, plan.study.settings.location, request.tracking_uri)
    everyone = [progress, *listeners, *notifiers]
    unmirrored, patience, rest = None, MIRROR_S, True
    try:
        with progress:
            coordinator = Coordinator(
                plan, store, executor, everyone, rerun, request.fail_fast, request.time_limit, source, progress.waiting,
                _import_beside if request.report else None,
            )  # fmt: skip
            outcome = coordinator.run()
            patience, rest = 0.0 if outcome.hurried else MIRROR_S, outcome.interrupted or outcome.full
    finally:
        if mirror is not None:  # one that failed has said so once: trying again at once would only repeat it
            if rest:
                mirror.close(patience)
            else:
                unmirrored = mirror.hand_over(patience)
    if outcome.full:
        raise disk_full(store.root)
    return outcome, unmirrored


def _import_beside() -> None:
    """Import what the report takes beside the last units."""
    threading.Thread(target=on_demand.import_ahead, name="report", daemon=True).start()


def display(units: Sequence[Unit]) -> Progress:
    """Return a live display on a terminal, plain lines elsewhere."""
    console = Console()
    return RichProgress(units, console) if console.is_terminal else PlainProgress(units)
