"""Ablation studies for super-resolution around dual regression: study file -> trained models -> tables for a paper."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from drnbench import degradations, evaluation, models, schemes
    from drnbench.config.outputs import Curve, DualKernel, Gap, Heatmap, Table, Tradeoff
    from drnbench.config.overrides import Ref
    from drnbench.config.study import Axis, Exclude, Study
    from drnbench.config.trial import Data, Evaluate, Stage, Trial

    __version__: str

__all__ = [
    "Axis", "Curve", "Data", "DualKernel", "Evaluate", "Exclude", "Gap", "Heatmap", "Ref", "Stage", "Study", "Table",
    "Tradeoff", "Trial",
    "__version__", "degradations", "evaluation", "models", "schemes",
]  # fmt: skip

_HOME = {
    **dict.fromkeys(("Axis", "Exclude", "Study"), "drnbench.config.study"),
    **dict.fromkeys(("Curve", "DualKernel", "Gap", "Heatmap", "Table", "Tradeoff"), "drnbench.config.outputs"),
    "Ref": "drnbench.config.overrides",
    **dict.fromkeys(("Data", "Evaluate", "Stage", "Trial"), "drnbench.config.trial"),
}


def __getattr__(name: str) -> Any:
    # Everything is imported when it is first used: `--help` pays for nothing, a study file for no torch.
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    if name in {"degradations", "evaluation", "models", "schemes"}:
        return importlib.import_module(f"drnbench.{name}")
    if name == "__version__":
        from importlib.metadata import version

        return version("drnbench")
    raise AttributeError(f"module 'drnbench' has no attribute {name!r}")
