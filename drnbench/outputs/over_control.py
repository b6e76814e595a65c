"""Sentence on arms that exceed the positive control, which is declared as the most that could be gained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from drnbench.outputs import verdicts
from drnbench.outputs.wording import Name, names
from drnbench.render import text
from drnbench.results.scores import Scores
from drnbench.results.statistics import Difference, difference, direction, holm
from drnbench.results.summary import Result, higher_is_better, minus, paired


def over_control(scores: Scores, judged: Sequence[Result], name: Name) -> list[str]:
    """Return which arms are significantly better than the positive control of theirs; [] where none is.

    Args:
        scores: of the study.
        judged: results of arms, one an arm.
        name: of a result's arm.

    """
    compared = [other for result in judged if (other := _against_control(scores, result))]
    ps = [result.difference.p for result in compared if result.difference]
    adjusted = zip(compared, holm([1.0 if p is None else p for p in ps]), strict=True)
    above = [
        result
        for result, p in adjusted
        if direction(result.difference, p, higher_is_better=higher_is_better(result.metric)) == "better"
    ]
    if not above:
        return []
    most = verdicts.by_gain(above)[0]
    correction = f" after Holm's correction over {text.count(len(ps), 'arm')}" if len(ps) > 1 else ""
    size = verdicts.moved(most, "better").partition(" ")[2].removeprefix("by ")
    what = "exceeds the positive control by" if len(above) == 1 else "exceed the positive control, the first one by"
    subject = f"{names(verdicts.by_gain(above), name)} {what} {size}{correction}"
    return [f"{subject}: the control is not the most that could be gained."]


def _against_control(scores: Scores, result: Result) -> Result | None:
    """Return the result with its difference to the best control of its arm; None where they have none in common."""
    arm, differences = scores.arm(result.arm), list[Difference | None]()
    for control in scores.controls_of(arm, result.condition):
        pair = paired(scores, arm, control, result.condition, result.metric) if control.name != arm.name else None
        if pair is not None:
            higher = higher_is_better(result.metric)
            differences.append(difference(minus(*pair), higher_is_better=higher, alpha=scores.alpha))
    results = [replace(result, difference=other) for other in differences if other is not None]
    # Of several controls, the hardest to exceed.
    return verdicts.by_gain(results)[-1] if results else None
