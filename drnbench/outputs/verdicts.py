"""Verdicts on comparisons, and the words for their size, their sample and their limits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from drnbench.evaluation import metrics
from drnbench.render import text
from drnbench.results import labels
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
NAMED = 4
"""So many arms are named one by one; of more, the first ones."""
NUMBERS = {1: "one seed", 2: "two seeds"}
Kind = Literal["better", "worse", "", "constant", "equal", "untested"]
"""What a difference is: tested with its verdict, without variance (the same everywhere, or none at all), or not tested."""

KINDS: tuple[Kind, ...] = ("better", "worse", "", "constant", "equal", "untested")


@dataclass(frozen=True)
class Comparison:
    """Arms that are compared with their baselines, the largest gain first.

    Attributes:
        judged: results with a difference: those of several seeds and images where there are any, else all.
        unjudged: the other results with a difference, which say nothing of a method.
        limits: sentences on what limits every claim.

    """

    judged: tuple[Result, ...]
    unjudged: tuple[Result, ...]
    limits: tuple[str, ...]

    def of(self, kind: Kind) -> list[Result]:
        """Return the arms of one kind."""
        return [result for result in self.judged if kind_of(result) == kind]


def compare(results: Iterable[Result]) -> Comparison:
    """Classify results, at least one of which has a difference.

    Arms with two seeds among others with more are judged, and counted: no star is theirs to earn.
    """
    compared = [(result, result.difference) for result in results if result.difference]
    several = [(result, difference) for result, difference in compared if not _untestable(result)]
    judged = by_gain([result for result, _ in several or compared])
    limits = []
    if several:
        few = sum(difference.seeds < STAR_SEEDS for _, difference in several)
        if few == len(several):
            limits.append(TWO_SEEDS)
        elif few:
            limits.append(f"{text.count(few, 'arm')} with two seeds: not starred.")
    elif all(result.seedless for result, _ in compared):
        limits.append("Untrained methods have no seeds: these are differences on these images.")
    elif all(difference.seeds == 1 for _, difference in compared):
        limits.append("One seed: these are differences between checkpoints, not between methods.")
    if all(difference.images == 1 for _, difference in compared):
        limits.append("One test image: these are differences on this image, not of the methods.")
    unjudged = [result for result, _ in compared if several and _untestable(result)]
    return Comparison(tuple(judged), tuple(unjudged), tuple(limits))


def not_tested(unjudged: Sequence[Result], name: Callable[[Result], str]) -> list[str]:
    """Return clauses on arms that are not tested among others that are: `ρ=1 is not tested (one common seed)`."""
    groups: dict[str, list[Result]] = {}
    for result in unjudged:
        groups.setdefault(_untestable(result), []).append(result)
    return [
        f"{labels.listing(list(map(name, group)), NAMED)} {'is' if len(group) == 1 else 'are'} not tested ({why})"
        for why, group in groups.items()
    ]


def kind_of(result: Result) -> Kind:
    """Return what a difference is; one without variance is that at any number of seeds, if it is no difference."""
    difference = result.difference
    if difference is not None and difference.equal:
        return "equal"
    if _untestable(result):
        return "untested"
    return "constant" if difference is not None and difference.constant else result.claim


def testable(result: Result) -> bool:
    """Return True if a difference has the seeds and images of a test, whether it varies or not."""
    return not _untestable(result)


def tested(result: Result) -> bool:
    """Return True if a difference is tested: it has several seeds and images, and varies."""
    return kind_of(result) in ("better", "worse", "")


def judged_alone(result: Result) -> bool:
    """Return True if a difference has the seeds and images without which neither a control nor equality is judged."""
    difference = result.difference
    return difference is not None and difference.level == "method" and difference.seeds >= STAR_SEEDS


def why_untested(results: Iterable[Result]) -> str:
    """Write why some results are not tested: `one common seed`, `one common seed and one test image`."""
    return labels.listing(list(dict.fromkeys(filter(None, map(_untestable, results)))) or ["no difference"])


def why_not_judged(results: Iterable[Result]) -> str:
    """Write why controls or equality are not judged: `two seeds`, `one seed and one test image`."""
    reasons: dict[str, None] = {}
    for result in results:
        if (difference := result.difference) and not judged_alone(result):
            few = NUMBERS.get(difference.seeds, ""), "one test image" if difference.images == 1 else ""
            reasons |= dict.fromkeys(filter(None, few))
    return labels.listing(list(reasons) or ["no difference"])


def _untestable(result: Result) -> str:
    """Write why a difference cannot be tested; empty where it can, or could if it varied."""
    difference = result.difference
    if difference is None or result.seedless:
        return "untrained" if result.seedless else "no difference"
    few = ["one common seed"] * (difference.seeds == 1) + ["one test image"] * (difference.images == 1)
    return labels.listing(few) if few else ""


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


def corrected(results: Iterable[Result]) -> bool:
    """Return True if tests of some results are adjusted together with others."""
    return any(result.family > 1 for result in results if tested(result) and not result.primary)


def adjusted(
    results: Results, judged: Iterable[Result], controls: Iterable[Result] = (), confidence: str = ""
) -> list[str]:
    """Return that the verdicts on some arms are adjusted together, and over how many tests; [] where they are not.

    Args:
        results: of every arm, condition and metric.
        judged: results of these arms.
        controls: results of the positive controls, which their intervals alone judge.
        confidence: the level of these intervals in words.

    """
    arms = {result.arm for result in judged}
    every = [result for result in results.values() if result.arm in arms]
    if not corrected(every):
        return []
    size = max(result.family for result in every)
    control = f", that on the control by its own {confidence} interval" if any(map(judged_alone, controls)) else ""
    return [f"Verdicts are after Holm's correction over {text.count(size, 'difference')}{control}."]


def correction(results: Iterable[Result]) -> str:
    """Write ` after Holm's correction` where tests are adjusted together; else nothing."""
    return " after Holm's correction" if corrected(results) else ""


def amount(result: Result) -> str:
    """Write a difference with its unit and interval."""
    assert result.difference is not None
    return text.delta(result.difference, result.metric)


def size(result: Result) -> str:
    """Write a difference with its unit."""
    assert result.difference is not None
    style = text.style(result.metric)
    return f"{text.signed(result.difference.mean, style.delta_decimals)}{style.unit}"


def described(result: Result, baseline: str = "") -> str:
    """Write what a difference is, as a predicate of the arm.

    It reads `gains +0.213 dB [+0.150, +0.270] against ρ=0`, `is not tested (one common seed) against ρ=0: +0.213 dB [...]`.
    """
    against, kind = f" against {baseline}" if baseline else "", kind_of(result)
    match kind:
        case "equal":
            return f"{f'equals {baseline}' if baseline else 'is equal'} on every seed and image"
        case "constant":
            to = f" from {baseline}" if baseline else ""
            return f"differs{to} by a constant {size(result)} on every seed and image, which leaves nothing to test"
        case "untested":
            return f"is not tested ({why_untested([result])}){against}: {amount(result)}"
        case "":
            return f"shows no significant difference{f' from {baseline}' if baseline else ''}: {amount(result)}"
    return f"{moved(result, kind)}{against}"


def moved(result: Result, verdict: Verdict) -> str:
    """Write a difference as the gain or the loss of a verdict: `gains +0.213 dB [...]`, `loses 0.497 dB [0.395, 0.599]`."""
    assert result.difference is not None
    d, style, share = result.difference, text.style(result.metric), of_control(result)
    if d.mean < 0:  # the verb says the sign
        low, high = (None if end is None else -end for end in (d.high, d.low))
        between = (
            ""
            if low is None or high is None
            else f" [{', '.join(text.number(x, style.delta_decimals) for x in (low, high))}]"
        )
        return f"{VERBS[verdict, style.higher_is_better]} {text.number(-d.mean, style.delta_decimals)}{style.unit}{between}{share}"
    return f"{VERBS[verdict, style.higher_is_better]} {amount(result)}{share}"


def of_control(result: Result) -> str:
    """Write a gain as a share of the positive control's: `, 56 % of the control's +0.660 dB`.

    Nothing where either is not one: a percentage of what may be zero means nothing.
    """
    share = result.of_control
    if share is None or result.claim != "better" or interval_verdict(result) != "better":
        return ""
    assert result.control_gain is not None
    style = text.style(result.metric)
    whole = f"{text.signed(result.control_gain, style.delta_decimals)}{style.unit}"
    return f", {100 * share:.0f} % of the control's {whole}"


def sample(results: Sequence[Result]) -> str:
    """Write how many seeds and images differences have."""
    differences = [result.difference for result in results if result.difference]
    if all(result.seedless for result in results):
        return f"no seeds, {text.span([d.images for d in differences], 'image')}"
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
