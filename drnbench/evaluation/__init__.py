"""Scoring SR against HR: the protocol, the metrics, the evaluator.

A new metric is an instance of a class derived from `drnbench.evaluation.metric.Metric`, added with
`metrics.add(name, instance)` or `@metrics.register(name, lambda kind: kind())`, in a file listed in `home`
below, or in another package through the entry-point group `drnbench.metrics`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from drnbench.registry import Registry

if TYPE_CHECKING:
    from drnbench.evaluation.metric import Metric

__all__ = ["metrics"]

# The module is called `metric`: importing a submodule `metrics` would replace this registry in the package.
metrics: Registry[Metric] = Registry(
    "metric",
    home=(
        "drnbench.evaluation.metric",
        "drnbench.evaluation.consistency",
        "drnbench.evaluation.perceptual",
        "drnbench.evaluation.niqe",
    ),
    group="drnbench.metrics",
)
