"""Differences in words: groups of verdicts, equivalence within a margin, and what an interval is too wide to show."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from drnbench.outputs import verdicts
from drnbench.outputs.verdicts import amount, interval_verdict, moved, tested, verdict_of
from drnbench.render import text
from drnbench.results import labels
from drnbench.results.scores import Arm, Condition, Scores
from drnbench.results.statistics import Equivalence, Verdict
from drnbench.results.summary import Result

Name = Callable[[Result], str]
"""The arm, or the cell, of a result in words."""
NAMED = 4
"""So many arms are named one by one; of more, the first ones."""
VERDICTS: tuple[Verdict, ...] = ("better", "worse", "")


def compared(column: Iterable[Result | None]) -> list[Result]:
    """Return the results with a tested difference that is not the one declared in advance, which has its own sentence."""
    return [result for result in column if result is not None and tested(result) and not result.primary]


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
    judged = verdicts.compare(column).judged
    if len(judged) == 1:
        result = judged[0]
        return f"{name(result)} {moved(result, verdict_of(result))}{_alone(result)}"
    groups = {verdict: [result for result in judged if verdict_of(result) == verdict] for verdict in VERDICTS}
    if len(groups[""]) == len(judged):
        return f"none of {len(judged)} differs significantly{_margins(judged, name)}"
    parts = []
    for verdict, extreme, end in (("worse", "worst ", groups["worse"][-1:]), ("better", "best ", groups["better"][:1])):
        parts += [
            f"{sum(verdict_of(r) == verdict for r in judged)} of {len(judged)} {verdict} "
            f"({extreme if len(groups[verdict_of(result)]) > 1 else ''}{name(result)} with {amount(result)})"
            for result in end
        ]
    if rest := len(groups[""]):
        parts.append(f"{rest} without a significant difference")
    return "; ".join(parts) + _margins(judged, name)


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
    arms = [arm.name for arm in oracles(scores) if not (scores.oracle_kernels and arm.kind == "grid")]
    if not arms:
        return []
    subject = f"{labels.listing(arms, NAMED)} {'is an oracle' if len(arms) == 1 else 'are oracles'}"
    return [f"{subject}: trained on pairs under a kernel that the study takes as unknown."]


def equal_to_hr(results: Iterable[Result]) -> list[str]:
    """Return which arms equal HR on every image of a condition: they have an infinite score and no difference."""
    conditions: dict[Condition, dict[str, None]] = {}
    for result in results:
        if result.equals_hr:
            conditions.setdefault(result.condition, {})[result.arm] = None
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
    """Return for which arms nothing is shown, as their intervals are wider than the gain of the positive control.

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
        decided = interval_verdict(result) or verdict_of(result) or result.equivalence in ("equivalent", "not worse")
        if not decided and gain is not None and (half is None or half > gain):
            shown.append(result)
            exceeded.add(gain)
    if not shown:
        return ""
    style = text.style(shown[0].metric)
    size = f" of {text.number(exceeded.pop(), style.delta_decimals)}{style.unit}" if len(exceeded) == 1 else ""
    half = half_width(shown[0]) if len(shown) == 1 else None
    width = f" (±{text.number(half, style.delta_decimals)}{style.unit})" if half is not None else ""
    each = "its interval is" if len(shown) == 1 else "their intervals are"
    subject = f"For {names(shown, name)} nothing is shown"
    return f"{subject}: {each} wider{width} than the control's gain{size}."


def _alone(result: Result) -> str:
    words = equivalence(result)
    return f", {words}{_won(result)}" if words else ""


def _margins(judged: Sequence[Result], name: Name) -> str:
    declared = _decidable(judged)
    return f"; {_groups(declared, name)}" if declared else ""


def _decidable(judged: Sequence[Result]) -> list[Result]:
    """Return the tested results with a margin; a significant difference that is not within it needs no more words."""
    return [r for r in judged if tested(r) and r.equivalence and not (verdict_of(r) and r.equivalence != "equivalent")]


def _groups(declared: Sequence[Result], name: Name) -> str:
    size = margin(declared[0])
    words: dict[Equivalence, str] = {
        "equivalent": f"equivalent within {size}",
        "not worse": f"not worse by more than {size}",
        "undecided": f"undecided within {size}",
    }
    groups = {kind: [result for result in declared if result.equivalence == kind] for kind in words}
    return ", ".join(f"{len(group)} {words[kind]} ({names(group, name)})" for kind, group in groups.items() if group)


def _won(result: Result) -> str:
    return f" (better on {100 * result.difference.won:.0f} % of images)" if result.difference else ""
