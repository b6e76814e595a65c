"""The index page of a store: every study with its settings, state, date and answer, and a link to its report."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drnbench.errors import UsageError
from drnbench.outputs import report
from drnbench.outputs.stored_report import current
from drnbench.render import html
from drnbench.results.locations import planned
from drnbench.results.plan_record import PlanRecord, read_plan
from drnbench.store import Store, read_json, write_text

FILE = "index.html"


@dataclass(frozen=True)
class Index:
    """The index page as it was written.

    Attributes:
        file: the page.
        rows: one a report, as `drnbench.render.html.render_index` takes them.
        failed: a line for each report, or part of one, that could not be made.

    """

    file: Path
    rows: list[dict[str, Any]]
    failed: list[str]


def write(store: Store) -> Index:
    """Write the reports of a store that are not up to date, and the page that names all of them, into the results folder.

    Raises:
        UsageError: the store has no study.

    """
    locations = planned(store)
    if not locations:
        raise UsageError(f"no study in {store.root}: run one first, or name --results DIR")
    failed = list[str]()
    rows = [_row(store, location, failed) for location in locations]
    page = store.root / FILE
    write_text(page, html.render_index(store.root.name, rows), durable=False)
    return Index(page, rows, failed)


def _row(store: Store, location: str, failed: list[str]) -> dict[str, Any]:
    try:
        plan = read_plan(store, location)
        made = current(store, location) or report.write(store, location)
    except UsageError as error:
        failed.append(f"{location}: {error}")
        study, _, folder = location.partition("/")
        return {"study": study, "settings": folder, "states": [], "failure": str(error)} | dict.fromkeys(
            ("page", "question", "date", "answer"), ""
        )
    failed += [f"{location}: {line}" for line in made.failed]
    summary = read_json(store.study(location) / "summary.json") or {}
    page = next((path for path in made.files if path.name == "report.html"), None)
    return {
        "study": plan.study,
        "settings": plan.settings.text,
        "question": plan.question,
        "states": _states(store, plan, made.incomplete),
        "date": (summary.get("provenance") or {}).get("date"),
        "answer": made.headline,
        "page": page and page.relative_to(store.root).as_posix(),
        "failure": "" if page else "; ".join(made.failed),
    }


def _states(store: Store, plan: PlanRecord, incomplete: int) -> list[tuple[str, int]]:
    """Return the states of the trials that are not done, with those of their stages that failed, after the number that is."""
    if not incomplete:
        return [("done", len({(trial.arm, trial.key) for trial in plan.trials}))]
    failed = {key for key in plan.stages if store.state(store.stage(key)) == "failed"}
    trials = {(trial.arm, trial.key): trial for trial in plan.trials}.values()
    states = Counter(
        "failed" if failed.intersection(trial.stages) else store.state(store.trial(trial.key)) for trial in trials
    )
    return [(state, states[state]) for state in html.STATES if states[state]]
