"""Sampling is a function of (seed, purpose, step); the ρ rule is exact."""

from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drnbench.data.sampling import derived_seed, patches, pyramid_factors, uniforms, unpaired_count


@given(
    rho=st.sampled_from([0.0, 0.1, 0.3, 1 / 3, 0.5, 0.7, 0.9, 1.0]), batch=st.integers(1, 64), steps=st.integers(1, 500)
)
@settings(max_examples=60, deadline=None)
def test_the_rho_rule_sums_exactly(rho, batch, steps):
    counts = [unpaired_count(t, rho, batch) for t in range(steps)]
    assert sum(counts) == floor(steps * Fraction(repr(rho)) * batch)
    assert max(counts) - min(counts) <= 1


def test_the_rho_rule_at_a_tenth_of_eight():
    # 0.8 images a step: four steps of one, then none; binary 0.1 would drift.
    assert [unpaired_count(t, 0.1, 8) for t in range(10)] == [0, 1, 1, 1, 1, 0, 1, 1, 1, 1]
    assert {unpaired_count(t, 0.0, 8) for t in range(50)} == {0}
    assert {unpaired_count(t, 1.0, 8) for t in range(50)} == {8}


@given(seed=st.integers(0, 2**31), step=st.integers(0, 10**9))
@settings(max_examples=50, deadline=None)
def test_draws_depend_on_seed_purpose_and_step_alone(seed, step):
    a = uniforms(seed, "pairs", step, (8, 6))
    assert np.array_equal(a, uniforms(seed, "pairs", step, (8, 6)))
    assert not np.array_equal(a, uniforms(seed, "unpaired", step, (8, 6)))
    assert not np.array_equal(a, uniforms(seed, "pairs", step + 1, (8, 6)))
    assert not np.array_equal(a, uniforms(seed + 1, "pairs", step, (8, 6)))
    assert ((a >= 0) & (a < 1)).all()


def test_derived_seeds_are_stable_across_releases():
    # Weights of stored stages hang on these: a change is a change of every result.
    assert derived_seed(0, "model") == 5558024794847056428
    assert uniforms(0, "pairs", 0, (2,)).tolist() == pytest.approx([0.20951268, 0.88064003], abs=1e-8)


def coordinates(height, width, factor):
    rows, columns = np.mgrid[0:height, 0:width] * factor
    return np.stack([rows, columns, np.zeros_like(rows)], 2).astype(np.uint8)


@given(data=st.data(), scale=st.sampled_from([2, 3, 4, 8]), augment=st.booleans())
@settings(max_examples=60, deadline=None)
def test_patches_of_all_levels_show_the_same_place(data, scale, augment):
    factors = pyramid_factors(scale)
    height, width = (data.draw(st.integers(2, 6)) * scale * 2 for _ in range(2))
    images = {f: [coordinates(height // f, width // f, f)] for f in factors}
    patch = 2 * scale
    draws = np.array(data.draw(st.lists(st.lists(st.floats(0, 0.999), min_size=6, max_size=6), min_size=1, max_size=3)))
    cut = patches(images, patch, draws, augment=augment)
    for f in factors:
        assert cut[f].shape == (len(draws), 3, patch // f, patch // f)
        # The smallest coordinate of a patch is its corner, whatever flips did; it is a multiple of the scale.
        assert np.array_equal(cut[f].min((2, 3)), cut[1].min((2, 3)))
        assert (cut[f].min((2, 3)) % scale == 0).all()


@given(transpose=st.lists(st.booleans(), min_size=1, max_size=4), flip=st.sampled_from([0.0, 0.9]))
@settings(max_examples=30, deadline=None)
def test_patches_lie_in_memory_as_those_that_all_weights_were_trained_on(transpose, flip):
    draws = np.array([[0, 0.5, 0.5, flip, flip, 0.0 if is_transposed else 0.9] for is_transposed in transpose])
    strides = patches({4: [coordinates(16, 16, 1)]}, 32, draws, augment=True)[4].strides
    assert strides[1] == 4, "channels last"
    assert (strides[2] < strides[3]) == all(transpose), "columns outside of rows where all patches are transposed"


def test_an_empty_draw_gives_an_empty_patch():
    cut = patches({4: [np.zeros((8, 8, 3), np.uint8)]}, 16, np.zeros((0, 6)), augment=True)
    assert cut[4].shape == (0, 3, 4, 4)


def test_pyramids():
    assert pyramid_factors(8) == (8, 4, 2, 1)
    assert pyramid_factors(3) == (3, 1)
