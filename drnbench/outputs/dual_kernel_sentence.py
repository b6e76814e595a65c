"""Sentence on the learned D: its distance from the true degradation."""

from __future__ import annotations

from drnbench.outputs.cell_sentences import NAMED, context
from drnbench.render import text
from drnbench.results.scores import Scores
from drnbench.results.summary import Result, Results


def sentence(scores: Scores, results: Results, metric: str) -> str:
    """Return the mean absolute difference between D(HR) and the true LR image; empty where no D was examined.

    Args:
        scores: of the study.
        results: of the study.
        metric: the one that compares D with the true degradation.

    """
    scored = _scored(scores, results, metric)
    if not scored:
        return ""
    sizes = text.sample([r.n_seeds for r in scored], [r.n_images for r in scored])
    errors = [_error(scores, result, scored) for result in scored]
    if len(scored) == 1:
        return f"D is within {errors[0]} gray levels of the true degradation ({sizes})."
    low, high = (_number(result) for result in (scored[0], scored[-1]))
    listed = ", ".join(errors) if len(errors) <= NAMED else f"from {errors[0]} to {errors[-1]}"
    return f"D is within {low} to {high} gray levels of the true degradation ({sizes}): {listed}."


def _scored(scores: Scores, results: Results, metric: str) -> list[Result]:
    """Return the first such result of every arm of the grid that the question is about, the smallest first."""
    arms = scores.subject if scores.plan.subject else scores.arms
    scored = []
    for arm in (arm for arm in arms if arm.kind == "grid"):
        condition = next((c for c in arm.conditions if metric in scores.metrics[c]), None)
        result = results.get((arm.name, condition, metric)) if condition else None
        if result is not None and result.mean is not None:
            scored.append(result)
    return sorted(scored, key=lambda result: result.mean or 0.0)


def _error(scores: Scores, result: Result, among: list[Result]) -> str:
    half = (
        "" if result.half_width is None else f" ± {text.number(result.half_width, text.style(result.metric).decimals)}"
    )
    cell = context(scores, scores.arm(result.arm), [scores.arm(other.arm) for other in among])
    return f"{_number(result)}{half}" + (f" for {cell}" if cell else "")


def _number(result: Result) -> str:
    return text.number(result.mean or 0.0, text.style(result.metric).decimals)
