"""Convolutions to or from a few channels as products of matrices: cuDNN's tiles have ten times as many channels.

Measured in a step of DRN-L on images of 192 x 192 in fp32: the last layer, 40 channels to RGB, takes cuDNN 0.7 ms forward on an H200, and
its gradients up to 8.4 ms on an H100 where algorithms must be deterministic (cuDNN 9.19); as products 0.3 ms each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

FEW = 4
"""Channels of an image, as opposed to those of features."""


def convolve(
    x: Tensor, weight: Tensor, bias: Tensor | None, stride: tuple[int, int], padding: tuple[int, int]
) -> Tensor:
    """Return `F.conv2d`, but for rounding, where input or output have at most `FEW` channels.

    Args:
        x: N x C x H x W.
        weight: C' x C x kernel.
        bias: C'.
        stride, padding: down and across; padding less than the kernel.
    """
    if not len(x):  # a step without pairs
        return F.conv2d(x, weight, bias, stride, padding)
    return cast("Tensor", _Few.apply(x, weight, bias, stride, padding))


class _Few(torch.autograd.Function):
    """See `convolve`."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, stride: tuple[int, int], padding: tuple[int, int]
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.has_bias, ctx.stride, ctx.padding = bias is not None, stride, padding
        if weight.shape[0] > FEW or stride != (1, 1):
            return F.conv2d(x, weight, bias, stride, padding)
        # What each pixel gives to those around it, 3 channels a tap, summed where it lies.
        height, width = (
            size + 2 * pad - side + 1 for size, pad, side in zip(x.shape[2:], padding, weight.shape[2:], strict=True)
        )
        out = _summed(weight.flip(2, 3).transpose(0, 1), x, (height, width), stride, _opposite(weight, padding))
        out = out if bias is None else out + bias[:, None, None]
        return out if x.is_contiguous() else out.contiguous(memory_format=torch.channels_last)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor, Tensor | None, None, None]:
        x, weight = ctx.saved_tensors
        (outs, ins, *kernel), of_input = weight.shape, None
        if ctx.stride == (1, 1) and outs <= FEW:
            # Taps of the gradient, 3 channels, in place of the input's: where x is read as it lies.
            taps = _taps(gradient, kernel, (1, 1), _opposite(weight, ctx.padding))
            products = taps @ _rows(x)
            of_weight = products.sum(0).view(outs, *kernel, ins).flip(1, 2).permute(0, 3, 1, 2)
            if ctx.needs_input_grad[0]:
                turned = weight.flip(2, 3).permute(0, 2, 3, 1).reshape(1, -1, ins).expand(len(taps), -1, -1)
                of_input = (taps.transpose(1, 2) @ turned).view(len(x), *x.shape[2:], ins).permute(0, 3, 1, 2)
        else:
            products = _taps(x, kernel, ctx.stride, ctx.padding) @ _rows(gradient)
            of_weight = products.sum(0).view(ins, *kernel, outs).permute(3, 0, 1, 2)
            if ctx.needs_input_grad[0]:
                of_input = _summed(weight, gradient, x.shape[2:], ctx.stride, ctx.padding)
        of_weight = of_weight.contiguous(
            memory_format=torch.channels_last if weight.stride(1) == 1 else torch.contiguous_format
        )
        return of_input, of_weight, gradient.sum((0, 2, 3)) if ctx.has_bias else None, None, None


def _opposite(weight: Tensor, padding: Sequence[int]) -> tuple[int, int]:
    """Return the padding of the convolution that goes back, with stride 1."""
    down, across = (side - 1 - pad for side, pad in zip(weight.shape[2:], padding, strict=True))
    return down, across


def _summed(weight: Tensor, x: Tensor, size: Sequence[int], stride: Sequence[int], padding: Sequence[int]) -> Tensor:
    """Return the transposed convolution: x N x O x h x w, weight O x C x kernel -> N x C x H x W of a size."""
    outs, kernel = len(weight), weight.shape[2:]
    last = x.permute(0, 2, 3, 1).reshape(len(x), -1, outs)
    products = weight.reshape(1, outs, -1).expand(len(x), -1, -1).transpose(1, 2) @ last.transpose(1, 2)
    if [*kernel, *stride, *padding] == [1, 1, 1, 1, 0, 0]:
        return products.view(len(x), -1, *size).clone()  # no view, which what comes after could not change in place
    return F.fold(products, tuple(size), tuple(kernel), padding=tuple(padding), stride=tuple(stride))


def _rows(x: Tensor) -> Tensor:
    """N x C x H x W -> N H x W x C."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[3], x.shape[1])


def _taps(x: Tensor, kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int]) -> Tensor:
    """Return what each tap of a kernel reads for each output pixel: N x C x H x W -> N h x (C taps) x w."""
    (down, across), (vertical, horizontal) = stride, padding
    padded = F.pad(x, (horizontal, horizontal, vertical, vertical))
    windows = padded.unfold(2, kernel[0], down).unfold(3, kernel[1], across)
    return windows.permute(0, 2, 1, 4, 5, 3).reshape(x.shape[0] * windows.shape[2], -1, windows.shape[3])
