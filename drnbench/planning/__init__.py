"""The plan: the trials of a study as a graph of stages and evaluations, each with its state and cost.

`plan` prints the object that `run` executes.
"""

from drnbench.planning.build import make
from drnbench.planning.graph import Plan, PlannedTrial, StageNode

__all__ = ["Plan", "PlannedTrial", "StageNode", "make"]
