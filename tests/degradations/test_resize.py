"""MATLAB's own files, bit for bit, and properties that hold for every image."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from drnbench.data.images import mod_crop, read_rgb, to_tensor, to_uint8
from drnbench.degradations.resize import downsample, upsample
from drnbench.errors import UsageError

SET5 = ("baby", "bird", "butterfly", "head", "woman")
borders = st.sampled_from(["symmetric", "replicate"])
factors = st.integers(1, 8)


@pytest.mark.parametrize("border", ["symmetric", "replicate"])
@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("name", SET5)
def test_matlab_bit_for_bit(shared_data, name, scale, border):
    (matlab,) = (shared_data / "Set5" / f"LR_matlab_{border}" / f"X{scale}").glob(f"{name}*.png")
    hr = mod_crop(read_rgb(shared_data / "Set5" / "HR" / f"{name}.png"), scale)
    lr = to_uint8(downsample(to_tensor(hr), scale, border=border, quantize=True))
    assert (lr == read_rgb(matlab)).all()


@pytest.mark.gpu
@pytest.mark.parametrize("resize", [downsample, upsample])
def test_a_gpu_gives_the_same_bits(resize):
    x = noise(64, 96)
    on_gpu = resize(x.cuda(), 4, quantize=True)
    assert torch.equal(on_gpu.cpu(), resize(x, 4, quantize=True))


def noise(height: int, width: int, seed: int = 0, batch: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (batch, 3, height, width), generator=generator).double()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 255), factors, borders, st.booleans(), st.tuples(st.integers(1, 3), st.integers(1, 3)))
def test_a_constant_image_stays_constant(level, factor, border, quantize, cells):
    rows, columns = cells
    # Also for images smaller than the padding.
    x = torch.full((1, 3, rows * factor, columns * factor), float(level), dtype=torch.float64)
    small = downsample(x, factor, border=border, quantize=quantize)
    assert small.shape == (1, 3, rows, columns)
    torch.testing.assert_close(small, torch.full_like(small, level), rtol=0, atol=0 if quantize else 1e-9)
    large = upsample(small, factor, border=border, quantize=quantize)
    assert large.shape == x.shape
    torch.testing.assert_close(large, x, rtol=0, atol=0 if quantize else 1e-9)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 999), factors, borders, st.sampled_from([2, 3]), st.sampled_from([downsample, upsample]))
def test_flips_commute(seed, factor, border, axis, resize):
    x = noise(2 * factor, 3 * factor, seed)
    flipped = resize(x.flip(axis), factor, border=border)
    torch.testing.assert_close(flipped, resize(x, factor, border=border).flip(axis), rtol=0, atol=1e-9)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 999), factors, borders)
def test_quantised_results_are_levels_and_a_batch_is_its_images(seed, factor, border):
    x = noise(3 * factor, 2 * factor, seed, batch=2)
    out = downsample(x, factor, border=border, quantize=True)
    assert torch.equal(out, out.round().clamp(0, 255))
    assert torch.equal(out[1:], downsample(x[1:], factor, border=border, quantize=True))


def test_factor_one_changes_nothing():
    x = noise(5, 7)
    assert torch.equal(downsample(x, 1, quantize=True), x)
    assert torch.equal(upsample(x, 1), x)


def test_float32_comes_back_as_float32_with_the_bits_of_float64():
    x = noise(16, 16)
    single = downsample(x.float(), 4, quantize=True)
    assert single.dtype == torch.float32
    assert torch.equal(single.double(), downsample(x, 4, quantize=True))


@pytest.mark.parametrize("resize", [downsample, upsample])
def test_differentiable_without_rounding(resize):
    x = (noise(4, 4) / 255).requires_grad_()
    assert torch.autograd.gradcheck(lambda t: resize(t, 2), (x,))


@pytest.mark.parametrize(
    ("x", "factor", "border", "message"),
    [
        (torch.zeros(1, 3, 5, 4), 2, "symmetric", "crop it to a multiple of 2"),
        (torch.zeros(1, 3, 4, 4), 0, "symmetric", "at least 1"),
        (torch.zeros(1, 3, 4, 4), 2, "symetric", "did you mean 'symmetric'"),
        (torch.zeros(1, 3, 4, 4, dtype=torch.uint8), 2, "symmetric", "floating-point"),
        (torch.zeros(3, 4, 4), 2, "symmetric", "N x C x H x W"),
    ],
)
def test_impossible_requests(x, factor, border, message):
    with pytest.raises(UsageError, match=message):
        downsample(x, factor, border=border)
