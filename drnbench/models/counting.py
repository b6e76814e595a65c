"""Floating-point operations of what runs inside a context, as PyTorch's `FlopCounterMode` counts them.

That one imports PyTorch's compiler, which takes most of a second and 35 MiB, in every process that trains.
"""

from __future__ import annotations

import inspect
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
        if (result := result_of_shapes(function, args)) is not None:
            return result
        formula = flop_registry.get(getattr(function, "_overloadpacket", None))
        if formula is None:
            with self:  # operations that are made of others
                result = function.decompose(*args, **kwargs)
            return function(*args, **kwargs) if result is NotImplemented else result
        result = function(*args, **kwargs)
        self.total += formula(*args, **kwargs, out_val=result)
        return result


def result_of_shapes(function: Any, args: Any) -> Tensor | None:
    """Return the result of a pointwise operation, or of a concatenation, on shapes alone; None: of another operation or on numbers.

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
    if torch.Tag.pointwise not in function.tags and function is not torch.ops.aten._prelu_kernel.default:  # noqa: SLF001
        return None
    if function._schema.is_mutable:  # noqa: SLF001
        return first
    shapes = (value.shape for value in args if isinstance(value, Tensor))
    return first.new_empty(torch.broadcast_shapes(*shapes))  # type: ignore[no-untyped-call]


# PyTorch wraps the method so that a compiled function does not see it, and imports the compiler for that at the first call.
FlopCounter.__torch_dispatch__ = inspect.unwrap(FlopCounter.__torch_dispatch__)  # type: ignore[method-assign]
