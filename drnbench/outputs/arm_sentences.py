"""Sentences of a study that compares everything with one baseline on one condition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from drnbench.outputs import beyond_primary, controls, failed_seeds, uncompared, verdicts, wording
from drnbench.outputs.over_control import equal_to_control, over_control
from drnbench.outputs.verdicts import NAMED, amount, correction, described, kind_of, moved
from drnbench.outputs.wording import sized
from drnbench.render import text
from drnbench.results import labels
from drnbench.results.ranking import different_images, on_the_same_seeds
from drnbench.results.scores import Arm, Scores
from drnbench.results.summary import Result, Results


@dataclass(frozen=True)
class Control:
    """The positive control.

    Attributes:
        sentence: on whether it shows the gain that should be there.
        results: its result on the primary condition and metric; empty without a difference.
        sizes: its numbers of seeds and images, in words.

    """

    sentence: str
    results: tuple[Result, ...] = ()
    sizes: str = ""

    @property
    def gain(self) -> float | None:
        """Its gain in the metric's unit, where it is detected; else None."""
        return next(map(controls.gain, self.results), None)


def sentences(scores: Scores, results: Results, base: Arm) -> list[str]:
    """Return the sentences on the positive control, on the other arms, and on networks that are not trained enough."""
    condition, metric = scores.primary
    column = [r for r in results.values() if r.condition == condition and r.metric == metric]
    if not any(r.arm == base.name and r.n_seeds for r in column):
        return [f"The baseline {base.name} has no scores, so nothing is compared. {best_and_worst(scores, results)}"]
    control = None if scores.control is None else _control(scores, results, scores.control, base)
    others = _others(scores, column, base)
    reference = verdicts.below_reference(scores, results, condition, metric)
    return [
        *declared(scores, results),
        control.sentence if control else "",
        *(_arms(scores, results, others, base, control) if others else _nothing(scores, results, base, control)),
        f"No trained arm reaches {reference}: these are differences between undertrained networks."
        if reference
        else "",
    ]


def _control(scores: Scores, results: Results, arm: Arm, base: Arm) -> Control:
    """Return what the positive control says: whether a gain is detected that should be there."""
    condition, metric = scores.primary
    result = results.get((arm.name, condition, metric))
    if result is None or result.difference is None:
        why = uncompared.reason(scores, arm, base, condition, metric) if result and result.n_seeds else ""
        return Control(f"The positive control {arm.name!r} {why or failed_seeds.no_scores(scores)}.")
    sizes = verdicts.sample([result])
    against = f"{base.name} on {verdicts.in_metric(condition.label, metric)} ({sizes})"
    match controls.status(result):
        case "is detected":
            change = f"{moved(result, 'better')} over"
        case "fails":
            change = f"{moved(result, 'worse')} against"
        case _:
            change = "equals" if kind_of(result) == "equal" else f"differs by {amount(result)} from"
    sentence = f"The positive control {controls.stated([result])}: {arm.name!r} {change} {against}"
    return Control(f"{sentence}{controls.other_metrics(scores, results, [result])}.", (result,), sizes)


def _others(scores: Scores, column: Sequence[Result], base: Arm) -> list[Result]:
    """Return the compared arms beside baseline and control; untrained ones only where there is nothing else."""
    skip = {base.name, scores.plan.control}
    others = [
        r for r in column if r.arm not in skip and r.difference is not None and scores.arm(r.arm).kind != "reference"
    ]
    return [r for r in others if not scores.arm(r.arm).seedless] or others


def _nothing(scores: Scores, results: Results, base: Arm, control: Control | None) -> list[str]:
    nothing = f"No other arm has a difference to {base.name}{' yet' if failed_seeds.unfinished(scores) else ''}."
    elsewhere = controls.losses_elsewhere(scores, results, control.results if control else ())
    return [*([nothing] if control is None else []), *_uncompared(scores, results, control), *elsewhere]


def _uncompared(scores: Scores, results: Results, control: Control | None) -> list[str]:
    stated = {scores.plan.control} if control is not None and not control.results else set()
    arms = [arm for arm in scores.arms if arm.kind != "reference" and arm.name not in stated]
    return uncompared.sentences(scores, results, arms)


def _arms(scores: Scores, results: Results, others: Sequence[Result], base: Arm, control: Control | None) -> list[str]:
    """Return the sentences on the arms: verdicts, what limits and what contradicts them."""
    comparison = verdicts.compare(others)
    family = [result for result in comparison.judged if not result.primary]  # the primary one has its own sentence
    against, sizes = base.name, verdicts.sample(family or others)
    condition, metric = scores.primary
    if control is None:
        against += f" on {verdicts.in_metric(condition.label, metric)} ({sizes})"
    elif sizes != control.sizes:  # its sentence names the condition
        against += f" ({sizes})"
    skip = {base.name, scores.plan.control}
    # Where an arm equals HR its PSNR has no difference, and other metrics may have one.
    no_difference = [
        result
        for result in results.values()
        if (result.condition, result.metric) == scores.primary and result.n_seeds and result.difference is None
    ]
    spoken_of = [
        *comparison.judged,
        *(r for r in no_difference if r.arm not in skip and not scores.arm(r.arm).seedless),
    ]
    gain, of_control = (control.gain, control.results) if control else (None, ())
    return [
        _verdicts(scores, family, against) if family else "",
        *(over_control(scores, comparison.judged, _name) if gain is not None else []),
        *equal_to_control(scores, comparison.judged, _name),
        wording.equivalence_sentence(family, base.name, _name),
        *beyond_primary.other_metrics(scores, results, spoken_of, _name),
        *(controls.no_evidence(scores, results, control.results, comparison.judged) if control else []),
        wording.nothing_shown(comparison.judged, lambda _: gain, _name),
        *comparison.limits,
        *(f"{clause}." for clause in verdicts.not_tested(comparison.unjudged, _name)),
        *_uncompared(scores, results, control),
        *beyond_primary.other_test_sets(scores, results, spoken_of, _name),
        *controls.losses_elsewhere(scores, results, of_control),
        *beyond_primary.all_test_sets(scores, comparison.judged, _name),
        *verdicts.adjusted(results, comparison.judged, of_control, scores.confidence),
    ]


def _name(result: Result) -> str:
    return result.arm


def declared(scores: Scores, results: Results) -> list[str]:
    """Return the sentence on the comparison that the study declares in advance; [] without one."""
    result = next((result for result in results.values() if result.primary), None)
    if result is None:
        return []
    where = verdicts.in_metric(result.condition.label, result.metric)
    subject = f"The comparison declared in advance, {result.arm} on {where}"
    base = scores.baseline_of(scores.arm(result.arm), result.condition)
    if result.difference is None:
        why = uncompared.reason(scores, scores.arm(result.arm), base, result.condition, result.metric) if base else ""
        return [f"{subject}, {(result.n_seeds and why) or failed_seeds.no_scores(scores)}."]
    words = wording.equivalence(result, base.name if base else "the baseline")
    alone = "tested alone" if verdicts.tested(result) else ""
    detail = "; ".join(filter(None, (verdicts.sample([result]), alone, words)))
    return [f"{subject}, {described(result, base.name if base else '')} ({detail})."]


def _verdicts(scores: Scores, judged: Sequence[Result], against: str) -> str:
    if len(judged) == 1:
        return f"{judged[0].arm} {described(judged[0], against)}."
    noun = _noun(scores, judged)
    groups = {kind: [result for result in judged if kind_of(result) == kind] for kind in verdicts.KINDS}
    better, worse, neither, untested = (groups[kind] for kind in ("better", "worse", "", "untested"))
    constant = wording.without_variance(judged, _name)
    if untested:
        head = f"The {noun} are not tested ({verdicts.why_untested(untested)}) against {against}"
        return f"{'; '.join([f'{head}: {wording.ends(untested, _name)}', *constant])}."
    if neither and len(neither) + len(groups["equal"]) == len(judged):
        # A single interval may leave zero out and still not survive the correction for the whole family.
        none = f"None of the {noun} differs significantly from {against}{correction(judged)}"
        none += f": {wording.ends(judged, _name)}"
        return f"{'; '.join([none, *constant])}."
    parts = []
    if better:
        parts.append(f"{_count(better, judged)} better ({_extreme('best', better, better[0])})")
    if worse:
        parts.append(f"{_count(worse, judged)} worse ({_extreme('worst', worse, worse[-1])})")
    if neither:
        parts.append(f"{len(neither)} without a significant difference ({_extreme('best', neither, neither[0])})")
    return f"Of the {noun}, against {against}: {'; '.join([*parts, *constant])}."


def _count(group: Sequence[Result], judged: Sequence[Result]) -> str:
    return "all" if len(group) == len(judged) else str(len(group))


def _extreme(word: Literal["best", "worst"], group: Sequence[Result], result: Result) -> str:
    return f"{wording.superlative(word, result)} {sized(result, _name)}" if len(group) > 1 else sized(result, _name)


def _noun(scores: Scores, judged: Sequence[Result]) -> str:
    axes = scores.plan.axes
    if len(axes) == 1 and all(scores.arm(r.arm).kind == "grid" for r in judged):
        return f"{len(judged)} other values of {axes[0].title}"
    return f"{len(judged)} other arms"


def best_and_worst(scores: Scores, results: Results) -> str:
    """Return the best and the worst mean on the primary condition, untested; empty where there is none."""
    condition, metric = scores.primary
    style = text.style(metric)
    scored = [r for r in results.values() if (r.condition, r.metric) == (condition, metric) and r.mean is not None]
    scored = [r for r in scored if not scores.arm(r.arm).seedless] or scored
    if not scored:
        return ""
    sizes = text.sample([r.n_seeds for r in scored], [r.n_images for r in scored])
    if len(scored) == 1:
        return f"On {condition.label} ({sizes}): {_mean(scored[0])} {style.label}."
    if different_images(scored):
        return f"The means in {style.label} on {condition.label} rest on different images, so none is called best ({sizes})."
    ranked = on_the_same_seeds(scores, scored)
    if len(ranked) < 2:
        return f"The means in {style.label} on {condition.label} rest on different seeds, so none is called best ({sizes})."
    ranked.sort(key=lambda r: r.mean or 0.0, reverse=style.higher_is_better)
    others = [result.arm for result in scored if result not in ranked]
    left_out = f" Not ranked, as their seeds are others: {labels.listing(others, NAMED)}." if others else ""
    untested = "" if scores.baseline else " The study declares no baseline, so nothing is tested."
    ends = f"{_mean(ranked[0])}; worst: {_mean(ranked[-1])}"
    return f"Best {style.label} on {condition.label} ({sizes}): {ends}.{left_out}{untested}"


def _mean(result: Result) -> str:
    style = text.style(result.metric)
    half = f" ± {text.number(result.half_width, style.decimals)}" if result.half_width is not None else ""
    return f"{result.arm} with {text.number(result.mean or 0.0, style.decimals)}{half}{style.unit}"
