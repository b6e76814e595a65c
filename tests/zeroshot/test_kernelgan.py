"""KernelGAN on one image: its generator as a kernel, the window of its estimates, and the recovery of a known kernel."""

import pytest
import torch
from torch.nn import functional as F

from drnbench import models
from drnbench.data.images import center_crop, degrade, pixel_sha, read_rgb, to_tensor
from drnbench.datasets.sources import resolve
from drnbench.degradations import parse
from drnbench.errors import DivergedError, UsageError
from drnbench.models.operator import Operator
from drnbench.zeroshot.base import FitInput
from drnbench.zeroshot.geometry import centre_of_mass, move
from drnbench.zeroshot.internal_gan import Generator, InternalGAN, doubled, shrink
from drnbench.zeroshot.kernelgan import estimate

TARGET = "anisotropic:sigma_x=2.0,sigma_y=1.0,angle=30"
TINY = {"steps": 2, "n_feats": 2}


def lr_image(seed, rows=30, columns=34):
    return torch.rand(1, 3, rows, columns, generator=torch.Generator().manual_seed(seed)) * 255


def fit(model, lr, seed=0):
    return model.fit(FitInput(lr, parse("real"), seed), lambda step: None)


def test_the_composed_kernel_shrinks_as_the_layers_do():
    torch.manual_seed(0)
    generator, image = Generator(4), torch.rand(1, 3, 40, 36)
    layered = torch.cat([generator.layers(channel) for channel in image.split(1, dim=1)], dim=1)[..., ::2, ::2]
    assert torch.allclose(shrink(image, generator.kernel()), layered, atol=1e-6)


def test_the_kernel_of_four_is_two_halvings():
    taps = move(parse(TARGET).taps(2), (0.5, 0.5))
    hr = torch.rand(1, 3, 96, 96)
    twice = F.avg_pool2d(hr, 1)
    for _ in range(2):
        twice = Operator(taps, 2, learned=False)(twice)
    inner = (..., slice(8, -8), slice(8, -8))
    assert torch.allclose(Operator(doubled(taps), 4, learned=False)(hr)[inner], twice[inner], atol=1e-5)
    assert centre_of_mass(doubled(taps)) == pytest.approx((1.5, 1.5), abs=0.01)


@pytest.mark.parametrize("shift", [(0.0, 0.0), (0.3, -0.7), (2.2, 1.6)])
def test_a_moved_kernel_keeps_its_shape(shift):
    taps = parse(TARGET).taps(2)
    wanted = tuple(centre + by for centre, by in zip(centre_of_mass(taps), shift, strict=True))
    moved = move(taps, wanted)
    assert centre_of_mass(moved) == pytest.approx(wanted, abs=0.02)
    back = move(moved, centre_of_mass(taps))
    row, column = (first - start for first, start in zip(taps.first, back.first, strict=True))
    rows, columns = taps.weights.shape
    assert float((back.weights[row : row + rows, column : column + columns] - taps.weights).abs().sum()) < 0.1


@pytest.mark.parametrize("scale", [2, 4])
def test_estimates_have_one_window_their_centre_in_the_middle_of_the_cell(scale):
    torch.manual_seed(1)
    gan = InternalGAN(2)
    with torch.no_grad():  # a peak away from the middle
        weights = list(gan.generator.layers.parameters())
        for layer in weights:
            layer.fill_(0.5)
        weights[0][:, :, :3, :] = 0
    taps, other = gan.estimate(scale), InternalGAN(2).estimate(scale)
    assert (taps.weights.shape, taps.first) == (other.weights.shape, other.first)
    assert centre_of_mass(taps) == pytest.approx(((scale - 1) / 2,) * 2, abs=0.3)
    assert float(taps.weights.sum()) == pytest.approx(1)


def test_a_fit_depends_on_its_image_and_seed_and_on_nothing_before():
    model = models.create("kernelgan", 2, **TINY)
    first = fit(model, lr_image(1))
    fit(model, lr_image(2))
    again, other = fit(model, lr_image(1)), fit(model, lr_image(1), seed=1)
    assert torch.equal(again.sr, first.sr)
    assert torch.equal(again.kernel.weights, first.kernel.weights)
    assert not torch.equal(other.kernel.weights, first.kernel.weights)
    assert (first.sr.shape, first.steps) == ((1, 3, 60, 68), 2)


def test_zssr_takes_the_estimate_of_the_same_image():
    steps, done = 3, []
    model = models.create("zssr", 2, steps=steps, kernel="estimated", n_layers=2, n_feats=4, patch=8)
    image = FitInput(lr_image(1), parse("real"), 0)
    result = model.fit(image, done.append)
    assert torch.equal(result.kernel.weights, estimate(image, 2, steps, lambda step: None).weights)
    assert done == list(range(1, 2 * steps + 1))
    assert result.steps == model.steps == 2 * steps


def test_an_image_smaller_than_a_crop_is_refused():
    with pytest.raises(UsageError, match="34 x 24 pixels is smaller than the 26 x 26"):
        fit(models.create("kernelgan", 2, **TINY), lr_image(0, 24))


def test_a_fit_that_diverges_is_filed_as_such_at_any_number_of_steps():
    for steps in (1, 3):
        with pytest.raises(DivergedError, match=r"not finite.*lower lr"):
            fit(models.create("kernelgan", 2, **TINY | {"steps": steps, "lr": 1e30}), lr_image(0))


@pytest.mark.parametrize("weight", [0.0, float("nan"), float("inf")])
def test_a_generator_without_a_kernel_has_no_estimate(weight):
    gan = InternalGAN(2)
    with torch.no_grad():
        next(gan.generator.layers.parameters()).fill_(weight)
    with pytest.raises(DivergedError, match="lower lr"):
        gan.estimate(2)


@pytest.mark.real
def test_it_comes_near_to_the_kernel_of_a_photograph(tmp_path):
    images = {image.name: image.path for image in resolve("photos/test", tmp_path).images}
    hr = center_crop(read_rgb(images["camera"]), 384)
    lr = to_tensor(degrade(parse(TARGET), hr, 2, pixel_sha(hr)))
    estimated = estimate(FitInput(lr, parse("real"), 0), 2, 600, lambda step: None, n_feats=32)

    def error(taps):
        return float((Operator(taps, 2, learned=False)(to_tensor(hr)) - lr)[..., 4:-4, 4:-4].abs().mean())

    assert error(estimated) < 0.75 * error(parse("bicubic").taps(2))
