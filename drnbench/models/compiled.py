"""A network on a GPU in compiled parts: blocks alike are compiled once, in seconds, where the whole takes minutes for the same kernels."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn

from drnbench.models.convolution import same
from drnbench.models.drn import RCAB
from drnbench.models.recompute import blocks


def compiled_parts(network: nn.Module, *, fused: bool) -> dict[nn.Module, Callable[..., object]]:
    """Return what to run in place of the `forward` of modules: each block compiled, and what lies between blocks of a row.

    Args:
        network: on its device; {} where it has no blocks, as `blocks` finds them.
        fused: blocks may be rounded otherwise in bf16 (`FusedRCAB`).
    """
    if fused:
        use_fused_blocks(network)
    forwards: dict[nn.Module, Callable[..., object]] = {
        block: torch.compile(block.forward, dynamic=False) for block in blocks(network)
    }
    compiled = {*forwards}
    for row in network.modules():
        is_plain = isinstance(row, nn.Sequential) and type(row).forward is nn.Sequential.forward
        if is_plain and not compiled.isdisjoint(row.children()):
            forwards[row] = _in_turn(cast("nn.Sequential", row), compiled)
    return forwards


def _in_turn(row: nn.Sequential, compiled: set[nn.Module]) -> Callable[[Tensor], Tensor]:
    """Return the forward pass of a row, whose layers between blocks are compiled together, such as an upsampler's."""
    parts: list[Callable[[Tensor], Tensor]] = []
    for has_blocks, members in itertools.groupby(row, key=lambda member: not compiled.isdisjoint(member.modules())):
        if has_blocks:
            parts += members
        else:
            parts.append(torch.compile(nn.Sequential(*members).forward, dynamic=False))

    def run(x: Tensor) -> Tensor:
        for part in parts:
            x = part(x)
        return x

    return run


def use_fused_blocks(network: nn.Module) -> None:
    """Let the RCABs of a network be `FusedRCAB`: same weights and names."""
    for module in network.modules():
        if type(module) is RCAB:
            module.__class__ = FusedRCAB


class FusedRCAB(RCAB):
    """`RCAB` with fewer kernels and passes over its features where it is trained in bf16; elsewhere the plain one.

    The bias of the second convolution is added where its output is read, so that neither it nor its gradient takes a pass.
    The channel attention's layers, on images of one pixel, are sums in fp32, which the compiler makes a few small kernels of;
    as convolutions they are twenty.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as the input."""
        if x.dtype != torch.bfloat16 or not torch.is_grad_enabled():
            return super().forward(x)
        layers: Any = self.body
        first, _, second, attention = layers
        squeeze, _, excite, _ = attention.conv_du
        hidden = torch.relu(same(x, first.weight.to(x.dtype), first.bias.to(x.dtype)))
        y = same(hidden, second.weight.to(x.dtype), None)
        mean = y.float().mean((2, 3)) + second.bias
        gate = torch.sigmoid(_product(excite, torch.relu(_product(squeeze, mean))))
        scale, shift = (value.to(x.dtype)[:, :, None, None] for value in (gate, gate * second.bias))
        return x + (y * scale + shift)


def _product(layer: nn.Conv2d, x: Tensor) -> Tensor:
    """Apply a 1x1 convolution to images of one pixel: N x C -> N x C'."""
    assert layer.bias is not None
    return (x.unsqueeze(1) * layer.weight.flatten(1)).sum(2) + layer.bias
