"""Sentences of a study whose question has an answer in each of several cells: networks, kernels, scales."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from drnbench.outputs import beyond_primary, controls, failed_seeds, uncompared, verdicts, wording
from drnbench.outputs.arm_sentences import declared
from drnbench.outputs.over_control import equal_to_control, over_control
from drnbench.outputs.verdicts import Kind, amount, described, kind_of, tested
from drnbench.render import text
from drnbench.results import labels
from drnbench.results.scores import Arm, Scores
from drnbench.results.summary import Result, Results

NAMED = 4
"""So many cells are named one by one; of more, the ends."""
NEITHER = "without a significant difference"


@dataclass(frozen=True)
class Controls:
    """The positive controls of some cells.

    Attributes:
        sentence: in which of them a control shows the gain that should be there; empty without a control.
        results: of the controls that have a difference, in the metric of the cells.
        undetected: the cells, by arm, in which none does; empty without a control.
        gains: the largest detected gain of a control of each other cell, by arm.

    """

    sentence: str
    results: Sequence[Result]
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
        nothing = f"No arm has scores to compare with {scores.baseline_label}{yet}."
        return [nothing, *uncompared.sentences(scores, results, scores.subject)]
    of_cells = _controls(scores, results, compared)
    return [
        *declared(scores, results),
        of_cells.sentence,
        *_answer(scores, results, compared, of_cells),
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


def _answer(scores: Scores, results: Results, compared: list[Result], of_cells: Controls) -> list[str]:
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
        answer = f"{subject} {described(judged[0])}{where} ({sizes})."
        if judged[0].primary:
            answer = ""
    else:
        subject = f"{contrast}," if contrast and where else contrast or f"Against {scores.baseline_label}"
        groups = [_group(scores, judged, kind) for kind in verdicts.KINDS]
        answer = f"{subject}{where} ({sizes}): {'; '.join(group for group in groups if group)}."
    arms = [scores.arm(result.arm) for result in comparison.judged]

    def name(result: Result) -> str:
        return context(scores, scores.arm(result.arm), arms) or contrast or result.arm

    return [
        answer,
        *over_control(scores, [result for result in comparison.judged if result.arm in of_cells.gains], name),
        *equal_to_control(scores, comparison.judged, name),
        wording.equivalence_sentence(wording.compared(judged), scores.baseline_label, name),
        *beyond_primary.other_metrics(scores, results, comparison.judged, name),
        *_no_evidence(scores, results, comparison, of_cells),
        wording.nothing_shown(comparison.judged, lambda result: of_cells.gains.get(result.arm), name),
        *comparison.limits,
        *(f"{clause}." for clause in verdicts.not_tested(comparison.unjudged, _name)),
        *uncompared.sentences(scores, results, scores.subject),
        *beyond_primary.other_test_sets(scores, results, comparison.judged, name),
        *controls.losses_elsewhere(scores, results, of_cells.results),
        *beyond_primary.all_test_sets(scores, comparison.judged, name),
        *verdicts.adjusted(results, comparison.judged, of_cells.results, scores.confidence),
    ]


def _name(result: Result) -> str:
    return result.arm


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


def _group(scores: Scores, judged: Sequence[Result], kind: Kind) -> str:
    """Write `1 of 2 better (network=S with ...)`; nothing where no cell is of that kind."""
    group, total = [result for result in judged if kind_of(result) == kind], len(judged)
    if not group:
        return ""
    one_metric = len({result.metric for result in judged}) == 1
    arms = [scores.arm(result.arm) for result in judged]

    def sized(result: Result) -> str:
        cell = context(scores, scores.arm(result.arm), arms) or result.condition.label
        return f"{cell} with {amount(result)}" + ("" if one_metric else f" {text.style(result.metric).label}")

    head = _count(group, total, kind)
    if kind == "untested":
        return f"{head}: {', '.join(sized(result) for result in (group if total <= NAMED else (group[0], group[-1])))}"
    if total <= NAMED or len(group) == 1:
        return f"{head} ({', '.join(sized(result) for result in group)})"
    first, last = wording.superlative("best", group[0]), wording.superlative("worst", group[-1])
    return f"{head} ({first} {sized(group[0])}; {last} {sized(group[-1])})"


def _count(group: Sequence[Result], total: int, kind: Kind) -> str:
    words = {
        "": NEITHER,
        "equal": "equal on every seed and image",
        "constant": "different by a constant on every seed and image, which leaves nothing to test",
        "untested": f"not tested ({verdicts.why_untested(group)})",
    }.get(kind, kind)
    if len(group) < total:
        return f"{len(group)} of {total} {words}"
    if kind == "":
        return f"{'neither' if total == 2 else f'none of {total}'} differs significantly"
    return words if kind == "untested" else f"{'both' if total == 2 else f'all {total}'} {words}"


def _no_evidence(scores: Scores, results: Results, comparison: verdicts.Comparison, of_cells: Controls) -> list[str]:
    """Return what cells without a significant difference do not show, where their control is not detected."""
    neither = [result for result in comparison.of("") if tested(result)]
    undetected = [result for result in neither if result.arm in of_cells.undetected]
    if scores.control is None:
        return []
    if undetected and len(undetected) < len(neither):
        arms = [scores.arm(result.arm) for result in comparison.judged]
        cells = labels.listing([context(scores, scores.arm(result.arm), arms) for result in undetected], NAMED)
        return [f"The positive control is not detected for {cells}: no evidence of equality there."]
    if undetected and of_cells.gains:
        return [controls.NO_EVIDENCE]
    return controls.no_evidence(scores, results, of_cells.results, comparison.judged)


def _controls(scores: Scores, results: Results, compared: list[Result]) -> Controls:
    """Return what the positive controls of all cells say."""
    if scores.control is None:
        return Controls("", [], frozenset(), {})
    shown: dict[tuple[object, ...], Result] = {}
    gains: dict[str, float] = {}
    for cell in compared:
        of_cell = scores.controls_of(scores.arm(cell.arm), cell.condition)
        column = [results.get((arm.name, cell.condition, cell.metric)) for arm in of_cell]
        scored = [result for result in column if result is not None and result.difference is not None]
        shown |= {(result.arm, result.condition): result for result in scored}
        detected = [gain for result in scored if (gain := controls.gain(result)) is not None]
        if detected:
            gains[cell.arm] = max(detected)
    undetected = frozenset(cell.arm for cell in compared if cell.arm not in gains)
    sentence = _control_sentence(scores, results, list(shown.values()))
    return Controls(sentence, list(shown.values()), undetected, gains)


def _control_sentence(scores: Scores, results: Results, shown: Sequence[Result]) -> str:
    name = _control_name(scores)
    if not shown:
        return f"The positive control {name} {failed_seeds.no_scores(scores)}."
    groups: dict[str, list[Result]] = {}
    for result in shown:
        groups.setdefault(controls.stated([result]), []).append(result)
    detected = groups.pop("is detected", [])
    metrics = {result.metric for result in shown}
    where = f" in {text.style(metrics.pop()).label}" if len(metrics) == 1 else ""
    many = f" in {len(detected)} of {len(shown)} cells" if len(shown) > 1 else ""
    if detected:
        parts = [f"is detected{many}{where}: {name} gains {_ends(scores, detected, shown)}"]
        parts += [f"{state.removeprefix('is ')}: {_ends(scores, rest, shown)}" for state, rest in groups.items()]
    else:
        parts = [
            f"{state}{where}: {name} differs by {_ends(scores, rest, shown)} from its baseline"
            for state, rest in groups.items()
        ]
    return f"The positive control {'; '.join(parts)}{controls.other_metrics(scores, results, shown)}."


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
    shown = labels.listing([condition.label for condition in below], NAMED)
    return f"On {shown} no trained arm reaches bicubic: {reason}"
