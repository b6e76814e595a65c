"""Expansion of a study to trials: base x axes x seeds, plus named arms, minus exclusions."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from drnbench.config.arm_names import check_names
from drnbench.config.overrides import apply, validated
from drnbench.config.settings import Settings
from drnbench.config.study import PROFILES, Axis, Study, Until, arm_name, build
from drnbench.config.trial import Data, Evaluate, Trial
from drnbench.errors import UsageError, nearest


@dataclass(frozen=True)
class Arm:
    """One row of the study: the trials of all seeds share everything but the seed.

    Attributes:
        name: unique in the study, such as `ρ=0.3`, `true pairs`, `bicubic`.
        values: axis values of a grid arm, by path; empty for a named arm.
        kind: "grid", "named", or "reference" (bicubic interpolation, which is not trained).
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
    """A study under one profile: its arms, in table order.

    Attributes:
        name: of the study.
        question: first paragraph of the file's docstring.
        profile: under which it was expanded.
        study: the declaration, with the axes of the profile.
        arms: grid, named arms, references.
        baseline: name of the arm that all are compared to.
        control: name of the positive control.
        overrides: fields of every trial by path, on top of the profile.
        until: the rule that seeds are added by; None: their number is fixed. The arms have the most seeds it allows.
        file: the study file, relative to the folder that holds the store; None: a program built the study.
        data_roots: the folders where sets of images are looked for, from the folder that holds the store.

    """

    name: str
    question: str
    profile: str
    study: Study
    arms: tuple[Arm, ...]
    baseline: str | None
    control: str | None
    overrides: Mapping[str, Any] = field(default_factory=dict)
    until: Until | None = None
    file: str | None = None
    data_roots: tuple[str, ...] = ()

    @property
    def settings(self) -> Settings:
        """The study with its profile and overrides."""
        return Settings.of(self.name, self.profile, self.overrides)


def expand(
    study: Study, name: str, question: str, profile: str = "quick", sets: Mapping[str, Any] | None = None
) -> Expanded:
    """Turn a study with axes into arms of frozen trials; a study with a search is resolved by `drnbench.search.resolve`.

    Overrides apply in this order, the later the stronger: built-in profile, the study's profile, `--set`, arm. A
    profile may also give `seeds`, `margin`, and `axes`: new values for some axes.

    Args:
        study: the declaration.
        name: of the study, for messages.
        question: of the study.
        profile: a built-in one or one of the study's.
        sets: overrides of every trial by path, and `seeds`.

    Raises:
        UsageError: a profile that neither is built in nor declared by the study, a misspelt path, a value that is not allowed.

    """
    profiles = {*PROFILES, *study.profiles}
    if profile not in profiles:
        raise UsageError(f"{name}: unknown profile {profile!r}, the study declares none: {nearest(profile, profiles)}")
    built_in = PROFILES.get(profile, {})
    size = {**built_in, **(_uncropped(study.base) if built_in else {}), **study.profiles.get(profile, {})}
    overrides = dict(sets or {})
    chosen = _seeds(study, profile, size, overrides, name)
    until, seeds = (chosen, chosen.at_most) if isinstance(chosen, Until) else (None, chosen)
    study = _with_axes(study, size.pop("axes", {}), f"{name}, profile {profile!r}")
    if "margin" in size:
        study = _with_fields(study, {"margin": size.pop("margin")}, f"{name}, profile {profile!r}")
    if clash := {path for axis in study.axes for path in axis.paths} & set(overrides):
        raise UsageError(f"--set {min(clash)}: this path is an axis of the study, or set by one; edit the axis instead")
    base = apply(study.base, size, f"{name}, profile {profile!r}") if size else study.base
    base = apply(base, overrides, "--set") if overrides else base
    if built_in and not any(path.endswith(".crop") for path in overrides):
        named = {path: None for path in _uncropped(base) if path not in _uncropped(study.base)}
        base = apply(base, named, "--set") if named else base

    arms = [*_grid(study, base, seeds, name), *_named(study, base, seeds, name)]
    arms += _references(base, arms, name)
    try:
        check_names(arm.name for arm in arms)
    except ValueError as error:
        raise UsageError(f"{name}: {error}") from error
    control = study.control if isinstance(study.control, str) else _first(arms, study.control or {})
    baseline = _first(arms, study.baseline)
    return Expanded(name, question, profile, study, tuple(arms), baseline, control, dict(sets or {}), until)


def _uncropped(base: Trial) -> dict[str, None]:
    """Return overrides that take the crop of a built-in profile from what has ready-made LR images, which stay whole."""
    declared: dict[str, Data | Evaluate] = {f"{stage.name}.data": stage.data for stage in base.stages}
    declared |= {f"evaluate.{number}": evaluate for number, evaluate in enumerate(base.evaluate)}
    return {f"{path}.crop": None for path, images in declared.items() if images.lr is not None}


def _seeds(study: Study, profile: str, size: dict[str, Any], overrides: dict[str, Any], name: str) -> int | Until:
    """Return the number of seeds, or the rule for it; takes `seeds` and `seeds.*` out of the profile and the overrides."""
    declared = study.seeds
    if "seeds" in size and "seeds" not in study.profiles.get(profile, {}):
        fewest = declared.at_least if isinstance(declared, Until) else declared
        size["seeds"] = min(size["seeds"], fewest)  # a built-in profile has no more seeds than the study
    seeds: Any = declared
    for layer in (size, overrides):
        seeds = layer.pop("seeds", seeds)
        fields = {path.removeprefix("seeds."): layer.pop(path) for path in [*layer] if path.startswith("seeds.")}
        if fields or seeds == "until":
            seeds = _until(next((rule for rule in (seeds, declared) if isinstance(rule, Until)), None), fields, name)
    if isinstance(seeds, Until) and not study.baseline:
        raise UsageError(f"{name}: seeds are added for comparisons to a baseline, and the study declares none")
    if not isinstance(seeds, (int, Until)) or isinstance(seeds, bool) or (isinstance(seeds, int) and seeds < 1):
        raise UsageError(f"{name}: seeds must be a whole number of at least 1, or Until(...) (got {seeds!r})")
    return seeds


def _until(rule: Until | None, fields: dict[str, Any], name: str) -> Until:
    """Return a rule with other values in some of its fields."""
    fields = {**(rule.model_dump() if rule else {}), **fields}
    if "half_width" not in fields:
        raise UsageError(f"{name}: say until which half-width seeds are added: --half-width 0.05, in the metric's unit")
    return validated(Until, fields, f"{name}: seeds")


def _with_axes(study: Study, values: Mapping[str, Any], where: str) -> Study:
    """Return the study with other values on some of its axes."""
    if not values:
        return study
    if not isinstance(values, Mapping):
        raise UsageError(f"{where}: axes takes a dictionary of axis paths and their values (got {values!r})")
    paths = {axis.path for axis in study.axes}
    for path in values:
        if path not in paths:
            raise UsageError(f"{where}: axes: {study.unknown_axis(path)}")
    axes = [Axis(a.path, values[a.path], label=a.label) if a.path in values else a for a in study.axes]
    return _with_fields(study, {"axes": axes}, where)


def _with_fields(study: Study, fields: Mapping[str, Any], where: str) -> Study:
    return build({**{name: getattr(study, name) for name in Study.model_fields}, **fields}, where)


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
    """Return an arm for each cell of the product of the axes."""
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
    # A named arm starts from the baseline's cell, so that it differs from the baseline by its own overrides alone.
    cell = {
        p: v for a in study.axes if a.path in study.baseline for p, v in a.overrides(study.baseline[a.path]).items()
    }
    arms = []
    for label, overrides in study.arms.items():
        trial = apply(base, {**cell, **overrides}, f"{name}, arm {label!r}")
        kept, excluded = _seeded(trial, seeds, {}, study)
        arms.append(Arm(label, {}, "named", kept, excluded))
    return arms


def _references(base: Trial, arms: list[Arm], name: str) -> list[Arm]:
    """Return an arm of bicubic interpolation for each scale, scored on the test sets of all arms at that scale.

    It is the first row of every table of the field.
    """
    by_scale: dict[int, dict[str, Evaluate]] = {}
    for arm in arms:
        for trial in arm.trials:
            for evaluate in trial.evaluate:
                by_scale.setdefault(trial.scale, {})[evaluate.model_dump_json()] = evaluate
    out = []
    several = len(by_scale) > 1
    for scale, evaluations in sorted(by_scale.items()):
        trial = apply(base, {"method": "bicubic", "model": {}, "scale": scale, "test_time": None}, name)
        trial = trial.model_copy(update={"stages": (), "evaluate": tuple(evaluations.values())})
        label = f"bicubic x{scale}" if several else "bicubic"
        out.append(Arm(label, {"scale": scale} if several else {}, "reference", (trial,), {}))
    return out


def _first(arms: list[Arm], values: Mapping[str, Any]) -> str | None:
    """Return the name of the first arm of the grid with these axis values; None if there is none."""
    matching = (arm for arm in arms if arm.kind == "grid" and all(arm.values.get(k) == v for k, v in values.items()))
    return next((arm.name for arm in matching), None) if values else None
