"""Sentences of a study that compares everything with one baseline on one condition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from drnbench.outputs import beyond_primary, failed_seeds, verdicts, wording
from drnbench.outputs.over_control import over_control
from drnbench.outputs.verdicts import amount, control_verdict, correction, moved, tested, verdict_of
from drnbench.render import text
from drnbench.results.scores import Arm, Scores
from drnbench.results.statistics import STAR_SEEDS
from drnbench.results.summary import Result, Results, different_images

NO_EVIDENCE = "Without a detected positive control, the absence of a significant difference is no evidence of equality."


@dataclass(frozen=True)
class Control:
    """The positive control.

    Attributes:
        sentence: on whether it shows the gain that should be there.
        gain: where it does, in the metric's unit; else None.
        sizes: its numbers of seeds and images, in words.

    """

    sentence: str
    gain: float | None = None
    sizes: str = ""


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
        *(_arms(scores, results, others, base, control) if others else [_nothing(scores, base, control)]),
        f"No trained arm reaches {reference}: these are differences between undertrained networks."
        if reference
        else "",
    ]


def _control(scores: Scores, results: Results, arm: Arm, base: Arm) -> Control:
    """Return what the positive control says: whether a gain is detected that should be there."""
    condition, metric = scores.primary
    result = results.get((arm.name, condition, metric))
    if result is None or result.difference is None:
        status = f"has no difference to {base.name}" if result and result.n_seeds else failed_seeds.no_scores(scores)
        return Control(f"The positive control {arm.name!r} {status}.")
    sizes = verdicts.sample([result])
    against = f"{base.name} on {verdicts.in_metric(condition.label, metric)} ({sizes})"
    match control_verdict(result):
        case "better":
            status = (
                "seems, with one seed, to be detected" if result.difference.level == "checkpoints" else "is detected"
            )
            return Control(
                f"The positive control {status}: {arm.name!r} {moved(result, 'better')} over {against}.",
                abs(result.difference.mean),
                sizes,
            )
        case "worse":
            return Control(
                f"The positive control fails: {arm.name!r} {moved(result, 'worse')} against {against}.", sizes=sizes
            )
    status = "is not detected" if tested(result) else "is not tested"
    if result.difference.seeds < STAR_SEEDS and tested(result) and verdicts.interval_verdict(result) == "better":
        status = "is not confirmed: its interval excludes zero, but two seeds show little"
    return Control(
        f"The positive control {status}: {arm.name!r} differs by {amount(result)} from {against}.", sizes=sizes
    )


def _others(scores: Scores, column: Sequence[Result], base: Arm) -> list[Result]:
    """Return the compared arms beside baseline and control; untrained ones only where there is nothing else."""
    skip = {base.name, scores.plan.control}
    others = [
        r for r in column if r.arm not in skip and r.difference is not None and scores.arm(r.arm).kind != "reference"
    ]
    return [r for r in others if not scores.arm(r.arm).seedless] or others


def _nothing(scores: Scores, base: Arm, control: Control | None) -> str:
    if control is not None:
        return ""
    return f"No other arm has a difference to {base.name}{' yet' if failed_seeds.unfinished(scores) else ''}."


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
    undetected = control is not None and control.gain is None and any(map(tested, comparison.of("")))
    return [
        _verdicts(scores, family, against) if family else "",
        *(over_control(scores, comparison.judged, _name) if control and control.gain is not None else []),
        wording.equivalence_sentence(family, base.name, _name),
        *beyond_primary.other_metrics(scores, results, spoken_of, _name),
        NO_EVIDENCE if undetected else "",
        wording.nothing_shown(comparison.judged, lambda _: control.gain if control else None, _name),
        *comparison.limits,
        *beyond_primary.other_test_sets(scores, results, spoken_of, _name),
        *beyond_primary.all_test_sets(scores, comparison.judged, _name),
        *verdicts.adjusted(comparison.judged),
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
    if result.difference is None:
        return [f"{subject}, {'has no difference' if result.n_seeds else failed_seeds.no_scores(scores)}."]
    base = scores.baseline_of(scores.arm(result.arm), result.condition)
    against = f" against {base.name}" if base else ""
    words = wording.equivalence(result, base.name if base else "the baseline")
    detail = f"{verdicts.sample([result])}; tested alone" + (f"; {words}" if words else "")
    return [f"{subject}, {moved(result, verdict_of(result))}{against} ({detail})."]


def _verdicts(scores: Scores, judged: Sequence[Result], against: str) -> str:
    if len(judged) == 1:
        return _one_arm(judged[0], against)
    noun = _noun(scores, judged)
    better, worse, neither = ([r for r in judged if verdict_of(r) == verdict] for verdict in wording.VERDICTS)
    if len(neither) == len(judged):
        ends = f"best {_sized(judged[0])}, worst {_sized(judged[-1])}"
        if not any(map(tested, judged)):
            return f"With one test image none of the {noun} is tested against {against}: {ends}."
        # A single interval may leave zero out and still not survive the correction for the whole family.
        return f"None of the {noun} differs significantly from {against}{correction(judged)}: {ends}."
    parts = []
    if better:
        parts.append(f"{_count(better, judged)} better ({_extreme('best', better, better[0])})")
    if worse:
        parts.append(f"{_count(worse, judged)} worse ({_extreme('worst', worse, worse[-1])})")
    if neither:
        parts.append(f"{len(neither)} without a significant difference ({_extreme('best', neither, neither[0])})")
    return f"Of the {noun}, against {against}: {'; '.join(parts)}."


def _one_arm(result: Result, against: str) -> str:
    if not tested(result):
        return f"With one test image {result.arm} is not tested against {against}: {amount(result)}."
    if verdict := verdict_of(result):
        return f"{result.arm} {moved(result, verdict)} against {against}."
    return f"{result.arm} shows no significant difference from {against}: {amount(result)}."


def _sized(result: Result) -> str:
    return f"{result.arm} with {amount(result)}"


def _count(group: Sequence[Result], judged: Sequence[Result]) -> str:
    return "all" if len(group) == len(judged) else str(len(group))


def _extreme(word: str, group: Sequence[Result], result: Result) -> str:
    return f"{word} {_sized(result)}" if len(group) > 1 else _sized(result)


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
    scored.sort(key=lambda r: r.mean or 0.0, reverse=style.higher_is_better)
    sizes = text.sample([r.n_seeds for r in scored], [r.n_images for r in scored])
    if len(scored) == 1:
        return f"On {condition.label} ({sizes}): {_mean(scored[0])} {style.label}."
    if different_images(scored):
        return f"The means in {style.label} on {condition.label} rest on different images, so none is called best ({sizes})."
    untested = "" if scores.baseline else " The study declares no baseline, so nothing is tested."
    ends = f"{_mean(scored[0])}; worst: {_mean(scored[-1])}"
    return f"Best {style.label} on {condition.label} ({sizes}): {ends}.{untested}"


def _mean(result: Result) -> str:
    style = text.style(result.metric)
    half = f" ± {text.number(result.half_width, style.decimals)}" if result.half_width is not None else ""
    return f"{result.arm} with {text.number(result.mean or 0.0, style.decimals)}{half}{style.unit}"
