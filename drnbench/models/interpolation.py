"""Enlargements as convolutions: their gradient, unlike that of `interpolate`, is deterministic on CUDA."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812


class PixelShuffle(nn.PixelShuffle):
    """PyTorch's PixelShuffle, on a processor by strided copies: the same values and order in memory, up to four times as fast."""

    def forward(self, x: Tensor) -> Tensor:
        """N x r^2 C x H x W -> N x C x r H x r W."""
        if x.device.type != "cpu" or torch.compiler.is_compiling():
            return super().forward(x)
        return (
            cast("Tensor", _Shuffle.apply(x, self.upscale_factor))
            if x.requires_grad
            else _shuffled(x, self.upscale_factor)
        )


def _shuffled(x: Tensor, r: int) -> Tensor:
    if not x.is_contiguous():  # channels last: PyTorch's is as fast as a copy can be
        return F.pixel_shuffle(x, r)
    n, channels, height, width = x.shape
    moved = x.view(n, channels // r**2, r, r, height, width).permute(0, 1, 4, 2, 5, 3)
    return moved.reshape(n, channels // r**2, r * height, r * width)


class _Shuffle(torch.autograd.Function):
    """`_shuffled`, with copies in the order of what is read or written in its gradient, too."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, r: int) -> Tensor:
        ctx.r = r
        return _shuffled(x, r)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        r = ctx.r
        n, channels, height, width = gradient.shape
        if torch.is_grad_enabled():  # a gradient of the gradient is asked for
            return F.pixel_unshuffle(gradient, r), None
        if gradient.is_contiguous():
            moved = gradient.view(n, channels, height // r, r, width // r, r).permute(0, 1, 3, 5, 2, 4)
            return moved.reshape(n, channels * r**2, height // r, width // r), None
        last = gradient.permute(0, 2, 3, 1)
        parts = [last[:, row::r, column::r] for row, column in itertools.product(range(r), repeat=2)]
        return torch.stack(parts, dim=-1).view(n, height // r, width // r, channels * r**2).permute(0, 3, 1, 2), None


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
