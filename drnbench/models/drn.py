"""DRN (Guo et al., CVPR 2020): a U-shaped network with one output for each 2x level.

The state dict has the names of the authors' files (`DRNS4x.pt`, ...), so that their weights load as they are.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from drnbench.models.interpolation import Interpolation, PixelShuffle

RGB_MEAN = (0.4488, 0.4371, 0.4040)
"""Mean of DIV2K in 0..1, as the authors use it."""
SLOPE = 0.2


def mean_shift(sign: int, *, train_mean: bool = True) -> nn.Conv2d:
    """A 1x1 convolution that subtracts (-1) or adds (+1) the mean.

    Trainable, as in the authors' code (they set `requires_grad` on the module, which does nothing), or frozen.
    """
    layer = nn.Conv2d(3, 3, 1)
    with torch.no_grad():
        # On the CPU also where a network of shapes alone is built: PyTorch's compiler is imported for their arithmetic.
        layer.weight.copy_(torch.eye(3, device="cpu").view(3, 3, 1, 1))
        assert layer.bias is not None
        layer.bias.copy_(sign * 255.0 * torch.tensor(RGB_MEAN, device="cpu"))
    return layer.requires_grad_(train_mean)


def mean(x: Tensor, axes: tuple[int, ...], *, keepdim: bool = False) -> Tensor:
    """Return `x.mean(axes)`, bit for bit; on a processor the gradient is not written out to the size of x, as a mean's is."""
    if (
        x.device.type not in {"cpu", "meta"} or x.dtype != torch.float32 or not x.numel()
    ):  # where a mean is rounded otherwise
        return x.mean(axes, keepdim=keepdim)
    total = x.sum(axes, keepdim=keepdim)
    return total / (x.numel() // total.numel())


def in_fp32(layer: nn.Module, x: Tensor) -> Tensor:
    """Apply a layer at the input or output of a network in fp32 under autocast too: bf16 rounds images to whole gray levels."""
    # The compiler cannot ask for autocast, and needs no short cut around it; shapes alone have no autocast.
    if x.is_meta or (not torch.compiler.is_dynamo_compiling() and not torch.is_autocast_enabled(x.device.type)):
        return cast("Tensor", layer(x))
    with torch.autocast(x.device.type, enabled=False):
        return cast("Tensor", layer(x.float()))


class Down(nn.Module):
    """Halve the size: conv3x3 stride 2, LeakyReLU, conv3x3, no biases. Also the per-level dual network (3 -> n -> 3)."""

    def __init__(self, n_in: int, n_mid: int, n_out: int) -> None:
        super().__init__()
        self.dual_module = nn.Sequential(
            nn.Sequential(nn.Conv2d(n_in, n_mid, 3, 2, 1, bias=False), nn.LeakyReLU(SLOPE, inplace=True)),
            nn.Conv2d(n_mid, n_out, 3, 1, 1, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W -> N x C' x H/2 x W/2."""
        return cast("Tensor", self.dual_module(x))


class ChannelAttention(nn.Module):
    """Scale each channel by a gate computed from its global mean (RCAN)."""

    def __init__(self, n: int, reduction: int = 16) -> None:
        super().__init__()
        mid = max(n // reduction, 1)
        self.conv_du = nn.Sequential(nn.Conv2d(n, mid, 1), nn.ReLU(inplace=True), nn.Conv2d(mid, n, 1), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as the input."""
        return x * cast("Tensor", self.conv_du(mean(x, (2, 3), keepdim=True)))


class RCAB(nn.Module):
    """Residual channel-attention block; `mid`: channels between its convolutions, as many as outside if None."""

    def __init__(self, n: int, mid: int | None = None) -> None:
        super().__init__()
        mid = mid or n
        self.body = nn.Sequential(
            nn.Conv2d(n, mid, 3, padding=1), nn.ReLU(inplace=True), nn.Conv2d(mid, n, 3, padding=1), ChannelAttention(n)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as the input."""
        return x + cast("Tensor", self.body(x))


class DRN(nn.Module):
    """The primal network P.

    Args:
        scale: 2, 4 or 8.
        n_blocks: RCABs at each level.
        n_feats: channels after the head; they double with each level down.
        train_mean: mean shift layers trainable, as in the authors' code, or frozen.
        channels: of a compressed network, as in `drnbench.models.channels`; None: a full one.
    """

    def __init__(
        self,
        scale: int,
        n_blocks: int,
        n_feats: int,
        *,
        train_mean: bool = True,
        channels: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        levels = scale.bit_length() - 1
        self.scale = scale
        n = n_feats
        self.interpolation = Interpolation(scale, self._bicubic, mirrored=False)
        self.sub_mean = mean_shift(-1, train_mean=train_mean)
        self.head = nn.Conv2d(3, n, 3, padding=1)
        inner = iter(channels) if channels is not None else itertools.repeat(None)
        self.down = nn.ModuleList(Down(n * 2**p, next(inner) or n * 2**p, n * 2 ** (p + 1)) for p in range(levels))
        self.up_blocks = nn.ModuleList()
        tails = [nn.Conv2d(n * 2**levels, 3, 3, padding=1)]
        for i in range(levels):
            # From the second level on the input is [upsampled, skip], so the width falls one level later.
            width = n * 2 ** min(levels, levels - i + 1)
            out = n * 2 ** (levels - 1 - i)
            mids, shuffled = [next(inner) for _ in range(n_blocks)], next(inner) or width
            # Made before the blocks: the order in which weights are drawn is part of every stored result.
            upsampler = nn.Sequential(nn.Conv2d(width, 4 * shuffled, 3, padding=1), PixelShuffle(2))
            blocks = [RCAB(width, mid) for mid in mids]
            self.up_blocks.append(nn.Sequential(*blocks, upsampler, nn.Conv2d(shuffled, out, 1)))
            tails.append(nn.Conv2d(2 * out, 3, 3, padding=1))
        self.tail = nn.ModuleList(tails)
        self.add_mean = mean_shift(+1, train_mean=train_mean)

    def forward(self, lr: Tensor) -> tuple[Tensor, ...]:
        """N x 3 x H x W in 0..255 -> images of 1x, 2x, ..., scale x the input size; not clamped.

        The first step is PyTorch's plain bicubic (a = -0.75), unlike MATLAB's, as in the authors' code. Where the input
        has a gradient, in cycles, it is computed as a convolution: other rounding, a gradient that is deterministic.
        """
        if lr.requires_grad and torch.is_grad_enabled():
            with torch.autocast(lr.device.type, enabled=False):
                x = self.interpolation(lr)
        else:
            x = self._bicubic(lr)
        x = self.head(in_fp32(self.sub_mean, x))
        skips = []
        for down in self.down:
            skips.append(x)
            x = down(x)
        outputs = [in_fp32(self.add_mean, in_fp32(self.tail[0], x))]
        for up, tail in zip(self.up_blocks, self.tail[1:], strict=True):
            x = torch.cat([up(x), skips.pop()], 1)
            outputs.append(in_fp32(self.add_mean, in_fp32(tail, x)))
        return tuple(outputs)

    def _bicubic(self, x: Tensor) -> Tensor:
        last = torch.channels_last
        is_last = (
            x.device.type == "cpu" and not torch.compiler.is_dynamo_compiling() and x.is_contiguous(memory_format=last)
        )
        # On a processor in half the time, the same bits: a channel at a time, and back.
        enlarged = F.interpolate(
            x.contiguous() if is_last else x, scale_factor=float(self.scale), mode="bicubic", align_corners=False
        )
        return enlarged.contiguous(memory_format=last) if is_last else enlarged
