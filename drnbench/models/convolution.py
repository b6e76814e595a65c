"""Convolutions whose gradients cuDNN computes slowly on a GPU where algorithms must be deterministic.

Measured on an H100 in a step of DRN-L in bf16 (cuDNN 9.19): the input gradient of a 3x3 convolution took three times as long as the
convolution itself. Of layers to or from RGB see `drnbench.models.few_channels`.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from drnbench.models import few_channels


class Convolution(nn.Conv2d):
    """`nn.Conv2d` as products of matrices, or with another convolution as its gradient, where those are faster on a GPU."""

    def _conv_forward(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        is_plain = self.padding_mode == "zeros" and self.groups == 1 and self.dilation == (1, 1)
        is_same = self.kernel_size == (3, 3) and self.stride == (1, 1) and self.padding == (1, 1)
        if not is_plain or not torch.is_grad_enabled() or not weight.requires_grad or isinstance(self.padding, str):
            return cast("Tensor", super()._conv_forward(x, weight, bias))
        if x.dtype == torch.bfloat16 and is_same:
            return same(x, weight.to(x.dtype), None if bias is None else bias.to(x.dtype))
        few = min(self.in_channels, self.out_channels) <= few_channels.FEW and all(
            pad < side for pad, side in zip(self.padding, self.kernel_size, strict=True)
        )
        # Autocast would cast the inputs; the compiler cannot ask for it, so layers that it compiles are cuDNN's.
        if (
            few
            and x.dtype == torch.float32
            and not torch.compiler.is_dynamo_compiling()
            and not torch.is_autocast_enabled(x.device.type)
        ):
            (down, across), (vertical, horizontal) = self.stride, self.padding
            return few_channels.convolve(x, weight, bias, (down, across), (vertical, horizontal))
        return cast("Tensor", super()._conv_forward(x, weight, bias))


def use_fast_convolutions(network: nn.Module) -> None:
    """Let the convolutions of a network be `Convolution`: same weights and names, numbers that are rounded otherwise."""
    for module in network.modules():
        if type(module) is nn.Conv2d:
            module.__class__ = Convolution


def same(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return a 3x3 convolution with zeros around; the gradient of its input is one, too, with the weights turned round."""
    return cast("Tensor", _Same.apply(x, weight, bias))


class _Same(torch.autograd.Function):
    """See `same`."""

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
        backward: Any = torch.ops.aten.convolution_backward
        wanted = [False, True, False]
        of_weight = backward(gradient, x, weight, None, (1, 1), (1, 1), (1, 1), False, (0, 0), 1, wanted)[1]
        return of_input, of_weight, gradient.sum((0, 2, 3)) if ctx.has_bias else None
