"""The declaration of an output: its fields in a study file, and what a plan checks and records of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, Protocol, Self, get_args

from drnbench.config.trial import Frozen, Trial
from drnbench.config.units import EvaluateUnit
from drnbench.errors import UsageError, nearest

Cost = Literal["parameters", "macs", "step_macs", "seconds", "activations", "latency", "memory"]
"""A cost of an arm: parameters of the model; multiply-adds for a 96 x 96 LR image; multiply-adds of a step of its last
stage (forward and backward, every network) by image; seconds of training in one process, over all its stages; numbers in the
outputs of its convolutions for a 96 x 96 LR image; and, where `measure` was run, milliseconds an image and peak MiB."""
COSTS: tuple[Cost, ...] = get_args(Cost)
MEASURED: tuple[Cost, ...] = ("latency", "memory")
"""Costs that depend on the machine and on what else runs there: the verb `measure` alone records them."""


class PlannedArm(Protocol):
    """An arm of the plan."""

    @property
    def name(self) -> str:
        """What tables call it."""


class PlannedTrial(Protocol):
    """A trial of the plan and what is scored of it."""

    @property
    def arm(self) -> PlannedArm:
        """Its arm."""

    @property
    def trial(self) -> Trial:
        """The trial's configuration."""

    @property
    def unit(self) -> EvaluateUnit:
        """Its evaluations."""


class OutputSpec(Frozen):
    """The declaration of a table or a figure in a study file; `drnbench.outputs.base.Output` adds what a report holds.

    Attributes:
        name: what the registry and plan.json call it; given by `@outputs.register(name)`.

    """

    name: ClassVar[str] = ""

    def axes(self) -> list[str]:
        """Return the paths of the study's axes that it asks for."""
        return []

    def required_metrics(self) -> tuple[str, ...]:
        """Return the metrics that some arm must be measured in."""
        return ()

    def check_study(self, baseline: Mapping[str, Any]) -> None:
        """Refuse what is wrong by the study's declaration alone.

        Args:
            baseline: axis values of the study's baseline; empty without one.

        Raises:
            ValueError: what is wrong.

        """

    def resolved(self, trial: Trial) -> Self:
        """Return the output with everything filled in that it takes from the base trial; plan.json records this."""
        del trial
        return self

    def scored_training_sets(self, trial: Trial) -> set[str]:
        """Return the sources of those `Evaluate` whose images are trained on by design; others are refused where they are."""
        del trial
        return set()

    def check(self, trials: Sequence[PlannedTrial], where: str) -> None:
        """Refuse, before anything is trained, an output that the planned trials cannot give.

        Args:
            trials: of all arms, at least one.
            where: the study's name, which a message begins with.

        Raises:
            UsageError: what the output lacks and what there is, in one line.

        """
        measured = measured_metrics(trials)
        for metric in self.required_metrics():
            if metric not in measured:
                raise UsageError(
                    f"{where}: {type(self).__name__}: no arm is measured in {metric!r}: {nearest(metric, measured)}"
                )


def measured_metrics(trials: Sequence[PlannedTrial]) -> set[str]:
    """Return every metric that some trial is measured in."""
    return {evaluation.metric for trial in trials for evaluation in trial.unit.wanted}
