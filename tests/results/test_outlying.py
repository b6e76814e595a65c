"""Seeds that are pointed out as lying far from the others: which are, and how often ordinary ones are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from drnbench.results.outlying import Outlier, outlying
from drnbench.results.scores import Condition

CONDITION = Condition("Set5", "bd", 4)


@dataclass
class Arm:
    name: str


@dataclass
class Columns:
    """As much of scores as the rule reads: tables of arms, arms x seeds means each."""

    means: Sequence[Sequence[float]] | NDArray[np.float64]
    metric: str = "psnr_y"

    @property
    def arms(self) -> list[Arm]:
        return [Arm(f"arm {n}") for n in range(len(self.means))]

    @property
    def conditions(self) -> tuple[Condition, ...]:
        return (CONDITION,)

    @property
    def metrics(self) -> dict[Condition, tuple[str, ...]]:
        return {CONDITION: (self.metric,)}

    @property
    def tables(self) -> dict[tuple[str, Condition, str], pd.DataFrame]:
        return {
            (arm.name, CONDITION, self.metric): pd.DataFrame({"a": np.array(row) - 1, "b": np.array(row) + 1})
            for arm, row in zip(self.arms, self.means, strict=True)
        }


def of(*means: Sequence[float], **fields: Any) -> list[Outlier]:
    return outlying(Columns(means, **fields))  # type: ignore[arg-type]


def test_one_seed_far_below_or_above() -> None:
    (low,) = of([30.0, 30.1, 8.0], [30.0, 30.0, 30.2])
    assert (low.arm, low.seeds, low.all_seeds) == ("arm 0", (2,), False)
    assert low.distance == pytest.approx(8.0 - 30.05)
    (high,) = of([8.2, 8.0, 30.0])
    assert (high.seeds, high.distance > 0) == ((2,), True)


def test_two_seeds_take_the_spread_of_other_arms() -> None:
    (outlier,) = of([30.0, 28.0], [30.0, 30.05], [30.1, 30.0])
    assert (outlier.seeds, outlier.all_seeds) == ((1, 0), True)
    assert outlier.distance == pytest.approx(2.0)
    assert of([30.0, 28.0], [30.0, 28.5], [30.1, 31.0]) == []
    assert of([30.0, 28.0]) == []  # nothing says what is usual


def test_collapsed_seeds_do_not_hide_each_other() -> None:
    assert [outlier.seeds for outlier in of([30, 8, 30.1, 30.2, 8.1], [8, 30, 30.1], [30, 30.1, 8])] == [
        (1, 4),
        (0,),
        (2,),
    ]
    (half,) = of([30.0, 30.1, 8.0, 8.2], [30.0, 30.1, 30.2, 30.0])
    assert half.all_seeds
    assert half.distance == pytest.approx(22.1)
    assert len(of([30.0, 8.0], [30.1, 8.1])) == 2  # six decibels are said whatever the spread


def test_small_distances_are_not_pointed_out() -> None:
    assert of([30.0, 30.0, 29.1], [30.0, 30.0, 30.0]) == []
    assert of([30.0, 30.0, 28.9], [30.0, 30.0, 30.0]) != []


def test_metrics_without_decibels_take_a_share_of_their_values() -> None:
    assert of([0.8, 0.801, 0.2], [0.8, 0.8, 0.802], metric="ssim_y") != []
    assert of([0.8, 0.801, 0.73], [0.8, 0.8, 0.802], metric="ssim_y") == []


@pytest.mark.parametrize(("arms", "seeds"), [(1, 3), (2, 2), (2, 3), (5, 2), (5, 5)])
def test_false_alarms_on_normal_seeds_are_rare(arms: int, seeds: int) -> None:
    """At most 2 % of studies with seeds of SD 0.3 dB, and none with SD 0.1 dB, which trainings usually have."""
    rng, runs = np.random.default_rng([arms, seeds]), 150
    for deviation, most in ((0.1, 0.0), (0.3, 0.02)):
        alarms = sum(
            bool(of(*(30 + rng.standard_normal((arms, 1)) + deviation * rng.standard_normal((arms, seeds)))))
            for _ in range(runs)
        )
        assert alarms / runs <= most
