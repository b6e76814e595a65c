"""A search under one profile: its sizes, its candidates as trials, and the arms that the report is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from drnbench.config.keys import digest
from drnbench.config.overrides import apply, validated
from drnbench.config.search import AXIS, COSTS, DEFAULT, VALIDATION, Choice, Median, Objective, Range, Search
from drnbench.config.settings import Settings
from drnbench.config.study import Axis, Study, value_text
from drnbench.config.trial import Evaluate, Trial
from drnbench.errors import UsageError, nearest
from drnbench.evaluation import metrics
from drnbench.planning.expand import Expanded, expand
from drnbench.planning.inputs import Inputs
from drnbench.planning.keys import Keys

WINNER, FRONT = "winner", "front {}"
"""Names of the arms that win a search; their values stand in captions, so that a new winner keeps a paper's macros."""
SIZES: dict[str, dict[str, int]] = {"tiny": {"trials": 4, "seeds": 1, "fresh_seeds": 2, "startup": 2}}
"""Upper limits of sizes under the built-in profiles."""
GREEK = {"lam": "λ", "rho": "ρ"}
PREFIX = "search."
SETTABLE = frozenset({"trials", "seeds", "fresh_seeds", "sampler", "seed", "startup", "front"})
"""Fields of a search that a profile or `--set` may change."""


@dataclass(frozen=True)
class ResolvedSearch:
    """A search with its profile and `--set` applied.

    Attributes:
        study: as declared.
        plain: the study without the search, as `expand` takes it.
        search: with its sizes.
        base: the trial that candidates change.
        name, question: of the study.
        profile: applied to all of these.
        sets: overrides of the base trial.
        overrides_given: these and the sizes of the search, as `--set` gave them.
    """

    study: Study
    plain: Study
    search: Search
    base: Trial
    name: str
    question: str
    profile: str
    sets: dict[str, Any]
    overrides_given: Mapping[str, Any]

    @property
    def settings(self) -> Settings:
        """The study with its profile and overrides."""
        return Settings.of(self.name, self.profile, self.overrides_given)

    def label(self, values: Mapping[str, Any]) -> str:
        """Return a point as text: `λ=0.01, ρ=0.3`."""
        return (
            ", ".join(f"{title(self.search, path)}={value_text(value)}" for path, value in values.items()) or "the base"
        )

    def overrides(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the overrides of the base trial that a point stands for."""
        space, overrides = self.search.space, dict[str, Any]()
        for path, value in values.items():
            overrides |= space[path].overrides(path, value) if path in space else {path: value}
        return overrides

    def trial(self, values: Mapping[str, Any], seed: int) -> Trial:
        """Return a candidate's trial for one seed, scored on the images of the search alone."""
        overrides = self.overrides(values)
        where = f"{self.name}, candidate {self.label(values)}"
        trial = apply(self.base, overrides, where) if overrides else self.base
        return trial.model_copy(update={"seed": seed, "evaluate": self.evaluations or trial.evaluate[:1]})

    @property
    def evaluations(self) -> tuple[Evaluate, ...]:
        """The evaluations that candidates are scored by; empty where validation and costs suffice."""
        names: dict[tuple[str, str, int | None, int | None], list[str]] = {}
        for objective in self.search.objectives:
            if objective.source is not None:
                images = (objective.source, objective.kernel or "bicubic", objective.crop, objective.count)
                names.setdefault(images, []).append(objective.what)
        return tuple(
            Evaluate(source, kernel=kernel, crop=crop, count=count, metrics=tuple(dict.fromkeys(metric_names)))
            for (source, kernel, crop, count), metric_names in names.items()
        )


def title(search: Search, path: str) -> str:
    """Return the name of a path of the space in tables and figures."""
    word = path.rpartition(".")[2]
    label = search.space[path].label if path in search.space else None
    return label or GREEK.get(word, word)


def resolve_search(
    study: Study, name: str, question: str, profile: str = "quick", sets: Mapping[str, Any] | None = None
) -> ResolvedSearch:
    """Apply profile and `--set` to a study that declares a search.

    Raises:
        UsageError: unknown profile, misspelt path or size, an objective that cannot be measured.
    """
    assert study.search is not None
    profiles = {
        name: {path: value for path, value in overrides.items() if not path.startswith(PREFIX)}
        for name, overrides in study.profiles.items()
    }
    plain = study.model_copy(
        update={"search": None, "profiles": profiles, "outputs": (), "arms": {}, "baseline": {}, "control": None}
    )
    sizes = {path: value for path, value in (sets or {}).items() if path.startswith(PREFIX)}
    overrides = {path: value for path, value in (sets or {}).items() if path not in sizes}
    if any(path.partition(".")[0] == "seeds" for path in overrides):
        raise UsageError("--seeds, --set seeds: a search has search.seeds and search.fresh_seeds")
    searched = {path for key, values in study.search.space.items() for path in _paths(key, values)}
    if clash := set(overrides) & searched:
        raise UsageError(f"--set {min(clash)}: the search sets this path; edit its space instead")
    base = expand(plain.model_copy(update={"seeds": 1}), name, question, profile, overrides).arms[0].trials[0]
    search = _with_sources(_with_sizes(study, study.search, profile, sizes, name), base)
    plain = plain.model_copy(update={"outputs": study.outputs})
    resolved = ResolvedSearch(study, plain, search, base, name, question, profile, overrides, sets or {})
    _check(resolved)
    return resolved


def _with_sources(search: Search, base: Trial) -> Search:
    """Give LR consistency without images those that the last stage adapts to: LR images whose HR is never looked at."""
    unpaired = base.stages[-1].unpaired if base.stages else None
    if unpaired is None:
        return search
    images = {"source": unpaired.source, "kernel": unpaired.kernel, "crop": unpaired.crop, "count": unpaired.count}
    objectives = tuple(
        objective.model_copy(update=images)
        if objective.source is None and objective.what in metrics and "hr" not in metrics.get(objective.what).needs
        else objective
        for objective in search.objectives
    )
    return search.model_copy(update={"objectives": objectives})


def _paths(path: str, values: Range) -> set[str]:
    choices = values.choices if isinstance(values, Choice) else {}
    return {changed for overrides in choices.values() for changed in overrides} or {path}


def _with_sizes(study: Study, search: Search, profile: str, sets: Mapping[str, Any], name: str) -> Search:
    sizes: dict[str, Any] = {size: min(most, getattr(search, size)) for size, most in SIZES.get(profile, {}).items()}
    own = {path: value for path, value in study.profiles.get(profile, {}).items() if path.startswith(PREFIX)}
    sizes |= {path.removeprefix(PREFIX): value for path, value in {**own, **sets}.items()}
    for size in sizes:
        if size not in SETTABLE:
            raise UsageError(f"{name}: no such size of a search: {PREFIX}{size}: {nearest(size, SETTABLE)}")
    fields = {field: getattr(search, field) for field in Search.model_fields}
    return validated(Search, fields | sizes, f"{name}: search")


def _check(resolved: ResolvedSearch) -> None:
    """Refuse objectives that cannot be measured, or that look at images that the study reports."""
    search, stages = resolved.search, resolved.base.stages
    validates = bool(stages) and stages[-1].validations > 0 and stages[-1].holdout > 0
    for objective in search.objectives:
        _check_objective(objective, resolved, f"{resolved.name}, search: {objective.what}", validates=validates)
    if search.find(Median) and not validates:
        raise UsageError(
            f"{resolved.name}, search: Median watches validation PSNR: give the last stage validations and a holdout"
        )
    for path, values in search.space.items():  # a misspelt path, before anything is asked
        apply(resolved.base, resolved.overrides({path: values.ends[0]}), f"{resolved.name}, search space")


def _check_objective(objective: Objective, resolved: ResolvedSearch, where: str, *, validates: bool) -> None:
    if objective.what in COSTS:
        return
    if objective.what == VALIDATION:
        if not validates:
            raise UsageError(f"{where}: the last stage validates nothing: give it validations and a holdout")
        return
    if objective.what not in metrics:
        names = [VALIDATION, *COSTS, *metrics.list()]
        raise UsageError(f"{where}: there is no such objective: {nearest(objective.what, names)}")
    if objective.source is None:
        call = f'{type(objective).__name__}("{objective.what}", "photos/unpaired")'
        raise UsageError(f"{where} wants the images to score: {call}")
    higher = metrics.get(objective.what).higher_is_better
    if higher != (objective.direction == "maximise"):
        better, remedy = ("higher", "Maximise") if higher else ("lower", "Minimise")
        raise UsageError(f"{where}: {better} is better: {remedy} it")
    if objective.source in {evaluate.source for evaluate in resolved.base.evaluate}:
        raise UsageError(
            f"{where}: the study reports {objective.source!r}, so the search must not look at it; "
            f'declare other images, or use "{VALIDATION}"'
        )


def expanded(resolved: ResolvedSearch, selected: Sequence[Mapping[str, Any]] = ()) -> Expanded:
    """Return the arms of the report with fresh seeds: baseline, the points that the search selected, named arms, bicubic.

    A selected point that equals the baseline is no arm of its own.
    """
    study, base = resolved.study, resolved.overrides(resolved.study.baseline)
    points = {DEFAULT: base}
    for n, values in enumerate(selected, 1):
        name = WINNER if len(resolved.search.objectives) == 1 else FRONT.format(n)
        if apply(resolved.base, resolved.overrides(values), name) != apply(resolved.base, base, name):
            points[name] = resolved.overrides(values)
    fresh_seeds = resolved.search.fresh_seeds
    arms = resolved.plain.model_copy(
        update={
            "axes": (Axis(AXIS, points, label="setting"),), "arms": study.arms, "baseline": {AXIS: DEFAULT},
            "control": study.control, "seeds": fresh_seeds,
        }
    )  # fmt: skip
    sets = {**resolved.sets, "seeds": fresh_seeds}
    arms_of_report = expand(arms, resolved.name, resolved.question, resolved.profile, sets)
    first = resolved.search.seeds
    shifted = tuple(
        arm if arm.kind == "reference"
        else replace(arm, trials=tuple(t.model_copy(update={"seed": t.seed + first}) for t in arm.trials))
        for arm in arms_of_report.arms
    )  # fmt: skip
    return replace(arms_of_report, arms=shifted, overrides=resolved.overrides_given)


def signature(resolved: ResolvedSearch, cache: Path, inputs: Inputs | None = None) -> str:
    """Return the name of a search in its journal: another space, base, set of images or sampler is another search.

    Raises:
        UsageError: the images of the search are not there, or some of them are in the report too; the space has
            values that a model or a scheme does not take.
    """
    keys = Keys(cache, inputs)
    trial = resolved.trial({}, 0)
    stages = keys.stages(trial, resolved.name)
    for path, values in resolved.search.space.items():  # a value that no model takes, before anything is trained
        for end in values.values if isinstance(values, Choice) else values.ends:
            point = {**resolved.study.baseline, path: values.snapped(end)}
            where = f"{resolved.name}, search space, {resolved.label({path: point[path]})}"
            keys.stages(resolved.trial(point, 0), where)
    evaluations = keys.evaluation(trial, stages, resolved.name).wanted if resolved.evaluations else ()
    _check_images(resolved, keys.inputs)
    search = resolved.search.model_dump(mode="json", exclude={"trials", "fresh_seeds", "front"})
    return digest({
        "kind": "search", "stages": [unit.key for unit in stages], "evaluations": [e.key for e in evaluations],
        "search": search, "baseline": resolved.overrides(resolved.study.baseline),
    })  # fmt: skip


def _check_images(resolved: ResolvedSearch, inputs: Inputs) -> None:
    """Refuse a search that looks at images of the report."""
    reported = {image.sha: e.source for e in resolved.base.evaluate for image in inputs.images(e.source).images}
    images = {e.source: inputs.images(e.source).images for e in resolved.evaluations}
    if resolved.search.find(Median) or any(objective.what == VALIDATION for objective in resolved.search.objectives):
        stage = resolved.base.stages[-1]
        images["the hold-out"] = inputs.images(stage.data.source).images[-stage.holdout :]
    for source, looked_at in images.items():
        if shared := sorted({reported[image.sha] for image in looked_at if image.sha in reported}):
            raise UsageError(
                f"{resolved.name}, search: {source} and the reported {shared[0]} share images: take others"
            )
