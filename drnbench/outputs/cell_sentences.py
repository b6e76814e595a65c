"""Sentences of a study whose question has an answer in each of several cells: networks, kernels, scales."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from drnbench.outputs import beyond_primary, failed_seeds, verdicts, wording
from drnbench.outputs.arm_sentences import NO_EVIDENCE, declared
from drnbench.outputs.over_control import over_control
from drnbench.outputs.verdicts import amount, control_verdict, moved, tested, verdict_of
from drnbench.render import text
from drnbench.results.scores import Arm, Scores
from drnbench.results.statistics import Verdict
from drnbench.results.summary import Result, Results

NAMED = 4
"""So many cells are named one by one; of more, the ends."""
NEITHER = "without a significant difference"


@dataclass(frozen=True)
class Controls:
    """The positive controls of some cells.

    Attributes:
        sentence: in which of them a control shows the gain that should be there; empty without a control.
        undetected: the cells, by arm, in which none does; empty without a control.
        gains: the largest detected gain of a control of each other cell, by arm.

    """

    sentence: str
    undetected: frozenset[str]
    gains: Mapping[str, float]


def cells(scores: Scores, results: Results) -> list[Result]:
    """Return the first evaluation of every arm of the subject, where it has something to be compared with.

    Untrained methods are references, and count only where there is nothing else.
    """
    compared = []
    for arm in scores.subject:
        condition = scores.primary_of(arm)
        result = results.get((arm.name, condition, scores.metrics[condition][0])) if condition else None
        if result is not None and result.difference is not None:
            compared.append(result)
    return [result for result in compared if not scores.arm(result.arm).seedless] or compared


def sentences(scores: Scores, results: Results) -> list[str]:
    """Return the sentences on the positive controls, on the cells, and on networks that are not trained enough."""
    compared = cells(scores, results)
    if not compared:
        yet = " yet" if failed_seeds.unfinished(scores) else ""
        return [f"No arm has scores to compare with {scores.baseline_label}{yet}."]
    controls = _controls(scores, results, compared)
    return [
        *declared(scores, results),
        controls.sentence,
        *_answer(scores, results, compared, controls),
        _below_reference(scores, results, compared),
    ]


def context(scores: Scores, arm: Arm, among: Sequence[Arm], skip: Sequence[str] = ()) -> str:
    """Return the axis values in which an arm differs from others: `network=S, kernel=bd`."""
    if arm.kind != "grid":
        return arm.name
    grid = [other for other in among if other.kind == "grid"]
    return ", ".join(
        f"{axis.title}={text.shown(arm.values[axis.path], axis.path)}"
        for axis in scores.axes
        if axis.path not in skip and len({repr(other.values[axis.path]) for other in grid}) > 1
    )


def _answer(scores: Scores, results: Results, compared: list[Result], controls: Controls) -> list[str]:
    """Return the sentence on all cells, and what limits and contradicts it."""
    comparison = verdicts.compare(compared)
    # The comparison that is declared in advance has its own sentence.
    judged = [result for result in comparison.judged if not result.primary] or list(comparison.judged)
    metrics = {result.metric for result in judged}
    shared = text.common([result.condition for result in judged])
    where = f" on {shared}" if shared else ""
    where = verdicts.in_metric(where, metrics.pop()) if len(metrics) == 1 else where
    sizes = verdicts.sample(judged)
    contrast = _contrast(scores, [scores.arm(result.arm) for result in judged])
    if len(judged) == 1:
        subject = contrast or f"{judged[0].arm} against {scores.baseline_label}"
        answer = f"{subject} {moved(judged[0], verdict_of(judged[0]))}{where} ({sizes})."
        if judged[0].primary:
            answer = ""
    else:
        subject = f"{contrast}," if contrast and where else contrast or f"Against {scores.baseline_label}"
        groups = [_group(scores, judged, verdict) for verdict in wording.VERDICTS]
        answer = f"{subject}{where} ({sizes}): {'; '.join(group for group in groups if group)}."
    arms = [scores.arm(result.arm) for result in comparison.judged]

    def name(result: Result) -> str:
        return context(scores, scores.arm(result.arm), arms) or contrast or result.arm

    return [
        answer,
        *over_control(scores, [result for result in comparison.judged if result.arm in controls.gains], name),
        wording.equivalence_sentence(wording.compared(judged), scores.baseline_label, name),
        *beyond_primary.other_metrics(scores, results, comparison.judged, name),
        *_no_evidence(scores, comparison, controls),
        wording.nothing_shown(comparison.judged, lambda result: controls.gains.get(result.arm), name),
        *comparison.limits,
        *beyond_primary.other_test_sets(scores, results, comparison.judged, name),
        *beyond_primary.all_test_sets(scores, comparison.judged, name),
        *verdicts.adjusted(comparison.judged),
    ]


def _contrast(scores: Scores, arms: Sequence[Arm]) -> str:
    """Return `dual on against off`, where all arms differ from their baselines in the same way; else nothing."""
    if any(arm.kind != "grid" for arm in arms):
        return ""
    parts = []
    for axis in scores.axes:
        if axis.path not in scores.compared_on:
            continue
        path, base = axis.path, scores.compared_on[axis.path]
        values = {repr(arm.values[path]) for arm in arms}
        if values == {repr(base)}:
            continue
        if len(values) > 1:
            return ""
        value = arms[0].values[path]
        joint = " " if isinstance(value, str) else "="
        parts.append(f"{axis.title}{joint}{text.shown(value, path)} against {text.shown(base, path)}")
    return " and ".join(parts)


def _group(scores: Scores, judged: Sequence[Result], verdict: Verdict) -> str:
    """Write `1 of 2 better (network=S with ...)`; nothing where no cell has the verdict."""
    group, total = [result for result in judged if verdict_of(result) == verdict], len(judged)
    if not group:
        return ""
    head = _count(len(group), total, verdict) if any(map(tested, judged)) else "not tested, with one test image"
    one_metric = len({result.metric for result in judged}) == 1
    arms = [scores.arm(result.arm) for result in judged]

    def sized(result: Result) -> str:
        cell = context(scores, scores.arm(result.arm), arms) or result.condition.label
        return f"{cell} with {amount(result)}" + ("" if one_metric else f" {text.style(result.metric).label}")

    if total <= NAMED or len(group) == 1:
        return f"{head} ({', '.join(sized(result) for result in group)})"
    return f"{head} (best {sized(group[0])}; worst {sized(group[-1])})"


def _count(count: int, total: int, verdict: Verdict) -> str:
    if count < total:
        return f"{count} of {total} {verdict or NEITHER}"
    if verdict:
        return f"{'both' if total == 2 else f'all {total}'} {verdict}"
    return f"{'neither' if total == 2 else f'none of {total}'} differs significantly"


def _no_evidence(scores: Scores, comparison: verdicts.Comparison, controls: Controls) -> list[str]:
    """Return what cells without a significant difference do not show, where their control is not detected."""
    neither = [result for result in comparison.of("") if tested(result)]
    undetected = [result for result in neither if result.arm in controls.undetected]
    if not undetected:
        return []
    if len(undetected) == len(neither):
        return [NO_EVIDENCE]
    arms = [scores.arm(result.arm) for result in comparison.judged]
    names = ", ".join(context(scores, scores.arm(result.arm), arms) for result in undetected[:NAMED])
    names += f" and {len(undetected) - NAMED} more" if len(undetected) > NAMED else ""
    return [f"The positive control is not detected for {names}: no evidence of equality there."]


def _controls(scores: Scores, results: Results, compared: list[Result]) -> Controls:
    """Return what the positive controls of all cells say."""
    if scores.control is None:
        return Controls("", frozenset(), {})
    shown: dict[tuple[object, ...], Result] = {}
    gains: dict[str, float] = {}
    for cell in compared:
        controls = scores.controls_of(scores.arm(cell.arm), cell.condition)
        column = [results.get((arm.name, cell.condition, cell.metric)) for arm in controls]
        scored = [result for result in column if result is not None and result.difference is not None]
        shown |= {(result.arm, result.condition): result for result in scored}
        detected = [abs(r.difference.mean) for r in scored if r.difference and control_verdict(r) == "better"]
        if detected:
            gains[cell.arm] = max(detected)
    undetected = frozenset(cell.arm for cell in compared if cell.arm not in gains)
    return Controls(_control_sentence(scores, list(shown.values())), undetected, gains)


def _control_sentence(scores: Scores, shown: Sequence[Result]) -> str:
    name = _control_name(scores)
    if not shown:
        return f"The positive control {name} {failed_seeds.no_scores(scores)}."
    detected = [result for result in shown if control_verdict(result) == "better"]
    rest = [result for verdict in ("", "worse") for result in shown if control_verdict(result) == verdict]
    if not detected:
        return (
            f"The positive control is not {'detected' if any(map(tested, rest)) else 'tested'}: {name} differs by "
            f"{_ends(scores, rest, shown)} from its baseline."
        )
    one_seed = all(result.difference.level == "checkpoints" for result in detected if result.difference)
    status = "seems, with one seed, to be detected" if one_seed else "is detected"
    many = f" in {len(detected)} of {len(shown)} cells" if len(shown) > 1 else ""
    sentence = f"The positive control {status}{many}: {name} gains {_ends(scores, detected, shown)}"
    return f"{sentence}; not detected: {_ends(scores, rest, shown)}." if rest else f"{sentence}."


def _control_name(scores: Scores) -> str:
    assert scores.control is not None
    axes = {axis.path: axis for axis in scores.axes}
    values = [
        repr(value) if axes[path].named else f"{axes[path].title}={text.shown(value, path)}"
        for path, value in scores.plan.control_values.items()
    ]
    return ", ".join(values) or repr(scores.control.name)


def _ends(scores: Scores, group: Sequence[Result], shown: Sequence[Result]) -> str:
    """Write the differences of one or two controls; of more, the largest and the smallest."""
    ordered = verdicts.by_gain(group)
    arms = [scores.arm(result.arm) for result in shown]
    parts = []
    for result in ordered if len(ordered) <= 2 else (ordered[0], ordered[-1]):
        cell = context(scores, scores.arm(result.arm), arms, tuple(scores.plan.control_values))
        cell = cell or ("" if len(shown) == 1 else result.condition.label)
        parts.append(amount(result) + (f" for {cell}" if cell else ""))
    return (" to " if len(ordered) > 2 else " and ").join(parts)


def _below_reference(scores: Scores, results: Results, compared: list[Result]) -> str:
    """Return where no trained arm reaches the untrained reference: differences between failures mean little."""
    columns = list(dict.fromkeys((result.condition, result.metric) for result in compared))
    below = {
        column[0]: name
        for column in columns
        if (name := verdicts.below_reference(scores, results, *column)) is not None
    }
    if not below:
        return ""
    reason = "these are differences between undertrained networks."
    if len(below) == len(columns):
        return f"No trained arm reaches {'bicubic' if len(below) > 1 else next(iter(below.values()))}: {reason}"
    shown = ", ".join(condition.label for condition in list(below)[:NAMED])
    return f"On {shown}{' and more' if len(below) > NAMED else ''} no trained arm reaches bicubic: {reason}"
