"""The report's first line: what the study shows, in words that claim no more than the statistics allow."""

from __future__ import annotations

from drnbench.outputs import cell_sentences, other_sentences, search_summary, verdicts
from drnbench.outputs.verdicts import amount, sign
from drnbench.render import text
from drnbench.results.scores import Scores
from drnbench.results.statistics import STAR_SEEDS
from drnbench.results.summary import Result, Results


def headline(scores: Scores, results: Results) -> str:
    """Return one to three sentences on the primary condition and metric, for a terminal (ASCII minus)."""
    done, planned = scores.counts
    if not any(r.n_seeds for r in results.values()):
        said = search_summary.headline(scores)
        return text.plain(" ".join([f"No scores yet: {done} of {text.count(planned, 'trial')} done.", *said[:1]]))
    parts = search_summary.headline(scores)
    parts += [f"{done} of {text.count(planned, 'trial')} so far."] if done < planned else []
    outputs = scores.plan.outputs
    gap = next(
        (said for out in outputs if out["kind"] == "gap" and (said := other_sentences.gap_sentences(scores, out))), None
    )
    if gap:
        parts += gap
    else:
        dual = (
            other_sentences.dual_sentence(scores, results)
            if any(out["kind"] == "dualkernel" for out in outputs)
            else ""
        )
        parts.append(dual)
        if scores.baseline is None:
            parts += [] if dual else _one_cell(scores, results)
        elif _simple(scores):
            parts += _one_cell(scores, results)
        elif not dual or cell_sentences.cells(scores, results):
            parts += cell_sentences.sentences(scores, results)
    return text.plain(" ".join(part for part in parts if part))


def _simple(scores: Scores) -> bool:
    """Whether everything is compared to one baseline on one condition, and the question is about all of it."""
    if scores.plan.subject:
        return False
    pairs = set()
    for arm in scores.arms:
        condition = scores.primary_of(arm)
        if arm.kind != "reference" and condition is not None and (base := scores.baseline_of(arm, condition)):
            pairs.add((base.name, condition))
    return len(pairs) <= 1 and len([a for a in scores.arms if scores.is_baseline(a)]) <= 1


def _one_cell(scores: Scores, results: Results) -> list[str]:
    """Sentences on the arms of the primary condition."""
    condition, metric = scores.primary
    column = [r for r in results.values() if r.condition == condition and r.metric == metric]
    base = scores.baseline
    if base is None:
        return [_means(scores, column)]
    if not any(r.arm == base.name and r.n_seeds for r in column):
        return [f"The baseline {base.name} has no scores, so nothing is compared. {_means(scores, column)}"]
    sighted, sentence = _control(scores, results) if scores.control else (True, "")
    below = verdicts.below_reference(scores, results, condition, metric)
    return [
        sentence,
        _arms(scores, column, with_condition=not sentence, sighted=sighted),
        f"No trained arm reaches {below}, so these are differences between networks that are not trained enough."
        if below
        else "",
    ]


def _control(scores: Scores, results: Results) -> tuple[bool, str]:
    """Whether the positive control shows that a gain would be seen, and the sentence on it."""
    condition, metric = scores.primary
    assert scores.control is not None
    assert scores.baseline is not None
    name, base = scores.control.name, scores.baseline.name
    result = results.get((name, condition, metric))
    d = result.difference if result else None
    if d is None:
        return (
            False,
            f"The positive control {name!r} has no scores yet, so whether a gain would be seen is open.",
        )
    where = f"{base} on {verdicts.where(condition.label, metric)} ({verdicts.sample(d)})"
    size = text.delta(d, metric)
    found = verdicts.effect(d, metric)
    if found > 0:
        sees = "The instrument can see" if d.level == "method" else "With one seed the instrument seems to see"
        return True, f"{sees}: {name!r} gains {size} over {where}."
    if found < 0:
        return (
            False,
            f"The instrument is in doubt: {name!r}, the positive control, loses {size} against {where}.",
        )
    return False, f"The instrument cannot see: {name!r}, the positive control, is at {size} from {where}."


def _arms(scores: Scores, column: list[Result], *, with_condition: bool, sighted: bool) -> str:
    condition, metric = scores.primary
    s, base = text.style(metric), scores.baseline
    assert base is not None
    skip = {base.name, scores.plan.control}
    others = [
        r for r in column if r.arm not in skip and r.difference is not None and scores.arm(r.arm).kind != "reference"
    ]
    # What nobody trains is a reference by another name, unless there is nothing else.
    others = [r for r in others if not scores.arm(r.arm).seedless] or others
    if not others:
        done, planned = scores.counts
        return (
            f"No other arm has scores to compare with {base.name}{' yet' * (done < planned)}." if with_condition else ""
        )
    others.sort(key=lambda r: r.difference.mean if r.difference else 0.0, reverse=s.higher_is_better)
    where = ""
    if with_condition and others[0].difference:
        where = f" on {verdicts.where(condition.label, metric)} ({verdicts.sample(others[0].difference)})"
    # One seed tells nothing of a method: among arms with more, such an arm is only counted.
    single = [r for r in others if r.difference and r.difference.seeds < 2]
    caution = verdicts.caution(others)
    if len(single) < len(others):
        others = [r for r in others if r not in single]
    else:
        single = []
    gains, losses = [r for r in others if sign(r) > 0], [r for r in others if sign(r) < 0]
    level = [r for r in others if sign(r) == 0]
    told = _told(scores, others)
    blind = (
        " The control shows no gain here, so what is not told apart is not shown to be equal." if not sighted else ""
    )
    if single:
        caution += f" {text.count(len(single), 'more arm')} with one seed, not judged."
    if len(others) == 1:
        r = others[0]
        verb = {1: "gains", -1: "loses", 0: "is not told apart from"}[sign(r)]
        if sign(r):
            return f"{r.arm} {verb} {amount(r)} against {base.name}{where}.{blind if not sign(r) else ''}{caution}"
        return f"{r.arm} {verb} {base.name}{where}: {amount(r)}.{blind}{caution}"
    if not gains and not losses:
        ends = f"best {others[0].arm} with {amount(others[0])}, worst {others[-1].arm} with {amount(others[-1])}"
        # A single interval may leave zero out and still not survive the correction for the whole family.
        corrected = " after Holm's correction" if min(r.n_seeds for r in others) >= STAR_SEEDS else ""
        return f"None of the {told} is told apart from {base.name}{where}{corrected}: {ends}.{blind}{caution}"
    parts = []
    if gains:
        parts.append(_some(gains, others, "better", "best", gains[0]))
    if losses:
        parts.append(_some(losses, others, "worse", "worst", losses[-1]))
    if level:
        parts.append(_some(level, [], "not told apart from it", "best", level[0]))
    return f"Of the {told}, against {base.name}{where}: {'; '.join(parts)}.{blind if level else ''}{caution}"


def _some(some: list[Result], others: list[Result], what: str, extreme: str, which: Result) -> str:
    """Write `2 better (best ρ=0.3 with ...)`."""
    n = "all" if len(some) == len(others) else str(len(some))
    return f"{n} {what} ({extreme + ' ' if len(some) > 1 else ''}{which.arm} with {amount(which)})"


def _told(scores: Scores, others: list[Result]) -> str:
    axes = scores.plan.axes
    if len(axes) == 1 and all(scores.arm(r.arm).kind == "grid" for r in others):
        return f"{len(others)} other values of {axes[0].title}"
    return f"{len(others)} other arms"


def _means(scores: Scores, column: list[Result]) -> str:
    """What can be said without a baseline: the best and the worst mean, untested."""
    condition, metric = scores.primary
    s = text.style(metric)
    known = [r for r in column if r.mean is not None and not scores.arm(r.arm).seedless]
    known = known or [r for r in column if r.mean is not None]
    if not known:
        return ""
    known.sort(key=lambda r: r.mean or 0.0, reverse=s.higher_is_better)

    def one(r: Result) -> str:
        half = f" ± {text.number(r.half_width, s.decimals)}" if r.half_width is not None else ""
        return f"{r.arm} with {text.number(r.mean or 0.0, s.decimals)}{half}{s.unit}"

    sizes = f"{text.span([r.n_seeds for r in known], 'seed')}, {text.span([r.n_images for r in known], 'image')}"
    if len(known) == 1:
        return f"On {condition.label} ({sizes}): {one(known[0])} {s.label}."
    untested = "" if scores.baseline else " The study declares no baseline, so nothing is tested."
    return f"Best {s.label} on {condition.label} ({sizes}): {one(known[0])}; worst: {one(known[-1])}.{untested}"
