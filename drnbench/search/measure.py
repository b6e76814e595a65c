"""The scores of one seed of a candidate, read from the store."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pandas as pd

from drnbench.config.search import VALIDATION, Objective
from drnbench.config.trial import Trial
from drnbench.config.units import EvaluateUnit, StageUnit
from drnbench.degradations import canonical
from drnbench.errors import UnitError
from drnbench.models import on_demand
from drnbench.store import Store, read_json


@dataclass(frozen=True)
class Run:
    """One seed of a candidate: its trial, stages in order, and what scores it; None where nothing has to."""

    trial: Trial
    stages: tuple[StageUnit, ...]
    unit: EvaluateUnit | None

    @property
    def units(self) -> tuple[StageUnit | EvaluateUnit, ...]:
        """All of it, in order."""
        return (*self.stages, self.unit) if self.unit else self.stages

    @property
    def steps(self) -> int:
        """Optimiser steps of all stages."""
        return sum(stage.stage.steps for stage in self.stages)


def scores(run: Run, objectives: tuple[Objective, ...], store: Store) -> tuple[list[float], list[float]]:
    """Return the value of each objective, and the per-image values of the first one where it has images.

    Raises:
        UnitError: the store lacks what an objective wants, such as the validation of a kernel.

    """
    columns = [_value(run, objective, store) for objective in objectives]
    return [_mean(column, objective.what) for column, objective in zip(columns, objectives, strict=True)], columns[0]


def _mean(values: list[float], what: str) -> float:
    # An infinite PSNR is an SR image equal to its HR; it enters no mean, here as in the report.
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        raise UnitError(f"no finite {what}")
    return sum(finite) / len(finite)


def _value(run: Run, objective: Objective, store: Store) -> list[float]:
    if objective.what == VALIDATION:
        last = run.stages[-1]
        if not (validated := validations(last, objective.kernel, store)):
            raise UnitError(
                f"stage {last.stage.name} does not validate on {objective.kernel or last.stage.data.kernel}"
            )
        return [validated[-1][1]]
    if objective.source is not None:
        return _images(run, objective, store)
    if objective.what in {"parameters", "macs"}:
        unit = run.stages[-1]
        return [
            _number(
                getattr(on_demand.costs.costs(unit.model, unit.scale, unit.options), objective.what), objective.what
            )
        ]
    records = [read_json(store.stage(stage.key) / "stage.json") or {} for stage in run.stages]
    costs = [(record.get("costs") or {}) for record in records]
    if objective.what == "step_macs":
        return [_number(costs[-1].get("macs"), objective.what)]
    return [sum(_number(cost.get("seconds"), objective.what) for cost in costs)]


def _number(value: Any, what: str) -> float:
    if value is None:
        raise UnitError(f"{what} was not measured")
    return float(value)


def validations(unit: StageUnit, kernel: str | None, store: Store) -> list[tuple[int, float]]:
    """Return (step, PSNR) of a stage's validations on a kernel, in order; empty where there is none.

    Args:
        kernel: None is the kernel of the stage's pairs.

    """
    path = store.stage(unit.key) / "history.parquet"
    if not path.exists():
        return []
    rows = pd.read_parquet(path)
    watched = rows[[is_watched(str(name), unit, kernel) for name in rows["name"]]].sort_values("step")
    return list(zip(watched["step"].astype(int), watched["value"].astype(float), strict=True))


def is_watched(name: str, unit: StageUnit, kernel: str | None) -> bool:
    """Return True if a row of a history, or an entry of a worker's message, is the validation on a kernel."""
    metric, _, validated = name.partition("/")
    return metric == VALIDATION and canonical(validated) == canonical(kernel or unit.stage.data.kernel)


def _images(run: Run, objective: Objective, store: Store) -> list[float]:
    assert run.unit is not None
    wanted = [
        e for e in run.unit.wanted if (e.source, e.metric, e.crop) == (objective.source, objective.what, objective.crop)
    ]
    keys = [e.key for e in wanted if e.kernel == canonical(objective.kernel or "bicubic")]
    rows = pd.read_parquet(store.trial(run.unit.key) / "per_image.parquet")
    values: list[float] = rows[rows["evaluation"].isin(keys[:1])]["value"].astype(float).tolist()
    return values
