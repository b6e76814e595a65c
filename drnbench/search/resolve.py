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
"""Names of arms that were found; what they are stands in captions, so that a new winner keeps a paper's macros."""
SIZES: dict[str, dict[str, int]] = {"tiny": {"trials": 4, "seeds": 1, "fresh_seeds": 2, "startup": 2}}
"""Sizes that the built-in profiles bring, at most."""
GREEK = {"lam": "λ", "rho": "ρ"}
PREFIX = "search."


@dataclass(frozen=True)
class Settled:
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
        made = apply(self.base, overrides, where) if overrides else self.base
        return made.model_copy(update={"seed": seed, "evaluate": self.evaluations or made.evaluate[:1]})

    @property
    def evaluations(self) -> tuple[Evaluate, ...]:
        """What candidates are scored on; empty where validation and costs say enough."""
        out: dict[tuple[Any, ...], Evaluate] = {}
        for one in self.search.objectives:
            if one.source is not None:
                key = (one.source, one.kernel or "bicubic", one.crop, one.count)
                metrics = (*out[key].metrics, one.what) if key in out else (one.what,)
                out[key] = Evaluate(
                    one.source, kernel=key[1], crop=one.crop, count=one.count, metrics=tuple(dict.fromkeys(metrics))
                )
        return tuple(out.values())


def title(search: Search, path: str) -> str:
    """Return how a path of the space is called."""
    word = path.rpartition(".")[2]
    label = search.space[path].label if path in search.space else None
    return label or GREEK.get(word, word)


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def settle(
    study: Study, name: str, question: str, profile: str = "quick", sets: Mapping[str, Any] | None = None
) -> Settled:
    """Apply profile and `--set` to a study that declares a search.

    Raises:
        UsageError: unknown profile, misspelt path or size, an objective that cannot be measured.

    """
    assert study.search is not None
    profiles = {key: {p: v for p, v in one.items() if not p.startswith(PREFIX)} for key, one in study.profiles.items()}
    plain = study.model_copy(
        update={"search": None, "profiles": profiles, "outputs": (), "arms": {}, "baseline": {}, "control": None}
    )
    given = {key: value for key, value in (sets or {}).items() if not key.startswith(PREFIX)}
    if "seeds" in given:
        raise UsageError("--set seeds: a search has search.seeds and search.fresh_seeds")
    if clash := set(given) & {path for one, r in study.search.space.items() for path in _paths(one, r)}:
        raise UsageError(f"--set {min(clash)}: the search sets this path; edit its space instead")
    base = expand(plain.model_copy(update={"seeds": 1}), name, question, profile, given).arms[0].trials[0]
    search = _sized(study, profile, {k: v for k, v in (sets or {}).items() if k.startswith(PREFIX)}, name)
    made = Settled(
        study, plain.model_copy(update={"outputs": study.outputs}), search, base, name, question, profile, given
    )
    _check(made)
    return made


def _paths(path: str, one: Any) -> set[str]:
    choices = getattr(one, "choices", {})
    return {p for overrides in choices.values() for p in overrides} or {path}


def _sized(study: Study, profile: str, sets: Mapping[str, Any], name: str) -> Search:
    search = study.search
    assert search is not None
    sizes: dict[str, Any] = {k: min(v, getattr(search, k)) for k, v in SIZES.get(profile, {}).items()}
    own = {k: v for k, v in study.profiles.get(profile, {}).items() if k.startswith(PREFIX)}
    sizes |= {k.removeprefix(PREFIX): v for k, v in {**own, **sets}.items()}
    known = {"trials", "seeds", "fresh_seeds", "sampler", "seed", "startup", "front"}
    for key in sizes:
        if key not in known:
            raise UsageError(f"{name}: no such size of a search: {PREFIX}{key}: {nearest(key, known)}")
    try:
        return Search(**{field: getattr(search, field) for field in Search.model_fields} | sizes)
    except ValidationError as error:
        raise UsageError(f"{name}: {PREFIX}{explain(error)}") from error


def _check(made: Settled) -> None:
    """Refuse objectives that cannot be measured, or that look at what the study reports."""
    search, stages = made.search, made.base.stages
    validated = bool(stages) and stages[-1].validations > 0 and stages[-1].holdout > 0
    for one in search.objectives:
        where = f"{made.name}, search: {one.what}"
        if one.what in COSTS:
            continue
        if one.what == VALIDATION:
            if not validated:
                raise UsageError(f"{where}: the last stage validates nothing: give it validations and a holdout")
            continue
        if one.what not in metrics:
            known = [VALIDATION, *COSTS, *metrics.list()]
            raise UsageError(f"{where}: there is no such objective: {nearest(one.what, known)}")
        higher = metrics.get(one.what).higher_is_better
        if one.source is None:
            raise UsageError(
                f'{where} wants the images to score: {type(one).__name__}("{one.what}", "photos/unpaired")'
            )
        if higher != (one.direction == "maximise"):
            raise UsageError(
                f"{where}: {'higher' if higher else 'lower'} is better: {'Maximise' if higher else 'Minimise'} it"
            )
        if one.source in {e.source for e in made.base.evaluate}:
            raise UsageError(
                f"{where}: the study reports {one.source!r}, so the search must not look at it; "
                f'declare other images, or use "{VALIDATION}"'
            )
    if search.find(Median) and not validated:
        raise UsageError(
            f"{made.name}, search: Median watches validation PSNR: give the last stage validations and a holdout"
        )
    for path in search.space:  # a misspelt path, before anything is asked
        first = search.space[path].ends[0]
        apply(made.base, made.overrides({path: first}), f"{made.name}, search space")


def expanded(made: Settled, found: Sequence[Mapping[str, Any]] = ()) -> Expanded:
    """Return the arms of the report: baseline, what the search found, named arms and bicubic, with fresh seeds.

    What was found and equals the baseline is no arm of its own.
    """
    study, base = made.study, made.overrides(made.study.baseline)
    points = {DEFAULT: base}
    for n, values in enumerate(found, 1):
        name = WINNER if len(made.search.objectives) == 1 else FRONT.format(n)
        if apply(made.base, made.overrides(values), name) != apply(made.base, base, name):
            points[name] = made.overrides(values)
    arms = made.plain.model_copy(
        update={
            "axes": (Axis(AXIS, points, label="setting"),), "arms": study.arms, "baseline": {AXIS: DEFAULT},
            "control": study.control, "seeds": made.search.fresh_seeds,
        }
    )  # fmt: skip
    out = expand(arms, made.name, made.question, made.profile, {**made.sets, "seeds": made.search.fresh_seeds})
    shift = made.search.seeds
    shifted = tuple(
        arm if arm.kind == "reference"
        else replace(arm, trials=tuple(t.model_copy(update={"seed": t.seed + shift}) for t in arm.trials))
        for arm in out.arms
    )  # fmt: skip
    return replace(out, arms=shifted)


def signature(made: Settled, cache: Path) -> str:
    """Return what names a search in its journal: another space, base, set of images or sampler is another search.

    Raises:
        UsageError: the images of the search are not there, or some of them are in the report too; the space has
            values that a model or a scheme does not take.

    """
    keys = Keys(cache)
    trial = made.trial({}, 0)
    stages = keys.stages(trial, made.name)
    for path, one in made.search.space.items():  # a value that no model takes, before anything is trained
        for end in one.values if isinstance(one, Choice) else one.ends:
            values = {**made.study.baseline, path: one.snapped(end)}
            keys.stages(made.trial(values, 0), f"{made.name}, search space, {made.label({path: values[path]})}")
    wanted = [e.key for e in keys.evaluation(trial, stages, made.name).wanted] if made.evaluations else []
    reported = {i.sha: e.source for e in made.base.evaluate for i in fingerprint(e.source, cache).images}
    looked = {one.source: fingerprint(one.source, cache).images for one in made.evaluations}
    if made.search.find(Median) or any(one.what == VALIDATION for one in made.search.objectives):
        held = stages[-1].stage
        looked["the hold-out"] = fingerprint(held.data.source, cache).images[-held.holdout :]
    for source, images in looked.items():
        if both := sorted({reported[i.sha] for i in images if i.sha in reported}):
            raise UsageError(f"{made.name}, search: {source} and the reported {both[0]} share images: take others")
    search = made.search.model_dump(mode="json", exclude={"trials", "fresh_seeds", "front"})
    return digest({
        "kind": "search", "stages": [unit.key for unit in stages], "evaluations": wanted, "search": search,
        "baseline": made.overrides(made.study.baseline),
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
    return expanded(settle(study, name, question, profile, sets))
