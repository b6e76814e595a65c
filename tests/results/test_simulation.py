"""Error rates, coverage and power of what is printed, by simulation; tests/results/simulate.py prints the full tables.

Bounds leave room for three Monte-Carlo standard errors.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from drnbench.results.statistics import difference, equivalence, three_spreads
from tests.results import simulate
from tests.results.simulate import EFFECTS, IMAGES, SEEDS, Setting

STUDIES = {5: 1500, 14: 800, 100: 300}
"""Simulated studies by number of images."""
CELLS = list(itertools.product(SEEDS, IMAGES, EFFECTS))


def above(rate: float, studies: int) -> float:
    """The largest share that a rate gives in so many studies."""
    return rate + 3 * (rate * (1 - rate) / studies) ** 0.5


def below(rate: float, studies: int) -> float:
    return rate - 3 * (rate * (1 - rate) / studies) ** 0.5


@pytest.mark.parametrize(("seeds", "images", "image_sd"), CELLS)
def test_any_false_star(seeds: int, images: int, image_sd: float) -> None:
    setting, studies = Setting(seeds, images, image_sd), STUDIES[images]
    for arms in (5, 9):
        assert simulate.false_stars(setting, arms, studies)[1] <= above(0.06, studies)


@pytest.mark.parametrize(("images", "image_sd"), list(itertools.product(IMAGES, EFFECTS)))
def test_two_seeds_of_noise_name_no_arm(images: int, image_sd: float) -> None:
    studies = STUDIES[images]
    assert simulate.false_stars(Setting(2, images, image_sd), 5, studies)[1] <= above(0.05, studies)


@pytest.mark.parametrize(("seeds", "images", "image_sd"), list(itertools.product((2, *SEEDS), IMAGES, EFFECTS)))
def test_coverage(seeds: int, images: int, image_sd: float) -> None:
    setting, studies = Setting(seeds, images, image_sd), 2 * STUDIES[images]
    assert simulate.coverage(setting, studies)[1] >= below(0.92, studies)
    gap = simulate.weighted_coverage(setting, (images, 14), (1, -1), studies)
    pooled = simulate.weighted_coverage(setting, (images, 5, 14), (1 / 3, 1 / 3, 1 / 3), studies)
    assert min(gap, pooled) >= below(0.92, studies)


@pytest.mark.parametrize("seeds", [2, *SEEDS])
def test_coverage_of_means_over_seeds(seeds: int) -> None:
    assert simulate.mean_coverage(Setting(seeds, 5), 1000) >= below(0.92, 1000)


@pytest.mark.parametrize(("seeds", "images", "image_sd"), CELLS)
def test_equivalence_at_the_edge_of_the_margin(seeds: int, images: int, image_sd: float) -> None:
    studies = 2 * STUDIES[images]
    assert simulate.equivalent(Setting(seeds, images, image_sd), 0.05, 0.05, studies) <= above(0.055, studies)


def test_power_is_little_less_than_that_of_the_crossed_t() -> None:
    crossed, largest = simulate.power(Setting(5, 14), 0.1, 1000)
    assert crossed - largest <= 0.04
    assert largest > 0.9


def test_what_is_simulated_is_what_is_printed() -> None:
    D = next(Setting(3, 14, 0.1).differences(4, 1))[:, 0] + 0.03
    spreads = three_spreads([D])
    for n, table in enumerate(D):
        result = difference(table)
        assert result.p == pytest.approx(spreads.p()[n])
        assert (result.low, result.high) == pytest.approx((result.mean - spreads.half_width()[n], result.mean + spreads.half_width()[n]))  # fmt: skip  # noqa: E501
        within = np.abs(spreads.mean[n]) + spreads.half_width(0.9)[n] < 0.1
        assert (equivalence(result, 0.1) == "equivalent") == within
