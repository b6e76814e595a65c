"""Metrics on LR images: consistency of SR with its input, and what the dual network learned."""

import numpy as np
import pytest
import torch
from torch import nn

from drnbench.config.protocol import Protocol
from drnbench.data.cache import fingerprint
from drnbench.degradations import parse
from drnbench.errors import DataError
from drnbench.evaluation import metrics
from drnbench.evaluation.dual import MeanKernel, centred, effective_kernel
from drnbench.evaluation.evaluator import super_resolve_all
from drnbench.evaluation.inference import Upscaler
from drnbench.evaluation.metric import Item
from drnbench.evaluation.protocol import luma
from drnbench.models import create
from drnbench.models.dual import Chain, dual_per_level

CPU = torch.device("cpu")


def image(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def shrink(hr, kernel, scale):
    x = torch.from_numpy(hr).permute(2, 0, 1)[None].double()
    return parse(kernel).degrade(x, scale)[0].permute(1, 2, 0).numpy().astype(np.uint8)


def test_lr_psnr_is_infinite_for_an_image_that_explains_its_input():
    hr = image(48, 40)
    for kernel in ("bicubic", "bd", "nearest"):
        item = Item("a", shrink(hr, kernel, 4), hr, None, 4, kernel)
        assert metrics.get("lr_psnr").measure(item, Protocol()) == np.inf
        # Noise is no part of what SR has to explain: it is compared without.
        noisy = Item("a", item.lr, hr, None, 4, f"{kernel}:noise=20")
        assert metrics.get("lr_psnr").measure(noisy, Protocol()) == np.inf


def test_lr_psnr_by_hand_and_bicubic_for_real_images():
    hr = image(48, 40)
    lr = np.clip(shrink(hr, "bicubic", 4).astype(int) + 10, 0, 255).astype(np.uint8)
    y = luma
    again = shrink(hr, "bicubic", 4)
    error = np.mean((y(lr) - y(again))[1:-1, 1:-1] ** 2)
    for kernel in ("bicubic", "real"):
        got = metrics.get("lr_psnr").measure(Item("a", lr, hr, None, 4, kernel), Protocol())
        assert got == pytest.approx(10 * np.log10(255**2 / error), abs=1e-9)


def test_dual_mae_leaves_four_pixels_out():
    lr = image(12, 14)
    back = lr.astype(np.float64)
    back[:4] += 50  # D's border
    item = Item("a", lr, lr, lr, 1, "bicubic", back)
    assert metrics.get("dual_mae").measure(item, Protocol()) == 0
    back[6, 6, 1] += 2.5
    assert metrics.get("dual_mae").measure(item, Protocol()) == pytest.approx(2.5 / (4 * 6 * 3))
    with pytest.raises(DataError, match="nothing left when a border of 4"):
        metrics.get("dual_mae").measure(Item("a", lr[:8], lr[:8], lr[:8], 1, "bicubic", back[:8]), Protocol())


@pytest.mark.parametrize(("scale", "side"), [(2, 4), (4, 6), (3, 5)])
def test_effective_kernel_of_a_linear_dual_is_its_weights(scale, side):
    taps = torch.rand(side, side, dtype=torch.float64)
    conv = nn.Conv2d(3, 3, side, stride=scale, padding=(side - scale + 1) // 2, bias=False).double()
    with torch.no_grad():
        conv.weight.zero_()
        for channel in range(3):
            conv.weight[channel, channel] = taps
    size = 20 * scale
    hr = torch.rand(1, 3, size, size, dtype=torch.float64)
    total, count = effective_kernel(conv, hr, scale)
    kernel = total / count
    # The first tap stands `padding` pixels before the cell; the window's middle is the cell's.
    first = (len(kernel) - scale) // 2 - (side - scale + 1) // 2
    expected = torch.zeros_like(kernel)
    expected[first : first + side, first : first + side] = taps
    assert torch.allclose(kernel, expected, atol=1e-12)
    assert (len(kernel) - scale) % 2 == 0


def test_effective_kernel_predicts_the_dual_on_gray_images():
    torch.manual_seed(0)
    dual = Chain(dual_per_level(4, 4)).double()
    flat = torch.full((1, 3, 96, 96), 100.0, dtype=torch.float64)
    total, count = effective_kernel(dual, flat, 4)
    # Piecewise linear without biases: on the image it was taken at, it is the network.
    assert (total / count).sum().item() * 100 == pytest.approx(dual(flat)[0, :, 12, 12].mean().item(), rel=1e-9)


def test_kernels_of_degradation_and_dual_are_stored_about_one_centre(tmp_path):
    hr = image(96, 96)
    item = Item("a", shrink(hr, "bd", 4), hr, hr, 4, "bd")
    learned = MeanKernel(4, CPU)
    learned.add(Chain(dual_per_level(4, 4)), item)
    learned.save(tmp_path / "k.npz", "bd")
    with np.load(tmp_path / "k.npz") as stored:
        assert stored["true"].shape == stored["learned"].shape == (32, 32)
        assert stored["true"].sum() == pytest.approx(1)
        assert np.allclose(stored["true"], stored["true"][::-1, ::-1])
    small = Item("a", shrink(hr[:16, :16], "bd", 4), hr[:16, :16], hr[:16, :16], 4, "bd")
    nothing = MeanKernel(4, CPU)
    nothing.add(Chain(dual_per_level(4, 4)), small)
    nothing.save(tmp_path / "none.npz", "bd")
    assert not (tmp_path / "none.npz").exists()
    assert centred(torch.ones(2, 2), 6).sum() == 4
    assert centred(torch.ones(6, 6), 2).shape == (2, 2)


def test_real_images_are_their_own_lr_and_have_no_hr(tmp_path):
    images = fingerprint("photos/test", tmp_path).images[:1]
    (item,) = super_resolve_all(Upscaler(create("bicubic", 2), 2, CPU), images, "real", tmp_path, crop=40)
    assert item.lr.shape == (40, 40, 3)
    assert item.sr.shape == (80, 80, 3)
    assert item.hr is None
    assert 30 < metrics.get("lr_psnr").measure(item, Protocol()) < 60
