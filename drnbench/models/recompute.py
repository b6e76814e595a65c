"""Activation checkpointing: blocks of a network keep their input alone and are computed again in the backward pass."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping

from torch import nn
from torch.utils.checkpoint import checkpoint


def blocks(network: nn.Module) -> list[nn.Module]:
    """Return the modules of a network that are recomputed: the outermost ones of several layers that stand in a row.

    Those are the members of `nn.Sequential` and `nn.ModuleList` that are neither themselves and have two layers with weights
    or more, such as residual blocks. One with batch normalisation is left out: its running statistics would move twice.
    """
    row = isinstance(network, (nn.Sequential, nn.ModuleList))
    return [block for child in network.children() for block in ([child] if row and _is_block(child) else blocks(child))]


def _is_block(module: nn.Module) -> bool:
    inner = [*module.modules()]
    weighted = [layer for layer in inner if next(layer.parameters(recurse=False), None) is not None]
    has_statistics = any(isinstance(layer, nn.modules.batchnorm._BatchNorm) for layer in inner)  # noqa: SLF001
    return not isinstance(module, (nn.Sequential, nn.ModuleList)) and len(weighted) > 1 and not has_statistics


def recomputing(network: nn.Module) -> contextlib.AbstractContextManager[None]:
    """Let the forward passes inside keep only the inputs of the blocks; their gradients are the same bit for bit."""
    return running(
        {block: functools.partial(checkpoint, block.forward, use_reentrant=False) for block in blocks(network)}
    )


@contextlib.contextmanager
def running(forwards: Mapping[nn.Module, Callable[..., object]]) -> Iterator[None]:
    """Let modules run functions in place of their `forward` inside."""
    for module, forward in forwards.items():
        vars(module)["forward"] = forward
    try:
        yield
    finally:
        for module in forwards:
            del vars(module)["forward"]
