"""Loading weights from files: the store's checkpoints and plain state dicts, never code."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from drnbench.errors import UsageError


def load_weights(model: nn.Module, path: Path) -> None:
    """Load a checkpoint of the store, or a state dict (the authors' `DRNS4x.pt`), into a model.

    Raises:
        UsageError: not a file of weights, or of another network; the message names the first parameter that differs.

    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a file of other bytes makes the reader raise nearly anything
        first = " ".join(str(error).split()).partition(". ")[0][:120]
        raise UsageError(f"{path} holds no weights that can be read safely ({first})") from error
    if isinstance(state, dict) and isinstance(state.get("model"), dict):
        state = state["model"]
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise UsageError(f"{path} holds no state dict: expected names and tensors, or a checkpoint.pt of the store")
    wanted = model.state_dict()
    for name in sorted(wanted.keys() | state.keys()):
        if name not in state:
            raise UsageError(f"{path} is of another network: it lacks {name!r}; check method, scale and sizes (--set)")
        if name not in wanted:
            raise UsageError(
                f"{path} is of another network: {name!r} has no place in it; check method, scale and sizes (--set)"
            )
        if state[name].shape != wanted[name].shape:
            raise UsageError(
                f"{path} is of another network: {name!r} is {tuple(state[name].shape)}, expected {tuple(wanted[name].shape)}; "
                "check method, scale and sizes (--set)"
            )
    model.load_state_dict(state)
