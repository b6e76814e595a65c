"""Gradients of convolutions on a GPU that cuDNN computes slowly where algorithms must be deterministic.

Measured on an H100 in a step of DRN-L in bf16 (cuDNN 9.19): the weight gradients of convolutions to or from RGB in fp32, mean shifts
among them, took up to 8.4 ms each, a third of the step; the input gradient of a 3x3 convolution took three times as long as the
convolution itself.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

FEW = 4
"""Channels of an image, as opposed to those of features."""


class Convolution(nn.Conv2d):
    """`nn.Conv2d`, with gradients as products of matrices or as another convolution where those are faster on a GPU."""

    def _conv_forward(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        is_plain = self.padding_mode == "zeros" and self.groups == 1 and self.dilation == (1, 1)
        is_same = self.kernel_size == (3, 3) and self.stride == (1, 1) and self.padding == (1, 1)
        if not is_plain or not torch.is_grad_enabled() or not weight.requires_grad or isinstance(self.padding, str):
            return cast("Tensor", super()._conv_forward(x, weight, bias))
        if x.dtype == torch.bfloat16 and is_same:
            half = (None if value is None else value.to(x.dtype) for value in (weight, bias))
            return cast("Tensor", _Same.apply(x, *half))
        few = min(self.in_channels, self.out_channels) <= FEW
        # Autocast would cast the inputs; the compiler cannot ask for it, and compiles no layer at the edge of a network.
        if (
            few
            and x.dtype == torch.float32
            and not torch.compiler.is_dynamo_compiling()
            and not torch.is_autocast_enabled(x.device.type)
        ):
            return cast("Tensor", _Few.apply(x, weight, bias, self.stride, self.padding))
        return cast("Tensor", super()._conv_forward(x, weight, bias))


def use_fast_gradients(network: nn.Module) -> None:
    """Let the convolutions of a network be `Convolution`: same weights and names, gradients that are rounded otherwise."""
    for module in network.modules():
        if type(module) is nn.Conv2d:
            module.__class__ = Convolution


class _Same(torch.autograd.Function):
    """A 3x3 convolution with zeros around; the gradient of its input is one, too, with the weights turned round."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.has_bias = bias is not None
        return F.conv2d(x, weight, bias, padding=1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor, Tensor | None]:
        x, weight = ctx.saved_tensors
        of_input = None
        if ctx.needs_input_grad[0]:
            turned = weight.flip(2, 3).transpose(0, 1).contiguous(memory_format=torch.channels_last)
            of_input = F.conv2d(gradient, turned, padding=1)
        of_weight = _convolution_backward(gradient, x, weight, (1, 1), (1, 1), [False, True, False])[1]
        return of_input, of_weight, gradient.sum((0, 2, 3)) if ctx.has_bias else None


class _Few(torch.autograd.Function):
    """A convolution to or from a few channels; the gradient of its weights is a product of matrices for each row of pixels."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, stride: tuple[int, int], padding: tuple[int, int]
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.has_bias, ctx.stride, ctx.padding = bias is not None, stride, padding
        return F.conv2d(x, weight, bias, stride, padding)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor, Tensor | None, None, None]:
        x, weight = ctx.saved_tensors
        of_input = None
        if ctx.needs_input_grad[0]:
            of_input = _convolution_backward(gradient, x, weight, ctx.stride, ctx.padding, [True, False, False])[0]
        (outs, ins, *kernel), (down, across) = weight.shape, ctx.stride
        if ctx.stride == (1, 1) and outs <= FEW:
            # Shifted copies of the gradient, 3 channels, in place of the input's: where x is read as it lies.
            shifted = _taps(
                gradient,
                kernel,
                (1, 1),
                [side - 1 - pad for side, pad in zip(kernel, ctx.padding, strict=True)],
                x.shape[2:],
            )
            products = shifted.transpose(1, 2) @ _rows(x)
            of_weight = products.sum(0).view(*kernel, outs, ins).flip(0, 1).permute(2, 3, 0, 1)
        else:
            shifted = _taps(x, kernel, (down, across), ctx.padding, gradient.shape[2:])
            products = _rows(gradient).transpose(1, 2) @ shifted
            of_weight = products.sum(0).view(outs, *kernel, ins).permute(0, 3, 1, 2)
        of_weight = of_weight.contiguous(
            memory_format=torch.channels_last if weight.stride(1) == 1 else torch.contiguous_format
        )
        return of_input, of_weight, gradient.sum((0, 2, 3)) if ctx.has_bias else None, None, None


def _convolution_backward(
    gradient: Tensor, x: Tensor, weight: Tensor, stride: tuple[int, int], padding: tuple[int, int], wanted: list[bool]
) -> Any:
    """Return PyTorch's gradients of input, weights and bias, those that are wanted."""
    backward: Any = torch.ops.aten.convolution_backward
    return backward(gradient, x, weight, None, stride, padding, (1, 1), False, (0, 0), 1, wanted)


def _rows(x: Tensor) -> Tensor:
    """N x C x H x W -> N H x W x C."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[3], x.shape[1])


def _taps(x: Tensor, kernel: list[int], stride: tuple[int, int], padding: list[int], size: torch.Size) -> Tensor:
    """Return what each tap of a kernel reads for each output pixel: N x C x H x W -> N h x w x (taps C)."""
    (down, across), (height, width) = stride, size
    last = F.pad(x, (padding[1], padding[1], padding[0], padding[0])).permute(0, 2, 3, 1)
    taps = [
        last[:, row : row + down * (height - 1) + 1 : down, column : column + across * (width - 1) + 1 : across]
        for row in range(kernel[0])
        for column in range(kernel[1])
    ]
    return torch.cat(taps, dim=3).reshape(-1, width, len(taps) * x.shape[1])
