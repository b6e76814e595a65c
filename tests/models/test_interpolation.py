"""PixelShuffle in training equals PyTorch's bit for bit, forward and backward."""

import pytest
import torch
from torch import nn

from drnbench.models.interpolation import PixelShuffle


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("factor", [2, 3])
def test_pixel_shuffle_equals_pytorch_forward_and_backward(factor, memory_format):
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(2, 2 * factor**2, 3, 5, generator=draw).to(memory_format=memory_format)
    weight = torch.randn(2, 2, 3 * factor, 5 * factor, generator=draw)
    images, gradients = [], []
    for shuffle in (PixelShuffle(factor), nn.PixelShuffle(factor)):
        leaf = x.clone().requires_grad_()
        image = shuffle(leaf)
        (image * weight).sum().backward()
        images.append(image.detach())
        gradients.append(leaf.grad)
    assert torch.equal(*images)
    assert torch.equal(*gradients)
