"""From the store to tidy scores: what a study planned, what is there of it, and every per-image value.

Nothing but the store is read, so a report can be written while the sweep runs and on a machine that trained nothing.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from drnbench.config.search import AXIS, FILE
from drnbench.config.units import Evaluation
from drnbench.results.plan_record import ArmRecord, PlanRecord, TrialRecord, read_plan
from drnbench.results.scores import Arm, Condition, Scores, TrialState
from drnbench.store import Store, read_json, read_rows

if TYPE_CHECKING:
    import pandas as pd
    from pyarrow import Table

COLUMNS = ("arm", "kind", "seed", "dataset", "kernel", "scale", "image", "metric", "value")


class _Wanted(NamedTuple):
    """The score that one evaluation key of one arm stands for."""

    condition: Condition
    metric: str
    folder: str
    source: str


Failures = Callable[[str], str | None]
"""Key of a stage -> what it failed of."""
Wanted = dict[tuple[str, str], dict[str, _Wanted]]
"""(arm, trial key) -> evaluation key -> what it is. Arms that differ in their test set alone share a trial."""


def read(store: Store, name: str) -> Scores:
    """Read a study's plan and every score that the store has of it.

    Raises:
        UsageError: the store has no plan of that study.

    """
    plan = read_plan(store, name)
    label = _Labels(plan)
    wanted: Wanted = {
        (t.arm, t.key): {e.key: _Wanted(label.condition(t.scale, e), e.metric, e.dataset, e.source) for e in t.wanted}
        for t in plan.trials
    }
    failures = functools.cache(functools.partial(_stage_failure, store))
    arms = _with_conditions([_arm(arm, plan, store, failures, wanted) for arm in plan.arms])
    metrics: dict[Condition, list[str]] = {}
    names: dict[Condition, str] = {}
    sources: dict[Condition, str] = {}
    for wanted_score in (wanted_score for by_key in wanted.values() for wanted_score in by_key.values()):
        listed = metrics.setdefault(wanted_score.condition, [])
        names.setdefault(wanted_score.condition, wanted_score.folder)
        sources.setdefault(wanted_score.condition, wanted_score.source)
        if wanted_score.metric not in listed:
            listed.append(wanted_score.metric)
    tables = _tables(_frame(store, arms, wanted))
    measured = {condition: tuple(listed) for condition, listed in metrics.items()}
    return Scores(plan, arms, tuple(metrics), measured, tables, names, sources, _search(store, plan))


def _search(store: Store, plan: PlanRecord) -> dict[str, Any] | None:
    """The record of the study's search; None where it declares none (a file of an earlier one does not count)."""
    history = read_json(store.study(plan.study) / FILE)
    if history is None or not any(axis.path == AXIS for axis in plan.axes):
        return None
    searched: dict[str, Any] = history["searches"][history["current"]]
    return searched


class _Labels:
    """Names of conditions: test sets that differ only in crop, source or LR images keep apart, also between arms."""

    def __init__(self, plan: PlanRecord) -> None:
        self._crops: dict[tuple[Any, ...], set[Any]] = {}
        self._sources: dict[tuple[Any, ...], set[str]] = {}
        self._lrs: dict[tuple[Any, ...], set[str | None]] = {}
        self._counted: set[tuple[Any, ...]] = set()
        reference = {arm.name for arm in plan.arms if arm.kind == "reference"}
        for trial in plan.trials:
            counts: dict[tuple[Any, ...], set[Any]] = {}
            for e in trial.wanted:
                key = self._key(trial.scale, e)
                self._crops.setdefault(key, set()).add(e.crop)
                self._sources.setdefault(key, set()).add(e.source)
                self._lrs.setdefault(key, set()).add(e.lr)
                counts.setdefault(key, set()).add(e.count)
            # Arms may be scored on as many images as they were trained on; that is one condition. A reference is scored
            # wherever an arm is, and tells nothing of its own.
            if trial.arm not in reference:
                self._counted |= {key for key, values in counts.items() if len(values) > 1}

    @staticmethod
    def _key(scale: int, e: Evaluation) -> tuple[Any, ...]:
        return scale, e.dataset, e.kernel

    def condition(self, scale: int, e: Evaluation) -> Condition:
        key, label = self._key(scale, e), e.dataset
        notes = []
        if len(self._crops[key]) > 1 or len(self._sources[key]) > 1:
            notes.append("whole" if e.crop is None else f"crop {e.crop}")
        if key in self._counted:
            notes.append("all" if e.count is None else f"first {e.count}")
        if self._lrs[key] != {None}:
            notes.append("LR made here" if e.lr is None else f"LR: {'/'.join(e.lr.split('/')[-2:])}")
        label += f" ({', '.join(notes)})" if notes else ""
        label += f" of {e.source}" if len(self._sources[key]) > 1 else ""
        return Condition(label, e.kernel, scale)


def _stage_failure(store: Store, key: str) -> str | None:
    status = store.status(store.stage(key))
    return f"{status.kind or 'error'}: {status.message}" if status and status.state == "failed" else None


def _arm(arm: ArmRecord, plan: PlanRecord, store: Store, failures: Failures, wanted: Wanted) -> Arm:
    planned = [t for t in plan.trials if t.arm == arm.name]
    excluded = tuple((e.seed, e.reason) for e in arm.excluded)
    # An arm that is excluded whole has no trial that tells its scale.
    scale = planned[0].scale if planned else arm.values.get("scale", plan.trials[0].scale)
    seedless = bool(planned) and not any(t.stages for t in planned)
    trials = tuple(_trial(t, store, failures) for t in (planned[:1] if seedless else planned))
    conditions = dict.fromkeys(score.condition for t in planned for score in wanted[t.arm, t.key].values())
    return Arm(
        arm.name, arm.kind, arm.values, int(scale), seedless, excluded, trials, tuple(conditions),
        planned[0].config if planned else None,
    )  # fmt: skip


def _with_conditions(arms: list[Arm]) -> tuple[Arm, ...]:
    """Give arms that are excluded whole the conditions of the arm most like them, so that their rows show the gap."""

    def likeness(first: Arm, other: Arm) -> int:
        return sum(other.values.get(path) == value for path, value in first.values.items())

    with_trials = [arm for arm in arms if arm.trials and arm.kind != "reference"] or arms
    return tuple(
        arm
        if arm.trials
        else replace(arm, conditions=max(with_trials, key=lambda other: likeness(arm, other)).conditions)
        for arm in arms
    )


def _trial(trial: TrialRecord, store: Store, failures: Failures) -> TrialState:
    state, status = store.look(store.trial(trial.key))
    message = None
    if status is not None and {e.key for e in trial.wanted} <= set(status.evaluations):
        state = "done"
    elif state == "failed" and status is not None:
        message = f"{status.kind or 'error'}: {status.message}"
    elif failed := [text for key in trial.stages if (text := failures(key))]:
        state, message = "failed", failed[0]
    elif state == "done":
        state = "missing"  # scored before, but not on everything that is wanted now
    return TrialState(trial.key, trial.seed, state, message, tuple(trial.stages))


def _tables(frame: pd.DataFrame) -> dict[tuple[str, Condition, str], pd.DataFrame]:
    """Return the values of each arm, condition and metric, seeds x images, both sorted."""
    import numpy as np
    import pandas as pd

    image, seed, value = (
        frame[name].to_numpy(kind) for name, kind in (("image", object), ("seed", int), ("value", float))
    )
    tables = {}
    labels: Any
    for labels, rows in frame.groupby(["arm", "dataset", "kernel", "scale", "metric"], sort=False).indices.items():
        arm, dataset, kernel, scale, metric = labels
        seeds, down = np.unique(seed[rows], return_inverse=True)
        images, across = np.unique(image[rows], return_inverse=True)
        square = np.full((len(seeds), len(images)), np.nan)
        square[down, across] = value[rows]
        # Not `unstack`: it takes ten times as long, and a study may have a thousand of these.
        tables[arm, Condition(dataset, kernel, int(scale)), metric] = pd.DataFrame(
            square, pd.Index(seeds, name="seed"), pd.Index(images, name="image", dtype="str")
        )
    return tables


def _frame(store: Store, arms: tuple[Arm, ...], wanted: Wanted) -> pd.DataFrame:
    """Return every wanted score, a row each: trials in table order, rows in the order that they were scored in."""
    import numpy as np
    import pandas as pd
    import pyarrow as pa

    trials = [(arm, trial) for arm in arms for trial in arm.trials]
    parts = [(n, rows) for n, (_, trial) in enumerate(trials) if (rows := _per_image(store, trial.key)) is not None]
    if not sum(len(rows) for _, rows in parts):
        return pd.DataFrame(columns=list(COLUMNS))
    frame = pa.concat_tables([rows for _, rows in parts]).to_pandas()
    frame["trial"] = np.repeat([n for n, _ in parts], [len(rows) for _, rows in parts])
    # What a row stands for: few things, each looked up once.
    codes, names = pd.factorize(frame["evaluation"])
    pairs, ids = np.unique(frame["trial"].to_numpy() * len(names) + codes, return_inverse=True)
    labels = pd.DataFrame(
        [_means(trials[int(pair) // len(names)], names[pair % len(names)], wanted) for pair in pairs],
        columns=["arm", "kind", "seed", "dataset", "kernel", "scale", "metric"],
    )
    if frame.duplicated(["trial", "evaluation", "image"]).any():  # two images of one name stay two images
        again = frame.groupby(["trial", "evaluation", "image"]).cumcount()
        frame["image"] = frame["image"].where(again == 0, frame["image"] + "#" + (again + 1).astype(str))
    rows = labels.take(ids).set_axis(frame.index).assign(image=frame["image"], value=frame["value"])
    rows = rows[rows["arm"].notna()]
    # A reference that stands for arms with few and with many images of one set has scored some twice.
    rows = rows.drop_duplicates(["arm", "seed", "dataset", "kernel", "scale", "image", "metric"])
    return rows.astype({"seed": "int64", "scale": "int64"})[list(COLUMNS)].reset_index(drop=True)


def _means(row: tuple[Arm, TrialState], evaluation: str, wanted: Wanted) -> tuple[object, ...]:
    """Return the labels of one evaluation of a trial; None for each where the plan no longer wants it."""
    arm, trial = row
    score = wanted[arm.name, trial.key].get(evaluation)
    return (None,) * 7 if score is None else (arm.name, arm.kind, trial.seed, *score.condition, score.metric)


def _per_image(store: Store, trial: str) -> Table | None:
    """Return a trial's rows; None where it is not scored."""
    try:
        return read_rows(store.trial(trial) / "per_image.parquet", ["evaluation", "image", "value"])
    except FileNotFoundError:
        return None
