"""Every number of a study: one result for each arm, condition and metric; and summary.csv."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, replace

import numpy as np

from drnbench.evaluation import metrics
from drnbench.results.scores import Arm, Condition, Scores
from drnbench.results.statistics import Difference, Verdict, difference, holm, over_seeds, verdict

COLUMNS = (
    "arm", "dataset", "kernel", "scale", "metric", "mean", "half_width", "n_seeds", "n_images",
    "delta", "delta_low", "delta_high", "p_holm",
)  # fmt: skip


@dataclass(frozen=True)
class Result:
    """The score of one arm on one condition in one metric.

    Attributes:
        mean: over images and seeds; None where nothing finite is there yet.
        half_width: 95 %, t over the seeds' test-set means; None under two seeds.
        left_out: images with an infinite value, which no mean holds.
        difference: to the baseline, paired by seed and image.
        p_holm: adjusted within the family of this condition and metric.
        verdict: "better", "worse" or "" (no star).

    """

    arm: str
    condition: Condition
    metric: str
    mean: float | None = None
    half_width: float | None = None
    n_seeds: int = 0
    n_images: int = 0
    left_out: int = 0
    difference: Difference | None = None
    p_holm: float | None = None
    verdict: Verdict = ""


Results = dict[tuple[str, Condition, str], Result]


def summarise(scores: Scores) -> Results:
    """Return the results of every arm on every condition of its own, in table order, also where nothing is scored yet."""
    results: Results = {}
    for condition in scores.conditions:
        for metric in scores.metrics[condition]:
            column = [_result(scores, arm, condition, metric) for arm in scores.arms if condition in arm.conditions]
            results |= {(r.arm, condition, metric): r for r in _adjust(scores, column)}
    order = {arm.name: n for n, arm in enumerate(scores.arms)}
    return dict(sorted(results.items(), key=lambda item: order[item[0][0]]))


def higher_is_better(metric: str) -> bool:
    """Return the direction of a metric, from the registry."""
    return metrics.get(metric).higher_is_better


def _result(scores: Scores, arm: Arm, condition: Condition, metric: str) -> Result:
    table = scores.tables.get((arm.name, condition, metric))
    if table is None:
        return Result(arm.name, condition, metric)
    values = table.to_numpy(dtype="float64")
    # A seed that lacks an image (two plans with different test sets) must not shift the mean.
    values = values[:, ~np.isnan(values).any(0)]
    mean, half, left_out = over_seeds(values)
    return Result(
        arm.name, condition, metric, mean, half, len(values), values.shape[1] - left_out, left_out,
        _difference(scores, arm, condition, metric),
    )  # fmt: skip


def _difference(scores: Scores, arm: Arm, condition: Condition, metric: str) -> Difference | None:
    base = scores.baseline_of(arm, condition)
    base_table = scores.tables.get((base.name, condition, metric)) if base else None
    if base is None or base_table is None:
        return None
    table = scores.tables[arm.name, condition, metric]
    images = table.columns.intersection(base_table.columns)
    if arm.kind == "reference" and len(images) < len(table.columns):
        return None  # it stands for arms of several sizes of test set, and its mean is not over this baseline's images
    # An untrained method has one value for every seed of the other.
    if arm.seedless and not base.seedless:
        table = table.iloc[[0] * len(base_table)].set_axis(base_table.index)
    elif base.seedless and not arm.seedless:
        base_table = base_table.iloc[[0] * len(table)].set_axis(table.index)
    seeds = table.index.intersection(base_table.index)
    values, base_values = (t.loc[seeds, images].to_numpy(dtype="float64") for t in (table, base_table))
    with np.errstate(invalid="ignore"):  # infinite minus infinite, left out by `difference`
        D = values - base_values
    return difference(D, higher_is_better=higher_is_better(metric))


def _adjust(scores: Scores, column: list[Result]) -> list[Result]:
    """Adjust the p-values of one family, the trained arms of one condition and metric, by Holm's method."""
    tested = {
        result.arm: result.difference.p
        for result in column
        if result.difference and result.difference.p is not None and not scores.arm(result.arm).seedless
    }
    adjusted = dict(zip(tested, holm(list(tested.values())), strict=True))
    return [
        replace(
            result,
            p_holm=adjusted.get(result.arm),
            verdict=verdict(
                result.difference, adjusted.get(result.arm), higher_is_better=higher_is_better(result.metric)
            ),
        )
        for result in column
    ]


def row(result: Result) -> list[object]:
    """Return one row of summary.csv; None is an empty field."""
    d = result.difference
    return [
        result.arm, *result.condition, result.metric, result.mean, result.half_width, result.n_seeds, result.n_images,
        d.mean if d else None, d.low if d else None, d.high if d else None, result.p_holm,
    ]  # fmt: skip


def to_csv(results: Results) -> str:
    """Return summary.csv: full precision, one row an arm, condition and metric."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(row(result) for result in results.values())
    return text.getvalue()
