"""The contents of a report: tables, figures, sentences and macros, from the results of a study.

An output is a class derived from `drnbench.outputs.base.Output`, registered with `@outputs.register(name)`, in a file
listed in `home` below, or in another package through the entry-point group `drnbench.outputs`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from drnbench.registry import Registry

if TYPE_CHECKING:
    from drnbench.outputs.base import Output

__all__ = ["GROUP", "outputs"]

GROUP = "drnbench.outputs"
"""The entry-point group through which other packages add outputs."""

outputs: Registry[type[Output]] = Registry(
    "output",
    home=(
        "drnbench.outputs.table",
        "drnbench.outputs.pooled",
        "drnbench.outputs.forest",
        "drnbench.outputs.curve",
        "drnbench.outputs.heatmap",
        "drnbench.outputs.tradeoff",
        "drnbench.outputs.per_image",
        "drnbench.outputs.gap",
        "drnbench.outputs.dual_kernel",
        "drnbench.outputs.search_figure",
        "drnbench.outputs.pareto",
        "drnbench.outputs.training",
        "drnbench.outputs.crops",
        "drnbench.outputs.zoom",
        "drnbench.outputs.kernels",
    ),
    group=GROUP,
)
