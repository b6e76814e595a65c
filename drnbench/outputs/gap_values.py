"""How much better an arm is on its training images than on test images: per seed, with an interval over the seeds.

Training and test images differ, so there is nothing to pair by image: a seed gives one number, and seeds are the
sample.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from drnbench.outputs import captions
from drnbench.render import text
from drnbench.results import layout
from drnbench.results.scores import Arm, Condition, Scores
from drnbench.results.statistics import half_width, one_sample_t

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    "arm", "train", "test", "kernel", "scale", "metric", "train_mean", "test_mean", "gap", "half_width", "n_seeds",
    "delta", "delta_low", "delta_high", "bicubic_gap",
)  # fmt: skip


@dataclass(frozen=True)
class Gap:
    """One arm's gap on one pair of conditions.

    Attributes:
        value: mean over seeds of (mean over training images - mean over test images).
        half: 95 %, t over seeds; None under two seeds.
        delta, low, high: mean difference to the baseline's gap, paired by seed, with its 95 % t interval; None where
            there is no baseline, and no interval under two seeds.
        bicubic: what bicubic reaches on the same images: the part of the gap that is the images' difference alone.

    """

    arm: str
    train: Condition
    test: Condition
    metric: str
    train_mean: float
    test_mean: float
    value: float
    half: float | None
    seeds: int
    delta: float | None = None
    low: float | None = None
    high: float | None = None
    bicubic: float | None = None

    @property
    def sign(self) -> int:
        """1 where the gap is surely larger than the baseline's, -1 where it is smaller, 0 where that is open."""
        if self.low is None or self.high is None or self.low <= 0 <= self.high:
            return 0
        return 1 if self.low > 0 else -1


Gaps = dict[tuple[str, Condition], Gap]
"""(arm, test condition) -> gap."""


def wanted(scores: Scores) -> list[dict[str, Any]]:
    """Return the gaps that the study declares."""
    return [out for out in scores.plan.outputs if out["kind"] == "gap"]


def gaps(scores: Scores, out: dict[str, Any]) -> Gaps:
    """Return the gap of every arm that is scored on training and on test images."""
    found: Gaps = {}
    for arm in scores.arms:
        for train, test in _pairs(scores, arm, out):
            mine = _per_seed(scores, arm, train, test, out["metric"])
            if mine is None:
                continue
            base = scores.baseline_of(arm, test)
            theirs = _per_seed(scores, base, train, test, out["metric"]) if base else None
            values = mine["train"] - mine["test"]
            middle, half = _t(values.to_numpy())
            delta = low = high = None
            # Bicubic has no seeds to pair.
            if theirs is not None and not arm.seedless:
                paired = (values - (theirs["train"] - theirs["test"])).dropna().to_numpy()
                if len(paired):
                    delta, width = _t(paired)
                    low, high = (None, None) if width is None else (delta - width, delta + width)
            found[arm.name, test] = Gap(
                arm.name, train, test, out["metric"], float(mine["train"].mean()), float(mine["test"].mean()), middle,
                half, len(values), delta, low, high, _bicubic(scores, arm, train, test, out["metric"]),
            )  # fmt: skip
    return found


def _pairs(scores: Scores, arm: Arm, out: dict[str, Any]) -> list[tuple[Condition, Condition]]:
    """Each test condition with the training condition under the same degradation, or the first where there is none."""
    trains = [p for p in arm.conditions if scores.sources[p] == out["train"]]
    tests = [p for p in arm.conditions if scores.sources[p] == out["test"]]
    return [(next((t for t in trains if t[1:] == p[1:]), trains[0]), p) for p in tests] if trains else []


def _bicubic(scores: Scores, arm: Arm, train: Condition, test: Condition, metric: str) -> float | None:
    """Return the gap of bicubic on the images of an arm, which may be fewer than those that bicubic is scored on."""
    reference = next((a for a in scores.arms if a.kind == "reference" and {train, test} <= set(a.conditions)), None)
    means = []
    for condition in (train, test):
        mine = scores.tables.get((arm.name, condition, metric))
        theirs = scores.tables.get((reference.name, condition, metric)) if reference else None
        if mine is None or theirs is None or not set(mine.columns) <= set(theirs.columns):
            return None
        values = theirs[list(mine.columns)].to_numpy(dtype="float64")
        means.append(float(values[np.isfinite(values)].mean()))
    return means[0] - means[1]


def _per_seed(scores: Scores, arm: Arm, train: Condition, test: Condition, metric: str) -> pd.DataFrame | None:
    """Mean over the images of each set, one row a seed that has both; infinite values are left out."""
    import pandas as pd

    tables = [scores.tables.get((arm.name, condition, metric)) for condition in (train, test)]
    if tables[0] is None or tables[1] is None:
        return None
    columns = {}
    for name, table in zip(("train", "test"), tables, strict=True):
        assert table is not None
        finite = table.replace([np.inf, -np.inf], np.nan).dropna(axis="columns")
        columns[name] = finite.mean(axis="columns")
    both = pd.DataFrame(columns).dropna()
    return both if len(both) else None


def _t(values: NDArray[np.float64]) -> tuple[float, float | None]:
    if len(values) < 2:
        return float(values.mean()), None
    mean, error, df = one_sample_t(values)
    return mean, half_width(error, df)


def between(gap: Gap, decimals: int) -> str:
    """Write the interval of a difference of gaps, or nothing where there is none."""
    if gap.low is None or gap.high is None:
        return ""
    return f"[{text.signed(gap.low, decimals)}, {text.signed(gap.high, decimals)}]"


def caption(scores: Scores, out: dict[str, Any], found: Gaps) -> str:
    """Return what a gap is, what its sign means, and what its intervals carry."""
    s = text.style(out["metric"])
    sign = "Positive" if s.higher_is_better else "Negative"
    trains, tests = (list(dict.fromkeys(p.dataset for p in side)) for side in _sides(found))
    parts = [
        scores.plan.question or f"Study {scores.plan.study}.",
        f"Gap: {s.label} on training images ({', '.join(trains)}) minus {s.label} on test images ({', '.join(tests)}).",
        f"{sign}: better on the training images, which is overfitting as far as it exceeds the gap of bicubic on the",
        "same images; that one is the difference of the images alone.",
        *captions.unfinished(scores),
        "Mean ± 95 % half-width over seeds: the images of the two sets differ, so only seeds are the sample.",
    ]
    if any(gap.delta is not None for gap in found.values()):
        parts.append(f"Δ gap: to {scores.baseline_label}, paired by seed, with its 95 % t interval over seeds.")
    seeds = [gap.seeds for gap in found.values() if not scores.arm(gap.arm).seedless]
    parts.append(f"{', '.join([*([text.span(seeds, 'seed')] if seeds else []), 'profile ' + scores.plan.profile])}.")
    parts += captions.left_out(scores)
    parts += captions.specs(_sides(found)[1])
    return " ".join(
        [*parts, *captions.measured(scores, {out["metric"]}, sorted({g.test.scale for g in found.values()}))]
    )


def _sides(found: Gaps) -> tuple[list[Condition], list[Condition]]:
    return [gap.train for gap in found.values()], [gap.test for gap in found.values()]


def to_csv(found: Gaps) -> str:
    """Return the gaps in full precision, one row an arm and test set."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(
        [
            g.arm,
            g.train.dataset,
            *g.test,
            g.metric,
            g.train_mean,
            g.test_mean,
            g.value,
            g.half,
            g.seeds,
            g.delta,
            g.low,
            g.high,
            g.bicubic,
        ]
        for g in found.values()
    )
    return buffer.getvalue()


def slots(scores: Scores, out: dict[str, Any], found: Gaps) -> dict[layout.Slot, list[Condition]]:
    """Return the test conditions of each panel of the figure."""
    fields = layout.moved(scores, [out["x"]])
    panels: dict[layout.Slot, list[Condition]] = {}
    for arm in scores.arms:
        for condition, slot in layout.slots(arm, fields).items() if arm.kind != "reference" else ():
            if (arm.name, condition) in found and condition not in panels.setdefault(slot, []):
                panels[slot].append(condition)
    return panels
