"""Settings that all arms share, in a sentence: what a profile means, and λ, ρ and D where no axis moves them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from drnbench.models import methods
from drnbench.render import text
from drnbench.results.recipes import recipe
from drnbench.results.scores import Scores

LAMBDA = frozenset({"paired", "unpaired"})
"""Schemes that weight a dual loss with λ; those that share D with unpaired images, at a share ρ, are `UNPAIRED`."""
UNPAIRED = frozenset({"unpaired"})
Config = Mapping[str, Any]


def sentence(scores: Scores) -> str:
    """Return `Profile quick: drn (n_feats=8) ×4; pretrain 600 steps, adapt 100 steps; λ=0.1.`; empty if none is trained."""
    configs = [arm.config for arm in scores.arms if not arm.seedless and arm.config is not None]
    if not configs:
        return ""
    parts = [_network(configs), _budget(configs), _recipes(configs), _dual(configs)]
    setting = scores.plan.settings.text
    return f"{setting[0].upper()}{setting[1:]}: {'; '.join(part for part in parts if part)}."


def _network(configs: list[Config]) -> str:
    method, model, scale = (_shared(config[field] for config in configs) for field in ("method", "model", "scale"))
    sizes = ", ".join(f"{name}={text.shown(value)}" for name, value in (model or {}).items())
    name = f"{method or 'several methods'}" + (f" ({sizes})" if sizes else "")
    return name + (f" ×{scale}" if scale else "")


def _budget(configs: list[Config]) -> str:
    """Write the steps of each stage, of all arms or from the fewest to the most."""
    steps: dict[str, set[int]] = {}
    for config in configs:
        for stage in config["stages"]:
            steps.setdefault(stage["name"], set()).add(stage["steps"])
    return ", ".join(f"{name} {text.span(sorted(counts), 'step')}" for name, counts in steps.items())


def _recipes(configs: list[Config]) -> str:
    """Write the recipes of training that all arms share and that are not the default."""
    stages = [stage for config in configs for stage in config["stages"]]
    names = dict.fromkeys(stage["name"] for stage in stages)
    shared = {name: _shared(recipe(stage) for stage in stages if stage["name"] == name) for name in names}
    return ", ".join(f"{name} with {words}" for name, words in shared.items() if words)


def _dual(configs: list[Config]) -> str:
    """Write λ, ρ and the kind of D of the stages that use them, where they are constant."""
    dual = [stage for config in configs for stage in config["stages"] if _scheme(config, stage) in LAMBDA]
    unpaired = [stage for config in configs for stage in config["stages"] if _scheme(config, stage) in UNPAIRED]
    lam, rho = _shared(_weight(stage) for stage in dual), _shared(text.shown(stage["rho"]) for stage in unpaired)
    parts = [f"{name}={value}" for name, value in (("λ", lam), ("ρ", rho)) if value is not None]
    own: dict[str, list[str]] = {}
    for stage in unpaired:
        own.setdefault(_kind(stage), []).append(_weight(stage))
    different = lam is None and len(own) > 1 and all(_shared(weights) is not None for weights in own.values())
    kinds = [f"{kind}{f' (λ={weights[0]})' if different else ''}" for kind, weights in own.items()]
    if len(kinds) == 1 or different:
        parts.append("; ".join(kinds))
    return ", ".join(parts)


def _weight(stage: Config) -> str:
    """Write λ of a stage, and that of its unpaired images where it is another."""
    lam, unpaired = stage["lam"], stage.get("unpaired_lam")
    if not stage["rho"] or unpaired in (None, lam):
        return text.shown(lam)
    return f"{text.shown(lam)}, of unpaired images {text.shown(unpaired)}"


def _kind(stage: Config) -> str:
    """Write the kind of D of a stage with unpaired images, and which images it is applied to."""
    kind, unpaired = stage["dual"], stage.get("unpaired_dual")
    if unpaired in (None, kind):
        own = stage["dual_of"] == "own" or kind == "known" or unpaired is not None
        return f"D {kind}, {'one of each domain' if own else 'shared by both domains'}"
    return f"D {kind} for pairs and {unpaired} for unpaired images"


def _scheme(config: Config, stage: Config) -> str | None:
    scheme: str | None = stage["scheme"]
    if scheme is None and config["method"] in methods.names():  # not of a package that is not installed here
        return methods.resolve(config["method"], config["scale"], {}).scheme
    return scheme


def _shared(values: Iterable[Any]) -> Any:
    """Return the value that all are equal to; None where they differ, or where there is none."""
    different = {repr(value): value for value in values}
    return next(iter(different.values())) if len(different) == 1 else None
