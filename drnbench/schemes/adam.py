"""Adam on a processor: PyTorch's plain loop bit for bit, with each of its operations on all tensors at once.

A process that trains with it never imports PyTorch's compiler, which takes most of a second and 35 MiB: every method of an optimiser of
PyTorch does, to make sure that a compiled function leaves it alone. A step here is never part of one.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import nn


def adam(parameters: Iterable[nn.Parameter], **fields: Any) -> torch.optim.Adam:
    """Return PyTorch's Adam, whose other methods than `step` do not import the compiler.

    Args:
        parameters: the ones to train.
        fields: of `torch.optim.Adam`.
    """
    return _adam_class()(parameters, **fields)


@functools.cache
def _adam_class() -> type[torch.optim.Adam]:
    import torch

    names = ("add_param_group", "load_state_dict", "state_dict", "zero_grad")
    return type("Adam", (torch.optim.Adam,), {name: inspect.unwrap(getattr(torch.optim.Adam, name)) for name in names})


def adam_step(optimiser: torch.optim.Optimizer) -> None:
    """Make one step, in two thirds of the time of `optimiser.step()` for a network of many small tensors.

    That is called on other devices, for other optimisers, with several groups of parameters, with options beside rate, betas,
    epsilon and decoupled weight decay, with hooks after a step, and where a parameter has no gradient.
    """
    import torch

    group, states = optimiser.param_groups[0], [*optimiser.state.values()]
    parameters = group["params"]
    is_plain = (
        type(optimiser) in {torch.optim.Adam, _adam_class()}
        and parameters[0].device.type == "cpu"
        and len(optimiser.param_groups) == 1
        and (group["decoupled_weight_decay"] or not group["weight_decay"])
        and not (group["amsgrad"] or group["maximize"] or group["fused"])
        and not optimiser._optimizer_step_post_hooks  # noqa: SLF001
        and "step" not in vars(optimiser)
    )
    counts = {float(state["step"]) for state in states} if is_plain else set()
    is_whole = not states or (len(counts) == 1 and len(states) == len(parameters))
    if not is_plain or not is_whole or any(p.grad is None for p in parameters):
        optimiser.step()
        return
    for hook in optimiser._optimizer_step_pre_hooks.values():  # noqa: SLF001 - of gradients, as of clipping
        hook(optimiser, (), {})
    with torch.no_grad():
        if not states:
            for p in parameters:
                optimiser.state[p] = {
                    "step": torch.tensor(0.0),
                    "exp_avg": torch.zeros_like(p, memory_format=torch.preserve_format),
                    "exp_avg_sq": torch.zeros_like(p, memory_format=torch.preserve_format),
                }
        _step(torch, group, [optimiser.state[p] for p in parameters])


def _step(torch: Any, group: dict[str, Any], states: list[dict[str, Any]]) -> None:
    steps, means, squares = ([state[name] for state in states] for name in ("step", "exp_avg", "exp_avg_sq"))
    parameters, (beta, beta_square) = group["params"], group["betas"]
    gradients = [p.grad for p in parameters]
    torch._foreach_add_(steps, 1)
    count = steps[0].item()
    if group["weight_decay"]:
        torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
    torch._foreach_lerp_(means, gradients, 1 - beta)
    torch._foreach_mul_(squares, beta_square)
    torch._foreach_addcmul_(squares, gradients, gradients, 1 - beta_square)
    roots = torch._foreach_sqrt(squares)  # noqa: SLF001
    torch._foreach_div_(roots, (1 - beta_square**count) ** 0.5)
    torch._foreach_add_(roots, group["eps"])
    torch._foreach_addcdiv_(parameters, means, roots, -group["lr"] / (1 - beta**count))
