"""The plan of a study that adds seeds until each comparison is clear; see `drnbench.results.stopping` for the rule.

The seeds of an arm are a function of the declaration and of the scores in the store: a plan made at any time, by any
coordinator, after any interruption, decides the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from drnbench.config.study import Until
from drnbench.errors import UsageError
from drnbench.evaluation import metrics
from drnbench.planning.build import make
from drnbench.planning.expand import Expanded
from drnbench.planning.graph import Plan, PlannedTrial
from drnbench.planning.inputs import Inputs
from drnbench.results.comparison import Compared, of_record
from drnbench.results.plan_record import SeedsRecord, UntilRecord
from drnbench.results.scores import Condition
from drnbench.results.stopping import Look, examine, next_count
from drnbench.store import Store


@dataclass(frozen=True)
class _Pair:
    """An arm and its baseline, on the condition and in the metric that decide its number of seeds.

    The members of a condition that is a mean over kernels are scored; of any other it is the one member.
    """

    arm: str
    base: str
    condition: Condition
    metric: str
    members: tuple[Condition, ...]


def make_adaptive(study: Expanded, store: Store, inputs: Inputs | None = None) -> Plan:
    """Build the plan of a study: of one that adds seeds, with those that its scores ask for so far.

    Args:
        study: the expanded study.
        store: the results folder.
        inputs: files as they were read for an earlier plan; None: they are read now.

    Raises:
        UsageError: anything that would make a trial fail; no arm is compared to a baseline.

    """
    plan = make(study, store, inputs)
    if study.until is None:
        return plan
    compared = of_record(plan.record())
    pairs = _pairs(compared)
    if not pairs:
        raise UsageError(f"{study.name}: seeds are added for comparisons to a baseline, and no arm has one")
    trials = {(trial.arm.name, trial.trial.seed): trial for trial in plan.trials}
    arms = [_seeds(pair, study.until, compared, trials, store) for pair in pairs]
    first, target = pairs[0], f"{study.until.half_width:g}{_unit(pairs[0].metric)}"
    limited = make(_limited(study, _counts(study.until, pairs, {arm.arm: arm.seeds for arm in arms})), store, inputs)
    limited.until = UntilRecord(
        **study.until.model_dump(),
        target=f"{target} in {metrics.get(first.metric).label} on {first.condition.label}",
        arms=arms,
    )
    return limited


def largest(study: Expanded, plan: Plan, store: Store, inputs: Inputs | None = None) -> Plan:
    """Return the plan with the most seeds that may follow: `at_most` of the arms that are open; inputs as of the plan."""
    assert study.until is not None
    assert plan.until is not None
    pairs = _pairs(of_record(plan.record()))
    most = {arm.arm: study.until.at_most if arm.open else arm.seeds for arm in plan.until.arms}
    return make(_limited(study, _counts(study.until, pairs, most)), store, inputs)


def _pairs(compared: Compared) -> list[_Pair]:
    """Return the comparisons that decide, one a trained arm: on the primary condition and in its metric.

    An arm that has no baseline there, such as one of another scale, has the first condition on which it has one.
    """
    scores, pairs, primary = compared.scores, [], compared.scores.plan.primary
    first = Condition(primary.dataset, primary.kernel, primary.scale) if primary else compared.primary
    for arm in scores.arms:
        conditions = sorted(arm.conditions, key=lambda condition: condition != first)
        bases = [(condition, base) for condition in conditions if (base := scores.baseline_of(arm, condition))]
        if bases and not arm.seedless and compared.trials[arm.name]:
            condition, base = bases[0]
            metric = primary.metric if primary and condition == first else scores.metrics[condition][0]
            pairs.append(_Pair(arm.name, base.name, condition, metric, scores.members(condition)))
    return pairs


def _counts(until: Until, pairs: list[_Pair], counts: Mapping[str, int]) -> dict[str, int]:
    """Return the seeds of compared arms and, as many as the arm with most, of their baselines."""
    result = dict(counts)
    for pair in pairs:
        result[pair.base] = max(result.get(pair.base, until.at_least), counts[pair.arm])
    return result


def _limited(study: Expanded, counts: Mapping[str, int]) -> Expanded:
    """Return the study with the first seeds of each arm."""
    assert study.until is not None
    arms = []
    for arm in study.arms:
        count = counts.get(arm.name, study.until.at_least)
        trials = tuple(trial for trial in arm.trials if trial.seed < count)
        arms.append(
            replace(arm, trials=trials, excluded={s: reason for s, reason in arm.excluded.items() if s < count})
        )
    return replace(study, arms=tuple(arms))


def _seeds(
    pair: _Pair, until: Until, compared: Compared, trials: Mapping[tuple[str, int], PlannedTrial], store: Store
) -> SeedsRecord:
    """Return how many seeds an arm has, by looking at the first `at_least`, and at more as long as it is open."""
    count, before, unit = until.at_least, "", _unit(pair.metric)
    while True:
        arm, base = (
            [_state(trial, pair) for seed in range(count) if (trial := trials.get((name, seed)))]
            for name in (pair.arm, pair.base)
        )
        if "waiting" in (*arm, *base):
            reason = f"{count} seeds{before}, {arm.count('waiting')} of them to come"
            return SeedsRecord(arm=pair.arm, seeds=count, reason=reason, open=True)
        look = examine(compared.table(pair.arm, pair.base, pair.condition, pair.metric, store, count), until)
        if reason := _failures(arm, base) or _ending(look, count, until, unit):
            return SeedsRecord(arm=pair.arm, seeds=count, reason=reason, half_width=look.half_width)
        before, count = f" after {_size(look, unit)} with {count}", next_count(count, until)


def _state(trial: PlannedTrial, pair: _Pair) -> str:
    """Return scored, failed or waiting; a trial that was killed, or whose files changed, is tried again by itself: it waits."""
    names = {(pair.metric, condition.dataset, condition.kernel) for condition in pair.members}
    wanted = {e.key for e in trial.unit.wanted if (e.metric, e.dataset, e.kernel) in names}
    if not wanted & set(trial.missing):
        return "scored"
    again = trial.status is not None and trial.status.kind in {"killed", "changed"}
    return "failed" if trial.state == "failed" and not again else "waiting"


def _failures(arm: list[str], base: list[str]) -> str:
    """Return the reason to end an arm most of whose seeds, or of whose baseline's, failed; empty where they did not."""
    for whose, states in (("its", arm), ("the baseline's", base)):
        if 2 * states.count("failed") > len(states):
            return f"{states.count('failed')} of {whose} {len(states)} seeds failed"
    return ""


def _ending(look: Look, count: int, until: Until, unit: str) -> str:
    """Return the reason to end an arm after a look; empty where it is open."""
    if look.half_width is not None and look.half_width <= until.half_width:
        return f"{_size(look, unit)} reached with {count} seeds"
    if look.images_needed:
        return (
            f"{_size(look, unit)} with {count} seeds; more seeds do not help: the spread is between images, of which at "
            f"least {look.images_needed} are needed (unlimited seeds would leave {look.images_alone:.3g}{unit})"
        )
    return f"at most {count} seeds: {_size(look, unit)}" if count >= until.at_most else ""


def _size(look: Look, unit: str) -> str:
    return "no half-width" if look.half_width is None else f"half-width {look.half_width:.3g}{unit}"


def _unit(metric: str) -> str:
    unit = metrics.get(metric).unit
    return f" {unit}" if unit else ""
