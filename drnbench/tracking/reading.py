"""The content of a study's mirror, read from the store alone and without MLflow."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drnbench.results.costs import MEASUREMENT, read_measurement
from drnbench.results.plan_record import PlanRecord, TrialRecord
from drnbench.store import Status, Store, image_folder, read_json, sample_folder, stored_rows
from drnbench.tracking import names

if TYPE_CHECKING:
    import pandas as pd

VERSION = 4
"""Raised when the same store should look different in MLflow, so that earlier mirrors are brought up to date."""

ENDED = {"done": "FINISHED", "failed": "FAILED", "interrupted": "KILLED", "lost": "KILLED"}
STATES = {**ENDED, "running": "RUNNING", "waiting": "SCHEDULED"}
"""MLflow's term for each state of a trial."""

PICTURES = 8
"""Images of a test set that MLflow shows of a run."""
REPORTS = (
    "table_*", "figure_*", "summary.csv", "summary.json", "costs.csv", "macros.tex", "report.html", "plan.json",
)  # fmt: skip
"""Files of a study's folder that its parent run shows."""


@dataclass(frozen=True)
class Point:
    """One value of a metric; `time` is in milliseconds since 1970."""

    name: str
    step: int
    value: float
    time: int


@dataclass(frozen=True)
class Picture:
    """An image for MLflow's image view: its name there, the number of the image in its test set, the file."""

    name: str
    step: int
    path: Path


@dataclass(frozen=True)
class TrialView:
    """One trial of a study as the store has it now.

    Attributes:
        state: a key of STATES, or "untouched" where none of its units was ever started.
        units: (name, folder, status) of its stages in order; the name of the last, its scores, is empty.
        own: folders of the units that no other trial of the study needs: what it waits for is not its work.
        first_seed: its seed is the lowest of its arm; images are shown of that alone.

    """

    plan: TrialRecord
    values: dict[str, Any]
    state: str
    message: str | None
    units: tuple[tuple[str, Path, Status | None], ...]
    own: frozenset[Path] = frozenset()
    first_seed: bool = True

    @property
    def identity(self) -> tuple[str, str]:
        """Key and arm, by which its run is looked up."""
        return self.plan.key, names.clipped(self.plan.arm, names.TAG_LENGTH)

    @property
    def label(self) -> str:
        """Name of its run; a seed means nothing where nothing was trained."""
        return f"{self.plan.arm}, seed {self.plan.seed}" if self.plan.stages else self.plan.arm

    @property
    def begun(self) -> bool:
        """True as soon as a unit of its own has begun, or it has ended without one."""
        return self.state in ENDED or any(status for _, folder, status in self.units if folder in self.own)

    @property
    def started(self) -> int | None:
        """Start of its own work in milliseconds since 1970; before that begins, of the shared stages; None: of neither."""
        starts = [status.started for status in self._statuses]
        return milliseconds(min(starts)) if starts else None

    @property
    def ended(self) -> int | None:
        """End of its own work in milliseconds since 1970; None: it goes on, or has not begun."""
        ends = [status.finished for status in self._statuses if status.finished]
        return milliseconds(max(ends)) if ends and self.state in ENDED else None

    @property
    def started_units(self) -> list[float]:
        """Starts of its units, shared ones too, in seconds since 1970."""
        return [status.started for _, _, status in self.units if status]

    @property
    def _statuses(self) -> list[Status]:
        """The statuses of its own units; where none of them has begun, those of the stages that it shares."""
        every = [(folder, status) for _, folder, status in self.units if status]
        return [status for folder, status in every if folder in self.own] or [status for _, status in every]


@dataclass
class Scores:
    """Final scores as means over images: finite ones as points, the others as text (tag name -> text)."""

    points: list[Point] = field(default_factory=list)
    infinite: dict[str, str] = field(default_factory=dict)


def starts(views: Iterable[TrialView], begun: float | None) -> list[int]:
    """Return when the units of a plan were started, in milliseconds since 1970.

    Those that another plan had done before this one began are left out, as are untrained methods, which any run may have
    scored, unless there is nothing else.
    """
    views = list(views)
    trained = [view.started_units for view in views if view.plan.stages]
    every = [start for units in trained or [view.started_units for view in views] for start in units]
    own = [start for start in every if begun is None or start >= begun]
    return [milliseconds(start) for start in own or every]


def milliseconds(seconds: float) -> int:
    """Return seconds since 1970 as MLflow keeps them."""
    return round(seconds * 1000)


def trials(store: Store, plan: PlanRecord) -> list[TrialView]:
    """Return the trials of a plan with their states, each (key, arm) once: seeds that train nothing are one trial."""
    stages = {key: (stage.name, store.stage(key)) for key, stage in plan.stages.items()}
    states = {key: store.look(folder) for key, (_, folder) in stages.items()}
    values = {arm.name: arm.values for arm in plan.arms}
    users: dict[str, set[str]] = {}
    for trial in plan.trials:
        for key in trial.stages:
            users.setdefault(key, set()).add(trial.key)
    first = dict[str, int]()
    for trial in plan.trials:
        first[trial.arm] = min(first.get(trial.arm, trial.seed), trial.seed)
    views: dict[tuple[str, str], TrialView] = {}
    for trial in plan.trials:
        folder = store.trial(trial.key)
        own, status = store.look(folder)
        units = [(*stages[key], states[key][1]) for key in trial.stages]
        state, message = _state(trial, own, status, [states[key] for key in trial.stages])
        if state == "running":
            held = (store.unseen_holder(place) for place in (*(stages[key][1] for key in trial.stages), folder))
            message = next(filter(None, held), None)
        alone = frozenset([folder, *(store.stage(key) for key in trial.stages if len(users[key]) == 1)])
        view = TrialView(
            trial, values.get(trial.arm, {}), state, message, (*units, ("", folder, status)), alone,
            trial.seed == first[trial.arm],
        )  # fmt: skip
        views.setdefault(view.identity, view)
    return list(views.values())


def _state(
    trial: TrialRecord, own: str, status: Status | None, stages: list[tuple[str, Status | None]]
) -> tuple[str, str | None]:
    if status is not None and {e.key for e in trial.wanted} <= set(status.evaluations):
        return "done", None
    units = [*stages, (own, status)]
    states = [state for state, _ in units]
    for state, unit_status in units:
        if state == "failed" and unit_status is not None:
            return "failed", f"{unit_status.kind or 'error'}: {unit_status.message}"
    for state in ("running", "interrupted", "lost"):
        if state in states:
            return state, None
    return ("untouched" if set(states) == {"missing"} else "waiting"), None


def history(view: TrialView) -> list[Point]:
    """Return the finite values of every stage's history so far as `<stage>/<name>`, with their steps and times."""
    points = []
    for stage, folder, _ in view.units[:-1]:
        table = stored_rows(folder / "history.parquet")
        if table is None:
            continue
        rows = table.to_pandas()
        metrics = {name: names.safe(f"{stage}/{name}") for name in rows["name"].unique()}
        for step, name, value, time in rows[["step", "name", "value", "time"]].itertuples(index=False, name=None):
            if math.isfinite(value):
                points.append(Point(metrics[name], int(step), float(value), milliseconds(time)))
    return points


def scores(view: TrialView) -> Scores:
    """Return the means over images of every evaluation that the study wants and the store has."""
    means, rows, status = Scores(), score_rows(view), view.units[-1][2]
    if rows is None or status is None:
        return means
    metrics = names.scores(view.plan.wanted)
    for key, values in rows.groupby("evaluation", sort=False)["value"]:
        mean = float(values.mean())
        if math.isfinite(mean):
            # MLflow shows the newest of several values, so a mean over other images replaces the former.
            means.points.append(Point(metrics[str(key)], 0, mean, milliseconds(status.finished or status.started)))
        else:
            beyond = sum(not math.isfinite(value) for value in values)
            means.infinite[metrics[str(key)]] = f"{mean} ({beyond} of {len(values)} images)"
    return means


def costs(view: TrialView) -> list[Point]:
    """Return the costs of a scored trial as `cost/<name>`; latency and memory of a pass where they were measured.

    Seconds and the largest memory of a process are those of its training, shared stages included.
    """
    _, folder, status = view.units[-1]
    if status is None or view.state != "done":
        return []
    counted, measured = read_json(folder / "scores.json") or {}, read_measurement(folder) or {}
    stages = [read_json(stage / "stage.json") or {} for _, stage, _ in view.units[:-1]]
    values = {name: (counted.get("costs") or {}).get(name) for name in ("parameters", "macs", "activations")}
    values |= {name: measured.get(name) for name in ("latency_ms", "memory_mib")}
    seconds = [value for record in stages if (value := (record.get("costs") or {}).get("seconds")) is not None]
    values["training_seconds"] = sum(seconds) if seconds and len(seconds) == len(stages) else None
    for name, field_name in (("training_memory_mib", "peak_rss_mib"), ("training_gpu_memory_mib", "peak_gpu_mib")):
        values[name] = max((record[field_name] for record in stages if record.get(field_name)), default=None)
    time = milliseconds(status.finished or status.started)
    return [Point(f"cost/{name}", 0, float(value), time) for name, value in values.items() if value is not None]


def score_rows(view: TrialView) -> pd.DataFrame | None:
    """Return the per-image scores that the study wants of a trial; None as long as there are none.

    Evaluations that differ by more than test set, kernel and metric have test sets of different names.
    """
    _, folder, status = view.units[-1]
    table = stored_rows(folder / "per_image.parquet") if status is not None else None
    if status is None or table is None:
        return None
    wanted = {e.key for e in view.plan.wanted} & set(status.evaluations)
    rows: pd.DataFrame = table.to_pandas()
    rows = rows[rows["evaluation"].isin(wanted)]
    return rows.assign(dataset=rows["evaluation"].map(names.datasets(view.plan.wanted)))


def pictures(view: TrialView) -> list[Picture]:
    """Return the SR images of a trial that is done, whole where they are kept, else its crops; of bicubic HR and LR, too.

    Their names are those of test set and kernel, and each image has its own step: at one step all runs show the same image.
    """
    if view.state != "done":
        return []
    shown, folder = dict[tuple[str, int], Picture](), view.units[-1][1]
    kinds = ("sr",) if view.plan.stages else ("sr", "hr", "lr")
    for evaluation in view.plan.wanted:
        whole, crops = folder / image_folder(evaluation), folder / sample_folder(evaluation)
        place = whole if any(whole.glob("*_sr.png")) else crops
        size = "" if place == whole else " crop"
        for kind in kinds:
            name = names.image(f"{kind.upper()}{size} {evaluation.dataset} {evaluation.kernel}")
            for step, path in enumerate(sorted(place.glob(f"[!.]*_{kind}.png"))[:PICTURES]):
                shown.setdefault((name, step), Picture(name, step, path))
    return list(shown.values())


def samples(view: TrialView) -> list[Path]:
    """Return the PNGs of a trial that is done."""
    folder = view.units[-1][1] / "samples"
    return (
        sorted(path for path in folder.rglob("*.png") if not path.name.startswith(".")) if view.state == "done" else []
    )


def reports(store: Store, location: str) -> list[Path]:
    """Return the tables, figures, report and plan of a location."""
    folder = store.study(location)
    return sorted(path for pattern in REPORTS for path in folder.glob(pattern) if path.is_file())


def contents(files: Iterable[Path]) -> str:
    """Return a digest of the names and contents of files."""
    total = hashlib.sha256()
    for path in files:
        with contextlib.suppress(FileNotFoundError):  # another process writes the report again
            total.update(f"{path.name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\0".encode())
    return total.hexdigest()[:16]


def stamp(view: TrialView) -> str:
    """Return a digest of everything that a trial's run shows, from small files and the dates of large ones."""
    content: dict[str, Any] = {
        "version": VERSION,
        "plan": [e.model_dump(mode="json") for e in view.plan.wanted],
        "state": view.state,
        "message": view.message,
    }
    content["units"] = [
        [
            name,
            str(folder.name),
            _shown(status) if status else None,
            *(_dated(folder / file) for file in FILES),
        ]
        for name, folder, status in view.units
    ]
    return _digest(content)


FILES = ("history.parquet", "per_image.parquet", MEASUREMENT)


def study_stamp(store: Store, plan: PlanRecord, views: Iterable[TrialView]) -> str:
    """Return a digest of everything that a study's runs show.

    States and costs in plan.json are left out: states are read from the trials, and an estimate changes nothing.
    """
    kept = plan.model_dump(mode="json", exclude={"stages": True, "warnings": True, "trials": {"__all__": {"state"}}})
    files = [path for path in reports(store, plan.location) if path.name != "plan.json"]
    return _digest({"plan": kept, "trials": [stamp(view) for view in views], "files": contents(files)})


def _shown(status: Status) -> dict[str, Any]:
    """Return a status as earlier versions recorded it: the digests of their mirrors stay."""
    return {name: value for name, value in asdict(status).items() if name != "process"}


def _dated(path: Path) -> list[int] | None:
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    return [stat.st_size, stat.st_mtime_ns]


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:16]
