"""Positive controls: whether a gain is detected that should be there, in which metrics, and what follows where it is not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from drnbench.outputs.verdicts import NAMED, amount, interval_verdict, judged_alone, moved, tested, why_not_judged
from drnbench.render import text
from drnbench.results import labels
from drnbench.results.scores import Condition, Scores
from drnbench.results.summary import Result, Results

Status = Literal["is detected", "is not detected", "is not judged", "fails"]
NO_EVIDENCE = "Without a detected positive control, the absence of a significant difference is no evidence of equality."


def status(result: Result) -> Status:
    """Return what the difference of a positive control to its baseline shows, by its interval alone.

    That a gain is there is asked of the control before all others, so no family corrects it. It takes three seeds and two
    images, as stars do.
    """
    if not judged_alone(result):
        return "is not judged"
    verdict = interval_verdict(result)
    return "is detected" if verdict == "better" else "fails" if verdict == "worse" else "is not detected"


def stated(controls: Sequence[Result]) -> str:
    """Write the status that some controls share, with its reason: `is not judged (two seeds)`."""
    first = status(controls[0])
    return f"{first} ({why_not_judged(controls)})" if first == "is not judged" else first


def gain(result: Result) -> float | None:
    """Return the gain of a detected control, in the metric's unit; None where it is not detected."""
    return abs(result.difference.mean) if result.difference and status(result) == "is detected" else None


def other_metrics(scores: Scores, results: Results, controls: Sequence[Result]) -> str:
    """Write `; in SSIM-Y it is detected (+0.012 [...])` for each metric beside that of the given results; nothing without one.

    Args:
        scores: of the study.
        results: of every arm, condition and metric.
        controls: differences of the positive controls in the metric of the headline, at most one an arm and condition.

    """
    clauses = []
    for metric, column in _by_metric(scores, results, controls).items():
        groups: dict[str, list[Result]] = {}
        for result in column:
            groups.setdefault(stated([result]), []).append(result)
        if len(column) == 1:
            words = [f"it {state} ({amount(column[0])})" for state in groups]
        elif len(groups) == 1:
            words = [f"it {state} in {'both' if len(column) == 2 else f'all {len(column)}'} cells" for state in groups]
        else:
            words = [f"it {state} in {len(group)} of {len(column)} cells" for state, group in groups.items()]
        clauses.append(f"in {text.style(metric).label} {', '.join(words)}")
    return "".join(f"; {clause}" for clause in clauses)


def losses_elsewhere(scores: Scores, results: Results, spoken_of: Sequence[Result]) -> list[str]:
    """Return where positive controls lose on other test sets, which count their differences nowhere; [] where none does.

    Args:
        scores: of the study.
        results: of every arm, condition and metric.
        spoken_of: results of the controls on the test sets of the headline, which has sentences on these.

    """
    judged = {(result.arm, result.condition) for result in spoken_of}
    places: dict[tuple[str, Condition], list[Result]] = {}
    for result in results.values():
        place = result.arm, result.condition
        if place not in judged and scores.is_control(scores.arm(result.arm)) and status(result) == "fails":
            places.setdefault(place, []).append(result)
    arms = dict.fromkeys(arm for arm, _ in places)
    clauses = [
        f"{f'{arm} ' if len(arms) > 1 else ''}{labels.listing(list(map(_loss, cells)))} on {condition.label}"
        for (arm, condition), cells in places.items()
    ]
    by = f"By {'its' if len(arms) == 1 else 'their'} own {scores.confidence} interval{'s' * (len(arms) > 1)}"
    subject = f"the positive control{' loses' if len(arms) == 1 else 's lose'}"
    return [f"{by} {subject} {labels.listing(clauses, NAMED)}."] if clauses else []


def _loss(result: Result) -> str:
    return f"{moved(result, 'worse').partition(' ')[2].removeprefix('by ')} in {text.style(result.metric).label}"


def no_evidence(scores: Scores, results: Results, controls: Sequence[Result], judged: Sequence[Result]) -> list[str]:
    """Return in which metrics the absence of a significant difference shows nothing, as no control is detected in them.

    Args:
        scores: of the study.
        results: of every arm, condition and metric.
        controls: results of the positive controls, in one metric; empty where they have none.
        judged: results of the arms that the headline speaks of.

    """
    metrics = dict.fromkeys(metric for result in judged for metric in scores.metrics[result.condition])
    compared, undetected = [], []
    for metric in metrics:
        cells = [results.get((result.arm, result.condition, metric)) for result in judged]
        if any(cell is not None and tested(cell) for cell in cells):
            compared.append(metric)
            column = [results.get((control.arm, control.condition, metric)) for control in controls]
            detected = any(control is not None and gain(control) is not None for control in column)
            if not detected and any(cell is not None and tested(cell) and not cell.claim for cell in cells):
                undetected.append(text.style(metric).label)
    if not undetected:
        return []
    if len(undetected) == len(compared):
        return [NO_EVIDENCE]
    where = f" in {labels.listing(undetected)}"
    return [NO_EVIDENCE.replace(" control", f" control{where}").replace(" difference", f" difference{where}")]


def _by_metric(scores: Scores, results: Results, controls: Sequence[Result]) -> dict[str, list[Result]]:
    """Return the compared results of the same arms and conditions in every other metric."""
    columns: dict[str, list[Result]] = {}
    for control in controls:
        for metric in scores.metrics[control.condition]:
            result = results.get((control.arm, control.condition, metric))
            if metric != control.metric and result is not None and result.difference is not None:
                columns.setdefault(metric, []).append(result)
    return columns
