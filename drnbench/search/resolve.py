"""A search under one profile: its sizes, its candidates as trials, and the arms that the report is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from drnbench.config.keys import digest
from drnbench.config.overrides import apply, explain
from drnbench.config.search import AXIS, COSTS, DEFAULT, VALIDATION, Choice, Median, Search
from drnbench.config.study import Axis, Study
from drnbench.config.trial import Evaluate, Trial
from drnbench.data.cache import fingerprint
from drnbench.errors import UsageError, nearest
from drnbench.evaluation import metrics
from drnbench.planning.expand import Expanded, expand
from drnbench.planning.keys import Keys

WINNER, FRONT = "winner", "front {}"
"""Names of the arms that a search selected; their values stand in captions, so that a new winner keeps a paper's macros."""
SIZES: dict[str, dict[str, int]] = {"tiny": {"trials": 4, "seeds": 1, "fresh_seeds": 2, "startup": 2}}
"""Sizes that the built-in profiles bring, at most."""
GREEK = {"lam": "λ", "rho": "ρ"}
PREFIX = "search."


@dataclass(frozen=True)
class ResolvedSearch:
    """A search with everything that profile and `--set` say.

    Attributes:
        base: the trial that candidates change.
        plain: the study without the search: what `expand` can take.

    """

    study: Study
    plain: Study
    search: Search
    base: Trial
    name: str
    question: str
    profile: str
    sets: dict[str, Any]

    def label(self, values: Mapping[str, Any]) -> str:
        """Return how people call a point: `λ=0.01, ρ=0.3`."""
        return ", ".join(f"{title(self.search, path)}={_shown(value)}" for path, value in values.items()) or "the base"

    def overrides(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return what a point sets in the base trial."""
        space, out = self.search.space, dict[str, Any]()
        for path, value in values.items():
            out |= space[path].overrides(path, value) if path in space else {path: value}
        return out

    def trial(self, values: Mapping[str, Any], seed: int) -> Trial:
        """Return a candidate's trial for one seed, scored on the images of the search alone."""
        overrides, where = self.overrides(values), f"{self.name}, candidate {self.label(values)}"
        trial = apply(self.base, overrides, where) if overrides else self.base
        return trial.model_copy(update={"seed": seed, "evaluate": self.evaluations or trial.evaluate[:1]})

    @property
    def evaluations(self) -> tuple[Evaluate, ...]:
        """The test sets of candidates; empty where validation and costs say enough."""
        out: dict[tuple[Any, ...], Evaluate] = {}
        for objective in self.search.objectives:
            if objective.source is not None:
                key = (objective.source, objective.kernel or "bicubic", objective.crop, objective.count)
                metrics = (*out[key].metrics, objective.what) if key in out else (objective.what,)
                out[key] = Evaluate(
                    objective.source,
                    kernel=key[1],
                    crop=objective.crop,
                    count=objective.count,
                    metrics=tuple(dict.fromkeys(metrics)),
                )
        return tuple(out.values())


def title(search: Search, path: str) -> str:
    """Return how a path of the space is called."""
    word = path.rpartition(".")[2]
    label = search.space[path].label if path in search.space else None
    return label or GREEK.get(word, word)


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def resolve_search(
    study: Study, name: str, question: str, profile: str = "quick", sets: Mapping[str, Any] | None = None
) -> ResolvedSearch:
    """Apply profile and `--set` to a study that declares a search.

    Raises:
        UsageError: unknown profile, misspelt path or size, an objective that cannot be measured.

    """
    assert study.search is not None
    profiles = {
        key: {p: v for p, v in sizes.items() if not p.startswith(PREFIX)} for key, sizes in study.profiles.items()
    }
    plain = study.model_copy(
        update={"search": None, "profiles": profiles, "outputs": (), "arms": {}, "baseline": {}, "control": None}
    )
    given = {key: value for key, value in (sets or {}).items() if not key.startswith(PREFIX)}
    if "seeds" in given:
        raise UsageError("--set seeds: a search has search.seeds and search.fresh_seeds")
    if clash := set(given) & {
        set_path for path, values in study.search.space.items() for set_path in _paths(path, values)
    }:
        raise UsageError(f"--set {min(clash)}: the search sets this path; edit its space instead")
    base = expand(plain.model_copy(update={"seeds": 1}), name, question, profile, given).arms[0].trials[0]
    search = _sized(study, profile, {k: v for k, v in (sets or {}).items() if k.startswith(PREFIX)}, name)
    resolved = ResolvedSearch(
        study, plain.model_copy(update={"outputs": study.outputs}), search, base, name, question, profile, given
    )
    _check(resolved)
    return resolved


def _paths(path: str, values: Any) -> set[str]:
    choices = getattr(values, "choices", {})
    return {p for overrides in choices.values() for p in overrides} or {path}


def _sized(study: Study, profile: str, sets: Mapping[str, Any], name: str) -> Search:
    search = study.search
    assert search is not None
    sizes: dict[str, Any] = {k: min(v, getattr(search, k)) for k, v in SIZES.get(profile, {}).items()}
    own = {k: v for k, v in study.profiles.get(profile, {}).items() if k.startswith(PREFIX)}
    sizes |= {k.removeprefix(PREFIX): v for k, v in {**own, **sets}.items()}
    names = {"trials", "seeds", "fresh_seeds", "sampler", "seed", "startup", "front"}
    for key in sizes:
        if key not in names:
            raise UsageError(f"{name}: no such size of a search: {PREFIX}{key}: {nearest(key, names)}")
    try:
        return Search(**{field: getattr(search, field) for field in Search.model_fields} | sizes)
    except ValidationError as error:
        raise UsageError(f"{name}: {PREFIX}{explain(error)}") from error


def _check(resolved: ResolvedSearch) -> None:
    """Refuse objectives that cannot be measured, or that look at what the study reports."""
    search, stages = resolved.search, resolved.base.stages
    validated = bool(stages) and stages[-1].validations > 0 and stages[-1].holdout > 0
    for objective in search.objectives:
        where = f"{resolved.name}, search: {objective.what}"
        if objective.what in COSTS:
            continue
        if objective.what == VALIDATION:
            if not validated:
                raise UsageError(f"{where}: the last stage validates nothing: give it validations and a holdout")
            continue
        if objective.what not in metrics:
            names = [VALIDATION, *COSTS, *metrics.list()]
            raise UsageError(f"{where}: there is no such objective: {nearest(objective.what, names)}")
        higher = metrics.get(objective.what).higher_is_better
        if objective.source is None:
            raise UsageError(
                f'{where} wants the images to score: {type(objective).__name__}("{objective.what}", "photos/unpaired")'
            )
        if higher != (objective.direction == "maximise"):
            raise UsageError(
                f"{where}: {'higher' if higher else 'lower'} is better: {'Maximise' if higher else 'Minimise'} it"
            )
        if objective.source in {e.source for e in resolved.base.evaluate}:
            raise UsageError(
                f"{where}: the study reports {objective.source!r}, so the search must not look at it; "
                f'declare other images, or use "{VALIDATION}"'
            )
    if search.find(Median) and not validated:
        raise UsageError(
            f"{resolved.name}, search: Median watches validation PSNR: give the last stage validations and a holdout"
        )
    for path in search.space:  # a misspelt path, before anything is asked
        first = search.space[path].ends[0]
        apply(resolved.base, resolved.overrides({path: first}), f"{resolved.name}, search space")


def expanded(resolved: ResolvedSearch, selected: Sequence[Mapping[str, Any]] = ()) -> Expanded:
    """Return the arms of the report: baseline, what the search selected, named arms and bicubic, with fresh seeds.

    A selected candidate that equals the baseline is no arm of its own.
    """
    study, base = resolved.study, resolved.overrides(resolved.study.baseline)
    points = {DEFAULT: base}
    for n, values in enumerate(selected, 1):
        name = WINNER if len(resolved.search.objectives) == 1 else FRONT.format(n)
        if apply(resolved.base, resolved.overrides(values), name) != apply(resolved.base, base, name):
            points[name] = resolved.overrides(values)
    arms = resolved.plain.model_copy(
        update={
            "axes": (Axis(AXIS, points, label="setting"),), "arms": study.arms, "baseline": {AXIS: DEFAULT},
            "control": study.control, "seeds": resolved.search.fresh_seeds,
        }
    )  # fmt: skip
    out = expand(
        arms,
        resolved.name,
        resolved.question,
        resolved.profile,
        {**resolved.sets, "seeds": resolved.search.fresh_seeds},
    )
    shift = resolved.search.seeds
    shifted = tuple(
        arm if arm.kind == "reference"
        else replace(arm, trials=tuple(t.model_copy(update={"seed": t.seed + shift}) for t in arm.trials))
        for arm in out.arms
    )  # fmt: skip
    return replace(out, arms=shifted)


def signature(resolved: ResolvedSearch, cache: Path) -> str:
    """Return what names a search in its journal: another space, base, set of images or sampler is another search.

    Raises:
        UsageError: the images of the search are not there, or some of them are in the report too; the space has
            values that a model or a scheme does not take.

    """
    keys = Keys(cache)
    trial = resolved.trial({}, 0)
    stages = keys.stages(trial, resolved.name)
    for path, axis in resolved.search.space.items():  # a value that no model takes, before anything is trained
        for end in axis.values if isinstance(axis, Choice) else axis.ends:
            values = {**resolved.study.baseline, path: axis.snapped(end)}
            keys.stages(
                resolved.trial(values, 0), f"{resolved.name}, search space, {resolved.label({path: values[path]})}"
            )
    wanted = [e.key for e in keys.evaluation(trial, stages, resolved.name).wanted] if resolved.evaluations else []
    reported = {i.sha: e.source for e in resolved.base.evaluate for i in fingerprint(e.source, cache).images}
    searched = {evaluation.source: fingerprint(evaluation.source, cache).images for evaluation in resolved.evaluations}
    if resolved.search.find(Median) or any(objective.what == VALIDATION for objective in resolved.search.objectives):
        held = stages[-1].stage
        searched["the hold-out"] = fingerprint(held.data.source, cache).images[-held.holdout :]
    for source, images in searched.items():
        if both := sorted({reported[i.sha] for i in images if i.sha in reported}):
            raise UsageError(f"{resolved.name}, search: {source} and the reported {both[0]} share images: take others")
    search = resolved.search.model_dump(mode="json", exclude={"trials", "fresh_seeds", "front"})
    return digest({
        "kind": "search", "stages": [unit.key for unit in stages], "evaluations": wanted, "search": search,
        "baseline": resolved.overrides(resolved.study.baseline),
    })  # fmt: skip


def expand_study(
    study: Study, name: str, question: str, profile: str = "quick", sets: Mapping[str, Any] | None = None
) -> Expanded:
    """Turn any study into arms of frozen trials: the grid, or what the report of a search shows before it has run.

    Raises:
        UsageError: as `drnbench.planning.expand.expand`.

    """
    if study.search is None:
        return expand(study, name, question, profile, sets)
    return expanded(resolve_search(study, name, question, profile, sets))
