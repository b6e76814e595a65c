"""The arms of a study that are compared, and their paired differences by seed, from a plan and the store's scores.

Which arm is compared to which is decided as in a report (`Scores.baseline_of`), so that the plan speaks of the same
comparisons. pandas takes longer to import than a plan takes, so values are read without it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from drnbench.config.units import Evaluation
from drnbench.results.families import Cell, adjusted
from drnbench.results.kernel_means import kernel_means, metrics_of, with_means
from drnbench.results.plan_record import ArmRecord, PlanRecord, TrialRecord
from drnbench.results.scores import Arm, Condition, Scores
from drnbench.store import Store, stored_rows

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Values = dict[tuple[str, int], float]
"""(image, number of images of that name before it) -> value."""


@dataclass
class Compared:
    """A study as far as comparisons go.

    Attributes:
        scores: arms, conditions and metrics, without values.
        trials: arm -> seed -> trial.
        reads: evaluations read so far.

    """

    scores: Scores
    trials: dict[str, dict[int, TrialRecord]]
    reads: int = 0
    _values: dict[tuple[str, str], Values] = field(default_factory=dict)

    @property
    def primary(self) -> Condition | None:
        """The first evaluation of the baseline; None without a baseline."""
        base = self.scores.baseline
        return self.scores.primary_of(base) if base is not None else None

    def pairs(self, condition: Condition) -> list[tuple[str, str]]:
        """Return (arm, baseline) of every trained arm that is compared on a condition."""
        trained = [arm for arm in self.scores.arms if not arm.seedless]
        pairs = [(arm, self.scores.baseline_of(arm, condition)) for arm in trained]
        return [(arm.name, base.name) for arm, base in pairs if base is not None and not base.seedless]

    def method(self, arm: str) -> str:
        """Return the method of an arm's trials."""
        trial = next(iter(self.trials[arm].values()))
        return str((trial.config or {}).get("method"))

    def methods_at(self, condition: Condition) -> frozenset[str]:
        """Return the methods of the arms that are compared on a condition."""
        return frozenset(self.method(arm) for arm, _ in self.pairs(condition))

    @cached_property
    def families(self) -> dict[Cell, int]:
        """Every cell that a finished study tests, with the number of cells that are corrected together."""
        cells = {
            (arm, condition, metric): 1.0
            for condition in self.scores.conditions
            for arm, _ in self.pairs(condition)
            for metric in self.scores.metrics[condition]
        }
        return {cell: size for cell, (_, size) in adjusted(self.scores.plan, cells).items()}

    def table(
        self, arm: str, base: str, condition: Condition, metric: str, store: Store, below: int | None = None
    ) -> NDArray[np.float64]:
        """Return the differences of an arm to a baseline, of the seeds and images that both have: S x I, all finite.

        Seeds from `below` on are left out.
        """
        import numpy as np

        by_seed = []
        for seed, trial in self.trials[arm].items():
            paired = self.trials[base].get(seed)
            if paired is None or (below is not None and seed >= below):
                continue
            parts = [self._differences(trial, paired, c, metric, store) for c in self.scores.members(condition)]
            # Of a mean over kernels: the images that every kernel has.
            images = [image for image in parts[0] if all(image in part for part in parts[1:])]
            if differences := {image: sum(part[image] for part in parts) / len(parts) for image in images}:
                by_seed.append(differences)
        first = by_seed[0] if by_seed else {}
        images = [image for image in first if all(math.isfinite(d.get(image, math.nan)) for d in by_seed)]
        D = np.array([[differences[image] for image in images] for differences in by_seed])
        return D.reshape(len(by_seed), len(images))

    def _differences(
        self, trial: TrialRecord, paired: TrialRecord, condition: Condition, metric: str, store: Store
    ) -> Values:
        """Return a trial's values minus those of the baseline's trial of the same seed, on the images that both have."""
        evaluation, reference = (_evaluation(t, condition, metric) for t in (trial, paired))
        if evaluation is None or reference is None or not _same_images(evaluation, reference):
            return {}
        values, base_values = self._read(store, trial, evaluation), self._read(store, paired, reference)
        return {image: values[image] - base_values[image] for image in values if image in base_values}

    def _read(self, store: Store, trial: TrialRecord, evaluation: Evaluation) -> Values:
        key = (trial.key, evaluation.key)
        if key not in self._values:
            self.reads += 1
            self._values[key] = _values(store, *key)
        return self._values[key]


def of_record(plan: PlanRecord) -> Compared:
    """Return the comparisons of a plan; what is not scored yet counts as absent."""
    trials: dict[str, dict[int, TrialRecord]] = {arm.name: {} for arm in plan.arms}
    metrics: dict[Condition, dict[str, None]] = {}
    for trial in plan.trials:
        trials[trial.arm][trial.seed] = trial
        for condition, evaluation in _evaluations(trial):
            metrics.setdefault(condition, {})[evaluation.metric] = None
    means = kernel_means(plan, lambda scale, evaluation: Condition(evaluation.dataset, evaluation.kernel, scale))
    arms = tuple(with_means(_arm(arm, list(trials[arm.name].values()), plan), means) for arm in plan.arms)
    by_condition = metrics_of({condition: tuple(names) for condition, names in metrics.items()}, means)
    return Compared(Scores(plan, arms, tuple(by_condition), by_condition, {}, {}, {}, means=means), trials)


def _arm(arm: ArmRecord, trials: list[TrialRecord], plan: PlanRecord) -> Arm:
    conditions = tuple(dict.fromkeys(condition for trial in trials for condition, _ in _evaluations(trial)))
    scale = trials[0].scale if trials else arm.values.get("scale", plan.trials[0].scale)
    seedless = bool(trials) and all(trial.seedless for trial in trials)
    return Arm(arm.name, arm.kind, arm.values, int(scale), seedless, (), (), conditions)


def _evaluations(trial: TrialRecord) -> Iterator[tuple[Condition, Evaluation]]:
    return ((Condition(e.dataset, e.kernel, trial.scale), e) for e in trial.wanted)


def _evaluation(trial: TrialRecord, condition: Condition, metric: str) -> Evaluation | None:
    """Return the first evaluation of a trial on a condition in a metric."""
    return next((e for own, e in _evaluations(trial) if own == condition and e.metric == metric), None)


def _same_images(evaluation: Evaluation, other: Evaluation) -> bool:
    """Return True if differences between two evaluations mean something."""
    return (evaluation.source, evaluation.crop, evaluation.lr) == (other.source, other.crop, other.lr)


def _values(store: Store, trial: str, evaluation: str) -> Values:
    """Return the values of one evaluation of a trial by image; empty where there are none."""
    table = stored_rows(store.trial(trial) / "per_image.parquet", ["evaluation", "image", "value"])
    if table is None:
        return {}
    values: Values = {}
    earlier: dict[str, int] = {}
    columns = (table.column(name).to_pylist() for name in ("evaluation", "image", "value"))
    for key, image, value in zip(*columns, strict=True):
        if key == evaluation:
            earlier[image] = earlier.get(image, -1) + 1
            values[image, earlier[image]] = float("nan") if value is None else value
    return values
