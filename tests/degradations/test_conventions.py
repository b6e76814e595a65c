"""Kernels as other codes define them: LR images equal an independent formula at their positions, to the pixel."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from drnbench.data.images import read_rgb, to_tensor
from drnbench.degradations import identity, parse
from drnbench.degradations.drawn import Random
from drnbench.degradations.resize import border_indices, downsample, upsample
from drnbench.errors import UsageError
from drnbench.evaluation import metrics

SCIPY = {"replicate": "nearest", "symmetric": "reflect", "reflect": "mirror", "wrap": "grid-wrap"}
scales = st.integers(2, 4)


def noise(height: int, width: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (1, 3, height, width)).astype(np.float64))


def levels(x: np.ndarray) -> np.ndarray:
    return np.clip(np.floor(x + 0.5), 0, 255)


def blurred(filtered, hr: torch.Tensor, weights: np.ndarray, mode: str) -> np.ndarray:
    return np.stack([filtered(channel, weights, mode=mode) for channel in hr[0].numpy()])


@settings(max_examples=60, deadline=None)
@given(scales, st.integers(2, 12), st.integers(2, 12), st.sampled_from([*SCIPY]), st.booleans(), st.integers(0, 99))
def test_a_file_whose_origin_is_the_first_pixel(tmp_path_factory, scale, rows, columns, border, flip, seed):
    # DIV2KRK and KernelGAN correlate and take [0::s]; BSRGAN convolves. SciPy puts the origin at K//2, too.
    path = tmp_path_factory.mktemp("kernel") / "k.npy"
    weights = np.random.default_rng(seed).random((rows, columns))
    np.save(path, weights)
    hr = noise(scale * 9, scale * 7, seed)
    lr = parse(f"file:path={path},origin=zero,border={border},flip={str(flip).lower()}").degrade(hr, scale)
    every = blurred(ndimage.convolve if flip else ndimage.correlate, hr, weights / weights.sum(), SCIPY[border])
    assert np.array_equal(lr[0].numpy(), levels(every[:, ::scale, ::scale]))


@settings(max_examples=40, deadline=None)
@given(scales, st.sampled_from([5, 9, 15, 21]), st.booleans(), st.floats(0.3, 3), st.floats(0.3, 3), st.floats(-90, 90))
def test_a_gaussian_that_is_sampled_at_the_first_pixel(scale, size, isotropic, sigma_x, sigma_y, angle):
    if isotropic:
        sigma_y, angle = sigma_x, 0.0
    name = (
        f"gaussian:sigma={sigma_x!r}"
        if isotropic
        else f"anisotropic:sigma_x={sigma_x!r},sigma_y={sigma_y!r},angle={angle!r}"
    )
    hr = noise(scale * 9, scale * 7)
    lr = parse(f"{name},size={size},phase=zero").degrade(hr, scale)
    turn = math.radians(-angle)  # rows are counted downwards
    matrix = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    inverse = matrix @ np.diag([sigma_x**-2, sigma_y**-2]) @ matrix.T
    pixels = np.arange(size) - size // 2
    right, down = np.meshgrid(pixels, pixels)
    exponent = inverse[0, 0] * right**2 + 2 * inverse[0, 1] * right * down + inverse[1, 1] * down**2
    weights = np.exp(-0.5 * exponent)
    every = blurred(ndimage.correlate, hr, weights / weights.sum(), "nearest")[:, ::scale, ::scale]
    # Where a mean lies on a half, the order of a sum decides.
    assert np.abs(levels(every) - lr[0].numpy()).max() <= 1
    assert np.array_equal(levels(every)[np.abs(every % 1 - 0.5) > 1e-6], lr[0].numpy()[np.abs(every % 1 - 0.5) > 1e-6])


@settings(max_examples=20, deadline=None)
@given(scales, st.sampled_from([9, 21]), st.floats(0.8, 3.2))
def test_gaussian8_is_a_blur_and_then_bicubic(scale, size, sigma):
    hr = noise(scale * 13, scale * 11)
    lr = parse(f"gaussian:sigma={sigma!r},size={size},border=reflect,then=bicubic").degrade(hr, scale)
    line = np.exp(-0.5 * ((np.arange(size) - size // 2) / sigma) ** 2)
    weights = np.outer(line, line)
    every = blurred(ndimage.correlate, hr, weights / weights.sum(), "mirror")
    expected = downsample(torch.from_numpy(every)[None], scale)[0].numpy()
    clear = np.abs(expected % 1 - 0.5) > 1e-6
    assert np.array_equal(levels(expected)[clear], lr[0].numpy()[clear])


@given(st.integers(1, 9), st.integers(0, 30), st.integers(0, 30), st.sampled_from([*SCIPY]))
def test_borders_are_those_of_scipy(size, before, after, border):
    line = np.arange(float(size))
    positions = np.arange(-before, size + after)
    expected = ndimage.map_coordinates(line, [positions], order=0, mode=SCIPY[border])
    assert np.array_equal(border_indices(size, before, after, border).numpy(), expected)


@pytest.mark.parametrize("spec", ["gaussian:sigma=1.5", "anisotropic:sigma_x=2,sigma_y=0.7,angle=25"])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_weights_of_a_blur_before_bicubic(spec, scale):
    kernel = parse(f"{spec},then=bicubic")
    hr = noise(scale * 20, scale * 20).clamp(64, 192)
    window = kernel.impulse(scale)
    assert float(window.sum()) == pytest.approx(1, abs=1e-12)
    before = (len(window) - scale) // 2
    cells = range(-(-before // scale), 20 - -(-before // scale))
    expected = [
        [
            float((window * hr[0, 0, i * scale - before :, j * scale - before :][: len(window), : len(window)]).sum())
            for j in cells
        ]
        for i in cells
    ]
    lr = kernel.degrade(hr, scale)[0, 0][cells.start : cells.stop, cells.start : cells.stop]
    assert float((lr - torch.tensor(expected)).abs().max()) <= 0.5 + 1e-6


def test_what_is_new_enters_a_key_only_where_it_is_set():
    assert identity("gaussian:sigma=2,border=replicate,phase=centre,size=none,then=sample") == {
        "name": "gaussian", "sigma": 2.0,
    }  # fmt: skip
    assert identity("gaussian:sigma=2,phase=zero,size=15") == {
        "name": "gaussian", "sigma": 2.0, "phase": "zero", "size": 15,
    }  # fmt: skip


def test_a_phase_that_bicubic_cannot_keep_is_refused():
    with pytest.raises(UsageError, match="phase=zero needs then=sample"):
        parse("gaussian:sigma=2,phase=zero,then=bicubic")


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 4), st.integers(0, 2**64), st.integers(0, 5))
def test_random_kernels_are_aligned_and_functions_of_their_seed(scale, seed, image):
    kernel = Random()
    weights, (first, _) = kernel.drawn(scale, seed, image)
    pixels = first + torch.arange(len(weights), dtype=torch.float64)
    assert float(weights.sum()) == pytest.approx(1, abs=1e-12)
    assert float(weights.min()) >= 0
    for axis in (0, 1):
        assert float(weights.sum(axis) @ pixels) == pytest.approx((scale - 1) / 2, abs=1e-9)
    assert torch.equal(weights, kernel.drawn(scale, seed, image).weights)
    assert not torch.equal(weights, kernel.drawn(scale, seed + 1, image).weights)
    assert not torch.equal(weights, Random(seed=1).drawn(scale, seed, image).weights)


def test_widths_of_random_kernels_are_those_of_the_paper():
    widths = []
    for seed in range(300):
        weights, _ = Random(jitter=0.0, size=41).drawn(2, seed)
        pixels = torch.arange(41, dtype=torch.float64)
        mean = torch.stack([weights.sum(1) @ pixels, weights.sum(0) @ pixels])
        down, right = (pixels - mean[0])[:, None], (pixels - mean[1])[None, :]
        cross = float((weights * down * right).sum())
        matrix = [[float((weights * down**2).sum()), cross], [cross, float((weights * right**2).sum())]]
        widths += [*np.linalg.eigvalsh(np.array(matrix))]
    # Variances are uniform in 0.35 .. 5; sampling a narrow one widens it by up to a tenth of a pixel squared.
    assert min(widths) > 0.2
    assert max(widths) < 5.05
    assert np.mean(widths) == pytest.approx(2.675, abs=0.15)


@pytest.mark.parametrize("spec", ["random", "second-order", "random:noise=3"])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_each_image_has_draws_of_its_own(spec, scale):
    kernel = parse(spec)
    assert kernel.seeded
    hr = noise(24 * scale, 20 * scale)
    batch = kernel.degrade(torch.cat([hr, hr]), scale, 5)
    assert batch.shape == (2, 3, 24, 20)
    assert torch.equal(batch[:1], kernel.degrade(hr, scale, 5))
    assert not torch.equal(batch[0], batch[1])
    assert torch.equal(batch, batch.round().clamp(0, 255))
    assert torch.equal(batch, kernel.degrade(torch.cat([hr, hr]), scale, 5))
    with pytest.raises(UsageError, match="does not state its weights"):
        kernel.impulse(scale)


def test_without_any_effect_a_second_order_degradation_is_a_resize():
    off = "blur=0,blur2=0,up=0,down=0,keep=1,up2=0,down2=0,keep2=1,final_sinc=0,gaussian=1,gaussian2=1,noise_low=0,noise_high=0,"
    spec = f"second-order:{off}noise_low2=0,noise_high2=0,quality_low=100,quality_high=100,quality_low2=100,quality_high2=100"
    flat = torch.full((1, 3, 32, 40), 100.0)
    assert float((parse(spec).degrade(flat, 4) - 100).abs().max()) <= 1


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("second-order:sigma_low=4", "sigma_low=4 is above sigma_high=3"),
        ("second-order:quality_low2=99", "quality_low2=99 is above quality_high2=95"),
        ("second-order:up=0,down=0,keep=0", "one of the weights up, down, keep must be above 0"),
        ("random:low=3,high=2", "low=3 is above high=2"),
        ("gaussian:sigma=1,border=mirror", "'symmetric', 'replicate', 'reflect' or 'wrap'"),
    ],
)
def test_ranges_that_are_none(spec, message):
    with pytest.raises(UsageError, match=message):
        parse(spec)


@pytest.mark.parametrize(
    ("spec", "scale", "psnr", "ssim"),
    [
        ("gaussian:sigma=0.4472135954999579,size=15,phase=zero", 2, 30.24, 0.8976),
        ("gaussian:sigma=1.4142135623730951,size=15,phase=zero", 2, 28.73, 0.8449),
        ("anisotropic:sigma_x=2,sigma_y=1,angle=28.64788975654116,size=15,phase=zero", 2, 28.15, 0.8265),
        ("gaussian:sigma=1.4142135623730951,size=15,phase=zero", 4, 24.74, 0.7321),
    ],
)
def test_bicubic_rows_of_mzsr(shared_data, spec, scale, psnr, ssim):
    """Soh, Cho, Cho: Meta-transfer learning for zero-shot SR, CVPR 2020: Set5, Y rounded, s pixels shaved."""
    scores = []
    for path in sorted((shared_data / "Set5" / "HR").glob("*.png")):
        hr = to_tensor(read_rgb(path))
        hr = hr[..., : hr.shape[-2] // scale * scale, : hr.shape[-1] // scale * scale].double()
        sr = upsample(parse(spec).degrade(hr, scale), scale, quantize=True)
        y = [
            ((x * torch.tensor([65.481, 128.553, 24.966]).view(3, 1, 1)).sum(1)[0] / 255 + 16)
            .round()
            .numpy()[scale:-scale, scale:-scale]
            for x in (sr, hr)
        ]
        scores.append([metrics.get(name).compare(*y) for name in ("psnr_y", "ssim_y")])
    mean = np.mean(scores, axis=0)
    assert mean[0] == pytest.approx(psnr, abs=0.0051)
    assert mean[1] == pytest.approx(ssim, abs=0.001)
