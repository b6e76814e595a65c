"""From the store to scores: the plan of a study, the state of its trials, and every per-image value.

Nothing but the store is read, so a report can be written while the sweep runs and on a machine that trained nothing.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from drnbench.config.search import AXIS, FILE
from drnbench.results.condition_names import ConditionNames
from drnbench.results.kernel_means import kernel_means, mean_tables, metrics_of, with_means
from drnbench.results.plan_record import ArmRecord, PlanRecord, TrialRecord, read_plan
from drnbench.results.scores import Arm, Condition, Scores, TrialState
from drnbench.results.value_tables import Target, Targets, value_tables
from drnbench.store import Fault, Store, is_scored, read_json
from drnbench.store.integrity import report

Failures = Callable[[str], str | None]
"""Key of a stage -> kind and message of its failure."""


def read(store: Store, name: str) -> Scores:
    """Read a study's plan and every score that the store has of it.

    Raises:
        UsageError: the store has no plan of that study.

    """
    plan = read_plan(store, name)
    names = ConditionNames(plan)
    targets: Targets = {
        (trial.arm, trial.key): {
            e.key: Target(names.condition(trial.scale, e), e.metric, e.dataset, e.source) for e in trial.wanted
        }
        for trial in plan.trials
    }
    failures = functools.cache(functools.partial(_stage_failure, store))
    means = kernel_means(plan, names.condition)
    arms = _with_conditions([with_means(_arm(arm, plan, store, failures, targets), means) for arm in plan.arms])
    first: dict[Condition, Target] = {}
    metrics: dict[Condition, dict[str, None]] = {}
    for target in (target for by_key in targets.values() for target in by_key.values()):
        first.setdefault(target.condition, target)
        metrics.setdefault(target.condition, {})[target.metric] = None
    first |= {mean: first[members[0]]._replace(condition=mean) for mean, members in means.items()}
    by_condition = metrics_of({condition: tuple(names) for condition, names in metrics.items()}, means)
    tables = value_tables(store, arms, targets)
    return Scores(
        plan,
        arms,
        tuple(by_condition),
        by_condition,
        {**tables, **mean_tables(tables, arms, by_condition, means)},
        {condition: target.folder for condition, target in first.items()},
        {condition: target.source for condition, target in first.items()},
        _search(store, plan),
        means,
    )


def _search(store: Store, plan: PlanRecord) -> dict[str, Any] | None:
    """Return the record of the study's search; None where it has none, also if it once had one."""
    record = read_json(store.study(plan.location) / FILE)
    if record is None or not any(axis.path == AXIS for axis in plan.axes):
        return None
    try:
        search: dict[str, Any] = record["searches"][record["current"]]
    except (KeyError, TypeError):
        report(Fault(store.study(plan.location) / FILE, "is of another form"))
        return None
    return search


def _stage_failure(store: Store, key: str) -> str | None:
    status = store.status(store.stage(key))
    return f"{status.kind or 'error'}: {status.message}" if status and status.state == "failed" else None


def _arm(arm: ArmRecord, plan: PlanRecord, store: Store, failures: Failures, targets: Targets) -> Arm:
    trials = [trial for trial in plan.trials if trial.arm == arm.name]
    # An arm that is excluded whole has no trial to take its scale from.
    scale = trials[0].scale if trials else arm.values.get("scale", plan.trials[0].scale)
    seedless = bool(trials) and all(trial.seedless for trial in trials)
    conditions = dict.fromkeys(target.condition for t in trials for target in targets[t.arm, t.key].values())
    return Arm(
        arm.name, arm.kind, arm.values, int(scale), seedless, tuple((e.seed, e.reason) for e in arm.excluded),
        tuple(_trial(trial, store, failures) for trial in (trials[:1] if seedless else trials)), tuple(conditions),
        trials[0].config if trials else None,
    )  # fmt: skip


def _with_conditions(arms: list[Arm]) -> tuple[Arm, ...]:
    """Give arms that are excluded whole the conditions of the arm most like them, so that their rows show the gap."""

    def likeness(arm: Arm, other: Arm) -> int:
        return sum(other.values.get(path) == value for path, value in arm.values.items())

    planned = [arm for arm in arms if arm.trials and arm.kind != "reference"] or arms
    return tuple(
        arm if arm.trials else replace(arm, conditions=max(planned, key=lambda other: likeness(arm, other)).conditions)
        for arm in arms
    )


def _trial(trial: TrialRecord, store: Store, failures: Failures) -> TrialState:
    state, status = store.look(store.trial(trial.key))
    message = None
    if failed := [text for key in trial.stages if (text := failures(key))]:
        state, message = "failed", failed[0]
        if status is not None and status.evaluations:
            message += "; the scores that are left of it are not counted, as a stage of it is recorded as failed"
    elif is_scored(trial.wanted, status):
        state = "done"
    elif state == "failed" and status is not None:
        message = f"{status.kind or 'error'}: {status.message}"
    elif state == "done":
        state = "missing"  # scored before, but not on everything that is wanted now
    return TrialState(trial.key, trial.seed, state, message, tuple(trial.stages))
