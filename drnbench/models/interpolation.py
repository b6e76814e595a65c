"""Enlargements as convolutions: their gradient, unlike that of `interpolate`, is deterministic on CUDA."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812


class PixelShuffle(nn.PixelShuffle):
    """PyTorch's PixelShuffle; in training on a processor by a strided copy, in half the time forward and a quarter backward."""

    def forward(self, x: Tensor) -> Tensor:
        """N x r^2 C x H x W -> N x C x r H x r W."""
        if not x.requires_grad or x.device.type != "cpu" or not x.is_contiguous():
            return super().forward(x)
        n, channels, height, width = x.shape
        r = self.upscale_factor
        moved = x.view(n, channels // r**2, r, r, height, width).permute(0, 1, 4, 2, 5, 3)
        return moved.reshape(n, channels // r**2, r * height, r * width)


class Interpolation(nn.Module):
    """A linear enlargement by an integer factor as one 5x5 convolution and a PixelShuffle.

    PyTorch refuses the gradient of `interpolate` on CUDA where a stage asks for deterministic algorithms.

    Args:
        scale: HR size over LR size.
        enlarge: the enlargement, 1 x 1 x H x W float64 -> 1 x 1 x sH x sW. Every output pixel reads at most two pixels on
            each side of the one that it lies in, and is the same function of them everywhere.
        mirrored: the image continues mirrored beyond its edges, which takes at least 2 x 2 pixels; else the edge pixels do.
    """

    weight: Tensor

    def __init__(self, scale: int, enlarge: Callable[[Tensor], Tensor], *, mirrored: bool) -> None:
        super().__init__()
        self.scale, self.mirrored = scale, mirrored
        # On the CPU also where a network is built on the meta device, whose bicubic takes twenty times as long.
        impulse = torch.zeros(1, 1, 9, 9, dtype=torch.float64, device="cpu")
        impulse[..., 4, 4] = 1
        # Output pixel s*i + a takes tap k from input pixel i + k - 2, so tap k is the response at i = 4 + 2 - k.
        taps = enlarge(impulse).view(9, scale, 9, scale)[2:7, :, 2:7].flip(0, 2).permute(1, 3, 0, 2)
        self.register_buffer("weight", taps.reshape(scale**2, 1, 5, 5), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W -> N x C x sH x sW."""
        for axis in (2, 3):
            size = x.shape[axis]
            if self.mirrored:
                parts = [x.narrow(axis, 0, 2).flip(axis), x, x.narrow(axis, size - 2, 2).flip(axis)]
            else:
                first, last = x.narrow(axis, 0, 1), x.narrow(axis, size - 1, 1)
                parts = [first, first, x, last, last]
            x = torch.cat(parts, axis)
        out = F.pixel_shuffle(F.conv2d(x.reshape(-1, 1, *x.shape[2:]), self.weight.to(x.dtype)), self.scale)
        return out.view(*x.shape[:2], *out.shape[2:])
