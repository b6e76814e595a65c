"""The modules of this package that make tables, figures, sentences and files, each imported on first access.

A plan reads what outputs declare, and a run that finds everything done shows the report that is there: neither pays for
what draws. The class of an output writes `on_demand.curve_figure.draw(...)` and keeps its imports at the top of the file.
"""

from __future__ import annotations

import contextlib
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


LIBRARIES = (
    "matplotlib.backends.backend_agg", "matplotlib.backends.backend_pdf", "mpl_toolkits.axes_grid1", "fontTools.subset",
    "pandas.io.formats.style", "pyarrow.parquet", "scipy.special",
)  # fmt: skip
"""Modules that every report imports while it is made, beside those of this package."""


def import_ahead() -> None:
    """Import what makes reports, over a second of its time, while there is nothing else to do; a failure comes out later."""
    for module in (
        "drnbench.outputs.report",
        *LIBRARIES,
        "drnbench.outputs.curve_figure",
        "drnbench.outputs.score_table",
    ):
        with contextlib.suppress(Exception):
            importlib.import_module(module)


def __getattr__(name: str) -> ModuleType:
    if name in __all__:
        return importlib.import_module(f"drnbench.outputs.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
