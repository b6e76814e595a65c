"""The one-way mirror: the store as it is now, made visible in MLflow; doing it twice adds nothing.

    experiment = study;  parent run = study, profile and overrides;  child run = trial

Only the coordinator's process writes, by explicit run ids: the fluent interface keeps one active run a process.
"""

from __future__ import annotations

import contextlib
import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drnbench.results.plan_record import PlanRecord, read_plan
from drnbench.store import Store, atomic
from drnbench.store.locks import Lock
from drnbench.tracking import logged_models, names, place, reading, record, study_view
from drnbench.tracking.quiet import FIRST_CALL, PATIENCE, SILENCE, connect, settings, unsynced
from drnbench.tracking.reading import STATES, TrialView
from drnbench.tracking.runs import BEGUN, Experiment, Run

PARENT = "mlflow.parentRunId"
LOCK_S = 30.0
"""Seconds to wait for another `run` or `sync` on the same store."""


@dataclass(frozen=True)
class SyncResult:
    """Result of a sync.

    Attributes:
        runs: runs that the study has now under its settings, the parent included.
        new_runs: number of them that were made.
        points: values of metrics that were written.
        merged: runs that were deleted because another one showed the same; MLflow can restore them.

    """

    runs: int
    new_runs: int
    points: int
    merged: int = 0


class Mirror:
    """Writes studies of a store into MLflow.

    Args:
        uri: tracking URI; none is the store's own results/mlflow.db.
        log_models: also log the network of each trial that is done as a model; it takes as much disk as its weights.

    """

    def __init__(self, store: Store, uri: str | None = None, *, log_models: bool = False) -> None:
        self.store, self.log_models = store, log_models
        self.uri = uri or record.default_uri(store)
        self._id = uuid.uuid4().hex
        self._client: Any = None
        self._open: dict[str, Experiment] = {}

    def sync(self, name: str, final: bool = True, *, unless_shown: bool = False) -> SyncResult:
        """Mirror one study.

        Args:
            name: the study, or `<study>/<settings>` where it has several reports.
            final: also its tables and figures, and record that all was mirrored; without, what changes while it runs.
            unless_shown: do nothing where another process has just shown the study as it is.

        Raises:
            UsageError: the store has no such study, or several reports of it, or its experiment was deleted in MLflow.
            Exception: whatever MLflow raises when it is not installed, cannot be reached or written.

        """
        plan = read_plan(self.store, name)
        self.store.root.mkdir(parents=True, exist_ok=True)
        lock = Lock(self.store.root / ".mlflow.lock")
        try:
            lock.acquire(LOCK_S if final else 0.0)
        except TimeoutError:
            if final:
                raise
            return SyncResult(0, 0, 0)  # another process shows the study as it is
        # Two processes that create one sqlite store at once crash each other, and would make every run twice.
        with contextlib.closing(lock), settings(**SILENCE):
            if unless_shown and record.up_to_date(self.store, name, self.uri):
                return SyncResult(0, 0, 0)
            if record.take_turn(self.store, self._id):
                self._open = {}  # another process may have made runs since
            # Read only now, as the process before may have shown a later state; and the digest before anything is
            # written: what changes meanwhile is not recorded as mirrored.
            views = reading.trials(self.store, plan)
            stamp = reading.study_stamp(self.store, plan, views) if final else ""
            try:
                result = self._sync(plan, views, final=final)
            except Exception:
                # A server that was away may come back with other contents.
                self._client, self._open = None, {}
                raise
            if final:
                record.remember(self.store, plan.location, self.uri, stamp)
            return result

    def _sync(self, plan: PlanRecord, views: list[TrialView], *, final: bool) -> SyncResult:
        experiment = self._experiment(plan)
        with settings(**PATIENCE):
            before, merged = experiment.created, experiment.merge()
            parent = self._parent(experiment, plan, views, final=final)
            points = 0
            for view in views:
                if view.state != "untouched":
                    points += self._child(experiment, parent, plan, view)
                    if self.log_models and final:
                        logged_models.log_model(self.store, experiment.id, experiment.children[view.identity], view)
            experiment.retire({view.identity for view in views})
            return SyncResult(1 + len(experiment.children), experiment.created - before, points, merged)

    def _experiment(self, plan: PlanRecord) -> Experiment:
        key = plan.settings.location
        if key in self._open:
            return self._open[key]
        if self._client is None:
            record.set_damaged_database_aside(self.store, self.uri)
            database = record.database(self.uri)
            if database is not None and not database.exists():
                _create(database)
            self._client = connect(self.uri)
        with settings(**FIRST_CALL):
            stored = place.experiment(self._client, self.store, plan.study, self.uri)
        location = place.artifacts(self.store, plan.study, self.uri)
        with settings(**PATIENCE):
            self._open[key] = Experiment(self._client, plan.settings, location, stored)
        return self._open[key]

    def _parent(self, experiment: Experiment, plan: PlanRecord, views: list[TrialView], *, final: bool) -> Run:
        if experiment.parent is None:
            starts = reading.starts(views, plan.begun)
            experiment.parent = experiment.create(
                ", ".join([plan.study, plan.profile, *plan.settings.assignments]),
                min(starts, default=None),
                {"drnbench.kind": "study"},
            )
        with experiment.parent.together():
            self._show_study(experiment, experiment.parent, plan, views, final=final)
        return experiment.parent

    def _show_study(
        self, experiment: Experiment, parent: Run, plan: PlanRecord, views: list[TrialView], *, final: bool
    ) -> None:
        states = [view.state for view in views]
        # Tags, since parameters cannot change; MLflow shows the note on top. Counts as metrics would put charts of one
        # bar each among those of the trials.
        counts = f"{states.count('done')} of {len(states)} done, {states.count('failed')} failed"
        parent.describe(
            {
                "mlflow.note.content": study_view.description(self.store, plan, final=final),
                "drnbench.protocol": names.clipped(plan.measured, names.TAG_LENGTH),
                "drnbench.trials": counts,
                "drnbench.overrides": ", ".join(plan.settings.assignments),
                **experiment.tags,
                **_origin(parent, study_view.source(self.store, plan, views)),
            },
            {
                "profile": plan.profile,
                "overrides": names.clipped(", ".join(plan.settings.assignments) or "none", names.PARAM_LENGTH),
                "question": names.clipped(plan.question, names.PARAM_LENGTH),
            },
        )
        ends = [view.ended for view in views if view.ended]
        parent.move(STATES[_overall(states, running=not final)], max(ends, default=None), again=True)
        if final:
            self._report(
                experiment.id, parent, plan, views, max(ends, default=parent.ended) or reading.milliseconds(time.time())
            )

    def _report(self, experiment: str, parent: Run, plan: PlanRecord, views: list[TrialView], ended: int) -> None:
        """Show the report: files in folders, best arms, comparisons, image sets, per-image scores."""
        folder, files = self.store.study(plan.location), reading.reports(self.store, plan.location)
        for beginning, into in (*study_view.FOLDERS.items(), ("", None)):
            of_kind = [path for path in files if path.name.startswith(beginning)]
            files = [path for path in files if path not in of_kind]
            for suffix in sorted({path.suffix for path in of_kind}):
                subject = f"{into or 'files'}{suffix}"
                parent.attach(subject, [path for path in of_kind if path.suffix == suffix], folder, into)
        points, best = study_view.points(self.store, plan, ended)
        parent.update(points)
        parent.describe(best)
        parent.use(study_view.datasets(self.store, views))
        parent.tabulate("per_image", study_view.by_arm(views))
        view = json.dumps(study_view.shared_view(views))
        if len(view) <= names.TAG_LENGTH:
            self._client.set_experiment_tag(experiment, f"mlflow.sharedViewState.{study_view.VIEW}", view)

    def _child(self, experiment: Experiment, parent: Run, plan: PlanRecord, view: TrialView) -> int:
        stamp = reading.stamp(view)
        run = experiment.children.get(view.identity)
        if run is not None and run.mirrored.get("trial") == stamp:
            run.describe({**experiment.tags, PARENT: parent.id})
            return 0
        history = reading.history(view)
        if run is not None and run.contradicts(history):
            experiment.supersede(run, view.label)
            run = None
        carried: dict[str, str] = {}
        if run is not None and run.tags.get(BEGUN) == "no" and view.begun:
            # MLflow lets no start change: a run that was shown for its shared stages is made again for its own work.
            carried = experiment.remove(run)
            run = None
        if run is None:
            key, arm = view.identity
            tags = {
                **carried,
                PARENT: parent.id,
                "drnbench.kind": "trial",
                "drnbench.key": key,
                "drnbench.arm": arm,
                BEGUN: "yes" if view.begun else "no",
            }
            run = experiment.children[view.identity] = experiment.create(view.label, view.started, tags)
        with run.together():
            points = self._show(run, experiment, parent, plan, view) + run.add(history)
        run.move(STATES[view.state], view.ended)
        # Last: a mirror that is interrupted before this line goes over the trial again.
        run.remember(trial=stamp)
        return points

    def _show(self, run: Run, experiment: Experiment, parent: Run, plan: PlanRecord, view: TrialView) -> int:
        """Show a trial on its run, but for its history; return the number of values of metrics."""
        scores = reading.scores(view)
        tags = {
            "drnbench.state": view.state,
            "drnbench.protocol": names.clipped(view.plan.measured, names.TAG_LENGTH),
            **scores.infinite,
        }
        if view.message is not None or "drnbench.message" in run.tags:
            tags["drnbench.message"] = view.message or ""
        run.describe(
            {
                **tags,
                **experiment.tags,
                PARENT: parent.id,
                **_origin(run, study_view.source(self.store, plan, [view])),
            },
            names.params(view.plan.config or {}, view.plan.arm, view.values),
        )
        points = run.update([*scores.points, *reading.costs(view)])
        run.attach("samples", reading.samples(view), view.units[-1][1])
        run.use(study_view.datasets(self.store, [view]))
        if (rows := reading.score_rows(view)) is not None and len(rows):
            run.tabulate("per_image", study_view.per_image(rows))
        if view.first_seed:
            run.show(reading.pictures(view), view.ended or reading.milliseconds(time.time()))
        return points


def _origin(run: Run, source: Mapping[str, str]) -> dict[str, str]:
    """Return tags on the origin of a run; the user who mirrors it first stays."""
    return {**source, **({} if "mlflow.user" in run.tags else {"mlflow.user": study_view.user()})}


def _overall(states: list[str], *, running: bool) -> str:
    if running or "running" in states:
        return "running"
    if all(state == "done" for state in states):
        return "done"
    return "failed" if "failed" in states else "interrupted" if {"interrupted", "lost"} & set(states) else "waiting"


def _create(path: Path) -> None:
    """Make an empty MLflow database under a temporary name, sync it and rename it.

    It takes seconds of migrations: a process killed in the middle would leave a database that no MLflow opens again.
    """
    with atomic(path) as temporary, unsynced():
        connect(record.sqlite_uri(temporary)).search_experiments()
