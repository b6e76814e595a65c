"""Seeds that failed, which every mean leaves out, and seeds far from the others, which it holds: said wherever means stand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from drnbench.render import text
from drnbench.results import labels
from drnbench.results.outlying import Outlier, equal_seeds, outlying
from drnbench.results.scores import Arm, Scores, TrialState

NAMED = 4
"""So many arms are named one by one; of more, the number."""
PLACES = 2
"""So many test sets with outlying seeds are named one by one; of more, the number of arms."""
VERBS = {"diverged": "diverged", "oom": "ran out of memory", "timeout": "timed out", "killed": "got killed",
         "changed": "met changed files"}  # fmt: skip
"""Kind of a failure -> verb; any other: failed."""


def count(arms: Sequence[Arm]) -> str:
    """Write `1 of 3 diverged`; nothing where no trial of the arms failed."""
    failed, total = _failed(arms), sum(len(arm.trials) for arm in arms)
    verbs = Counter(map(_verb, failed))
    if len(verbs) < 2:
        return f"{len(failed)} of {total} {next(iter(verbs))}" if verbs else ""
    return f"{len(failed)} of {total}: {labels.listing([f'{number} {verb}' for verb, number in verbs.most_common()])}"


def sentences(scores: Scores) -> list[str]:
    """Return which seeds failed, and which lie far from the others; [] where none does."""
    groups: dict[str, list[str]] = {}
    for arm in scores.arms:
        if _failed([arm]):
            groups.setdefault(_failures(arm), []).append(text.arm_name(scores, arm.name))
    parts = [f"{_names(names)}: {'each ' if len(names) > 1 else ''}{words}" for words, names in groups.items()]
    return [*([f"{'; '.join(parts)}."] if parts else []), *_outlying(scores), *_without_effect(scores)]


def _without_effect(scores: Scores) -> list[str]:
    equal = [text.arm_name(scores, name) for name in equal_seeds(scores)]
    if not equal:
        return []
    return [
        f"All seeds of {labels.listing(equal, NAMED)} have the same scores, which say nothing of the spread between seeds."
    ]


def _outlying(scores: Scores) -> list[str]:
    """Return which seeds lie far from the other seeds of their arm: a sentence for each test set and set of seeds."""
    groups: dict[tuple[object, ...], list[Outlier]] = {}
    for outlier in outlying(scores):
        key = (*outlier[1:4], outlier.all_seeds, outlier.distance > 0, outlier.more_seeds)
        groups.setdefault(key, []).append(outlier)
    first, others = list(groups.values())[:PLACES], list(groups.values())[PLACES:]
    more = sum(map(len, others))
    rest = [f"So do seeds of {text.count(more, 'more arm')} on other test sets or metrics."] if more else []
    return [*(_apart(scores, group) for group in first), *rest]


def _apart(scores: Scores, group: Sequence[Outlier]) -> str:
    """Write `Seed 2 of ρ=0.3 lies 21.4 dB below the other seeds on Set5, bd ×4 in PSNR-Y; the mean includes it`."""
    first, style = group[0], text.style(group[0].metric)
    sizes = sorted(text.number(abs(outlier.distance), style.decimals - 1) for outlier in group)
    distance = "–".join(dict.fromkeys((sizes[0], sizes[-1]))) + style.unit
    seeds, below = list(map(str, first.seeds)), "above" if first.distance > 0 else "below"
    arms = labels.listing([text.arm_name(scores, outlier.arm) for outlier in group], NAMED)
    many = len(seeds) > 1 and not (first.all_seeds and len(seeds) == 2)
    if many and first.all_seeds:
        words = f"The seeds of {arms} lie up to {distance} apart"
    elif first.all_seeds:
        words = f"Seed {seeds[0]} of {arms} lies {distance} below seed {seeds[1]}"
    else:
        verb = f"lie up to {distance}" if many else f"lies {distance}"
        words = f"Seed{'s' if many else ''} {labels.listing(seeds)} of {arms} {verb} {below} the other seeds"
    where = f"on {first.condition.label} in {style.label}{_more(group)}"
    return f"{words} {where}; the mean{'s' if len(group) > 1 else ''} include{'' if len(group) > 1 else 's'} {'them' if many else 'it'}."


def _more(group: Sequence[Outlier]) -> str:
    """Write ` and in 1–3 more columns (there seed 2, too)`; nothing where no other column has outlying seeds."""
    columns, seeds = [outlier.more for outlier in group], list(map(str, group[0].more_seeds))
    if not any(columns):
        return ""
    others = f" (there {'seed' if len(seeds) == 1 else 'seeds'} {labels.listing(seeds)}, too)" if seeds else ""
    numbers = text.span(columns, "more column") if min(columns) else f"up to {text.count(max(columns), 'more column')}"
    return f" and in {numbers}{others}"


def no_scores(scores: Scores) -> str:
    """Write that something has no scores, yet or for good."""
    return "has no scores yet" if unfinished(scores) else "has no scores"


def unfinished(scores: Scores) -> bool:
    """Return True if some trial is still to be scored: it has neither scores nor a failure."""
    done, planned = scores.counts
    return done + len(_failed(scores.arms)) < planned


def _failed(arms: Sequence[Arm]) -> list[TrialState]:
    return [trial for arm in arms for trial in arm.trials if trial.state == "failed"]


def _verb(trial: TrialState) -> str:
    return VERBS.get((trial.message or "").partition(":")[0], "failed")


def _names(names: Sequence[str]) -> str:
    more = [text.count(len(names) - NAMED, "more arm")] if len(names) > NAMED else []
    return labels.listing([*names[:NAMED], *more])


def _failures(arm: Arm) -> str:
    """Write `1 of 3 seeds diverged (seed 2), which the mean leaves out`."""
    failed, total = _failed([arm]), len(arm.trials)
    verbs = labels.listing(list(dict.fromkeys(map(_verb, failed))))
    if len(failed) == total:
        return f"{'the only seed' if total == 1 else f'all {total} seeds'} {verbs}, so there is no mean"
    seeds = f"{'seed' if len(failed) == 1 else 'seeds'} {labels.listing([str(trial.seed) for trial in failed])}"
    return f"{len(failed)} of {text.count(total, 'seed')} {verbs} ({seeds}); the mean leaves {'it' if len(failed) == 1 else 'them'} out"
