"""Captions of tables: what a reader must know to trust one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from drnbench.evaluation import metrics as known
from drnbench.outputs import search_summary
from drnbench.render import text
from drnbench.results import labels
from drnbench.results.scores import Condition, Scores
from drnbench.results.statistics import STAR_SEEDS, Difference
from drnbench.results.summary import Result


def caption(scores: Scores, seen: list[Result], *, by_scale: bool = False, extra: Iterable[str] = ()) -> str:
    """Return what was measured, how, and what a star means; `extra` sentences stand before the protocol."""
    plan, there = scores.plan, [r for r in seen if r.n_seeds]
    scales = sorted({r.condition.scale for r in seen})
    sets = list(dict.fromkeys(r.condition.dataset for r in seen))
    parts = [plan.question or f"Study {plan.study}."]
    parts.append(
        f"Scores on {', '.join(sets)}" + ("" if by_scale else f" at {', '.join(f'×{s}' for s in scales)}") + "."
    )
    parts += search_summary.caption(scores)
    parts += unfinished(scores)
    if any(r.half_width is not None for r in there):
        parts.append("Mean ± 95 % half-width (t interval over the seeds' test-set means).")
    parts += _statistics(scores, there)
    trained = [r.n_seeds for r in there if not scores.arm(r.arm).seedless]
    sizes = [text.span(trained, "seed")] if trained else []
    counted = [r.n_images for r in there if r.n_images]
    sizes += [text.span(counted, "image")] if counted else []
    parts.append(f"{', '.join([*sizes, 'profile ' + plan.profile])}.")
    if any(e.left_out for e in there):
        told = {f"{r.left_out} of {r.arm} on {r.condition.label}" for r in there if r.left_out}
        parts.append(f"Infinite values (SR equal to HR) are left out: {'; '.join(sorted(told))}.")
    parts += left_out(scores)
    if text.reduces_pairs(scores):
        parts.append("Pairs get fewer as ρ grows: each batch of B holds (1−ρ)B pairs.")
    parts += specs({r.condition: None for r in seen})
    parts += ready(scores)
    parts += extra
    parts += measured(scores, {r.metric for r in seen}, scales)
    return " ".join(part for part in parts if part)


def measured(scores: Scores, metrics: set[str], scales: list[int]) -> list[str]:
    """Return how images are compared: the protocol where PSNR or SSIM is shown, and what other metrics are."""
    others = [f"{known.get(m).label}: {known.get(m).summary}." for m in sorted(metrics) if not known.get(m).kind]
    return [*others, *protocol(scores, metrics, scales)]


def unfinished(scores: Scores) -> list[str]:
    """Say so where trials are still to come."""
    done, planned = scores.counts
    if done == planned:
        return []
    return [f"Unfinished: {done} of {text.count(planned, 'trial')} so far; stars may change."]


def protocol(scores: Scores, metrics: set[str], scales: list[int]) -> list[str]:
    """Return the sentence on how PSNR and SSIM are measured; nothing where neither is shown."""
    scale = scales[0] if len(scales) == 1 else None
    sentence = scores.plan.protocol.caption([known.get(m) for m in sorted(metrics)], scale)
    return [sentence.rstrip(".") + "."] if sentence else []


def interval_method(differences: Iterable[Difference]) -> str:
    """Return the method of the intervals of a figure: what they speak of depends on the seeds."""
    if any(d.level == "method" for d in differences):
        return "crossed seed-by-image t"
    return "t over images, these checkpoints only"


def specs(conditions: Iterable[Condition]) -> list[str]:
    """Return the full specs of the kernels that the heads shorten."""
    short = {kernel: labels.kernel(kernel) for kernel in dict.fromkeys(condition.kernel for condition in conditions)}
    told = [f"{label} is {spec}" for spec, label in short.items() if label != spec]
    return [f"Kernels: {'; '.join(told)}."] if told else []


def ready(scores: Scores) -> list[str]:
    """Return a sentence on ready-made LR images: their kernel is what the study says, not what was done to them."""
    sets = [
        data
        for trial in scores.plan.trials
        for config in [trial.config or {}]
        for data in [*config.get("evaluate", []), *_trained_on(config)]
        if data.get("lr")
    ]
    told = dict.fromkeys(f"{data['lr']} ({data['source']}, said to be {data['kernel']})" for data in sets)
    return [f"Ready-made LR images, not made here: {'; '.join(told)}."] if told else []


def _trained_on(config: dict[str, Any]) -> list[dict[str, Any]]:
    stages = config.get("stages", [])
    return [data for stage in stages for data in (stage["data"], stage.get("unpaired")) if data]


def left_out(scores: Scores) -> list[str]:
    """Return a sentence for each reason why the study leaves cells out."""
    out: dict[str, list[str]] = {}
    for arm in scores.arms:
        for reason in dict.fromkeys(reason for _, reason in arm.excluded):
            seeds = [str(seed) for seed, why in arm.excluded if why == reason]
            cell = f"{arm.name}, seed {' and '.join(seeds)}" if arm.trials else arm.name
            out.setdefault(reason, []).append(cell)
    return [f"Left out: {', '.join(cells)} ({reason.rstrip('.')})." for reason, cells in out.items()]


def _statistics(scores: Scores, there: list[Result]) -> list[str]:
    if scores.baseline is None:
        return ["Bold: best arm of a column that was trained here."]
    found = [r.difference for r in there if r.difference is not None]
    base = scores.baseline_label
    parts = [f"Δ: mean paired difference to {base}"]
    levels = {d.level for d in found}
    if levels == {"checkpoints"}:
        parts[0] += (
            " with its 95 % t interval over images: one seed, so it speaks of these checkpoints and not of the methods."
        )
    elif found:
        parts[0] += " with its 95 % interval (crossed seed-by-image random-effects t)."
        if "checkpoints" in levels:
            parts.append("Arms with one common seed: t interval over images, these checkpoints only.")
    else:
        parts[0] += "."
    stars = [r for r in there if r.p_holm is not None and r.difference and r.difference.seeds >= STAR_SEEDS]
    if stars:
        parts.append("* better, † worse than it: Holm-adjusted p < 0.05 within a column.")
    elif found:
        parts.append(f"Under {STAR_SEEDS} seeds nothing is starred.")
    if any(scores.arm(r.arm).seedless and r.difference for r in there):
        parts.append("What is not trained here has no seeds and is not tested.")
    return [*parts, "Bold: best arm of a column that was trained here."]
