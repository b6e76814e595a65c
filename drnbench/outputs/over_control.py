"""Sentence on arms that exceed the positive control, which is declared as the most that could be gained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from drnbench.outputs import verdicts
from drnbench.outputs.verdicts import interval_verdict, kind_of
from drnbench.outputs.wording import Name, names
from drnbench.render import text
from drnbench.results.scores import Scores
from drnbench.results.statistics import Difference, Verdict, difference, direction, holm
from drnbench.results.summary import Result, higher_is_better, minus, paired


def over_control(scores: Scores, judged: Sequence[Result], name: Name) -> list[str]:
    """Return which arms are significantly better than the positive control of theirs; [] where none is.

    An arm that is better by the same amount on every seed and image leaves nothing to test, and is above the control all
    the same.

    Args:
        scores: of the study.
        judged: results of arms, one an arm.
        name: of a result's arm.

    """
    compared = [other for result in judged if (other := _against_control(scores, result))]
    tests = [(result, result.difference.p) for result in compared if result.difference]
    adjusted = zip(tests, holm([1.0 if p is None else p for _, p in tests]), strict=True)
    above = verdicts.by_gain([result for (result, _), p in adjusted if _direction(result, p) == "better"])
    constant = [result for result in compared if kind_of(result) == "constant" and interval_verdict(result) == "better"]
    parts = []
    if above:
        correction = f" after Holm's correction over {text.count(len(tests), 'arm')}" if len(tests) > 1 else ""
        size = verdicts.moved(above[0], "better").partition(" ")[2].removeprefix("by ")
        verb = "exceeds the positive control by" if len(above) == 1 else "exceed the positive control, the first one by"
        parts.append(f"{names(above, name)} {verb} {size}{correction}")
    if constant:
        verb = "exceeds" if len(constant) == 1 else "exceed"
        parts.append(f"{names(constant, name)} {verb} the positive control on every seed and image by the same amount")
    return [f"{'; '.join(parts)}: the control is not the most that could be gained."] if parts else []


def equal_to_control(scores: Scores, judged: Sequence[Result], name: Name) -> list[str]:
    """Return which arms have the scores of their positive control on every seed and image; [] where none has."""
    compared = [other for result in judged if (other := _against_control(scores, result))]
    equal = [result for result in compared if kind_of(result) == "equal"]
    verb = "equals" if len(equal) == 1 else "equal"
    return [f"{names(equal, name)} {verb} the positive control on every seed and image."] if equal else []


def _direction(result: Result, p_adjusted: float) -> Verdict:
    if result.difference is None or result.difference.p is None:
        return ""
    return direction(result.difference, p_adjusted, higher_is_better=higher_is_better(result.metric))


def _against_control(scores: Scores, result: Result) -> Result | None:
    """Return the result with its difference to the best control of its arm; None where they have none in common."""
    arm, differences = scores.arm(result.arm), list[Difference | None]()
    for control in scores.controls_of(arm, result.condition):
        pair = paired(scores, arm, control, result.condition, result.metric) if control.name != arm.name else None
        if pair is not None:
            higher = higher_is_better(result.metric)
            differences.append(difference(minus(*pair), higher_is_better=higher, alpha=scores.alpha))
    results = [replace(result, difference=other, control_gain=None) for other in differences if other is not None]
    # Of several controls, the hardest to exceed.
    return verdicts.by_gain(results)[-1] if results else None
