"""The modules of this package that need PyTorch, each imported on first access.

A plan reads names, sizes and scales of models and no network, and importing PyTorch takes seconds. Code that builds or
loads networks inside a function writes `on_demand.weights.load_weights(...)` and keeps its imports at the top of the file.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from drnbench.models import (
        classical,
        compiled,
        convolution,
        costs,
        dbpn,
        drn,
        dual,
        edsr,
        gan,
        operator,
        perceptual,
        recompute,
        spandrel,
        weights,
    )

__all__ = [
    "classical",
    "compiled",
    "convolution",
    "costs",
    "dbpn",
    "drn",
    "dual",
    "edsr",
    "gan",
    "operator",
    "perceptual",
    "recompute",
    "spandrel",
    "weights",
]


def __getattr__(name: str) -> ModuleType:
    if name in __all__:
        return importlib.import_module(f"drnbench.models.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
