"""Means over the kernels of one evaluation, as papers print them for Gaussian8: a condition of its own beside its members."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from drnbench.config.kernel_sets import is_set, kernels_of
from drnbench.config.units import Evaluation
from drnbench.degradations import canonical
from drnbench.results import labels
from drnbench.results.plan_record import PlanRecord, TrialRecord
from drnbench.results.scores import Arm, Condition

if TYPE_CHECKING:
    import pandas as pd

PREFIX = "mean of "
"""Begins the name of a mean where a condition has its kernel."""

Means = dict[Condition, tuple[Condition, ...]]
"""Mean -> the conditions that it is taken over, in declared order."""


def kernel_means(plan: PlanRecord, name: Callable[[int, Evaluation], Condition]) -> Means:
    """Return the means of a plan: one for each evaluation of several kernels, on each test set and scale.

    Args:
        plan: its trials state their evaluations in `config`.
        name: the condition of an evaluation at a scale.

    """
    means: Means = {}
    seen: set[str] = set()
    for trial in plan.trials:
        if trial.arm not in seen:
            seen.add(trial.arm)
            for declared in (trial.config or {}).get("evaluate", ()):
                kernel = declared["kernel"] if isinstance(declared["kernel"], str) else tuple(declared["kernel"])
                members = _members(trial, declared, kernel, name) if is_set(kernel) else ()
                if len(members) > 1:
                    mean = members[0]._replace(kernel=PREFIX + _title(kernel, members))
                    while means.setdefault(mean, members) != members:  # two lists that begin and end alike
                        mean = mean._replace(kernel=f"{mean.kernel}'")
    return means


def _members(
    trial: TrialRecord,
    declared: Mapping[str, Any],
    kernel: str | tuple[str, ...],
    name: Callable[[int, Evaluation], Condition],
) -> tuple[Condition, ...]:
    wanted = [
        e for e in trial.wanted if (e.source, e.crop, e.lr) == tuple(declared[f] for f in ("source", "crop", "lr"))
    ]
    by_kernel: dict[str, Condition] = {}
    for evaluation in wanted:
        if declared["count"] in {None, evaluation.count} or evaluation.count is None:
            by_kernel.setdefault(evaluation.kernel, name(trial.scale, evaluation))
    specs = [canonical(spec) for spec in kernels_of(kernel, trial.scale)]
    return tuple(by_kernel[spec] for spec in specs if spec in by_kernel)


def _title(kernel: str | tuple[str, ...], members: tuple[Condition, ...]) -> str:
    if isinstance(kernel, str):
        return kernel.strip()
    names = [labels.kernel(member.kernel) for member in members]
    return labels.listing(names) if len(names) <= 3 else f"{len(names)} kernels, {names[0]} to {names[-1]}"


def with_means(arm: Arm, means: Means) -> Arm:
    """Return an arm that also has the means all of whose members it is scored on, each after the last of them."""
    return replace(arm, conditions=ordered(arm.conditions, means)) if means else arm


def ordered(conditions: Iterable[Condition], means: Means) -> tuple[Condition, ...]:
    """Return conditions with the means of those among them, each after its last member."""
    result = list(conditions)
    for mean, members in means.items():
        if set(members) <= set(result):
            result.insert(1 + max(result.index(member) for member in members), mean)
    return tuple(result)


def metrics_of(metrics: Mapping[Condition, tuple[str, ...]], means: Means) -> dict[Condition, tuple[str, ...]]:
    """Return the metrics of each condition, in the order of `ordered`; a mean has those of all its members."""
    own = {
        mean: tuple(m for m in metrics[members[0]] if all(m in metrics[member] for member in members))
        for mean, members in means.items()
    }
    return {condition: {**metrics, **own}[condition] for condition in ordered(metrics, means)}


Tables = dict[tuple[str, Condition, str], "pd.DataFrame"]
"""(arm, condition, metric) -> values, seeds x images."""


def mean_tables(
    tables: Tables, arms: Iterable[Arm], metrics: Mapping[Condition, tuple[str, ...]], means: Means
) -> Tables:
    """Return the values of the means: of each seed and image that every kernel has, the mean over kernels."""
    result: Tables = {}
    for mean, members in means.items():
        for arm in arms:
            for metric in metrics[mean] if mean in arm.conditions else ():
                parts = [tables[key] for member in members if (key := (arm.name, member, metric)) in tables]
                if len(parts) == len(members):
                    seeds, images = parts[0].index, parts[0].columns
                    for part in parts[1:]:
                        seeds, images = seeds.intersection(part.index), images.intersection(part.columns)
                    if len(seeds) and len(images):
                        shared = [part.loc[seeds, images] for part in parts]
                        result[arm.name, mean, metric] = sum(shared[1:], shared[0]) / len(shared)
    return result
