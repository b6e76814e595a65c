"""The report's first line: what the study shows, in sentences that claim no more than the statistics allow."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from drnbench.outputs import arm_sentences, beyond_primary, captions, cell_sentences, failed_seeds, settings, wording
from drnbench.outputs.base import Output, StudyResults
from drnbench.render import text
from drnbench.results.scores import Scores


def sentences(study: StudyResults, outputs: Sequence[Output]) -> list[str]:
    """Return the answer, which outputs and arms give, and after it what limits it: seeds that failed, overlaps, settings."""
    done, planned = study.scores.counts
    failures = [*failed_seeds.sentences(study.scores), *wording.equal_to_hr(study.scores, study.results.values())]
    opening = list(_of(study, outputs, "opening"))
    if not any(result.n_seeds for result in study.results.values()):
        return _distinct([f"No scores yet: {done} of {text.count(planned, 'trial')} done.", *failures, *opening[:1]])
    progress = [f"{done} of {text.count(planned, 'trial')} so far."] if failed_seeds.unfinished(study.scores) else []
    answers = (list(output.sentences(study)) for output in outputs if output.headline == "instead")
    answer = next((answer for answer in answers if any(answer)), None)
    if answer is None:
        before = [sentence for sentence in _of(study, outputs, "before") if sentence]
        answer = [*before, *_comparison(study, alone=not before), *wording.oracle_sentence(study.scores)]
    else:
        answer += beyond_primary.all_scores(study.scores, study.results)
    shared, rule = settings.sentence(study.scores), study.scores.plan.until
    seeds = [rule.sentence()] if rule else []
    overlap = captions.overlap(study.scores)
    return _distinct([*opening, *progress, *answer, *failures, *overlap, *seeds, shared, *_of(study, outputs, "after")])


def _of(study: StudyResults, outputs: Iterable[Output], position: str) -> Iterable[str]:
    return (sentence for output in outputs if output.headline == position for sentence in output.sentences(study))


def _distinct(parts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(sentence for sentence in parts if sentence))


def _comparison(study: StudyResults, *, alone: bool) -> list[str]:
    """Return the sentences on the arms.

    Args:
        study: with a score.
        alone: no output has a sentence before; then missing comparisons are stated, too.

    """
    scores, results = study.scores, study.results
    if scores.baseline is None:
        return [arm_sentences.best_and_worst(scores, results)] if alone else []
    if _one_comparison(scores):
        return arm_sentences.sentences(scores, results, scores.baseline)
    if not alone and not cell_sentences.cells(scores, results):
        return []
    return cell_sentences.sentences(scores, results)


def _one_comparison(scores: Scores) -> bool:
    """Return True if everything is compared with one baseline on one condition, and the question is about all of it."""
    if scores.plan.subject:
        return False
    pairs = set()
    for arm in scores.arms:
        condition = scores.primary_of(arm)
        if arm.kind != "reference" and condition is not None and (base := scores.baseline_of(arm, condition)):
            pairs.add((base.name, condition))
    return len(pairs) <= 1 and sum(scores.is_baseline(arm) for arm in scores.arms) <= 1
