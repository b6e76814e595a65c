from __future__ import annotations

from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import stats
from statsmodels.stats.multitest import multipletests

from drnbench.results.statistics import crossed_t, difference, holm, over_seeds, verdict


def rejections(seeds: int, images: int, effect: float, n: int = 3000) -> float:
    """Share of simulated studies (seed SD 0.02 dB, seed-by-image SD 0.05 dB) in which p < 0.05."""
    rng = np.random.default_rng([seeds, images, round(1000 * effect)])
    # The deviations are those of one arm; a difference has both arms'.
    D = effect + 2**0.5 * (0.02 * rng.standard_normal((n, seeds, 1)) + 0.05 * rng.standard_normal((n, seeds, images)))
    mean, error, df = crossed_t(D)
    return float((2 * stats.t.sf(np.abs(mean) / error, df) < 0.05).mean())


@pytest.mark.parametrize(("seeds", "low", "high"), [(3, 0.01, 0.06), (5, 0.02, 0.07), (10, 0.02, 0.07)])
def test_a_true_null_is_rejected_at_most_about_as_often_as_stated(seeds: int, low: float, high: float) -> None:
    assert low <= rejections(seeds, 100, 0.0) <= high


@pytest.mark.parametrize(("seeds", "power"), [(3, 0.35), (5, 0.82), (10, 1.0)])
def test_power_for_a_twentieth_of_a_decibel(seeds: int, power: float) -> None:
    assert rejections(seeds, 100, 0.05) == pytest.approx(power, abs=0.07)


def test_the_interval_covers_the_truth_with_an_image_by_method_effect() -> None:
    rng = np.random.default_rng(1)
    n, S, I = 3000, 3, 30
    D = (
        0.1 * rng.standard_normal((n, 1, I))
        + 0.02 * rng.standard_normal((n, S, 1))
        + 0.05 * rng.standard_normal((n, S, I))
    )
    mean, error, df = crossed_t(D)
    covered = np.abs(mean) <= stats.t.ppf(0.975, df) * error
    assert 0.90 <= covered.mean() <= 0.99


def test_crossed_t_by_hand() -> None:
    D = np.array([[1.0, 2.0, 6.0], [3.0, 4.0, 5.0]])
    # Row means 3 and 4, column means 2, 3, 5.5, grand mean 3.5.
    ms_s = 3 * (0.25 + 0.25) / 1
    ms_i = 2 * (2.25 + 0.25 + 4.0) / 2
    residual = D - D.mean(1, keepdims=True) - D.mean(0, keepdims=True) + 3.5
    ms_e = (residual**2).sum() / 2
    total = max(ms_s + ms_i - ms_e, ms_e)
    df = total**2 / (ms_s**2 / 1 + ms_i**2 / 2 + ms_e**2 / 2)
    result = difference(D)
    assert result is not None
    half = stats.t.ppf(0.975, df) * (total / 6) ** 0.5
    assert (result.mean, result.low, result.high) == pytest.approx((3.5, 3.5 - half, 3.5 + half))
    assert result.level == "method"
    assert result.won == 1.0


@given(arrays.arrays(np.float64, (3, 4), elements=st.floats(-1e3, 1e3)))
def test_an_interval_always_holds_its_mean_and_mirrors(D: np.ndarray) -> None:
    result, mirrored = difference(D), difference(-D)
    assert result is not None
    assert mirrored is not None
    assert result.low <= result.mean <= result.high
    assert mirrored.mean == pytest.approx(-result.mean, abs=1e-9)
    assert mirrored.p == pytest.approx(result.p) if result.p is not None else mirrored.p is None


def test_one_seed_speaks_of_checkpoints_and_has_no_p() -> None:
    D = np.array([[0.1, 0.2, 0.4, 0.1]])
    result = difference(D)
    assert result is not None
    assert (result.level, result.p) == ("checkpoints", None)
    expected = stats.t.interval(0.95, 3, D.mean(), D.std(ddof=1) / 2)
    assert (result.low, result.high) == pytest.approx(expected)


def test_one_image_takes_its_interval_from_the_seeds() -> None:
    result = difference(np.array([[0.1], [0.2], [0.4]]))
    assert result is not None
    assert result.level == "method"
    assert result.p == pytest.approx(stats.ttest_1samp([0.1, 0.2, 0.4], 0).pvalue)


def test_one_value_has_no_interval() -> None:
    result = difference(np.array([[0.3]]))
    assert result is not None
    assert (result.mean, result.low, result.p, result.level) == (0.3, None, None, "none")


@pytest.mark.parametrize(("constant", "p"), [(0.0, 1.0), (0.2, None)])
def test_without_variance_there_is_no_test(constant: float, p: float | None) -> None:
    result = difference(np.full((3, 5), constant))
    assert result is not None
    assert (result.low, result.high, result.p) == (pytest.approx(constant), pytest.approx(constant), p)
    assert verdict(result, result.p, higher_is_better=True) == ""


def test_infinite_values_are_left_out_and_counted() -> None:
    D = np.array([[0.1, np.inf, 0.3], [0.2, 0.1, 0.5]])
    result = difference(D)
    assert result is not None
    assert (result.left_out, result.images) == (1, 2)
    assert result.mean == pytest.approx(0.275)
    assert difference(np.full((2, 2), np.inf)) is None


def test_won_follows_the_direction() -> None:
    D = np.array([[0.1, -0.2, -0.3, 0.0]])
    assert difference(D).won == 0.25
    assert difference(D, higher_is_better=False).won == 0.5


def test_cells_take_their_half_width_from_seed_means() -> None:
    values = np.array([[20.0, 30.0], [20.2, 30.2], [20.4, 30.4]])
    mean, half, left_out = over_seeds(values)
    assert mean == pytest.approx(25.2)
    assert half == pytest.approx(stats.t.ppf(0.975, 2) * 0.2 / 3**0.5)
    assert left_out == 0
    assert over_seeds(values[:1]) == (25.0, None, 0)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_holm_is_that_of_statsmodels(ps: list[float]) -> None:
    with mock.patch("gc.collect"):  # multipletests calls it each time, which takes longer than all the rest
        expected = multipletests(ps, method="holm")[1]
    assert holm(ps) == pytest.approx(expected, abs=1e-15)


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]) == []


def test_no_star_under_three_seeds_whatever_the_p() -> None:
    rng = np.random.default_rng(0)
    two = difference(0.5 + 1e-3 * rng.standard_normal((2, 5)))
    three = difference(0.5 + 1e-3 * rng.standard_normal((3, 5)))
    assert verdict(two, 1e-9, higher_is_better=True) == ""
    assert verdict(three, 1e-9, higher_is_better=True) == "better"
    assert verdict(three, 1e-9, higher_is_better=False) == "worse"
    assert verdict(three, 0.06, higher_is_better=True) == ""
