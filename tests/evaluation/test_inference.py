"""Tiles, self-ensemble, devices: the same SR image where it should be, and a measured difference where not."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from drnbench.config.protocol import Protocol
from drnbench.data.cache import fingerprint
from drnbench.errors import DataError, UsageError
from drnbench.evaluation import inference
from drnbench.evaluation.evaluator import super_resolve_all
from drnbench.evaluation.inference import Upscaler
from drnbench.evaluation.metric import measure
from drnbench.models import create
from drnbench.models.costs import forward_bytes

CPU = torch.device("cpu")


class Small(nn.Module):
    """Two 3 x 3 convolutions and a pixel shuffle: it sees 2 pixels to each side."""

    def __init__(self, scale: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 3 * scale**2, 3, padding=1), nn.PixelShuffle(scale)
        )

    def forward(self, lr):
        return (self.net(lr) * 0.5 + 120,)


def image(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@settings(deadline=None, max_examples=40)
@given(height=st.integers(1, 40), width=st.integers(1, 40), tile=st.integers(3, 24), scale=st.sampled_from([1, 2, 3]))
def test_tiles_change_nothing_if_the_overlap_covers_the_receptive_field(height, width, tile, scale):
    model, lr = Small(scale).eval(), image(height, width)
    whole = Upscaler(model, scale, CPU)(lr)
    tiled = Upscaler(model, scale, CPU, tile=tile, overlap=2)(lr)
    assert whole.shape == (height * scale, width * scale, 3)
    assert np.abs(whole - tiled).max() < 1e-3


def test_the_seam_of_too_small_an_overlap_is_measured():
    model, lr = Small(2).eval(), image(40, 40)
    upscaler = Upscaler(model, 2, CPU, tile=16, overlap=0)
    assert upscaler.seam(lr) > 0.1
    assert Upscaler(model, 2, CPU, tile=16, overlap=2).seam(lr) < 1e-3
    assert Upscaler(model, 2, CPU).seam(lr) is None
    assert Upscaler(model, 2, CPU, tile=40).seam(lr) is None


def test_an_image_that_is_too_large_for_the_network_is_cut_into_tiles(monkeypatch):
    model, lr = Small(2).eval(), image(60, 50)
    whole = Upscaler(model, 2, CPU)
    expected = whole(lr)
    assert whole.cut is None
    monkeypatch.setattr(inference, "LARGE", 0)
    monkeypatch.setattr(inference, "FORWARD_BYTES", 50_000)
    tiled = Upscaler(model, 2, CPU, overlap=2)
    assert np.abs(tiled(lr) - expected).max() < 1e-3
    assert tiled.cut is not None
    assert forward_bytes(model, torch.zeros(1, 3, tiled.cut + 4, tiled.cut + 4)) <= 50_000
    assert forward_bytes(model, torch.zeros(1, 3, tiled.cut + 5, tiled.cut + 5)) > 50_000
    small = Upscaler(model, 2, CPU)
    assert (small(lr[:16, :16]) == whole(lr[:16, :16])).all()
    assert small.cut is None


def test_the_memory_of_a_forward_pass_is_that_of_what_lives_at_once():
    def convolution(inputs, outputs):
        return nn.Conv2d(inputs, outputs, 1, bias=False)

    chain = nn.Sequential(convolution(3, 4), convolution(4, 8), convolution(8, 1))
    assert forward_bytes(chain, torch.zeros(1, 3, 10, 20)) == (3 + 4 + 8) * 4 * 200


def test_channel_attention_is_global_so_tiles_change_it():
    torch.manual_seed(0)
    drn = Upscaler(create("drn", scale=2, n_blocks=1, n_feats=4).eval(), 2, CPU, tile=24, overlap=16)
    lr = image(48, 48)
    assert drn.seam(lr) == pytest.approx(np.abs(drn(lr) - Upscaler(drn.model, 2, CPU)(lr)).max(), abs=1e-4)
    assert drn.seam(lr) > 1e-3


def test_self_ensemble_is_the_mean_of_the_eight_turned_back():
    model, lr = Small(2).eval(), image(10, 13)
    plain, mean = Upscaler(model, 2, CPU), Upscaler(model, 2, CPU, self_ensemble=True)
    by_hand = []
    for flipped in (False, True):
        for turns in range(4):
            seen = np.rot90(lr[:, ::-1] if flipped else lr, turns)
            back = np.rot90(plain(np.ascontiguousarray(seen)), -turns)
            by_hand.append(back[:, ::-1] if flipped else back)
    assert len({image.tobytes() for image in by_hand}) == 8
    assert np.allclose(mean(lr), np.mean(by_hand, axis=0), atol=1e-3)
    # What is averaged over all flips and turns turns with its input.
    assert np.allclose(mean(np.ascontiguousarray(np.rot90(lr))), np.rot90(mean(lr)), atol=1e-3)
    assert np.allclose(Upscaler(model, 2, CPU, self_ensemble=True, tile=6, overlap=2)(lr), mean(lr), atol=1e-3)


def test_output_is_clamped_and_not_rounded():
    out = Upscaler(Small(1).eval(), 1, CPU)(image(20, 20))
    assert out.dtype == np.float32
    assert out.min() >= 0
    assert out.max() <= 255
    assert (out % 1 != 0).any()


@pytest.mark.parametrize(("model", "message"), [(Small(2), "40 x 20 pixels of 20 x 10"), (nn.Identity(), "scale 3")])
def test_a_model_of_another_scale_is_named(model, message):
    wrapped = model if isinstance(model, Small) else type("One", (nn.Module,), {"forward": lambda _, x: (x,)})()
    with pytest.raises(DataError, match=message):
        Upscaler(wrapped, 3, CPU)(image(10, 20))


def test_numbers_that_are_not_finite_are_refused():
    broken = type("Broken", (nn.Module,), {"forward": lambda _, x: (x / 0 * 0,)})()
    with pytest.raises(DataError, match="not finite"):
        Upscaler(broken, 1, CPU)(image(4, 4))
    with pytest.raises(UsageError, match="at least 1"):
        Upscaler(broken, 1, CPU, tile=0)


def scores(upscaler, cache):
    items = super_resolve_all(upscaler, fingerprint("photos/test", cache).images[:2], "bicubic", cache, crop=96)
    return [
        measure(item, metric, Protocol()) for item in items for metric in ("psnr_y", "ssim_y", "psnr_rgb", "lr_psnr")
    ]


def test_scores_agree_with_and_without_tiles(tmp_path):
    torch.manual_seed(0)
    model = create("edsr", scale=2, n_blocks=2, n_feats=8).eval()
    whole = scores(Upscaler(model, 2, CPU), tmp_path)
    assert scores(Upscaler(model, 2, CPU, tile=16, overlap=12), tmp_path) == pytest.approx(whole, abs=1e-4)


@pytest.mark.gpu
def test_scores_agree_between_gpu_and_cpu(tmp_path):
    torch.manual_seed(0)
    torch.backends.cudnn.allow_tf32 = False
    model = create("drn", scale=4, n_blocks=2, n_feats=8).eval()
    cpu = scores(Upscaler(model, 4, CPU), tmp_path)
    gpu = torch.device("cuda")
    assert scores(Upscaler(model.to(gpu), 4, gpu), tmp_path) == pytest.approx(cpu, abs=1e-4)
