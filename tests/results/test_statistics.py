from __future__ import annotations

from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import stats
from statsmodels.stats.multitest import multipletests

from drnbench.results.statistics import contrast, difference, equivalence, holm, over_seeds, three_spreads, verdict


def crossed_t(D):
    """Mean, standard error and degrees of freedom of the first of the three: the crossed random-effects t."""
    spreads = three_spreads([D])
    return spreads.mean, spreads.errors[0], spreads.dfs[0]


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
    assert [float(x) for x in crossed_t(D)] == pytest.approx([3.5, (total / 6) ** 0.5, df])
    assert difference(D).won == 1.0


def test_an_interval_is_the_widest_and_a_p_the_largest_of_three() -> None:
    rng = np.random.default_rng(3)
    for seeds, images, seed_sd, image_sd in ((2, 8, 1, 0), (3, 30, 1, 0), (3, 30, 0, 1), (5, 5, 1, 1), (10, 4, 0, 0)):
        D = 0.3 + rng.standard_normal((seeds, images))
        D += seed_sd * rng.standard_normal((seeds, 1)) + image_sd * rng.standard_normal((1, images))
        mean, error, df = (float(x) for x in crossed_t(D))
        tests = [stats.ttest_1samp(D.mean(1), 0), stats.ttest_1samp(D.mean(0), 0)]
        halves = [stats.t.ppf(0.975, df) * error, *((t.confidence_interval().high - mean) for t in tests)]
        result = difference(D)
        assert result.level == "method"
        assert (result.low, result.high) == pytest.approx((mean - max(halves), mean + max(halves)))
        assert result.p == pytest.approx(max(2 * stats.t.sf(abs(mean) / error, df), *(t.pvalue for t in tests)))


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


def test_one_image_takes_its_interval_from_the_seeds_and_speaks_of_no_method() -> None:
    result = difference(np.array([[0.1], [0.11], [0.12]]))
    test = stats.ttest_1samp([0.1, 0.11, 0.12], 0)
    assert (result.level, result.p) == ("image", None)
    assert (result.low, result.high) == pytest.approx(test.confidence_interval())
    assert verdict(result, 1e-9, higher_is_better=True) == ""


@given(arrays.arrays(np.float64, (3, 4), elements=st.floats(-1, 1)), st.floats(-1, 1))
def test_an_interval_leaves_zero_out_where_p_is_below_five_percent(D: np.ndarray, shift: float) -> None:
    result = difference(D + shift)
    if result.p is not None and result.spreads[0].error > 0 and abs(result.p - 0.05) > 1e-6:
        assert (result.low > 0 or result.high < 0) == (result.p < 0.05)


@given(arrays.arrays(np.float64, (3, 4), elements=st.floats(-1, 1)), st.floats(0.01, 3))
def test_equivalence_is_two_one_sided_tests(D: np.ndarray, margin: float) -> None:
    result = difference(D)
    shown = equivalence(result, margin)
    assert equivalence(difference(-D), margin, higher_is_better=False) == shown
    if result.p is None:  # no variance: the mean is all there is
        assert shown == (
            "undecided" if result.mean <= -margin else "not worse" if result.mean >= margin else "equivalent"
        )
    elif result.spreads[0].error > 0:
        ps = [max(stats.t.sf((result.mean + margin) / e, df) for e, df in result.spreads if e > 0),
              max(stats.t.sf((margin - result.mean) / e, df) for e, df in result.spreads if e > 0)]  # fmt: skip
        if min(abs(p - 0.05) for p in ps) > 1e-6:
            assert shown == ("undecided" if ps[0] > 0.05 else "not worse" if ps[1] > 0.05 else "equivalent")


@pytest.mark.parametrize("shape", [(1, 5), (2, 5), (3, 1)])
def test_few_seeds_or_one_image_show_no_equivalence(shape: tuple[int, int]) -> None:
    D = 1e-6 * np.random.default_rng(0).standard_normal(shape)
    assert equivalence(difference(D), 0.5) == "not judged"
    assert equivalence(difference(1e-6 * np.random.default_rng(0).standard_normal((3, 5))), 0.5) == "equivalent"


@pytest.mark.parametrize("constant", [0.0, 0.01])
def test_equal_and_nearly_equal_scores_are_equivalent(constant: float) -> None:
    assert equivalence(difference(np.full((3, 5), constant)), 0.1) == "equivalent"


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
    assert difference(D).won == 0.375
    assert difference(D, higher_is_better=False).won == 0.625


@given(arrays.arrays(np.float64, (3, 5), elements=st.sampled_from([-0.5, 0.0, 0.5])))
def test_shares_won_of_both_sides_add_up_to_all_images(D: np.ndarray) -> None:
    assert difference(D).won + difference(-D).won == pytest.approx(1)


@pytest.mark.parametrize("spread", [0.0, 1e-14, 1e-6])
@pytest.mark.parametrize(
    ("mean", "expected"), [(0.0, "equivalent"), (0.05, "equivalent"), (0.2, "not worse"), (-0.2, "undecided")]
)
def test_differences_without_variance_decide_equivalence_as_those_of_little_variance(
    mean: float, expected: str, spread: float
) -> None:
    D = mean + spread * np.random.default_rng(1).standard_normal((3, 5))
    assert equivalence(difference(D), 0.1) == expected


def test_cells_take_their_half_width_from_seed_means() -> None:
    values = np.array([[20.0, 30.0], [20.2, 30.2], [20.4, 30.4]])
    mean, half, left_out = over_seeds(values)
    assert mean == pytest.approx(25.2)
    assert half == pytest.approx(stats.t.ppf(0.975, 2) * 0.2 / 3**0.5)
    assert left_out == 0
    assert over_seeds(values[:1]) == (25.0, None, 0)


def test_a_contrast_of_one_table_with_itself_and_of_halves() -> None:
    rng = np.random.default_rng(5)
    D = 0.1 + 0.05 * rng.standard_normal((4, 12)) + 0.02 * rng.standard_normal((4, 1))
    whole, halves = difference(D), contrast([D[:, :6], D[:, 6:]], [0.5, 0.5])
    assert halves.mean == pytest.approx(whole.mean)
    assert halves.images == 12
    assert halves.spreads[1] == pytest.approx(whole.spreads[1])
    # Over images, a mean of two sets varies as the two of a Welch test do.
    welch = stats.ttest_ind(D[:, :6].mean(0), -D[:, 6:].mean(0), equal_var=False)
    half = (welch.confidence_interval().high - welch.confidence_interval().low) / 2
    assert halves.spreads[2].df == pytest.approx(welch.df)
    assert halves.spreads[2].error == pytest.approx(half / stats.t.ppf(0.975, welch.df) / 2)


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
