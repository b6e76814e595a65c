"""Scoring of SR against HR: the protocol, the metrics, the evaluator.

A new metric is a class derived from `drnbench.evaluation.metric.Metric`, registered with `@metrics.register(name)`, in a
file listed in `home` below, or in another package through the entry-point group `drnbench.metrics`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from drnbench.registry import Registry

if TYPE_CHECKING:
    from drnbench.evaluation.metric import Metric

__all__ = ["metrics"]


def _instance(name: str, kind: type[Metric]) -> Metric:
    kind.name = name
    return kind()


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
    entry=_instance,
)
