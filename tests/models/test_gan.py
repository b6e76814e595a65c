"""Networks of the adversarial baselines: what they are before training, and how a discriminator fits its patch."""

import pytest
import torch
from torch import nn

from drnbench import models
from drnbench.degradations.resize import upsample
from drnbench.errors import UsageError
from drnbench.models.gan import Bicubic, Enlarger, PatchGAN, Shrinker


@pytest.fixture
def image():
    return torch.rand(2, 3, 24, 48, generator=torch.Generator().manual_seed(0)) * 255


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_the_convolution_is_matlabs_bicubic_borders_included(scale, image):
    small = image[:, :, :7, :5]
    assert torch.allclose(Bicubic(scale)(small), upsample(small, scale), atol=2e-3)


@pytest.mark.parametrize("scale", [1, 2, 3, 4, 8])
def test_generators_begin_as_a_plain_resize(scale, image):
    expected = upsample(image, scale) if scale > 1 else image
    assert torch.allclose(Enlarger(scale, 1, 4)(image)[0], expected, atol=2e-3)
    mean = image.unfold(2, scale, scale).unfold(3, scale, scale).mean((-2, -1))
    assert torch.allclose(Shrinker(scale, 1, 4)(image), mean, atol=1e-3)


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_no_pattern_can_be_laid_over_a_flat_area(scale):
    torch.manual_seed(0)
    net = Enlarger(scale, 1, 4)
    nn.init.normal_(net.tail[-1].weight)
    flat = torch.tensor([200.0, 20.0, 90.0]).view(1, 3, 1, 1).expand(1, 3, 24, 24)
    inside = net(flat)[0][..., 10 * scale : 14 * scale, 10 * scale : 14 * scale]
    assert (inside - flat[..., :1, :1]).abs().min() > 1  # there is a correction
    assert inside.flatten(2).std(2).max() < 1e-3


@pytest.mark.parametrize(
    ("side", "strides", "size"),
    [(4, 0, 1), (8, 0, 5), (15, 0, 12), (16, 1, 6), (24, 1, 10), (32, 2, 6), (48, 2, 10), (64, 3, 6), (96, 3, 10)],
)
def test_a_discriminator_fits_its_patch(side, strides, size):
    net = PatchGAN(side, 2)
    convolutions = [m for m in net.modules() if isinstance(m, nn.Conv2d)]
    norms = [m for m in net.modules() if isinstance(m, nn.InstanceNorm2d)]
    assert [c.stride[0] for c in convolutions].count(2) == strides
    assert {c.kernel_size for c in convolutions} == {(4, 4)}
    assert len(norms) == len(convolutions) - 2
    assert not isinstance(net.body[1], nn.InstanceNorm2d)
    assert net(torch.rand(1, 3, side, side) * 255).shape == (1, 1, size, size)


def test_at_64_it_is_the_patchgan_of_cyclegan():
    convolutions = [m for m in PatchGAN(64, 64).modules() if isinstance(m, nn.Conv2d)]
    assert [c.out_channels for c in convolutions] == [64, 128, 256, 512, 1]
    field = 1
    for c in reversed(convolutions):
        field = (field - 1) * c.stride[0] + 4
    assert field == 70


def test_a_discriminator_of_nothing_is_refused():
    with pytest.raises(UsageError, match="raise patch"):
        PatchGAN(3)


def test_cincgan_enlarges_the_clean_image(image):
    net = models.create("cincgan", 2, n_blocks=1, n_feats=4, inner_blocks=1)
    for part in (net.clean, net.enlarge):
        nn.init.normal_(part.tail[-1].weight, std=0.1)
    assert torch.equal(net(image)[0], net.enlarge(net.clean(image)[0])[0])
    assert (net.clean(image)[0] - image).abs().max() > 1
