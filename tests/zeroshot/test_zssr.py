"""ZSSR on one image: its gain, and what its numbers depend on."""

import pytest
import torch

from drnbench import models
from drnbench.config.protocol import Protocol
from drnbench.data.images import center_crop, degrade, pixel_sha, quantise, read_rgb, to_tensor
from drnbench.datasets.sources import resolve
from drnbench.degradations import parse
from drnbench.errors import UsageError
from drnbench.evaluation import metrics
from drnbench.evaluation.zero_shot import ImageFitter
from drnbench.zeroshot import zssr
from drnbench.zeroshot.base import FitInput

KERNEL = "gaussian:sigma=0.6,phase=zero"
TINY = {"steps": 3, "n_layers": 2, "n_feats": 4, "patch": 8}
CPU = torch.device("cpu")


def photograph(tmp_path, name, side):
    images = {image.name: image.path for image in resolve("photos/test", tmp_path).images}
    return center_crop(read_rgb(images[name]), side)


def lr_image(seed, side=10):
    return torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(seed)) * 255


def fit(model, lr, seed=0, kernel=KERNEL):
    return model.fit(FitInput(lr, parse(kernel), seed), lambda step: None)


@pytest.mark.real
def test_it_passes_bicubic_by_two_decibels(tmp_path):
    hr = photograph(tmp_path, "astronaut", 128)
    spec = "gaussian:sigma=1.4142135623730951"  # aligned with bicubic, which loses nothing by its position
    lr = degrade(parse(spec), hr, 2, pixel_sha(hr))
    model = models.create("zssr", 2, steps=250, n_layers=6, n_feats=32)
    score = {
        "zssr": ImageFitter(model, 2, CPU, kernel=spec, seed=0)(lr),
        "bicubic": models.create("bicubic", 2)(to_tensor(lr))[0][0].permute(1, 2, 0).numpy(),
    }
    score = {name: metrics.get("psnr_y").score(quantise(sr), hr, 2, Protocol()) for name, sr in score.items()}
    assert score["zssr"] > score["bicubic"] + 2


def test_a_fit_depends_on_its_image_and_seed_and_on_nothing_before():
    model = models.create("zssr", 2, **TINY)
    first, other = fit(model, lr_image(1)).sr, fit(model, lr_image(2)).sr
    assert torch.equal(fit(model, lr_image(1)).sr, first)
    assert torch.equal(fit(models.create("zssr", 2, **TINY), lr_image(2)).sr, other)
    assert not torch.equal(fit(model, lr_image(1), seed=1).sr, first)
    assert first.shape == (1, 3, 20, 20)


def test_the_given_kernel_is_that_of_the_test_set_and_bicubic_is_bicubic():
    given, bicubic = (models.create("zssr", 2, **TINY, kernel=kernel) for kernel in ("given", "bicubic"))
    assert torch.equal(fit(given, lr_image(1), kernel="bicubic").sr, fit(bicubic, lr_image(1), kernel=KERNEL).sr)
    assert not torch.equal(fit(given, lr_image(1)).sr, fit(bicubic, lr_image(1)).sr)
    with pytest.raises(UsageError, match="given"):
        fit(given, lr_image(1), kernel="real")


@pytest.mark.parametrize(("scale", "side"), [(2, 7), (3, 9), (4, 8)])
def test_small_images_at_every_scale(scale, side):
    result = fit(models.create("zssr", scale, **{**TINY, "steps": 2}), lr_image(0, side), kernel="bicubic:noise=3")
    assert result.sr.shape == (1, 3, scale * side, scale * side)
    assert torch.isfinite(result.sr).all()
    assert result.steps == 2


def test_an_image_smaller_than_the_scale_is_refused():
    with pytest.raises(UsageError, match="too small"):
        fit(models.create("zssr", 4, **TINY), lr_image(0, 3), kernel="bicubic")


def test_a_fit_that_no_longer_improves_ends_before_its_last_step(monkeypatch):
    for name, value in {"TEST_EVERY": 1, "POLICY_EVERY": 2, "SLOPE_STEPS": 8}.items():
        monkeypatch.setattr(zssr, name, value)
    result = fit(models.create("zssr", 2, **{**TINY, "steps": 500}), torch.full((1, 3, 8, 8), 100.0), kernel="bicubic")
    assert 3 * 8 < result.steps < 500
