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
    arms = [arm for arm in scores.arms if _failed([arm])]
    parts = [_arm(arm) for arm in arms[:NAMED]]
    if len(arms) > NAMED:
        parts.append(f"{text.count(len(arms) - NAMED, 'more arm')}: {count(arms[NAMED:])}")
    return [f"{'; '.join(parts)}."] if parts else []


def unfinished(scores: Scores) -> bool:
    """Return True if some trial is still to be scored: it has neither scores nor a failure."""
    done, planned = scores.counts
    return done + len(_failed(scores.arms)) < planned


def _failed(arms: Sequence[Arm]) -> list[TrialState]:
    return [trial for arm in arms for trial in arm.trials if trial.state == "failed"]


def _verb(trial: TrialState) -> str:
    return VERBS.get((trial.message or "").partition(":")[0], "failed")


def _arm(arm: Arm) -> str:
    """Write `ρ=1: 1 of 3 seeds diverged (seed 2); the mean leaves it out`."""
    failed, total = _failed([arm]), len(arm.trials)
    verbs = labels.listing(list(dict.fromkeys(map(_verb, failed))))
    if len(failed) == total:
        return f"{arm.name}: {'the only seed' if total == 1 else f'all {total} seeds'} {verbs}, so there is no mean"
    seeds = f"{'seed' if len(failed) == 1 else 'seeds'} {labels.listing([str(trial.seed) for trial in failed])}"
    leaves = "the mean leaves it out" if len(failed) == 1 else "the mean leaves them out"
    return f"{arm.name}: {len(failed)} of {text.count(total, 'seed')} {verbs} ({seeds}); {leaves}"
