"""What may be said of one comparison: gain, loss or neither, and the words for its size and its sample."""

from __future__ import annotations

from collections.abc import Sequence

from drnbench.evaluation import metrics
from drnbench.render import text
from drnbench.results.scores import Condition, Scores
from drnbench.results.statistics import STAR_SEEDS, Difference
from drnbench.results.summary import Result, Results


def effect(d: Difference, metric: str) -> int:
    """Return +1 where the whole interval is a gain, -1 where it is a loss, 0 where it holds zero or is missing."""
    if d.low is None or d.high is None:
        return 0
    # As printed: a bound that reads 0.000 is no gain.
    decimals = text.style(metric).delta_decimals
    if round(d.low, decimals) <= 0 <= round(d.high, decimals):
        return 0
    return 1 if (d.low > 0) == text.style(metric).higher_is_better else -1


def sign(result: Result) -> int:
    """Return what may be said of an arm: by its star where one can be had, else by its interval."""
    d = result.difference
    assert d is not None
    if d.seeds >= STAR_SEEDS and result.p_holm is not None:
        return {"better": 1, "worse": -1, "": 0}[result.verdict]
    return effect(d, result.metric)


def amount(result: Result) -> str:
    """Write a difference with its unit and interval."""
    assert result.difference is not None
    return text.delta(result.difference, result.metric)


def sample(d: Difference) -> str:
    """Write how many seeds and images a difference has."""
    if d.level == "method":
        return f"{text.count(d.seeds, 'seed')}, {text.count(d.images, 'image')}"
    return f"one seed, so these checkpoints only, {text.count(d.images, 'image')}"


def samples(found: Sequence[Difference]) -> str:
    """Write how many seeds and images several differences have."""
    if len({(d.seeds, d.images, d.level) for d in found}) == 1:
        return sample(found[0])
    return f"{text.span([d.seeds for d in found], 'seed')}, {text.span([d.images for d in found], 'image')}"


def caution(others: Sequence[Result]) -> str:
    """Return what limits every claim on these arms: one seed, or two."""
    most = max(r.difference.seeds for r in others if r.difference)
    if most < 2:
        return " One seed: these are differences of checkpoints, not of methods."
    return "" if most >= STAR_SEEDS else " Two seeds: judged by intervals, not tested."


def where(condition: str, metric: str) -> str:
    """Write a condition, and the metric where it is not the field's usual one."""
    return condition if metric == "psnr_y" else f"{condition} in {text.style(metric).label}"


def below_reference(scores: Scores, results: Results, condition: Condition, metric: str) -> str | None:
    """Return the reference that no trained arm reaches on a condition; None where one does, or where that means nothing.

    LR consistency is high for a blurred image, so only metrics that look at HR tell whether a network is trained.
    """
    if "hr" not in metrics.get(metric).needs:
        return None
    direction = 1 if text.style(metric).higher_is_better else -1
    shown = [r for r in results.values() if (r.condition, r.metric) == (condition, metric) and r.mean is not None]
    reference = [r for r in shown if scores.arm(r.arm).kind == "reference"]
    trained = [direction * r.mean for r in shown if not scores.arm(r.arm).seedless and r.mean is not None]
    if not reference or not trained or reference[0].mean is None:
        return None
    return reference[0].arm if max(trained) < direction * reference[0].mean else None
