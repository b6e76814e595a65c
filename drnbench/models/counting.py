"""Floating-point operations of what runs inside a context, as PyTorch's `FlopCounterMode` counts them.

That one imports PyTorch's compiler, which takes most of a second and 35 MiB, in every process that trains.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry


class FlopCounter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts while it is entered; `total` is twice the multiply-adds of convolutions and products of matrices."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.total = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        formula = flop_registry.get(getattr(function, "_overloadpacket", None))
        if (result := result_of_shapes(function, args)) is not None:
            if formula is not None:
                self.total += formula(*args, **kwargs, out_val=result)
            return result
        if formula is None:
            with self:  # operations that are made of others
                result = function.decompose(*args, **kwargs)
            return function(*args, **kwargs) if result is NotImplemented else result
        result = function(*args, **kwargs)
        self.total += formula(*args, **kwargs, out_val=result)
        return result


def result_of_shapes(function: Any, args: Any) -> Tensor | None:
    """Return the result of a pointwise operation, a concatenation or one of `SHAPES` on shapes alone; None: of others, or on numbers.

    PyTorch would follow the arithmetic of these in Python, by way of the compiler.
    """
    first = args[0][0] if args and isinstance(args[0], (list, tuple)) and args[0] else args[0] if args else None
    if not isinstance(first, Tensor) or not first.is_meta:
        return None
    if function is torch.ops.aten.cat.default:
        dim = args[1] if len(args) > 1 else 0
        shape = list(first.shape)
        shape[dim] = sum(part.shape[dim] for part in args[0])
        return first.new_empty(shape)
    if function in SHAPES:
        return first.new_empty(SHAPES[function](*args))
    if torch.Tag.pointwise not in function.tags and function is not torch.ops.aten._prelu_kernel.default:  # noqa: SLF001
        return None
    if function._schema.is_mutable:  # noqa: SLF001
        return first
    shapes = [value.shape for value in args if isinstance(value, Tensor)]
    axes = [set(sides) - {1} for sides in itertools.zip_longest(*(reversed(shape) for shape in shapes), fillvalue=1)]
    if any(len(sides) > 1 for sides in axes):
        return None  # PyTorch has a message for shapes that do not agree
    return first.new_empty([next(iter(sides), 1) for sides in axes][::-1])


def _reduced(x: Tensor, axes: Sequence[int] | None = None, keepdim: bool = False) -> list[int]:
    reduced = {axis % x.dim() for axis in (axes or range(x.dim()))}
    sides = [1 if axis in reduced else side for axis, side in enumerate(x.shape)]
    return sides if keepdim else [side for axis, side in enumerate(sides) if axis not in reduced]


def _shuffled(x: Tensor, factor: int) -> list[int]:
    *batch, channels, height, width = x.shape
    return [*batch, channels // factor**2, height * factor, width * factor]


def _convolved(
    x: Tensor, weight: Tensor, bias: object, stride: Sequence[int], padding: Sequence[int], dilation: Sequence[int],
    transposed: bool, output_padding: Sequence[int], groups: int,
) -> list[int]:  # fmt: skip
    """Return the shape of a convolution, of the arguments of `aten.convolution`.

    Raises:
        RuntimeError: the channels of image and weights do not agree.
    """
    del bias
    if x.shape[1] != (len(weight) if transposed else weight.shape[1] * groups):
        raise RuntimeError(f"an image of {x.shape[1]} channels does not fit weights of shape {tuple(weight.shape)}")
    axes = x.dim() - 2
    settings = (list(part) * axes if len(part) == 1 else part for part in (stride, padding, dilation, output_padding))
    sides = zip(x.shape[2:], weight.shape[2:], *settings, strict=True)
    if transposed:
        out = [(side - 1) * s - 2 * p + d * (k - 1) + extra + 1 for side, k, s, p, d, extra in sides]
        return [len(x), weight.shape[1] * groups, *out]
    return [len(x), len(weight), *((side + 2 * p - d * (k - 1) - 1) // s + 1 for side, k, s, p, d, _ in sides)]


SHAPES: dict[Any, Callable[..., list[int]]] = {
    torch.ops.aten.convolution.default: _convolved,
    torch.ops.aten.mean.dim: _reduced,
    torch.ops.aten.pixel_shuffle.default: _shuffled,
    torch.ops.aten.sum.dim_IntList: _reduced,
}
"""Shapes of the results of operations whose arguments PyTorch would check by way of the compiler."""

# PyTorch wraps the method so that a compiled function does not see it, and imports the compiler for that at the first call.
FlopCounter.__torch_dispatch__ = inspect.unwrap(FlopCounter.__torch_dispatch__)  # type: ignore[method-assign]
