"""Every number of a study: one result for each arm, condition and metric; and summary.csv."""

from __future__ import annotations

import csv
import functools
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from drnbench.evaluation import metrics
from drnbench.results import families
from drnbench.results.condition_names import ConditionNames
from drnbench.results.scores import Arm, Condition, Scores
from drnbench.results.statistics import (
    STAR_SEEDS,
    VERSION,
    Difference,
    Equivalence,
    Verdict,
    difference,
    direction,
    equivalence,
    over_seeds,
    verdict,
)

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

COLUMNS = (
    "arm", "dataset", "kernel", "scale", "metric", "mean", "half_width", "n_seeds", "n_images",
    "delta", "delta_low", "delta_high", "p_holm", "won", "level", "family", "primary", "margin", "equivalence", "statistics",
    "delta_seeds", "delta_images", "of_control",
)  # fmt: skip


@dataclass(frozen=True)
class Result:
    """The score of one arm on one condition in one metric.

    Attributes:
        mean: over images and seeds; None where nothing finite is there yet; infinite where every value is (SR equal to HR).
        half_width: of the study's level, t over the seeds' test-set means; None under two seeds.
        n_images: number of images that the mean rests on.
        left_out: images with an infinite value, which no mean holds, unless all values are.
        missing: images of the condition that have no value in some seed: a missing row, or not a number.
        images: names of the images that the mean rests on.
        seeds: numbers of the seeds that the mean rests on.
        seedless: the arm is untrained, so that its one value stands for every seed.
        difference: to the baseline, paired by seed and image.
        p_holm: of the difference between the methods, adjusted within its family (`drnbench.results.families`).
        verdict: "better", "worse" or "": the star, which takes three seeds.
        claim: direction of the difference as far as a sentence may say so: with three seeds the star, with two what the
            adjusted test shows; "" where there is no test: with one common seed, one image, or without training.
        family: number of cells that are adjusted together, those of constant differences, which have no p, among them; 1 for
            the primary comparison; 0 where nothing is tested.
        primary: it is the one comparison that the study declares in advance.
        margin: within which the study calls a difference nothing; None where it declares none for the metric.
        control_gain: mean difference of the positive control to the same baseline, on as many seeds and images; None where the
            control is not compared, has under three seeds, or an interval that holds zero.
        equivalence: what two one-sided tests within the margin show, at 5 % for this cell alone; "" without a margin.

    """

    arm: str
    condition: Condition
    metric: str
    mean: float | None = None
    half_width: float | None = None
    n_seeds: int = 0
    n_images: int = 0
    left_out: int = 0
    missing: int = 0
    images: frozenset[str] = frozenset()
    seeds: frozenset[int] = frozenset()
    seedless: bool = False
    difference: Difference | None = None
    p_holm: float | None = None
    verdict: Verdict = ""
    claim: Verdict = ""
    family: int = 0
    primary: bool = False
    margin: float | None = None
    equivalence: Equivalence = ""
    control_gain: float | None = None

    @property
    def of_control(self) -> float | None:
        """The difference as a share of the positive control's; None where that is not detected."""
        return (
            None if self.control_gain is None or self.difference is None else self.difference.mean / self.control_gain
        )

    @property
    def all_images(self) -> int:
        """Number of images of the condition, also those that the mean leaves out."""
        return self.n_images + self.left_out + self.missing

    @property
    def equals_hr(self) -> bool:
        """Return True if the score is infinite on every image, so that no difference can be taken."""
        return self.mean is not None and math.isinf(self.mean)


Results = dict[tuple[str, Condition, str], Result]


def summarise(scores: Scores) -> Results:
    """Return the results of every arm on every condition of its own, in table order, also where nothing is scored yet."""
    images = _images(scores)
    results = {
        (arm.name, condition, metric): _result(scores, arm, condition, metric, images)
        for condition in scores.conditions
        for metric in scores.metrics[condition]
        for arm in scores.arms
        if condition in arm.conditions
    }
    order = {arm.name: n for n, arm in enumerate(scores.arms)}
    return dict(sorted(_judged(scores, results).items(), key=lambda item: order[item[0][0]]))


@functools.cache
def higher_is_better(metric: str) -> bool:
    """Return the direction of a metric, from the registry."""
    return metrics.get(metric).higher_is_better


def _images(scores: Scores) -> dict[tuple[str, Condition], frozenset[str]]:
    """Return the images that each arm is to be scored on: those that some arm with the same count of them has."""
    names, counts = ConditionNames(scores.plan), dict[tuple[str, Condition], set[int | None]]()
    for trial in scores.plan.trials:
        for evaluation in trial.wanted:
            cell = trial.arm, names.condition(trial.scale, evaluation)
            counts.setdefault(cell, set()).add(evaluation.count)
    counts |= {
        (arm.name, mean): counts[arm.name, members[0]]
        for mean, members in scores.means.items()
        for arm in scores.arms
        if (arm.name, members[0]) in counts
    }
    own: dict[tuple[str, Condition], set[str]] = {}
    by_count: dict[tuple[Condition, int | None], set[str]] = {}
    for (arm, condition, _), table in scores.tables.items():
        own.setdefault((arm, condition), set()).update(table.columns)
    for (arm, condition), images in own.items():
        if len(several := counts.get((arm, condition), set())) == 1:
            by_count.setdefault((condition, next(iter(several))), set()).update(images)
    return {
        cell: frozenset(images.union(*(by_count.get((cell[1], count), set()) for count in counts.get(cell, set()))))
        for cell, images in own.items()
    }


def _result(
    scores: Scores, arm: Arm, condition: Condition, metric: str, images: Mapping[tuple[str, Condition], frozenset[str]]
) -> Result:
    table = scores.tables.get((arm.name, condition, metric))
    if table is None:
        return Result(arm.name, condition, metric, seedless=arm.seedless)
    values = table.to_numpy(dtype="float64")
    # A seed that lacks an image (two plans with different test sets) must not shift the mean.
    kept = ~np.isnan(values).any(0)
    missing = len(images[arm.name, condition]) - int(kept.sum())
    mean, half, left_out = over_seeds(values[:, kept], scores.alpha)
    if kept.any() and np.isposinf(values[:, kept]).all():
        mean, left_out = math.inf, 0
    else:
        kept &= np.isfinite(values).all(0)
    names, seeds = frozenset(table.columns[kept]), frozenset(map(int, table.index))
    return Result(
        arm.name, condition, metric, mean, half, len(values), len(names), left_out, missing, names, seeds, arm.seedless,
        _difference(scores, arm, condition, metric),
    )  # fmt: skip


def _difference(scores: Scores, arm: Arm, condition: Condition, metric: str) -> Difference | None:
    base = scores.baseline_of(arm, condition)
    pair = paired(scores, arm, base, condition, metric) if base else None
    if pair is None:
        return None
    if arm.kind == "reference" and pair[0].shape[1] < scores.tables[arm.name, condition, metric].shape[1]:
        return None  # it stands for arms of several sizes of test set, and its mean is not over this baseline's images
    return difference(minus(*pair), higher_is_better=higher_is_better(metric), alpha=scores.alpha)


def paired(
    scores: Scores, arm: Arm, base: Arm, condition: Condition, metric: str
) -> tuple[pd.DataFrame, pd.DataFrame] | None:
    """Return the values of an arm and of another, with the seeds and images of both; None where one has no scores."""
    table, base_table = (scores.tables.get((a.name, condition, metric)) for a in (arm, base))
    if table is None or base_table is None:
        return None
    # An untrained method has one value for every seed of the other.
    if arm.seedless and not base.seedless:
        table = table.iloc[[0] * len(base_table)].set_axis(base_table.index)
    elif base.seedless and not arm.seedless:
        base_table = base_table.iloc[[0] * len(table)].set_axis(table.index)
    if table.index.equals(base_table.index) and table.columns.equals(base_table.columns):
        return table, base_table
    seeds, images = table.index.intersection(base_table.index), table.columns.intersection(base_table.columns)
    return table.loc[seeds, images], base_table.loc[seeds, images]


def minus(values: pd.DataFrame, base_values: pd.DataFrame) -> NDArray[np.float64]:
    """Return differences, seeds x images; infinite minus infinite is NaN, which statistics leave out."""
    with np.errstate(invalid="ignore"):
        D: NDArray[np.float64] = values.to_numpy(dtype="float64") - base_values.to_numpy(dtype="float64")
    return D


def _judged(scores: Scores, results: Results) -> Results:
    """Adjust the p-values of trained arms within their families, and decide what each difference shows."""
    plan = scores.plan
    compared = {cell: result.difference for cell, result in results.items() if result.difference is not None}
    trained = {cell: d for cell, d in compared.items() if not scores.arm(cell[0]).seedless}
    tests = families.adjusted(plan, {cell: d.p for cell, d in trained.items() if d.level == "method"})
    primary = families.primary_cell(plan)
    judged: Results = {}
    for cell, result in results.items():
        higher, margin, d = higher_is_better(result.metric), plan.margin.get(result.metric), result.difference
        p_holm, family = tests.get(cell, (None, 0))
        judged[cell] = replace(
            result,
            p_holm=p_holm,
            verdict=verdict(d, p_holm, higher_is_better=higher),
            claim=direction(d, p_holm, higher_is_better=higher),
            family=family,
            primary=cell == primary,
            margin=margin,
            equivalence=equivalence(d, margin, higher_is_better=higher) if margin and d and cell in trained else "",
            control_gain=_control_gain(scores, results, result) if cell in trained else None,
        )
    return judged


def _control_gain(scores: Scores, results: Results, result: Result) -> float | None:
    """Return the difference of the one positive control of an arm to the arm's baseline, where it is a detected gain."""
    arm, d = scores.arm(result.arm), result.difference
    base = scores.baseline_of(arm, result.condition)
    controls = [] if scores.is_control(arm) else scores.controls_of(arm, result.condition)
    if d is None or len(controls) != 1 or scores.baseline_of(controls[0], result.condition) is not base:
        return None
    control = results[controls[0].name, result.condition, result.metric].difference
    if control is None or (control.seeds, control.images) != (d.seeds, d.images) or control.seeds < STAR_SEEDS:
        return None
    if control.low is None or control.high is None or control.level != "method":
        return None
    gained = control.low > 0 if higher_is_better(result.metric) else control.high < 0
    return control.mean if gained else None


def row(result: Result) -> list[object]:
    """Return one row of summary.csv; None is an empty field."""
    d = result.difference
    return [
        result.arm, *result.condition, result.metric, result.mean, result.half_width, result.n_seeds, result.n_images,
        d.mean if d else None, d.low if d else None, d.high if d else None, result.p_holm,
        d.won if d else None, d.level if d else None, result.family or None, "yes" if result.primary else None, result.margin,
        result.equivalence or None, VERSION, d.seeds if d else None, d.images if d else None, result.of_control,
    ]  # fmt: skip


def to_csv(results: Results) -> str:
    """Return summary.csv: full precision, one row an arm, condition and metric."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(row(result) for result in results.values())
    return text.getvalue()
