"""Names of conditions: test sets that differ in crop, source, count or LR images alone keep apart."""

from __future__ import annotations

from collections import defaultdict

from drnbench.config.units import Evaluation
from drnbench.results.plan_record import PlanRecord
from drnbench.results.scores import Condition

Key = tuple[int, str, str]
"""Scale, data set and kernel."""


class ConditionNames:
    """The conditions of a plan's evaluations, under names that are unique in the study, also between arms."""

    def __init__(self, plan: PlanRecord) -> None:
        self._crops: dict[Key, set[int | None]] = defaultdict(set)
        self._sources: dict[Key, set[str]] = defaultdict(set)
        self._lrs: dict[Key, set[str | None]] = defaultdict(set)
        self._counted = set[Key]()
        reference = {arm.name for arm in plan.arms if arm.kind == "reference"}
        for trial in plan.trials:
            counts: dict[Key, set[int | None]] = defaultdict(set)
            for evaluation in trial.wanted:
                key = _key(trial.scale, evaluation)
                self._crops[key].add(evaluation.crop)
                self._sources[key].add(evaluation.source)
                self._lrs[key].add(evaluation.lr)
                counts[key].add(evaluation.count)
            # Arms may be scored on as many images as they were trained on; that is one condition. A reference is scored
            # wherever an arm is, and has no counts of its own.
            if trial.arm not in reference:
                self._counted |= {key for key, different in counts.items() if len(different) > 1}

    def condition(self, scale: int, evaluation: Evaluation) -> Condition:
        """Return the condition of an evaluation at a scale."""
        key, e = _key(scale, evaluation), evaluation
        notes = []
        if len(self._crops[key]) > 1 or len(self._sources[key]) > 1:
            notes.append("whole" if e.crop is None else f"crop {e.crop}")
        if key in self._counted:
            notes.append("all" if e.count is None else f"first {e.count}")
        if self._lrs[key] != {None}:
            notes.append("LR made here" if e.lr is None else f"LR: {'/'.join(e.lr.split('/')[-2:])}")
        name = e.dataset + (f" ({', '.join(notes)})" if notes else "")
        name += f" of {e.source}" if len(self._sources[key]) > 1 else ""
        return Condition(name, e.kernel, scale)


def _key(scale: int, evaluation: Evaluation) -> Key:
    return scale, evaluation.dataset, evaluation.kernel
