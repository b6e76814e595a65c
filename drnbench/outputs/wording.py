"""Differences in words: groups of verdicts, equivalence within a margin, and what an interval is too wide to show."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal

from drnbench.outputs import verdicts
from drnbench.outputs.verdicts import NAMED, amount, described, interval_verdict, judged_alone, kind_of
from drnbench.render import text
from drnbench.results import labels
from drnbench.results.scores import Arm, Condition, Scores
from drnbench.results.statistics import Equivalence
from drnbench.results.summary import Result

Name = Callable[[Result], str]
"""The arm, or the cell, of a result in words."""


def compared(column: Iterable[Result | None]) -> list[Result]:
    """Return the results with a difference that is not the one declared in advance, which has its own sentence."""
    return [result for result in column if result is not None and result.difference is not None and not result.primary]


def half_width(result: Result) -> float | None:
    """Return half of the width of the interval of a difference; None where there is no interval."""
    difference = result.difference
    if difference is None or difference.low is None or difference.high is None:
        return None
    return (difference.high - difference.low) / 2


def names(results: Sequence[Result], name: Name) -> str:
    """Write the first arms of some results, and how many more there are."""
    return labels.listing(list(map(name, results)), NAMED)


def tally(column: Sequence[Result], name: Name) -> str:
    """Write `1 of 5 worse (ρ=1 with −0.445 [...]); 4 without a significant difference`, losses first."""
    comparison = verdicts.compare(column)
    judged, rest = comparison.judged, verdicts.not_tested(comparison.unjudged, name)
    if len(judged) == 1:
        return "; ".join([f"{name(judged[0])} {described(judged[0])}{_alone(judged[0])}", *rest])
    groups = [_named(judged, word, name) for word in ("worse", "better")]
    neither, untested = comparison.of(""), comparison.of("untested")
    if untested:
        groups = [f"not tested ({verdicts.why_untested(untested)}): {ends(untested, name)}"]
    elif neither and len(neither) + len(comparison.of("equal")) == len(judged):
        groups = [f"none of {len(judged)} differs significantly"]
    elif neither:
        groups.append(f"{len(neither)} without a significant difference")
    return "; ".join([*filter(None, groups), *without_variance(judged, name)]) + "; ".join(
        [_margins(judged, name), *rest]
    )


def _named(judged: Sequence[Result], verdict: Literal["better", "worse"], name: Name) -> str:
    """Write `2 of 5 worse (worst ρ=1 with −0.445 [...])`; nothing where no arm has the verdict."""
    group = [result for result in judged if result.claim == verdict]
    if not group:
        return ""
    result = group[0] if verdict == "better" else group[-1]
    word = f"{superlative('best' if verdict == 'better' else 'worst', result)} " if len(group) > 1 else ""
    return f"{len(group)} of {len(judged)} {verdict} ({word}{sized(result, name)})"


def sized(result: Result, name: Name) -> str:
    """Write `ρ=1 with −0.445 dB [...]`, a gain also as a share of the positive control's."""
    return f"{name(result)} with {amount(result)}{verdicts.of_control(result)}"


def ends(ordered: Sequence[Result], name: Name) -> str:
    """Write the ends of some differences, the largest gain first: `best ρ=0.1 with ..., worst ρ=1 with ...`."""
    if len(ordered) == 1:
        return sized(ordered[0], name)
    best, worst = ordered[0], ordered[-1]
    return f"{superlative('best', best)} {sized(best, name)}, {superlative('worst', worst)} {sized(worst, name)}"


def superlative(word: Literal["best", "worst"], result: Result) -> str:
    """Return the word for an end of some differences: one that rounds to zero is neither good nor bad.

    As all others lie on one side of it, such an end is the closest to zero.
    """
    decimals = text.style(result.metric).delta_decimals
    zero = result.difference is not None and round(result.difference.mean, decimals) == 0
    return "closest to zero" if zero else word


def without_variance(judged: Sequence[Result], name: Name) -> list[str]:
    """Return clauses on the differences that are the same on every seed and image, so that there is nothing to test."""
    constant, equal = ([r for r in judged if kind_of(r) == kind] for kind in ("constant", "equal"))
    everywhere = "on every seed and image"
    clauses = []
    if constant:
        listed = labels.listing([f"{name(result)} by {verdicts.size(result)}" for result in constant], NAMED)
        clauses.append(f"{len(constant)} different by a constant {everywhere}, which leaves nothing to test ({listed})")
    if equal:
        count = "all" if 1 < len(equal) == len(judged) else str(len(equal))
        clauses.append(f"{count} equal {everywhere} ({names(equal, name)})")
    return clauses


def equivalences(columns: Mapping[str, Sequence[Result]], name: Name) -> str:
    """Write `; in PSNR-Y 3 equivalent within 0.05 dB (...), 1 undecided ...` of the metrics with a margin; else nothing."""
    parts = [(text.style(metric).label, _decidable(cells)) for metric, cells in columns.items()]
    return "".join(f"; in {label} {_groups(declared, name)}" for label, declared in parts if declared)


def oracles(scores: Scores) -> list[Arm]:
    """Return the oracles that are not declared as positive controls."""
    return [arm for arm in scores.arms if scores.is_oracle(arm) and not scores.is_control(arm)]


def oracle_sentence(scores: Scores) -> list[str]:
    """Return which arms are trained on what a user has not who does not know the kernel; [] where there is none.

    Of arms that a search selects, `search_summary.selection` speaks.
    """
    reasons: dict[str, list[str]] = {}
    for arm in oracles(scores):
        if not (scores.oracle_kernels and arm.kind == "grid"):
            reasons.setdefault(scores.oracle_reason(arm), []).append(text.arm_name(scores, arm.name))
    return [
        f"{labels.listing(arms, NAMED)} {'is an oracle' if len(arms) == 1 else 'are oracles'}: {reason}."
        for reason, arms in reasons.items()
    ]


def equal_to_hr(scores: Scores, results: Iterable[Result]) -> list[str]:
    """Return which arms equal HR on every image of a condition: they have an infinite score and no difference."""
    conditions: dict[Condition, dict[str, None]] = {}
    for result in results:
        if result.equals_hr:
            conditions.setdefault(result.condition, {})[text.arm_name(scores, result.arm)] = None
    sentences = []
    for condition, arms in conditions.items():
        subject = f"{labels.listing(list(arms), NAMED)} {'equals' if len(arms) == 1 else 'equal'} HR"
        sentences.append(
            f"{subject} on every image of {condition.label}: PSNR is infinite there, and has no difference."
        )
    return sentences


def margin(result: Result) -> str:
    """Write the margin of a result with its unit."""
    style = text.style(result.metric)
    return f"{result.margin:g}{style.unit}" if result.margin is not None else ""


def equivalence(result: Result, baseline: str = "the baseline") -> str:
    """Write what a result shows within the margin that the study declares; empty without one."""
    if not _decidable([result]):
        return ""
    words: dict[Equivalence, str] = {
        "equivalent": f"equivalent to {baseline} within {margin(result)}",
        "not worse": f"not worse by more than {margin(result)}",
        "undecided": f"undecided as to equivalence to {baseline} within {margin(result)}",
        "not judged": f"not judged as to equivalence within {margin(result)}: {verdicts.why_not_judged([result])}",
    }
    return words.get(result.equivalence, "")


def equivalence_sentence(judged: Sequence[Result], baseline: str, name: Name) -> str:
    """Return which arms are equivalent to the baseline within the declared margin; empty without one."""
    declared = _decidable(judged)
    if not declared:
        return ""
    if len(declared) == 1:
        subject, words = name(declared[0]), equivalence(declared[0], baseline)
        verb = "stays" if declared[0].equivalence == "undecided" else "is"
        return f"{subject} {verb} {words}{_won(declared[0])}."
    return f"Against {baseline}: {_groups(declared, name)}."


def nothing_shown(judged: Sequence[Result], gains: Callable[[Result], float | None], name: Name) -> str:
    """Return for which arms nothing is shown, as their intervals reach farther from the mean than the control gains.

    Args:
        judged: results of arms.
        gains: the gain of the control of an arm, in the metric's unit; None where no control is detected.
        name: of a result's arm.

    """
    shown: list[Result] = []
    exceeded = set[float]()
    for result in judged:
        half, gain = half_width(result), gains(result)
        # An interval on one side of zero shows a direction, starred or not.
        decided = interval_verdict(result) or result.claim or result.equivalence in ("equivalent", "not worse")
        if not decided and gain is not None and (half is None or half > gain):
            shown.append(result)
            exceeded.add(gain)
    if not shown:
        return ""
    style = text.style(shown[0].metric)
    size = f" of {text.number(exceeded.pop(), style.delta_decimals)}{style.unit}" if len(exceeded) == 1 else ""
    half = half_width(shown[0]) if len(shown) == 1 else None
    width = f" (±{text.number(half, style.delta_decimals)}{style.unit})" if half is not None else ""
    each = f"half the width of its interval{width} is" if len(shown) == 1 else "half the width of their intervals is"
    subject = f"For {names(shown, name)} nothing is shown"
    return f"{subject}: {each} more than the control's gain{size}."


def _alone(result: Result) -> str:
    words = equivalence(result)
    return f", {words}{_won(result)}" if words else ""


def _margins(judged: Sequence[Result], name: Name) -> str:
    declared = _decidable(judged)
    return f"; {_groups(declared, name)}" if declared else ""


def _decidable(judged: Sequence[Result]) -> list[Result]:
    """Return the results with a margin; a significant difference that is not within it needs no more words.

    Where nothing at all is tested, that is said once for differences and equality alike.
    """
    margins = [r for r in judged if r.equivalence and not (r.claim and r.equivalence != "equivalent")]
    return [r for r in margins if kind_of(r) != "untested"]


def _groups(declared: Sequence[Result], name: Name) -> str:
    size = margin(declared[0])
    groups: dict[str, list[Result]] = {}
    for kind, words in (
        ("equivalent", f"equivalent within {size}"),
        ("not worse", f"not worse by more than {size}"),
        ("undecided", f"undecided within {size}"),
    ):
        groups[words] = [result for result in declared if result.equivalence == kind]
    for result in declared:
        if not judged_alone(result):
            groups.setdefault(f"not judged within {size}: {verdicts.why_not_judged([result])}", []).append(result)
    return ", ".join(f"{len(group)} {words} ({names(group, name)})" for words, group in groups.items() if group)


def _won(result: Result) -> str:
    return f" (better on {100 * result.difference.won:.0f} % of images)" if result.difference else ""
