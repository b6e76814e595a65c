"""The modules of this package that make tables, figures, sentences and files, each imported on first access.

A plan reads what outputs declare, and a run that finds everything done shows the report that is there: neither pays for
what draws. The class of an output writes `on_demand.curve_figure.draw(...)` and keeps its imports at the top of the file.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from drnbench.outputs import (
        compose,
        curve_figure,
        dual_kernel_figure,
        dual_kernel_sentence,
        forest_figure,
        gap_figure,
        gap_macros,
        gap_sentences,
        gap_table,
        heatmap_figure,
        paper_table,
        per_image_figure,
        pooled_table,
        ranks_figure,
        report,
        score_table,
        tradeoff_figure,
        zoom_figure,
    )

__all__ = [
    "compose", "curve_figure", "dual_kernel_figure", "dual_kernel_sentence", "forest_figure", "gap_figure",
    "gap_macros", "gap_sentences", "gap_table", "heatmap_figure", "paper_table", "per_image_figure", "pooled_table",
    "ranks_figure", "report", "score_table", "tradeoff_figure", "zoom_figure",
]  # fmt: skip


def __getattr__(name: str) -> ModuleType:
    if name in __all__:
        return importlib.import_module(f"drnbench.outputs.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
