"""Ablation studies for super-resolution around dual regression: study file -> trained models -> tables for a paper.

    import drnbench

    results = drnbench.run("studies/rho_sweep.py", profile="tiny")
    results.summary             # mean, half-width and difference to the baseline, a row an arm and metric
    results.figure("psnr_y")    # as in the report

`run`, `plan`, `load`, `evaluate`, `score` and `audit` are what the command line calls.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from drnbench import degradations, evaluation, models, schemes
    from drnbench.config.overrides import Ref
    from drnbench.config.study import Axis, Exclude, Primary, Study, Until
    from drnbench.config.trial import Data, Evaluate, Stage, Trial
    from drnbench.errors import UsageError
    from drnbench.outputs.crops import SampleCrops
    from drnbench.outputs.curve import Curve
    from drnbench.outputs.dual_kernel import DualKernel
    from drnbench.outputs.forest import Forest
    from drnbench.outputs.gap import Gap
    from drnbench.outputs.heatmap import Heatmap
    from drnbench.outputs.kernels import KernelFigure
    from drnbench.outputs.pareto import ParetoFront
    from drnbench.outputs.per_image import PerImage, Ranks
    from drnbench.outputs.search_figure import SearchFigure
    from drnbench.outputs.table import Table
    from drnbench.outputs.tradeoff import Tradeoff
    from drnbench.outputs.training import TrainingCurves
    from drnbench.outputs.zoom import Crops
    from drnbench.session.api import load, plan, run
    from drnbench.session.audit import audit
    from drnbench.session.evaluate_images import evaluate
    from drnbench.session.results import Results
    from drnbench.session.score_images import score

    __version__: str

__all__ = [
    "Axis", "Crops", "Curve", "Data", "DualKernel", "Evaluate", "Exclude", "Forest", "Gap", "Heatmap", "KernelFigure",
    "ParetoFront", "PerImage", "Primary", "Ranks", "Ref", "Results", "SampleCrops", "SearchFigure", "Stage", "Study",
    "Table", "Tradeoff", "TrainingCurves", "Trial", "Until", "UsageError", "__version__", "audit", "degradations",
    "evaluate", "evaluation", "load", "models", "plan", "run", "schemes", "score",
]  # fmt: skip

_HOME = {
    **dict.fromkeys(("Axis", "Exclude", "Primary", "Study", "Until"), "drnbench.config.study"),
    **{name: f"drnbench.outputs.{name.lower()}" for name in ("Curve", "Forest", "Gap", "Heatmap", "Table", "Tradeoff")},
    "Crops": "drnbench.outputs.zoom",
    "DualKernel": "drnbench.outputs.dual_kernel",
    "KernelFigure": "drnbench.outputs.kernels",
    "ParetoFront": "drnbench.outputs.pareto",
    "SampleCrops": "drnbench.outputs.crops",
    "SearchFigure": "drnbench.outputs.search_figure",
    "TrainingCurves": "drnbench.outputs.training",
    **dict.fromkeys(("PerImage", "Ranks"), "drnbench.outputs.per_image"),
    "Ref": "drnbench.config.overrides",
    **dict.fromkeys(("Data", "Evaluate", "Stage", "Trial"), "drnbench.config.trial"),
    "UsageError": "drnbench.errors",
    **dict.fromkeys(("load", "plan", "run"), "drnbench.session.api"),
    "Results": "drnbench.session.results",
    "audit": "drnbench.session.audit",
    "evaluate": "drnbench.session.evaluate_images",
    "score": "drnbench.session.score_images",
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


def __dir__() -> list[str]:
    return sorted(__all__)
