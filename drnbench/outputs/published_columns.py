"""Published numbers beside our own: only where the comparison is like with like."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from drnbench import published
from drnbench.config.protocol import Protocol
from drnbench.models import methods
from drnbench.results.scores import Arm, Condition, Scores

if TYPE_CHECKING:
    from drnbench.published import Published


def comparable(scores: Scores, arm: Arm, condition: Condition) -> bool:
    """Whether an arm is scored on a condition as papers score: bicubic made here, whole images, all of them, the usual border."""
    if arm.config is None or condition not in arm.conditions or condition.kernel != "bicubic":
        return False
    if Protocol(**arm.config["protocol"]) != Protocol():
        return False
    asked = [e for e in arm.config["evaluate"] if e["source"] == scores.sources[condition] and e["kernel"] == "bicubic"]
    return bool(asked) and not any(e["crop"] or e.get("count") or e.get("lr") for e in asked)


def of_arm(scores: Scores, arm: Arm, condition: Condition, metric: str) -> Published | None:
    """Return the published number of an arm's method, in its own size, on a condition."""
    if not comparable(scores, arm, condition) or arm.config is None or arm.config["model"]:
        return None
    number = published.lookup(arm.config["method"], scores.names[condition], condition.scale, metric)
    return number if number is None or _own_training(arm.config) else None


def _own_training(config: Mapping[str, Any]) -> bool:
    """Return True if a method is trained as by its authors: DRN without its dual loss is not the published method."""
    schemes = {stage["scheme"] for stage in config["stages"]} - {None}
    if not schemes:
        return True
    return schemes == {methods.resolve(config["method"], config["scale"], {}).scheme}


def of_peer(scores: Scores, name: str, conditions: Iterable[Condition], metric: str) -> Published | None:
    """Return the published number of a method by name on the first of some conditions that allows the comparison."""
    for condition in conditions:
        if any(comparable(scores, arm, condition) for arm in scores.arms):
            number = published.lookup(name, scores.names[condition], condition.scale, metric)
            if number is not None:
                return number
    return None


def sentences(numbers: Iterable[Published]) -> list[str]:
    """Return the sentences of a caption on the published numbers of a table."""
    sources = list(dict.fromkeys(f"{number.source}, {number.table}" for number in numbers))
    if not sources:
        return []
    return [f"Published: as printed in {'; '.join(sources)}; not measured here, in no test and never bold."]
