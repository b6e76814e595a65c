"""Verdicts on comparisons, and the words for their size, their sample and their limits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from drnbench.evaluation import metrics
from drnbench.render import text
from drnbench.results.scores import Condition, Scores
from drnbench.results.statistics import STAR_SEEDS, Verdict
from drnbench.results.summary import Result, Results

VERBS: dict[tuple[Verdict, bool], str] = {
    ("better", True): "gains",
    ("worse", True): "loses",
    ("better", False): "improves by",
    ("worse", False): "worsens by",
}
"""(verdict, higher is better) -> verb before the size of a difference."""
TWO_SEEDS = "Two seeds: nothing is starred, and only what is clear after Holm's correction is named."


@dataclass(frozen=True)
class Comparison:
    """Arms that are compared with their baselines, the largest gain first.

    Attributes:
        judged: results with a difference.
        limits: sentences on what limits every claim.

    """

    judged: tuple[Result, ...]
    limits: tuple[str, ...]

    def of(self, verdict: Verdict) -> list[Result]:
        """Return the arms of one verdict."""
        return [result for result in self.judged if verdict_of(result) == verdict]


def compare(results: Sequence[Result]) -> Comparison:
    """Classify results, at least one of which has a difference.

    Among arms with several seeds, one with a single seed is counted and not judged: it says nothing of a method. Arms
    with two seeds among others with more are judged, and counted: no star is theirs to earn.
    """
    compared = [(result, result.difference) for result in results if result.difference]
    most = max(difference.seeds for _, difference in compared)
    judged = [result for result, difference in compared if difference.seeds > 1 or most < 2]
    few = sum(1 < difference.seeds < STAR_SEEDS <= most for _, difference in compared)
    limits = []
    if most < 2:
        limits.append("One seed: these are differences between checkpoints, not between methods.")
    elif most < STAR_SEEDS:
        limits.append(TWO_SEEDS)
    elif few:
        limits.append(f"{text.count(few, 'arm')} with two seeds: not starred.")
    if all(difference.images == 1 for _, difference in compared):
        limits.append("One test image: these are differences on this image, not of the methods.")
    if unjudged := len(compared) - len(judged):
        limits.append(f"{text.count(unjudged, 'more arm')} with one seed, not judged.")
    return Comparison(tuple(by_gain(judged)), tuple(limits))


def by_gain(results: Sequence[Result]) -> list[Result]:
    """Return results with a difference, the largest gain first."""
    return sorted(results, key=_gain, reverse=True)


def _gain(result: Result) -> float:
    if result.difference is None:
        return 0.0
    return result.difference.mean if text.style(result.metric).higher_is_better else -result.difference.mean


def interval_verdict(result: Result) -> Verdict:
    """Return the verdict by the interval alone: neither better nor worse where it holds zero or is missing."""
    difference, style = result.difference, text.style(result.metric)
    if difference is None or difference.low is None or difference.high is None:
        return ""
    # As printed: a bound that reads 0.000 is no gain.
    if round(difference.low, style.delta_decimals) <= 0 <= round(difference.high, style.delta_decimals):
        return ""
    return "better" if (difference.low > 0) == style.higher_is_better else "worse"


def verdict_of(result: Result) -> Verdict:
    """Return what a sentence may say of a difference: the star, or, with fewer seeds, its adjusted test at its own level.

    One test image shows nothing, whatever its seeds show.
    """
    return result.claim if tested(result) else ""


def tested(result: Result) -> bool:
    """Return True if a difference is of more than one test image, without which nothing is tested."""
    return result.difference is not None and result.difference.images > 1


def corrected(results: Iterable[Result]) -> bool:
    """Return True if tests of some results are adjusted together with others."""
    tests = [result for result in results if tested(result) and not result.primary]
    # Results of single checkpoints earn no star and name no family, but are adjusted all the same.
    return any(result.family > 1 for result in tests) or (len(tests) > 1 and not any(r.family for r in tests))


def adjusted(judged: Sequence[Result]) -> list[str]:
    """Return that verdicts are adjusted together, and over how many tests; [] where they are not."""
    if not corrected(judged):
        return []
    size = max(result.family for result in judged)
    over = f" over {text.count(size, 'difference')}" if size else ""
    return [f"Verdicts are after Holm's correction{over}."]


def correction(results: Iterable[Result]) -> str:
    """Write ` after Holm's correction` where tests are adjusted together; else nothing."""
    return " after Holm's correction" if corrected(results) else ""


def control_verdict(result: Result) -> Verdict:
    """Return the verdict on a positive control: with three seeds its interval, which is looked at alone.

    That a gain is there is asked of the control before all others, so no family corrects it. Fewer seeds, or one image,
    are held to the adjusted test: noise would often detect a control.
    """
    difference = result.difference
    alone = difference is not None and difference.level == "method" and difference.seeds >= STAR_SEEDS
    return interval_verdict(result) if alone else verdict_of(result)


def amount(result: Result) -> str:
    """Write a difference with its unit and interval."""
    assert result.difference is not None
    return text.delta(result.difference, result.metric)


def moved(result: Result, verdict: Verdict) -> str:
    """Write a difference as a gain or a loss: `gains +0.213 dB [+0.150, +0.270]`, `loses 0.497 dB [0.395, 0.599]`."""
    assert result.difference is not None
    d, style = result.difference, text.style(result.metric)
    if not verdict:
        return f"{'shows no significant difference' if tested(result) else 'is not tested'}: {amount(result)}"
    if d.mean < 0:  # the verb says the sign
        low, high = (None if end is None else -end for end in (d.high, d.low))
        between = (
            ""
            if low is None or high is None
            else f" [{', '.join(text.number(x, style.delta_decimals) for x in (low, high))}]"
        )
        return f"{VERBS[verdict, style.higher_is_better]} {text.number(-d.mean, style.delta_decimals)}{style.unit}{between}"
    return f"{VERBS[verdict, style.higher_is_better]} {amount(result)}"


def sample(results: Sequence[Result]) -> str:
    """Write how many seeds and images differences have."""
    differences = [result.difference for result in results if result.difference]
    if len({(d.seeds, d.images, d.level) for d in differences}) == 1 and differences[0].seeds == 1:
        return f"one seed, so these checkpoints only, {text.count(differences[0].images, 'image')}"
    return text.sample([d.seeds for d in differences], [d.images for d in differences])


def in_metric(condition: str, metric: str) -> str:
    """Write a condition with the metric: `Set5, bd ×4 in PSNR-Y`."""
    return f"{condition} in {text.style(metric).label}"


def below_reference(scores: Scores, results: Results, condition: Condition, metric: str) -> str | None:
    """Return the reference that no trained arm reaches on a condition; None where one does, or where that means nothing.

    LR consistency is high for a blurred image, so only metrics that look at HR tell whether a network is trained.
    """
    if "hr" not in metrics.get(metric).needs:
        return None
    sign = text.style(metric).sign
    column = [
        r
        for r in results.values()
        if (r.condition, r.metric) == (condition, metric) and r.mean is not None and r.images
    ]
    shared = sorted(frozenset.intersection(*(r.images for r in column))) if column else []
    if not shared:
        return None
    tables = {r.arm: scores.tables[r.arm, condition, metric] for r in column}
    means = {arm: sign * float(table[shared].to_numpy(dtype="float64").mean()) for arm, table in tables.items()}
    reference = next((name for name in means if scores.arm(name).kind == "reference"), None)
    trained = [mean for name, mean in means.items() if not scores.arm(name).seedless]
    if reference is None or not trained:
        return None
    return reference if max(trained) < means[reference] else None
