"""Executors: they run units, one process each, on this machine or others, behind one small interface.

A new executor is a class derived from `drnbench.execution.base.Executor` under `@executors.register("name")`, in a file
listed in `home` below, or in another package through the entry-point group `drnbench.executors`. Packages of clusters
are imported when an executor is opened.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from drnbench.registry import Registry
from drnbench.store import code  # noqa: F401 - in every worker it reads the sources before they are imported

if TYPE_CHECKING:
    from drnbench.execution.base import Executor

__all__ = ["executors"]

executors: Registry[type[Executor]] = Registry(
    "executor",
    home=("drnbench.execution.local", "drnbench.execution.ray", "drnbench.execution.slurm"),
    group="drnbench.executors",
)
