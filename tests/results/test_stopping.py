"""The rule that adds seeds, by simulation: coverage, seeds in units of those of an oracle, error of a family of stars."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from drnbench.config.study import Until
from drnbench.results.statistics import ALPHA, LOOKS_ALPHA, difference
from drnbench.results.stopping import examine, next_count
from tests.results.simulate_until import any_star, differences, ends, oracle

CASES = [
    (5, 0.0, 0.02, 0.075),
    (14, 0.0, 0.03, 0.05),
    (14, 0.1, 0.03, 0.1),
    (100, 0.0, 0.03, 0.05),
    (100, 0.1, 0.06, 0.1),
    (5, 0.0, 0.03, 0.15),
]
"""Images, image-by-method SD, seed SD, half-width: between three and ten seeds are needed; the last one: the most seeds."""


@pytest.mark.parametrize(("images", "effect", "sd", "half_width"), CASES)
def test_intervals_cover_and_seeds_are_few(images, effect, sd, half_width):
    until = Until(half_width=half_width)
    D = differences(np.random.default_rng(images), 60_000 // max(images, 30), 10, images, sd, effect)
    end = ends(D, until)
    assert end.coverage() >= 0.93
    assert end.seeds.mean() <= 1.3 * oracle(until, images, sd, effect)
    reached, missing = end.half_width <= half_width, end.images > 0
    assert (reached | missing | (end.seeds == until.at_most)).all()


def test_intervals_at_the_nominal_level_would_not_cover():
    D = differences(np.random.default_rng(0), 1000, 10, 100, 0.03, 0.0)
    assert ends(D, Until(half_width=0.03), ALPHA).coverage() < 0.93


def test_seeds_that_cannot_help_are_not_spent():
    D = differences(np.random.default_rng(1), 1000, 10, 14, 0.02, 0.1)
    end = ends(D, Until(half_width=0.03))  # images alone leave 0.07
    assert end.images.mean() > 0.95
    assert end.seeds.mean() < 3.3


@pytest.mark.parametrize(("images", "sd", "half_width"), [(14, 0.06, 0.05), (100, 0.03, 0.05), (100, 0.02, 0.05)])
def test_stopping_makes_no_false_stars(images, sd, half_width):
    n = 6000 // images + 250
    error = any_star(np.random.default_rng(2), n, 5, Until(half_width=half_width), images, sd, 0.0)
    assert error <= 0.06 + 2 * (0.06 * 0.94 / n) ** 0.5


@given(arrays.arrays(np.float64, (4, 6), elements=st.floats(-1, 1)), st.floats(0.01, 1))
def test_a_look_says_what_the_report_will(D, half_width):
    look, shown = examine(D, Until(half_width=half_width)), difference(D, alpha=LOOKS_ALPHA)
    assert look.half_width == pytest.approx((shown.high - shown.low) / 2)
    if look.images_needed:
        assert look.half_width > half_width
        assert look.images_alone > half_width
        assert look.images_needed > 6


def test_images_that_are_needed_would_be_enough():
    rng = np.random.default_rng(3)
    effect = 0.2 * rng.standard_normal(8)
    look = examine(effect + 0.001 * rng.standard_normal((3, 8)), Until(half_width=0.05))
    many = effect[rng.integers(8, size=look.images_needed)]
    again = examine(many + 0.001 * rng.standard_normal((3, len(many))), Until(half_width=0.05))
    assert again.half_width == pytest.approx(0.05, rel=0.25)


@given(st.integers(3, 50), st.integers(0, 200))
def test_counts_grow_up_to_the_most(fewest, more):
    until = Until(half_width=0.1, at_least=fewest, at_most=fewest + more)
    counts = [fewest]
    while counts[-1] < until.at_most:
        counts.append(next_count(counts[-1], until))
    assert counts == sorted(set(counts))
    assert counts[-1] == until.at_most
    assert all(new <= max(old + 1, old * 4 / 3) for old, new in itertools.pairwise(counts))


@pytest.mark.parametrize(
    "D", [np.full((3, 5), np.inf), np.full((1, 1), 0.2), np.zeros((3, 5)), np.array([[0.1], [0.2], [0.3]])]
)
def test_degenerate_tables_are_looked_at(D):
    look = examine(D, Until(half_width=0.05))
    assert look.images_needed is None
    assert look.half_width is None or look.half_width >= 0
