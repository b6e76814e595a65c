"""Seeds that failed: every mean leaves them out, so rows, captions and headlines say so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from drnbench.render import text
from drnbench.results import labels
from drnbench.results.scores import Arm, Scores, TrialState

NAMED = 4
"""So many arms are named one by one; of more, the number."""
VERBS = {"diverged": "diverged", "oom": "ran out of memory", "timeout": "timed out", "killed": "got killed"}
"""Kind of a failure -> verb; any other: failed."""


def count(arms: Sequence[Arm]) -> str:
    """Write `1 of 3 diverged`; nothing where no trial of the arms failed."""
    failed, total = _failed(arms), sum(len(arm.trials) for arm in arms)
    verbs = Counter(map(_verb, failed))
    if len(verbs) < 2:
        return f"{len(failed)} of {total} {next(iter(verbs))}" if verbs else ""
    return f"{len(failed)} of {total}: {labels.listing([f'{number} {verb}' for verb, number in verbs.most_common()])}"


def sentences(scores: Scores) -> list[str]:
    """Return which seeds failed, in a sentence; [] where none did."""
    groups: dict[str, list[str]] = {}
    for arm in scores.arms:
        if _failed([arm]):
            groups.setdefault(_failures(arm), []).append(arm.name)
    parts = [f"{_names(names)}: {'each ' if len(names) > 1 else ''}{words}" for words, names in groups.items()]
    return [f"{'; '.join(parts)}."] if parts else []


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
