"""Published numbers beside our own: only where the comparison is like with like."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from drnbench import published
from drnbench.config.kernel_sets import kernels_of
from drnbench.config.protocol import Protocol
from drnbench.degradations import canonical
from drnbench.models import methods
from drnbench.results.scores import Arm, Condition, Scores

if TYPE_CHECKING:
    from drnbench.published import Published


def comparable(scores: Scores, arm: Arm, condition: Condition) -> bool:
    """Return True if an arm is scored as in papers: LR made here, whole images, all of them, the usual border."""
    if arm.config is None or condition not in arm.conditions:
        return False
    if Protocol(**arm.config["protocol"]) != Protocol():
        return False
    source = scores.sources[condition]
    evaluations = [
        e
        for e in arm.config["evaluate"]
        if e["source"] == source and condition.kernel in map(canonical, kernels_of(e["kernel"], condition.scale))
    ]
    return bool(evaluations) and not any(e["crop"] or e.get("count") or e.get("lr") for e in evaluations)


def of_arm(scores: Scores, arm: Arm, condition: Condition, metric: str) -> Published | None:
    """Return the published number of an arm's method, in its own size, on a condition."""
    if not comparable(scores, arm, condition) or arm.config is None or arm.config["model"]:
        return None
    if not _own_training(arm.config):
        return None
    return published.lookup(arm.config["method"], scores.names[condition], condition.scale, metric, condition.kernel)


def _own_training(config: Mapping[str, Any]) -> bool:
    """Return True if a method is trained as its authors do: DRN without its dual loss is not the published method."""
    schemes = {stage["scheme"] for stage in config["stages"]} - {None}
    if not schemes or config["method"] not in methods.names():
        return True
    return schemes == {methods.resolve(config["method"], config["scale"], {}).scheme}


def of_peer(scores: Scores, name: str, conditions: Iterable[Condition], metric: str) -> Published | None:
    """Return the published number of a method by name, on the first of some conditions that allows the comparison."""
    numbers = (
        published.lookup(name, scores.names[condition], condition.scale, metric, condition.kernel)
        for condition in conditions
        if any(comparable(scores, arm, condition) for arm in scores.arms)
    )
    return next((number for number in numbers if number is not None), None)


def size(method: str, scale: int | None) -> Published | None:
    """Return the published number of parameters of a method at a scale; None where there is none, or no one scale."""
    return None if scale is None else published.parameters(method, scale)


def sentences(numbers: Iterable[Published]) -> list[str]:
    """Return the sources of a table's published numbers, for its caption."""
    sources = list(dict.fromkeys(f"{number.source}, {number.table}" for number in numbers))
    if not sources:
        return []
    return [f"Published: as printed in {'; '.join(sources)}; not measured here, in no test and never bold."]
