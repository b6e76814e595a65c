"""Captions of tables, and the notes below them: what a reader must know to trust one."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from drnbench.evaluation import metrics
from drnbench.outputs import failed_seeds, search_summary, verdicts, wording
from drnbench.render import text
from drnbench.render.spelling import cut
from drnbench.results import labels
from drnbench.results.ranking import different_images, on_the_same_seeds
from drnbench.results.scores import Condition, Scores
from drnbench.results.statistics import STAR_SEEDS, Difference
from drnbench.results.summary import Result

NAMED = 4
"""So many arms or images are named; of more, their number."""
LONGEST = 400
"""Characters of a question, a reason or a list of names in notes; report.html has the whole question."""
LINE = 120
"""Characters of a table's caption, a line or two of a page."""
ONE_SAMPLE = {
    "checkpoints": "over images: one seed, so it speaks of these checkpoints",
    "image": "over seeds: one test image, so nothing is starred, and it speaks of this image",
}
"""The sample that is left of a difference, and what it speaks of, by the difference's level."""


def caption(scores: Scores) -> str:
    """Return the caption of a table: the first sentence of the question, or the study's name where it asks none."""
    return cut(_first_sentence(question(scores)), LINE)


def rest_of_question(scores: Scores) -> str:
    """Return the whole question where the caption has but a part of it; else ""."""
    whole = question(scores)
    return whole.removeprefix(caption(scores)).lstrip() if whole.startswith(caption(scores)) else whole


def _first_sentence(words: str) -> str:
    return re.split(r"(?<=[.?!])\s+(?=[A-Z])", words, maxsplit=1)[0]


def notes(
    scores: Scores, shown: list[Result], *, by_scale: bool = False, means_alone: bool = False, margins: bool = True,
    extra: Iterable[str] = (),
) -> str:  # fmt: skip
    """Return what was measured, how, and what a star means.

    Args:
        scores: of the study.
        shown: the results in the table, also those without a score yet.
        by_scale: the columns or rows say the scale.
        means_alone: without intervals and differences, of which the marks alone are shown.
        margins: marks of equivalence are shown, where the study declares margins.
        extra: sentences that stand before the protocol.

    """
    scored = [result for result in shown if result.n_seeds]
    scales = sorted({result.condition.scale for result in shown})
    parts = [
        rest_of_question(scores),
        _scored_on(shown, [] if by_scale else scales),
        *search_summary.caption(scores),
        *unfinished(scores),
        *([] if means_alone else _intervals(scores, scored)),
        *(_marks(scores, scored) if means_alone else _statistics(scores, scored, margins=margins)),
        _sizes(scores, scored),
        *(scores.plan.until.caption() if scores.plan.until else ()),
        *lost_images(scores, scored),
        *unranked(scores, scored),
        *left_out(scores),
        *_fewer_pairs(scores),
        *kernel_specs(result.condition for result in shown),
        *_ready_made(scores),
        *training_images(scores),
        *extra,
        *measured(scores, {result.metric for result in shown}, scales),
    ]
    return " ".join(part for part in parts if part)


def question(scores: Scores) -> str:
    """Return the study's question, cut where it is longer than a caption, or its name where it asks none."""
    return cut(scores.plan.question, LONGEST) or f"Study {scores.plan.study}."


def measured(scores: Scores, names: Collection[str], scales: list[int]) -> list[str]:
    """Return how images are compared: the protocol where PSNR or SSIM is shown, and what other metrics are."""
    shown = [metrics.get(name) for name in sorted(names)]
    others = [f"{metric.label}: {metric.summary}." for metric in shown if not metric.kind]
    protocol = scores.plan.protocol.caption(shown, scales[0] if len(scales) == 1 else None)
    return [*others, *([protocol.rstrip(".") + "."] if protocol else [])]


def unfinished(scores: Scores) -> list[str]:
    """Return which seeds failed, and the sentence that trials are still to come, where they are."""
    done, planned = scores.counts
    to_come = [f"Unfinished: {done} of {text.count(planned, 'trial')} so far; stars may change."]
    return [*(to_come if failed_seeds.unfinished(scores) else []), *failed_seeds.sentences(scores)]


def interval_method(differences: Iterable[Difference]) -> str:
    """Return the method of the intervals of a figure: what they speak of depends on the seeds."""
    if any(d.level == "method" for d in differences):
        return "over seeds and images, the widest of three t"
    return "t over images, these checkpoints only"


def kernel_specs(conditions: Iterable[Condition]) -> list[str]:
    """Return the full specs of the kernels that the heads shorten."""
    short = {spec: labels.kernel(spec) for spec in dict.fromkeys(condition.kernel for condition in conditions)}
    specs = [f"{label} is {spec}" for spec, label in short.items() if label != spec]
    return [f"Kernels: {'; '.join(specs)}."] if specs else []


def left_out(scores: Scores) -> list[str]:
    """Return a sentence for each reason why the study leaves cells out."""
    cells: dict[str, list[str]] = {}
    for arm in scores.arms:
        for reason in dict.fromkeys(reason for _, reason in arm.excluded):
            seeds = [str(seed) for seed, why in arm.excluded if why == reason]
            name = text.arm_name(scores, arm.name)
            cell = f"{name}, seed {' and '.join(seeds)}" if arm.trials else name
            cells.setdefault(reason, []).append(cell)
    return [
        f"Left out: {cut(', '.join(names), LONGEST)} ({cut(reason.rstrip('.'), LONGEST)})."
        for reason, names in cells.items()
    ]


def _scored_on(shown: list[Result], scales: list[int]) -> str:
    test_sets = dict.fromkeys(result.condition.dataset for result in shown)
    at = f" at {', '.join(f'×{scale}' for scale in scales)}" if scales else ""
    return f"Scores on {', '.join(test_sets)}{at}."


def _intervals(scores: Scores, scored: list[Result]) -> list[str]:
    if all(result.half_width is None for result in scored):
        return []
    return [f"Mean ± {scores.confidence} half-width (t interval over the seeds' test-set means)."]


def _sizes(scores: Scores, scored: list[Result]) -> str:
    seeds = [result.n_seeds for result in scored if not scores.arm(result.arm).seedless]
    images = [result.n_images for result in scored if result.n_images]
    spans = [text.span(counts, noun) for counts, noun in ((seeds, "seed"), (images, "image")) if counts]
    return f"{', '.join([*spans, scores.plan.settings.text])}."


def lost_images(scores: Scores, scored: Iterable[Result]) -> list[str]:
    """Return why means rest on fewer images than there are, and which are infinite; [] where none is."""
    scored = list(scored)
    infinite = {f"{r.left_out} of {text.arm_name(scores, r.arm)} on {r.condition.label}" for r in scored if r.left_out}
    missing = {
        f"{r.missing} of {text.arm_name(scores, r.arm)} on {r.condition.label} in {text.style(r.metric).label}"
        for r in scored
        if r.missing
    }
    equal = {f"{text.arm_name(scores, r.arm)} on {r.condition.label}" for r in scored if r.equals_hr}
    left_out = []
    if infinite:
        left_out.append(f"Infinite values (SR equal to HR) are left out: {'; '.join(sorted(infinite))}")
    if missing:
        left_out.append(f"Images without a value (missing, or not a number) are left out: {'; '.join(sorted(missing))}")
    # The means of two metrics, or of two arms, then rest on different images.
    parts = [f"{'. '.join(left_out)}; a cell says on how many images it rests, where it is not on all."]
    return [
        *(parts if left_out else []),
        *([f"∞: SR equal to HR on every image ({'; '.join(sorted(equal))})."] if equal else []),
    ]


def unranked(scores: Scores, scored: Iterable[Result]) -> list[str]:
    """Return which means are not ranked, as they rest on different images or seeds; [] where all are ranked."""
    columns: dict[tuple[Condition, str], list[Result]] = {}
    for result in scored:
        if scores.is_contender(scores.arm(result.arm)):
            columns.setdefault((result.condition, result.metric), []).append(result)
    sentences = []
    if any(map(different_images, columns.values())):
        sentences.append("Means over different images are not ranked: none of them is bold or underlined.")
    ranked = {id(result) for column in columns.values() for result in on_the_same_seeds(scores, column)}
    places: dict[str, list[str]] = {}
    for metric in dict.fromkeys(metric for _, metric in columns):
        cells = [result for (_, own), column in columns.items() if own == metric for result in column]
        outside = dict.fromkeys(result.arm for result in cells if id(result) not in ranked)
        if outside:
            places.setdefault(labels.listing(list(outside), NAMED), []).append(text.style(metric).label)
    if places:
        alike = "all of an arm's planned seeds" if scores.plan.until else "the same seeds, those that most arms have,"
        parts = [f"{arms} in {labels.listing(metrics)}" for arms, metrics in places.items()]
        sentences.append(f"Only means over {alike} are ranked, which leaves out {'; '.join(parts)}.")
    if scores.plan.until and any(len(column) > 1 for column in columns.values()):
        sentences.append(
            "Arms with different numbers of seeds are ranked together: widths, not means, decided on them."
        )
    return sentences


def different_seeds(scores: Scores, results: Iterable[Result]) -> list[str]:
    """Return how many seeds each of some means rests on, where the numbers differ; [] where all are equal."""
    arms: dict[int, list[str]] = {}
    for result in results:
        if result.n_seeds and not result.seedless and result.arm not in arms.setdefault(result.n_seeds, []):
            arms[result.n_seeds].append(result.arm)
    if len(arms) < 2:
        return []
    named = {n: [text.arm_name(scores, name) for name in names] for n, names in sorted(arms.items())}
    counts = [f"{text.count(n, 'seed')}: {labels.listing(names, NAMED)}" for n, names in named.items()]
    return [f"Means are over different numbers of seeds ({'; '.join(counts)})."]


def _fewer_pairs(scores: Scores) -> list[str]:
    if not text.reduces_pairs(scores):
        return []
    return ["Pairs get fewer as ρ grows: each batch of B holds (1−ρ)B pairs."]


def _ready_made(scores: Scores) -> list[str]:
    """Return a sentence on ready-made LR images: their kernel is what the study says, not what was done to them."""
    sets = (data for trial in scores.plan.trials for data in _data(trial.config or {}))
    names = dict.fromkeys(
        f"{data['lr']} ({data['source']}, declared as {data['kernel']})" for data in sets if data.get("lr")
    )
    shifted = [f"{warning.partition(';')[0]}." for warning in scores.plan.displaced]
    return [f"Ready-made LR images, not made here: {'; '.join(names)}.", *shifted] if names else []


def training_images(scores: Scores) -> list[str]:
    """Return a sentence on images that a standard set lacks here, and one on test images that are trained on."""
    sets = scores.plan.images_left_out
    return [*([f"Image sets: {', '.join(sets)}."] if sets else []), *overlap(scores)]


def overlap(scores: Scores) -> list[str]:
    """Return the sentence on test images that are trained on, with the study's reason; nothing where there are none."""
    shared = scores.plan.overlap
    if shared is None:
        return []
    reason = cut(shared.reason.rstrip("."), LONGEST)
    sentence = f"Test images are among the training images: {labels.listing(shared.images, NAMED)}. Reason: {reason}."
    names = {evaluation.source: evaluation.dataset for trial in scores.plan.trials for evaluation in trial.wanted}
    among = list(dict.fromkeys(names[source] for source in shared.sources if source in names))
    if not among or len(names) < 2:
        return [sentence]
    verb = "takes" if len(among) == 1 else "take"
    return [sentence, f"{labels.listing(among)} {verb} no part in differences over several test sets."]


def _data(config: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield every set of images that a trial is scored on or trained on."""
    yield from config.get("evaluate", [])
    for stage in config.get("stages", []):
        yield from (data for data in (stage["data"], stage.get("unpaired")) if data)


def family_words(scores: Scores, scored: list[Result], shown: str = "the table") -> str:
    """Write the family of the tests that a table or figure shows, and the comparison that is in none."""
    families = [result.family for result in scored if result.family and not result.primary]
    family = max(families, default=0)
    tables = shown if family == len(families) else "the study's tables"  # a cell may be in a larger one, too
    words = f"Holm-adjusted {scores.limit} over the {text.count(family, 'difference')} of {tables}" if family else ""
    if words and any(scores.is_control(scores.arm(r.arm)) and verdicts.judged_alone(r) for r in scored):
        words += f" (sentences judge the control by its own {scores.confidence} interval)"
    primary = next((result for result in scored if result.primary and result.p_holm is not None), None)
    if primary is None:
        return words or scores.limit
    alone = f"{text.arm_name(scores, primary.arm)} on {primary.condition.label} in {text.style(primary.metric).label}"
    return f"{f'{words}; ' if words else ''}declared in advance and tested alone at {scores.limit}: {alone}"


def _margins(scores: Scores, scored: list[Result]) -> list[str]:
    """Return what equivalence means, where the study declares margins."""
    margins = {r.metric: f"{wording.margin(r)} in {text.style(r.metric).label}" for r in scored if r.margin is not None}
    if not margins:
        return []
    marks = f"≈ equivalent to it, ≥ not worse, within a margin of {labels.listing(list(margins.values()))}"
    return [
        f"{marks} (one-sided tests at {scores.tests_at}, each cell alone); {_unmarked(scored)}.",
        "Won: share of images on which the arm is better, seeds averaged first; equal images count half.",
    ]


def _of_control(scores: Scores, scored: list[Result]) -> list[str]:
    """Return what share of the positive control's gain the significant gains are; [] where it is not detected."""
    shares = [
        f"{text.arm_name(scores, result.arm)} {100 * result.of_control:.0f} % on "
        f"{verdicts.in_metric(result.condition.label, result.metric)}"
        for result in verdicts.by_gain(scored)
        if result.of_control is not None and verdicts.of_control(result)
    ]
    return [f"Share of the positive control's gain: {labels.listing(shares, NAMED)}."] if shares else []


def _unmarked(scored: list[Result]) -> str:
    """Write what a cell without a mark of equivalence is: undecided, where there is a margin."""
    compared = {result.metric: result for result in scored if result.difference is not None}
    without = [text.style(metric).label for metric, result in compared.items() if result.margin is None]
    scope = f" (no margin is declared in {labels.listing(without)})" if without else ""
    few = any(result.equivalence == "not judged" for result in scored)
    unjudged = f", or under {STAR_SEEDS} common seeds or two images not judged" if few else ""
    return f"a trained arm without a mark: undecided{unjudged}{scope}"


def emphasis(scores: Scores) -> str:
    """Return what bold and underlined means, and who does not compete for it."""
    outside = ["untrained references"]
    outside += ["the positive control"] if scores.control is not None else []
    outside += ["oracles"] if wording.oracles(scores) else []
    words = f"Bold, underlined: best and second best of a column; {labels.listing(outside)} do not compete."
    ties = "Ties, as printed, share a rank: two best leave no second."
    return " ".join([words, ties, *wording.oracle_sentence(scores)])


def _marks(scores: Scores, scored: list[Result]) -> list[str]:
    """Return what the marks of means are, whose differences are not shown."""
    tested = [r for r in scored if r.family and r.difference and r.difference.seeds >= STAR_SEEDS]
    if not tested:
        return [emphasis(scores)]
    words = f"* better, † worse than {scores.baseline_label}: {family_words(scores, scored)}"
    return [f"{words}; differences and their intervals are in summary.csv.", emphasis(scores)]


def _statistics(scores: Scores, scored: list[Result], *, margins: bool) -> list[str]:
    """Return what Δ, its interval, stars and bold type are."""
    if scores.baseline is None:
        return [emphasis(scores)]
    differences = [result.difference for result in scored if result.difference is not None]
    levels = {difference.level for difference in differences}
    delta = f"Δ: mean paired difference to {scores.baseline_label}"
    if len(levels) == 1 and (sample := ONE_SAMPLE.get(*levels)):
        parts = [f"{delta} with its {scores.confidence} t interval {sample} and not of the methods."]
    elif differences:
        three = "the widest of the crossed seed-by-image t, t over seeds, t over images"
        parts = [f"{delta} with its {scores.confidence} interval ({three})."]
        if "checkpoints" in levels:
            parts.append("Arms with one common seed: t interval over images, these checkpoints only.")
    else:
        parts = [f"{delta}."]
    if any(r.family and r.difference and r.difference.seeds >= STAR_SEEDS for r in scored):
        parts.append(f"* better, † worse than it: {family_words(scores, scored)}.")
        if any(r.p_holm is not None and r.difference and r.difference.seeds < STAR_SEEDS for r in scored):
            parts.append(f"Arms with fewer than {STAR_SEEDS} common seeds are not starred.")
    elif differences and levels != {"image"}:
        parts.append(f"Under {STAR_SEEDS} seeds nothing is starred.")
    if any(r.family and r.p_holm is None for r in scored):
        parts.append("Differences without variance have no p and are not starred.")
    parts += _margins(scores, scored) if margins else []
    parts += _of_control(scores, scored)
    if any(scores.arm(result.arm).seedless and result.difference for result in scored):
        parts.append("Untrained methods have no seeds and are not tested.")
    return [*parts, emphasis(scores)]
