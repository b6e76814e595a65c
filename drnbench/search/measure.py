"""The units of one seed of a candidate, an estimate of those that are left, and its scores, read from the store."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from drnbench.config.search import VALIDATION, Objective
from drnbench.config.trial import Trial
from drnbench.config.units import EvaluateUnit, StageUnit, Unit
from drnbench.degradations import canonical
from drnbench.errors import UnitError, UsageError
from drnbench.models import on_demand
from drnbench.planning.keys import Keys
from drnbench.search.resolve import ResolvedSearch
from drnbench.store import Store, read_json, stored_rows


@dataclass(frozen=True)
class Run:
    """One seed of a candidate: its trial, its stages in order, and the unit that scores it; None: none has to."""

    trial: Trial
    stages: tuple[StageUnit, ...]
    unit: EvaluateUnit | None

    @property
    def units(self) -> tuple[StageUnit | EvaluateUnit, ...]:
        """All units, in order."""
        return (*self.stages, self.unit) if self.unit else self.stages

    @property
    def steps(self) -> int:
        """Optimiser steps of all stages."""
        return sum(stage.stage.steps for stage in self.stages)


def make_run(search: ResolvedSearch, keys: Keys, values: dict[str, Any], seed: int) -> Run:
    """Return one seed of a candidate as units.

    Raises:
        UsageError: the values make no trial.
    """
    trial = search.trial(values, seed)
    where = f"{search.name}, candidate {search.label(values)}"
    stages = keys.stages(trial, where)
    return Run(trial, tuple(stages), keys.evaluation(trial, stages, where) if search.evaluations else None)


def expected(search: ResolvedSearch, keys: Keys, candidates: int) -> tuple[list[Unit], frozenset[str]]:
    """Return about the units that so many candidates take, and the keys of those that all candidates share.

    A stage is shared where the ends of the space give the same one.
    """
    low, high = ({path: values.ends[end] for path, values in search.search.space.items()} for end in (0, 1))
    seeds = range(search.search.seeds)
    try:
        first = [unit for seed in seeds for unit in make_run(search, keys, low, seed).units]
        last = [unit for seed in seeds for unit in make_run(search, keys, high, seed).units]
    except UsageError:  # such a candidate will fail by itself
        units = [unit for seed in seeds for unit in make_run(search, keys, {}, seed).units]
        return list(units) * candidates, frozenset()
    shared = frozenset(unit.key for unit in first) & {unit.key for unit in last}
    own = [unit for unit in first if unit.key not in shared]
    return [unit for unit in first if unit.key in shared] + own * candidates, shared


def scores(run: Run, objectives: tuple[Objective, ...], store: Store) -> tuple[list[float], list[float]]:
    """Return the value of each objective, and the per-image values of the first objective where it has images.

    Raises:
        UnitError: the store lacks a value, such as the validation of a kernel.
    """
    values = [_values(run, objective, store) for objective in objectives]
    means = [_mean(row, objective.what) for row, objective in zip(values, objectives, strict=True)]
    return means, values[0]


def _mean(values: list[float], name: str) -> float:
    # An infinite PSNR is an SR image equal to its HR; it enters no mean, here as in the report.
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        raise UnitError(f"no finite {name}")
    return sum(finite) / len(finite)


def _values(run: Run, objective: Objective, store: Store) -> list[float]:
    name = objective.what
    if name == VALIDATION:
        last = run.stages[-1]
        if not (measured := validations(last, objective.kernel, store)):
            kernel = objective.kernel or last.stage.data.kernel
            raise UnitError(f"stage {last.stage.name} does not validate on {kernel}")
        return [measured[-1][1]]
    if objective.source is not None:
        return _per_image(run, objective, store)
    if name in {"parameters", "macs", "activations"}:
        unit = run.stages[-1]
        return [_number(getattr(on_demand.costs.costs(unit.model, unit.scale, unit.options), name), name)]
    records = [read_json(store.stage(stage.key) / "stage.json") or {} for stage in run.stages]
    costs = [(record.get("costs") or {}) for record in records]
    if name == "step_macs":
        return [_number(costs[-1].get("macs"), name)]
    return [sum(_number(cost.get("seconds"), name) for cost in costs)]


def _number(value: Any, name: str) -> float:
    if value is None:
        raise UnitError(f"{name} was not measured")
    return float(value)


def validations(unit: StageUnit, kernel: str | None, store: Store) -> list[tuple[int, float]]:
    """Return (step, PSNR) of a stage's validations on a kernel (None: that of its pairs), in order; empty for none."""
    table = stored_rows(store.stage(unit.key) / "history.parquet")
    if table is None:
        return []
    rows = table.to_pandas()
    rows = rows[[is_validation(str(name), unit, kernel) for name in rows["name"]]].sort_values("step")
    return list(zip(rows["step"].astype(int), rows["value"].astype(float), strict=True))


def is_validation(name: str, unit: StageUnit, kernel: str | None) -> bool:
    """Return True if a name, in a history or in a worker's message, is the validation on a kernel."""
    metric, _, validated = name.partition("/")
    return metric == VALIDATION and canonical(validated) == canonical(kernel or unit.stage.data.kernel)


def _per_image(run: Run, objective: Objective, store: Store) -> list[float]:
    assert run.unit is not None
    images = (objective.source, objective.what, objective.crop)
    kernel = canonical(objective.kernel or "bicubic")
    keys = [e.key for e in run.unit.wanted if (e.source, e.metric, e.crop) == images and e.kernel == kernel]
    table = stored_rows(store.trial(run.unit.key) / "per_image.parquet")
    if table is None:
        raise UnitError("its scores are missing or not whole")
    rows = table.to_pandas()
    values: list[float] = rows[rows["evaluation"].isin(keys[:1])]["value"].astype(float).tolist()
    return values
