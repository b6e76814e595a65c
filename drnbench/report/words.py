"""The report's first line: what the study shows, in words that claim no more than the statistics allow."""

from __future__ import annotations

from drnbench.report import text
from drnbench.report.frame import Scores
from drnbench.report.statistics import STAR_SEEDS, Difference
from drnbench.report.summary import Result, Results


def headline(scores: Scores, results: Results) -> str:
    """Return one to three sentences on the primary place and metric, for a terminal (ASCII minus)."""
    done, planned = scores.counts
    if not any(r.n_seeds for r in results.values()):
        return f"No scores yet: {done} of {text.count(planned, 'trial')} done."
    place, metric = scores.primary
    column = [r for r in results.values() if r.place == place and r.metric == metric]
    parts = [f"{done} of {text.count(planned, 'trial')} so far."] if done < planned else []
    base = scores.baseline
    if base is None:
        parts.append(_means(scores, column))
    elif not any(r.arm == base.name and r.n_seeds for r in column):
        parts.append(f"The baseline {base.name} has no scores, so nothing is compared. {_means(scores, column)}")
    else:
        control = scores.control
        sighted, sentence = _control(scores, results) if control else (True, "")
        parts += [sentence] if sentence else []
        parts.append(_arms(scores, column, with_place=not sentence, sighted=sighted))
        parts.append(_below_reference(scores, column))
    return text.plain(" ".join(part for part in parts if part))


def _below_reference(scores: Scores, column: list[Result]) -> str:
    """Say so where no trained arm reaches the untrained reference: differences between failures mean little."""
    sign = 1 if text.style(scores.primary[1]).higher_is_better else -1
    shown = [r for r in column if r.mean is not None]
    reference = [r for r in shown if scores.arm(r.arm).kind == "reference"]
    trained = [r.mean for r in shown if not scores.arm(r.arm).seedless and r.mean is not None]
    if not reference or not trained or reference[0].mean is None:
        return ""
    best = max(trained, key=lambda mean: sign * mean)
    if sign * best >= sign * reference[0].mean:
        return ""
    return f"No trained arm reaches {reference[0].arm}, so these are differences between networks that are not trained enough."


def _sample(d: Difference) -> str:
    if d.level == "method":
        return f"{text.count(d.seeds, 'seed')}, {text.count(d.images, 'image')}"
    return f"one seed, so these checkpoints only, {text.count(d.images, 'image')}"


def effect(d: Difference, metric: str) -> int:
    """Return +1 where the whole interval is a gain, -1 where it is a loss, 0 where it holds zero or is missing."""
    if d.low is None or d.high is None or d.low <= 0 <= d.high:
        return 0
    return 1 if (d.low > 0) == text.style(metric).higher_is_better else -1


def _control(scores: Scores, results: Results) -> tuple[bool, str]:
    """Whether the positive control shows that a gain would be seen, and the sentence on it."""
    place, metric = scores.primary
    assert scores.control is not None
    assert scores.baseline is not None
    name, base = scores.control.name, scores.baseline.name
    result = results.get((name, place, metric))
    d = result.difference if result else None
    if d is None:
        return (
            False,
            f"The positive control {name!r} has no scores yet, so whether a gain would be seen is open.",
        )
    where = f"{base} on {place.label} ({_sample(d)})"
    amount = text.delta(d, metric)
    found = effect(d, metric)
    if found > 0:
        sees = "The instrument can see" if d.level == "method" else "With one seed the instrument seems to see"
        return True, f"{sees}: {name!r} gains {amount} over {where}."
    if found < 0:
        return (
            False,
            f"The instrument is in doubt: {name!r}, the positive control, loses {amount} against {where}.",
        )
    return False, f"The instrument cannot see: {name!r}, the positive control, is at {amount} from {where}."


def _sign(result: Result) -> int:
    """What may be said of an arm: by its star where one can be had, else by its interval."""
    d = result.difference
    assert d is not None
    if d.seeds >= STAR_SEEDS and result.p_holm is not None:
        return {"better": 1, "worse": -1, "": 0}[result.verdict]
    return effect(d, result.metric)


def _arms(scores: Scores, column: list[Result], *, with_place: bool, sighted: bool) -> str:
    place, metric = scores.primary
    s, base = text.style(metric), scores.baseline
    assert base is not None
    skip = {base.name, scores.plan["control"]}
    others = [
        r for r in column if r.arm not in skip and r.difference is not None and scores.arm(r.arm).kind != "reference"
    ]
    if not others:
        return "" if not with_place else f"No other arm has scores to compare with {base.name} yet."
    others.sort(key=lambda r: r.difference.mean if r.difference else 0.0, reverse=s.higher_is_better)
    where = ""
    if with_place and others[0].difference:
        where = f" on {place.label} ({_sample(others[0].difference)})"
    # One seed tells nothing of a method: among arms with more, such an arm is only counted.
    single = [r for r in others if r.difference and r.difference.seeds < 2]
    caution = _caution(others)
    if len(single) < len(others):
        others = [r for r in others if r not in single]
    else:
        single = []
    gains, losses = [r for r in others if _sign(r) > 0], [r for r in others if _sign(r) < 0]
    level = [r for r in others if _sign(r) == 0]
    told = _told(scores, others)
    blind = (
        " The control shows no gain here, so what is not told apart is not shown to be equal." if not sighted else ""
    )
    if single:
        caution += f" {text.count(len(single), 'more arm')} with one seed, not judged."
    if len(others) == 1:
        r = others[0]
        verb = {1: "gains", -1: "loses", 0: "is not told apart from"}[_sign(r)]
        if _sign(r):
            return f"{r.arm} {verb} {_amount(r)} against {base.name}{where}.{blind if not _sign(r) else ''}{caution}"
        return f"{r.arm} {verb} {base.name}{where}: {_amount(r)}.{blind}{caution}"
    if not gains and not losses:
        ends = f"best {others[0].arm} with {_amount(others[0])}, worst {others[-1].arm} with {_amount(others[-1])}"
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


def _caution(others: list[Result]) -> str:
    """Return what limits every claim on these arms: one seed, or two."""
    most = max(r.difference.seeds for r in others if r.difference)
    if most < 2:
        return " One seed: these are differences of checkpoints, not of methods."
    return "" if most >= STAR_SEEDS else " Two seeds: judged by intervals, not tested."


def _some(some: list[Result], others: list[Result], what: str, extreme: str, which: Result) -> str:
    """Write `2 better (best ρ=0.3 with ...)`."""
    n = "all" if len(some) == len(others) else str(len(some))
    return f"{n} {what} ({extreme + ' ' if len(some) > 1 else ''}{which.arm} with {_amount(which)})"


def _amount(result: Result) -> str:
    assert result.difference is not None
    return text.delta(result.difference, result.metric)


def _told(scores: Scores, others: list[Result]) -> str:
    axes = scores.plan["axes"]
    if len(axes) == 1 and all(scores.arm(r.arm).kind == "grid" for r in others):
        return f"{len(others)} other values of {axes[0]['title']}"
    return f"{len(others)} other arms"


def _means(scores: Scores, column: list[Result]) -> str:
    """What can be said without a baseline: the best and the worst mean, untested."""
    place, metric = scores.primary
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
        return f"On {place.label} ({sizes}): {one(known[0])} {s.label}."
    untested = "" if scores.baseline else " The study declares no baseline, so nothing is tested."
    return f"Best {s.label} on {place.label} ({sizes}): {one(known[0])}; worst: {one(known[-1])}.{untested}"
