"""Noise and JPEG behind a kernel: what they are, and that noise is a function of the seed."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from drnbench.data.images import to_tensor, to_uint8
from drnbench.degradations import parse
from drnbench.errors import UsageError

seeds = st.integers(-(2**63), 2**64)


def smooth(side: int = 64) -> torch.Tensor:
    line = torch.linspace(40, 200, side, dtype=torch.float64)
    return torch.stack([line.expand(side, side), line.expand(side, side).T, 240 - line.expand(side, side)])[
        None
    ].floor()


def test_noise_has_its_standard_deviation_and_no_bias():
    flat = torch.full((1, 3, 128, 128), 128.0)
    for sigma in (2, 10):
        lr = parse(f"nearest:noise={sigma}").degrade(flat, 1, seed=3)
        assert abs(float(lr.mean()) - 128) < 0.02 * sigma
        # Rounding to whole levels adds a variance of 1/12.
        assert float(lr.std()) == pytest.approx((sigma**2 + 1 / 12) ** 0.5, rel=0.02)
        assert not torch.equal(lr[:, 0], lr[:, 1])


def test_noise_is_rounded_and_clipped():
    for level in (0.0, 255.0):
        lr = parse("bicubic:noise=40").degrade(torch.full((1, 3, 32, 32), level), 2)
        assert torch.equal(lr, lr.round().clamp(0, 255))
        assert 0.4 < float((lr == level).double().mean()) < 0.6


@settings(max_examples=25, deadline=None)
@given(seeds, st.sampled_from([torch.float32, torch.float64]))
def test_noise_is_a_function_of_the_seed(seed, dtype):
    kernel = parse("bd:noise=7")
    batch = smooth(16).to(dtype).repeat(3, 1, 1, 1)
    three = kernel.degrade(batch, 2, seed)
    assert torch.equal(three, kernel.degrade(batch, 2, seed))
    # Alone or the first of several, and whatever stands beside it.
    assert torch.equal(three[:1], kernel.degrade(batch[:1], 2, seed))
    assert torch.equal(three[1], kernel.degrade(torch.cat([batch[:1] * 0, batch[:1]]), 2, seed)[1])
    assert not torch.equal(three[0], three[1])
    assert not torch.equal(three, kernel.degrade(batch, 2, seed + 1))
    assert torch.equal(three.double(), kernel.degrade(batch.double(), 2, seed))


def test_the_noise_of_a_seed_is_frozen():
    # Filed LR sets and results rest on these numbers.
    noisy = parse("nearest:noise=20").degrade(torch.full((2, 1, 1, 5), 100.0), 1, seed=5)
    assert noisy.flatten().int().tolist() == [129, 117, 124, 138, 163, 123, 89, 105, 111, 115]


def test_without_noise_the_seed_changes_nothing():
    for spec in ("bicubic", "bd:jpeg=60"):
        assert torch.equal(parse(spec).degrade(smooth(), 4, 1), parse(spec).degrade(smooth(), 4, 2))


@pytest.mark.parametrize("before", ["bicubic", "bicubic:noise=6"])
@pytest.mark.parametrize("quality", [10, 70, 100])
def test_jpeg_is_pillows_own_after_the_noise(before, quality):
    plain = parse(before).degrade(smooth(), 2, 11)
    buffer = io.BytesIO()
    Image.fromarray(to_uint8(plain)).save(buffer, format="JPEG", quality=quality)  # 4:2:0 unless told otherwise
    expected = to_tensor(np.array(Image.open(buffer)))
    coded = parse(before + (",jpeg=" if ":" in before else ":jpeg=") + str(quality)).degrade(smooth(), 2, 11)
    assert torch.equal(coded.float(), expected)
    assert not torch.equal(coded, plain)


def test_jpeg_codes_each_image_of_a_batch():
    both = torch.cat([smooth(), smooth().flip(3)])
    coded = parse("bicubic:jpeg=30").degrade(both, 2)
    for i in range(2):
        assert torch.equal(coded[i : i + 1], parse("bicubic:jpeg=30").degrade(both[i : i + 1], 2))


def test_jpeg_wants_colour():
    with pytest.raises(UsageError, match="3 channels, not 1"):
        parse("bicubic:jpeg=30").degrade(torch.zeros(1, 1, 8, 8), 2)
