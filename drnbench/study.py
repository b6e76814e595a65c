"""What a study file declares, and how it becomes trials: base x axes x seeds, plus named arms, minus exclusions."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field, ValidationError, field_validator, model_validator

from drnbench.errors import UsageError, nearest
from drnbench.outputs import Heatmap, Output, axes_of
from drnbench.overrides import apply, explain
from drnbench.search.declare import Search
from drnbench.trial import Evaluate, Frozen, Scalar, Trial

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
    """One dimension of the grid.

    Its values are those of one path into the trial, or, given as a dictionary, named sets of overrides:
    `Axis("loss", {"off": {"train.scheme": "supervised"}, "on": {"train.scheme": "paired"}})`.
    """

    path: str = Field(description="override path, such as adapt.rho, scale, *.lam; for named values any name")
    values: Annotated[tuple[Scalar, ...], Field(strict=False, min_length=1)] = Field(description="in table order")
    choices: dict[Scalar, dict[str, Any]] = Field(default_factory=dict, description="overrides of each named value")
    label: str | None = Field(None, description="how tables and figures call it; none: the path's last word")

    def __init__(self, path: str, values: Any, **fields: Any) -> None:
        if isinstance(values, Mapping):
            fields = {"choices": dict(values), **fields}
            values = tuple(values)
        super().__init__(**{"path": path, "values": values, **fields})

    @property
    def title(self) -> str:
        """The label, or the last word of the path."""
        return self.label or self.path.rpartition(".")[2]

    def overrides(self, value: Any) -> dict[str, Any]:
        """Return what a value sets in a trial."""
        return self.choices[value] if self.choices else {self.path: value}

    @property
    def named(self) -> bool:
        """Whether its values say what they are without the axis' name; `bicubic` alone would be the reference row."""
        return bool(self.choices) and "bicubic" not in self.values and all(isinstance(v, str) for v in self.values)

    @property
    def paths(self) -> set[str]:
        """Every path that some value sets."""
        return {path for choice in self.choices.values() for path in choice} if self.choices else {self.path}

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


class Study(Frozen):
    """A question, as a grid of trials or as a search among them. The study's name is the stem of its file."""

    base: Trial = Field(description="the trial that everything else changes")
    axes: Annotated[tuple[Axis, ...], Field(strict=False)] = Field((), description="the grid")
    search: Search | None = Field(
        None,
        description="an adaptive search instead of axes; `baseline` is then overrides of the base, what it is compared to",
    )
    arms: dict[str, dict[str, Any]] = Field(default_factory=dict, description="named extra arms: overrides of the base")
    seeds: int = Field(3, ge=1, description="how many seeds, 0 .. seeds - 1")
    exclude: Annotated[tuple[Exclude, ...], Field(strict=False)] = Field((), description="what is left out, and why")
    baseline: dict[str, Any] = Field(
        default_factory=dict, description="axis values of the arm that all are compared to"
    )
    control: str | dict[str, Any] | None = Field(
        None, description="the positive control, which shows what could be gained: a named arm, or axis values"
    )
    subject: dict[str, Any] = Field(
        default_factory=dict, description="axis values of the arms that the question is about; none: all"
    )
    outputs: Annotated[tuple[Output, ...], Field(strict=False)] = Field((), description="tables and figures")
    profiles: dict[str, dict[str, Any]] = Field(default_factory=dict, description="overrides of size by profile name")

    @model_validator(mode="after")
    def _paths_are_axes(self) -> Study:
        if self.search is not None:
            return self._check_search()
        axes = {axis.path: axis for axis in self.axes}
        if len(axes) < len(self.axes):
            raise ValueError("two axes share a path")
        for one, other in itertools.combinations(self.axes, 2):
            if both := one.paths & other.paths:
                raise ValueError(
                    f"the axes {one.path!r} and {other.path!r} both set {min(both)!r}: one would undo the other"
                )
        control = self.control if isinstance(self.control, dict) else {}
        for path in [
            *self.baseline,
            *self.subject,
            *control,
            *(p for e in self.exclude for p in e.where if p != "seed"),
        ]:
            if path not in axes:
                raise ValueError(f"{path!r} is not an axis of this study: {nearest(path, axes)}")
        for out in self.outputs:
            for path in axes_of(out):
                if path not in axes:
                    raise ValueError(f"an output wants the axis {path!r}: {nearest(path, axes)}")
        if isinstance(self.control, str) and self.control not in self.arms:
            raise ValueError(f"the control {self.control!r} is not a named arm: {nearest(self.control, self.arms)}")
        for what, cell in (("baseline", self.baseline), ("control", control), ("subject", self.subject)):
            for path, value in cell.items():
                if value not in axes[path].values:
                    raise ValueError(f"the {what}'s {path} = {value!r} is not on the axis")
            if what != "baseline" and cell and all(self.baseline.get(path) == value for path, value in cell.items()):
                raise ValueError(f"the {what} is the baseline itself: {cell}")
        for out in self.outputs:
            if isinstance(out, Heatmap):
                self._check_heatmap(out)
        return self

    def _check_search(self) -> Study:
        for field in ("axes", "exclude", "subject"):
            if getattr(self, field):
                raise ValueError(f"a study with a search has no {field}: the search says what is tried")
        if "seeds" in self.model_fields_set or any("seeds" in sizes for sizes in self.profiles.values()):
            raise ValueError(
                "a search has seeds of its own: Search(seeds=..., fresh_seeds=...), search.seeds in a profile"
            )
        for path in self.baseline:
            if self.search is not None and path not in self.search.space:
                raise ValueError(
                    f"the baseline of a search sets {path!r}, which the search does not vary: set it in base, or add it to the "
                    f"space ({', '.join(self.search.space)})"
                )
        for out in self.outputs:
            for path in axes_of(out):
                if path != "search" or isinstance(out, Heatmap):
                    raise ValueError(
                        f"an output wants the axis {path!r}; a search has one, 'search', whose values are its arms"
                    )
        if self.control is not None and (not isinstance(self.control, str) or self.control not in self.arms):
            raise ValueError(f"the control of a search is a named arm (got {self.control!r}): {nearest('', self.arms)}")
        return self

    def _check_heatmap(self, out: Heatmap) -> None:
        if out.x == out.y:
            raise ValueError(f"a Heatmap wants two axes, and both of its are {out.x!r}")
        if not self.baseline:
            raise ValueError("a Heatmap shows differences to a baseline: give the study one")


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
    control: str | None


def expand(
    study: Study, name: str, question: str, profile: str = "quick", sets: Mapping[str, Any] | None = None
) -> Expanded:
    """Turn a study into arms of frozen trials.

    Overrides apply in this order, the later the stronger: built-in profile, the study's profile, `--set`, arm. A
    profile may also give `seeds`, and `axes`: new values for some axes.

    Raises:
        UsageError: unknown profile, misspelt path, a value that is not allowed.

    """
    if study.search is not None:
        from drnbench.search.settle import expanded, settle

        return expanded(settle(study, name, question, profile, sets))
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
    study = _with_axes(study, size.pop("axes", {}), f"{name}, profile {profile!r}")
    if clash := {path for axis in study.axes for path in axis.paths} & set(wanted):
        raise UsageError(f"--set {min(clash)}: this path is an axis of the study, or set by one; edit the axis instead")
    base = apply(study.base, size, f"{name}, profile {profile!r}") if size else study.base
    base = apply(base, wanted, "--set") if wanted else base

    arms = [*_grid(study, base, seeds, name), *_named(study, base, seeds, name)]
    arms += _references(base, arms, name)
    names = [arm.name for arm in arms]
    if len(set(names)) != len(names):
        raise UsageError(f"{name}: two arms share a name: {', '.join(names)}; bicubic stands in every table by itself")
    control = study.control if isinstance(study.control, str) else _first(arms, study.control or {})
    return Expanded(name, question, profile, study, tuple(arms), _first(arms, study.baseline), control)


def _with_axes(study: Study, values: Mapping[str, Any], where: str) -> Study:
    """Return the study with other values on some of its axes."""
    if not values:
        return study
    if not isinstance(values, Mapping):
        raise UsageError(f"{where}: axes takes a dictionary of axis paths and their values (got {values!r})")
    known = {axis.path: axis for axis in study.axes}
    for path in values:
        if path not in known:
            raise UsageError(f"{where}: axes: {path!r} is not an axis of this study: {nearest(path, known)}")
    axes = [Axis(a.path, values[a.path], label=a.label) if a.path in values else a for a in study.axes]
    return build({**{name: getattr(study, name) for name in Study.model_fields}, "axes": axes}, where)


def arm_name(study: Study, values: Mapping[str, Any]) -> str:
    """Return how a cell of the grid is called: `ρ=0.3`, or `adapted, scale=4` with several axes, one of them named."""
    cell = [(axis, values[axis.path]) for axis in study.axes]
    return ", ".join(str(v) if a.named else f"{a.title}={_shown(v)}" for a, v in cell)


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
        overrides = {p: v for axis in study.axes for p, v in axis.overrides(values[axis.path]).items()}
        trial = apply(base, overrides, f"{name}, arm {label!r}") if overrides else base
        kept, excluded = _seeded(trial, seeds, values, study)
        arms.append(Arm(label, values, "grid", kept, excluded))
    return arms


def _named(study: Study, base: Trial, seeds: int, name: str) -> list[Arm]:
    # A named arm starts from the baseline's cell, so that it differs from the baseline by what it names alone.
    arms = []
    for label, overrides in study.arms.items():
        cell = {
            p: v for a in study.axes if a.path in study.baseline for p, v in a.overrides(study.baseline[a.path]).items()
        }
        trial = apply(base, {**cell, **overrides}, f"{name}, arm {label!r}")
        kept, excluded = _seeded(trial, seeds, {}, study)
        arms.append(Arm(label, {}, "named", kept, excluded))
    return arms


def _references(base: Trial, arms: list[Arm], name: str) -> list[Arm]:
    """Bicubic interpolation, wherever an arm is scored: the row that every table of the field begins with."""
    wanted: dict[int, dict[str, Evaluate]] = {}
    for arm in arms:
        for trial in arm.trials:
            for one in trial.evaluate:
                wanted.setdefault(trial.scale, {})[one.model_dump_json()] = one
    out = []
    for scale, evaluations in sorted(wanted.items()):
        trial = apply(base, {"method": "bicubic", "model": {}, "scale": scale}, name)
        trial = trial.model_copy(update={"stages": (), "evaluate": tuple(evaluations.values())})
        several = len(wanted) > 1
        label = f"bicubic x{scale}" if several else "bicubic"
        out.append(Arm(label, {"scale": scale} if several else {}, "reference", (trial,), {}))
    return out


def _first(arms: list[Arm], values: Mapping[str, Any]) -> str | None:
    """Name the first arm of the grid that has these axis values."""
    found = (arm for arm in arms if arm.kind == "grid" and all(arm.values.get(k) == v for k, v in values.items()))
    return next((arm.name for arm in found), None) if values else None


def build(fields: dict[str, Any], where: str) -> Study:
    """Build a study from plain fields, with one line for an error (used by tests and by programs)."""
    try:
        return Study(**fields)
    except ValidationError as error:
        raise UsageError(f"{where}: {explain(error)}") from error
