"""Sentence on D, or on the kernel of a zero-shot method: its distance from the true degradation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drnbench.models import methods
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
    name = _name(scores, scored)
    if len(scored) == 1:
        return f"{name} is within {errors[0]} gray levels of the true degradation ({sizes})."
    low, high = (_number(result) for result in (scored[0], scored[-1]))
    listed = ", ".join(errors) if len(errors) <= NAMED else f"from {errors[0]} to {errors[-1]}"
    return f"{name} is within {low} to {high} gray levels of the true degradation ({sizes}): {listed}."


def kernel_kind(config: Mapping[str, Any]) -> str:
    """Return the name of the kernel of a trial, by how it comes to be: `learned D`, `estimated kernel`.

    Args:
        config: fields of the trial; one without stages is fitted to each test image, and trains no D.
    """
    stages = config.get("stages") or []
    if not stages:
        method, options = config.get("method"), dict[str, Any]()
        if methods.is_fitted(method):
            options = methods.resolve(str(method), config["scale"], config.get("model") or {}).options
        return f"{options.get('kernel', 'estimated')} kernel"
    dual = stages[-1].get("unpaired_dual") or stages[-1].get("dual")
    return {"estimated": "estimated D", "known": "known D"}.get(dual, "learned D")


def _name(scores: Scores, scored: list[Result]) -> str:
    """Return `D`, `The estimated kernel`, or both where results are of both."""
    kinds = dict.fromkeys(kernel_kind(scores.arm(result.arm).config or {}) for result in scored)
    names = dict.fromkeys("D" if kind.endswith("D") else f"the {kind}" for kind in kinds)
    name = " or ".join(names)
    return name[0].upper() + name[1:]


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
