"""What one seed of a candidate scored, read from the store."""

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
    found = [_value(run, one, store) for one in objectives]
    return [_mean(values, one.what) for values, one in zip(found, objectives, strict=True)], found[0]


def _mean(values: list[float], what: str) -> float:
    # An infinite PSNR is an SR image equal to its HR; it enters no mean, here as in the report.
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        raise UnitError(f"no finite {what}")
    return sum(finite) / len(finite)


def _value(run: Run, one: Objective, store: Store) -> list[float]:
    if one.what == VALIDATION:
        last = run.stages[-1]
        if not (found := validations(last, one.kernel, store)):
            raise UnitError(f"stage {last.stage.name} does not validate on {one.kernel or last.stage.data.kernel}")
        return [found[-1][1]]
    if one.source is not None:
        return _images(run, one, store)
    if one.what in {"parameters", "macs"}:
        unit = run.stages[-1]
        return [_number(getattr(on_demand.costs.costs(unit.model, unit.scale, unit.options), one.what), one.what)]
    records = [read_json(store.stage(stage.key) / "stage.json") or {} for stage in run.stages]
    known = [(record.get("costs") or {}) for record in records]
    if one.what == "step_macs":
        return [_number(known[-1].get("macs"), one.what)]
    return [sum(_number(cost.get("seconds"), one.what) for cost in known)]


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
    mine = rows[[watched(str(name), unit, kernel) for name in rows["name"]]].sort_values("step")
    return list(zip(mine["step"].astype(int), mine["value"].astype(float), strict=True))


def watched(name: str, unit: StageUnit, kernel: str | None) -> bool:
    """Whether a row of a history, or a word of a worker's message, is the validation on a kernel."""
    what, _, found = name.partition("/")
    return what == VALIDATION and canonical(found) == canonical(kernel or unit.stage.data.kernel)


def _images(run: Run, one: Objective, store: Store) -> list[float]:
    assert run.unit is not None
    wanted = [e for e in run.unit.wanted if (e.source, e.metric, e.crop) == (one.source, one.what, one.crop)]
    mine = [e.key for e in wanted if e.kernel == canonical(one.kernel or "bicubic")]
    rows = pd.read_parquet(store.trial(run.unit.key) / "per_image.parquet")
    values: list[float] = rows[rows["evaluation"].isin(mine[:1])]["value"].astype(float).tolist()
    return values
