"""PixelShuffle in training equals PyTorch's bit for bit, forward and backward."""

import pytest
import torch
from torch import nn

from drnbench.models.interpolation import PixelShuffle

FORMATS = [torch.contiguous_format, torch.channels_last]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("gradient_format", FORMATS)
@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("factor", [2, 3])
def test_pixel_shuffle_equals_pytorch_forward_and_backward(factor, memory_format, gradient_format, dtype):
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(2, 2 * factor**2, 3, 5, generator=draw).to(dtype, memory_format=memory_format)
    gradient = torch.randn(2, 2, 3 * factor, 5 * factor, generator=draw).to(dtype, memory_format=gradient_format)
    images, gradients = [PixelShuffle(factor)(x)], []
    for shuffle in (PixelShuffle(factor), nn.PixelShuffle(factor)):
        leaf = x.clone().requires_grad_()
        image = shuffle(leaf)
        image.backward(gradient)
        images.append(image.detach())
        gradients.append(leaf.grad)
    for image in images[:-1]:
        assert torch.equal(image, images[-1])
        assert image.stride() == images[-1].stride()
    assert torch.equal(*gradients)


@pytest.mark.parametrize("memory_format", FORMATS)
def test_pixel_shuffle_has_a_gradient_of_its_gradient(memory_format):
    x = torch.randn(1, 8, 2, 3, dtype=torch.float64).to(memory_format=memory_format).requires_grad_()
    assert torch.autograd.gradcheck(PixelShuffle(2), (x,))
    assert torch.autograd.gradgradcheck(PixelShuffle(2), (x,))
