"""Costs of a network, counted by running it: parameters, multiply-adds and activations."""

from __future__ import annotations

import copy
import inspect
import math
import weakref
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torch.nn.modules.conv import _ConvNd
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from drnbench import models
from drnbench.models.counting import FlopCounter, result_of_shapes

LR_SIZE = (96, 96)
"""Height and width of the LR image that multiply-adds are stated for, as in the DRN papers."""


@dataclass(frozen=True)
class Costs:
    """Costs of one network.

    Attributes:
        parameters: all of them, trainable or frozen.
        macs: multiply-adds of convolutions (transposed ones too) and matrix products in one forward pass of one image;
            element-wise operations are not counted, as in the field. None: not a network, it has no parameters.
        activations: numbers in the outputs of all convolution layers (transposed ones too) in that pass, as Radosavovic et
            al. (CVPR 2020) define them and NTIRE's challenges on efficient SR count them. None as for `macs`.
    """

    parameters: int
    macs: int | None
    activations: int | None


class _ShapesOfInterpolation(TorchFunctionMode):
    """On the meta device, interpolation as memory of its shape: PyTorch would follow its arithmetic, a hundred times slower."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if function is not F.interpolate or not args[0].is_meta or len(args) > 1:
            return function(*args, **kwargs)
        (x,), size, factor = args, kwargs.get("size"), kwargs.get("scale_factor")
        sizes = x.shape[2:]
        if size is None:
            factors = factor if isinstance(factor, (tuple, list)) else [factor] * len(sizes)
            size = [math.floor(side * scale) for side, scale in zip(sizes, factors, strict=True)]
        return x.new_empty(*x.shape[:2], *(size if isinstance(size, (tuple, list)) else [size] * len(sizes)))


def costs(method: str, scale: int, sizes: dict[str, Any] | None = None, lr_size: tuple[int, int] = LR_SIZE) -> Costs:
    """Count a method's network on one LR image, 1 x 3 x H x W.

    Args:
        method: a method or a model, as `models.create` takes it.
        scale: HR size over LR size.
        sizes: sizes of the model; the defaults where left out.
        lr_size: height and width of the LR image.

    Raises:
        UsageError: as `models.create`.
    """
    try:
        # No memory and no arithmetic: shapes alone.
        return _build_and_count(method, scale, sizes or {}, lr_size, torch.device("meta"))
    except (NotImplementedError, RuntimeError, TypeError):
        # A model that reads the value of a tensor cannot run on the meta device.
        return _build_and_count(method, scale, sizes or {}, lr_size, torch.device("cpu"))


def _build_and_count(
    method: str, scale: int, sizes: dict[str, Any], lr_size: tuple[int, int], device: torch.device
) -> Costs:
    with torch.random.fork_rng(devices=[]), device:
        # A model that reads its weights from a file is built on the CPU.
        return _count(models.create(method, scale, **sizes).to(device), torch.zeros(1, 3, *lr_size))


def module_costs(module: nn.Module, *inputs: Tensor) -> Costs:
    """Count any module on the inputs of one forward pass, in evaluation mode; its mode is restored.

    The whole batch is counted: for the costs of one image give a batch of one.
    """
    try:
        return _count(copy.deepcopy(module).to("meta"), *(x.to("meta") for x in inputs))
    except (NotImplementedError, RuntimeError, TypeError):
        training = [part for part in module.modules() if part.training]
        try:
            return _count(module, *inputs)
        finally:
            for part in training:
                part.training = True


def _count(module: nn.Module, *inputs: Tensor) -> Costs:
    parameters = sum(p.numel() for p in module.parameters())
    if not parameters:
        return Costs(0, None, None)
    activations = 0

    def count(layer: nn.Module, args: object, output: Tensor) -> None:  # noqa: ARG001 - the form of a hook
        nonlocal activations
        activations += output.numel()

    layers = [layer for layer in module.modules() if isinstance(layer, _ConvNd)]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    try:
        with torch.no_grad(), _ShapesOfInterpolation(), FlopCounter() as counter:
            module.eval()(*inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return Costs(parameters, counter.total // 2, activations)


class LiveBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """While it is entered, follows the memory of the results of operations.

    Attributes:
        peak: the most of it that lived at once, in bytes; what was there before, such as weights, is not counted.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.peak: int = 0
        self._live, self._sizes = 0, dict[int, int]()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if (result := result_of_shapes(function, args)) is None:
            result = function(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if not isinstance(tensor, Tensor):
                continue
            storage = tensor.untyped_storage()
            address = storage._cdata  # noqa: SLF001 - tensors of shapes alone have no address
            if address not in self._sizes:
                self._sizes[address] = storage.nbytes()
                self._live += storage.nbytes()
                self.peak = max(self.peak, self._live)
                weakref.finalize(storage, self._freed, address)
        return result

    def _freed(self, address: int) -> None:
        self._live -= self._sizes.pop(address)


# As in counting.py.
LiveBytes.__torch_dispatch__ = inspect.unwrap(LiveBytes.__torch_dispatch__)  # type: ignore[method-assign]


def forward_bytes(module: nn.Module, *inputs: Tensor) -> int | None:
    """Return the most memory that inputs and results of operations take at once in one forward pass without gradients.

    Counted by shapes alone, so it is the same on every machine; what libraries take for themselves comes on top.

    Returns:
        Bytes; None for a module whose operations cannot be followed by shapes alone.
    """
    try:
        shaped = copy.deepcopy(module).to("meta").eval()
        memory = LiveBytes()
        with torch.no_grad(), _ShapesOfInterpolation(), memory:
            shaped(*(x.to("meta") for x in inputs))
    except (NotImplementedError, RuntimeError, TypeError):
        return None
    return memory.peak
