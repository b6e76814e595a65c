"""What a study file declares, and how it becomes trials: base x axes x seeds, plus named arms, minus exclusions."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field, ValidationError, field_validator, model_validator

from drnbench.errors import UsageError, nearest
from drnbench.overrides import apply, explain
from drnbench.trial import Frozen, Scalar, Trial

PROFILES: dict[str, dict[str, Any]] = {
    "tiny": {
        "*.steps": 4, "*.batch": 2, "*.patch": 32, "*.validations": 2, "*.data.crop": 96, "*.unpaired.crop": 96,
        "evaluate.*.crop": 64, "seeds": 2,
    },
    "quick": {},
    "small": {},
    "paper": {},
}  # fmt: skip
"""Overrides of size that every study starts from; a study's own `profiles` come on top."""


class Axis(Frozen):
    """One dimension of the grid: a path into the trial and the values it takes."""

    path: str = Field(description="override path, such as adapt.rho, scale, method, *.lam")
    values: Annotated[tuple[Scalar, ...], Field(strict=False, min_length=1)] = Field(description="in table order")
    label: str | None = Field(None, description="how tables and figures call it; none: the path's last word")

    def __init__(self, path: str, values: Any, **fields: Any) -> None:
        super().__init__(**{"path": path, "values": values, **fields})

    @property
    def title(self) -> str:
        """The label, or the last word of the path."""
        return self.label or self.path.rpartition(".")[2]

    @field_validator("values")
    @classmethod
    def _differ(cls, values: tuple[Scalar, ...]) -> tuple[Scalar, ...]:
        if len({repr(value) for value in values}) != len(values):
            raise ValueError("the same value stands twice")
        return values


class Exclude(Frozen):
    """Trials of the grid that are left out, and why; the plan and the report show the reason."""

    where: dict[str, Any] = Field(description="axis paths (and `seed`) to a value or a list of values; all must match")
    reason: str = Field(min_length=1, description="why, in a sentence")

    def __init__(self, where: dict[str, Any], reason: str) -> None:
        fields: dict[str, Any] = {"where": where, "reason": reason}
        super().__init__(**fields)

    def matches(self, values: Mapping[str, Any]) -> bool:
        """Whether a cell with these axis values (and seed) is left out."""
        return all(
            path in values and values[path] in (wanted if isinstance(wanted, (list, tuple)) else [wanted])
            for path, wanted in self.where.items()
        )


class Table(Frozen):
    """A table: one row an arm; columns for each kernel (or data set) and metric, with differences to the baseline."""

    rows: str = Field(description="the axis whose values are the rows; named arms and bicubic follow")
    columns: str = Field("kernel", pattern="^(kernel|dataset|scale)$", description="what the column groups are")
    metrics: Annotated[tuple[str, ...], Field(strict=False)] = Field((), description="metrics shown; none: all")


class Curve(Frozen):
    """A figure: a metric against an axis, with intervals, one line for each evaluation."""

    x: str = Field(description="path of the axis on the horizontal")
    y: str = Field("psnr_y", description="metric")
    log: bool = Field(False, description="logarithmic horizontal (symlog, so that 0 is shown)")


class Study(Frozen):
    """A question, as a grid of trials. The study's name is the stem of its file."""

    base: Trial = Field(description="the trial that everything else changes")
    axes: Annotated[tuple[Axis, ...], Field(strict=False)] = Field((), description="the grid")
    arms: dict[str, dict[str, Any]] = Field(default_factory=dict, description="named extra arms: overrides of the base")
    seeds: int = Field(3, ge=1, description="how many seeds, 0 .. seeds - 1")
    exclude: Annotated[tuple[Exclude, ...], Field(strict=False)] = Field((), description="what is left out, and why")
    baseline: dict[str, Any] = Field(
        default_factory=dict, description="axis values of the arm that all are compared to"
    )
    control: str | None = Field(None, description="named arm that shows what could be gained: the positive control")
    outputs: Annotated[tuple[Table | Curve, ...], Field(strict=False)] = Field((), description="tables and figures")
    profiles: dict[str, dict[str, Any]] = Field(default_factory=dict, description="overrides of size by profile name")

    @model_validator(mode="after")
    def _paths_are_axes(self) -> Study:
        paths = [axis.path for axis in self.axes]
        for path in [*self.baseline, *(p for e in self.exclude for p in e.where if p != "seed")]:
            if path not in paths:
                raise ValueError(f"{path!r} is not an axis of this study: {nearest(path, paths)}")
        for out in self.outputs:
            path = out.rows if isinstance(out, Table) else out.x
            if path not in paths:
                raise ValueError(f"an output wants the axis {path!r}: {nearest(path, paths)}")
        if self.control is not None and self.control not in self.arms:
            raise ValueError(f"the control {self.control!r} is not a named arm: {nearest(self.control, self.arms)}")
        for axis in self.axes:
            if axis.path in self.baseline and self.baseline[axis.path] not in axis.values:
                raise ValueError(f"the baseline's {axis.path} = {self.baseline[axis.path]!r} is not on the axis")
        return self


@dataclass(frozen=True)
class Arm:
    """One row of the study: the trials of all seeds share everything but the seed.

    Attributes:
        name: unique in the study, such as `ρ=0.3`, `true pairs`, `bicubic`.
        values: axis values of a grid arm, by path; empty for a named arm.
        kind: "grid", "named", or "reference" (bicubic interpolation, which nobody trains).
        trials: one for each seed; a reference has one.
        excluded: seeds left out, with the reason.

    """

    name: str
    values: dict[str, Any]
    kind: str
    trials: tuple[Trial, ...]
    excluded: dict[int, str]


@dataclass(frozen=True)
class Expanded:
    """A study under one profile: what is to be run, in table order."""

    name: str
    question: str
    profile: str
    study: Study
    arms: tuple[Arm, ...]
    baseline: str | None


def expand(
    study: Study, name: str, question: str, profile: str = "quick", sets: Mapping[str, Any] | None = None
) -> Expanded:
    """Turn a study into arms of frozen trials.

    Overrides apply in this order, the later the stronger: built-in profile, the study's profile, `--set`, arm.

    Raises:
        UsageError: unknown profile, misspelt path, a value that is not allowed.

    """
    known = {**PROFILES, **study.profiles}
    if profile not in known:
        raise UsageError(f"{name}: unknown profile {profile!r}: {nearest(profile, known)}")
    size = {**PROFILES.get(profile, {}), **study.profiles.get(profile, {})}
    wanted = dict(sets or {})
    seeds = size.pop("seeds", study.seeds)
    if "seeds" not in study.profiles.get(profile, {}):
        seeds = min(seeds, study.seeds)  # a built-in profile never asks for more than the study does
    seeds = wanted.pop("seeds", seeds)
    if not isinstance(seeds, int) or isinstance(seeds, bool) or seeds < 1:
        raise UsageError(f"{name}: seeds must be a whole number of at least 1 (got {seeds!r})")
    axes = {axis.path for axis in study.axes}
    if clash := axes & set(wanted):
        raise UsageError(f"--set {clash.pop()}: this path is an axis of the study; edit the axis instead")
    base = apply(study.base, size, f"{name}, profile {profile!r}") if size else study.base
    base = apply(base, wanted, "--set") if wanted else base

    arms = [*_grid(study, base, seeds, name), *_named(study, base, seeds, name), *_references(study, base, name)]
    names = [arm.name for arm in arms]
    if len(set(names)) != len(names):
        raise UsageError(f"{name}: two arms share a name: {', '.join(names)}")
    return Expanded(name, question, profile, study, tuple(arms), _baseline(study, arms, name))


def arm_name(study: Study, values: Mapping[str, Any]) -> str:
    """Return how a cell of the grid is called: `ρ=0.3`, or `ρ=0.3, scale=4` with several axes."""
    return ", ".join(f"{axis.title}={_shown(values[axis.path])}" for axis in study.axes)


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _seeded(trial: Trial, seeds: int, values: dict[str, Any], study: Study) -> tuple[tuple[Trial, ...], dict[int, str]]:
    kept, excluded = [], {}
    for seed in range(seeds):
        reasons = [e.reason for e in study.exclude if e.matches({**values, "seed": seed})]
        if reasons:
            excluded[seed] = reasons[0]
        else:
            kept.append(trial.model_copy(update={"seed": seed}))
    return tuple(kept), excluded


def _grid(study: Study, base: Trial, seeds: int, name: str) -> list[Arm]:
    arms = []
    for cell in itertools.product(*(axis.values for axis in study.axes)):
        values = dict(zip((axis.path for axis in study.axes), cell, strict=True))
        label = arm_name(study, values) if study.axes else "base"
        trial = apply(base, values, f"{name}, arm {label!r}") if values else base
        kept, excluded = _seeded(trial, seeds, values, study)
        arms.append(Arm(label, values, "grid", kept, excluded))
    return arms


def _named(study: Study, base: Trial, seeds: int, name: str) -> list[Arm]:
    # A named arm starts from the baseline's cell, so that it differs from the baseline by what it names alone.
    arms = []
    for label, overrides in study.arms.items():
        trial = apply(base, {**study.baseline, **overrides}, f"{name}, arm {label!r}")
        kept, excluded = _seeded(trial, seeds, {}, study)
        arms.append(Arm(label, {}, "named", kept, excluded))
    return arms


def _references(study: Study, base: Trial, name: str) -> list[Arm]:
    """Bicubic interpolation at each scale of the study: the row that every table of the field begins with."""
    scales = sorted({int(v) for axis in study.axes if axis.path == "scale" for v in axis.values} or {base.scale})  # type: ignore[arg-type]
    arms = []
    for scale in scales:
        trial = apply(base, {"method": "bicubic", "scale": scale}, name).model_copy(update={"stages": (), "model": {}})
        label = "bicubic" if len(scales) == 1 else f"bicubic x{scale}"
        values = {"scale": scale} if len(scales) > 1 else {}
        arms.append(Arm(label, values, "reference", (trial,), {}))
    return arms


def _baseline(study: Study, arms: list[Arm], name: str) -> str | None:
    if not study.baseline:
        return None
    found = [
        arm for arm in arms if arm.kind == "grid" and all(arm.values.get(k) == v for k, v in study.baseline.items())
    ]
    if len(found) > 1:
        raise UsageError(f"{name}: the baseline fits {len(found)} arms; name a value for every axis")
    return found[0].name


def build(fields: dict[str, Any], where: str) -> Study:
    """Build a study from plain fields, with one line for an error (used by tests and by programs)."""
    try:
        return Study(**fields)
    except ValidationError as error:
        raise UsageError(f"{where}: {explain(error)}") from error
