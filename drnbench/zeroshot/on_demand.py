"""The modules of this package that need PyTorch, each imported on first access, as in `drnbench.models.on_demand`."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from drnbench.zeroshot import geometry, internal_gan, kernelgan, srtta, zssr

__all__ = ["geometry", "internal_gan", "kernelgan", "srtta", "zssr"]


def __getattr__(name: str) -> ModuleType:
    if name in __all__:
        return importlib.import_module(f"drnbench.zeroshot.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
