"""A study and its scores as a report sees them: arms, conditions, and which arm is compared to which.

`reading.read` makes a `Scores` of the store; everything after it uses this.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from drnbench.config.search import VALIDATION
from drnbench.config.study import value_text
from drnbench.evaluation import metrics
from drnbench.results import labels
from drnbench.results.plan_record import AxisRecord, PlanRecord
from drnbench.results.statistics import ALPHA, LOOKS_ALPHA, percent, test_level

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")


class Condition(NamedTuple):
    """A test set under a degradation, at a scale."""

    dataset: str
    kernel: str
    scale: int

    @property
    def label(self) -> str:
        """Its name in captions: `Set5, bd ×4`."""
        return f"{self.dataset}, {labels.kernel(self.kernel)} ×{self.scale}"


@dataclass(frozen=True)
class TrialState:
    """One planned trial as the store has it now.

    Attributes:
        state: done, missing, running, failed, interrupted, lost, damaged.
        message: of a failure, with its kind.
        stages: keys of its stages, in order; empty for an untrained method.

    """

    key: str
    seed: int
    state: str
    message: str | None
    stages: tuple[str, ...]


@dataclass(frozen=True)
class Arm:
    """One row of the study, in table order.

    Attributes:
        kind: "grid", "named" or "reference".
        values: axis values by path.
        seedless: it is untrained, so one trial stands for every seed.
        excluded: (seed, reason) of the seeds that the study leaves out.
        conditions: those that it is scored on, in evaluation order.
        config: its trial, seed aside; empty where every seed is excluded.

    """

    name: str
    kind: str
    values: dict[str, Any]
    scale: int
    seedless: bool
    excluded: tuple[tuple[int, str], ...]
    trials: tuple[TrialState, ...]
    conditions: tuple[Condition, ...] = ()
    config: Mapping[str, Any] | None = None

    def has(self, values: Mapping[str, Any]) -> bool:
        """Return True if it is the cell, or one of the cells, with these axis values."""
        return self.kind == "grid" and all(self.values.get(path) == value for path, value in values.items())


@dataclass(frozen=True)
class Scores:
    """A study's plan and all its scores.

    Attributes:
        conditions: every (dataset, kernel, scale) that some arm is scored on, in evaluation order.
        metrics: of each condition, in the order they were asked for.
        tables: (arm, condition, metric) -> values, seeds x images (pandas DataFrame); absent where nothing is scored.
        names: condition -> the data set's folder among the samples.
        sources: condition -> the source of its Evaluate.
        search: record of the study's search, as search.json has it; None where it has none.
        means: mean over the kernels of one evaluation -> those conditions (`drnbench.results.kernel_means`).

    """

    plan: PlanRecord
    arms: tuple[Arm, ...]
    conditions: tuple[Condition, ...]
    metrics: dict[Condition, tuple[str, ...]]
    tables: dict[tuple[str, Condition, str], pd.DataFrame]
    names: dict[Condition, str]
    sources: dict[Condition, str]
    search: dict[str, Any] | None = None
    means: dict[Condition, tuple[Condition, ...]] = field(default_factory=dict)
    _made: dict[Callable[[Scores], Any], Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def once(self, make: Callable[[Scores], T]) -> T:
        """Return what a function makes of these scores, computed at its first call."""
        if make not in self._made:
            self._made[make] = make(self)
        result: T = self._made[make]
        return result

    def arm(self, name: str) -> Arm:
        """Return the arm of that name."""
        return self._by_name[name]

    @cached_property
    def _by_name(self) -> dict[str, Arm]:
        return {arm.name: arm for arm in self.arms}

    @property
    def axes(self) -> list[AxisRecord]:
        """The study's axes, as the plan has them."""
        return self.plan.axes

    @property
    def alpha(self) -> float:
        """The level of intervals, smaller where seeds were added; p-values are scaled so that 5 % is that of tests at any."""
        return LOOKS_ALPHA if self.plan.until else ALPHA

    @property
    def confidence(self) -> str:
        """The level of intervals in words: `95 %`, or `97 %` where seeds were added."""
        return percent(1 - self.alpha)

    @property
    def tests_at(self) -> str:
        """The level of a single test in words: `5 %`, or `2 %` where seeds were added."""
        return percent(test_level(self.alpha))

    @property
    def csv_columns(self) -> dict[str, int | str]:
        """What a row of numbers lacks without its folder: the level of its intervals, in percent, and the settings."""
        settings = self.plan.settings
        return {
            "confidence_percent": round(100 * (1 - self.alpha)),
            "settings": f"{settings.study}, {settings.text}",
        }

    @property
    def limit(self) -> str:
        """The limit of p in words: `p < 0.05`, with its scaling where seeds were added."""
        scaled = f" (p is scaled: tests are at {self.tests_at})" if self.plan.until else ""
        return f"p < {ALPHA:g}{scaled}"

    @property
    def baseline(self) -> Arm | None:
        """The first arm that others are compared to, if the study declares one."""
        return self.arm(self.plan.baseline) if self.plan.baseline else None

    @property
    def control(self) -> Arm | None:
        """The first positive control, if the study declares one."""
        return self.arm(self.plan.control) if self.plan.control else None

    @property
    def primary(self) -> tuple[Condition, str]:
        """The first evaluation and metric of the baseline (or of the first arm): the subject of the headline."""
        condition = self.primary_of(self.baseline or self.arms[0]) or self.conditions[0]
        return condition, self.metrics[condition][0]

    def primary_of(self, arm: Arm) -> Condition | None:
        """Return the first evaluation of an arm; of several kernels their mean."""
        if not arm.conditions:
            return None
        first = arm.conditions[0]
        return next((c for c in arm.conditions if first in self.means.get(c, ())), first)

    def members(self, condition: Condition) -> tuple[Condition, ...]:
        """Return the conditions that a mean over kernels is taken of; any other condition itself."""
        return self.means.get(condition, (condition,))

    @cached_property
    def scale_axes(self) -> frozenset[str]:
        """Axes whose values fix the scale: differences between their values mean nothing."""
        paths = set()
        for axis in self.axes:
            scales: dict[str, set[int]] = {}
            for arm in self.arms:
                if arm.kind == "grid":
                    scales.setdefault(repr(arm.values[axis.path]), set()).add(arm.scale)
            if all(len(s) == 1 for s in scales.values()) and len(set.union(set(), *scales.values())) > 1:
                paths.add(axis.path)
        return frozenset(paths)

    @cached_property
    def compared_on(self) -> dict[str, Any]:
        """Axis values that make an arm a baseline: those that the study names, scale aside."""
        return {p: v for p, v in self.plan.baseline_values.items() if p not in self.scale_axes}

    def is_baseline(self, arm: Arm) -> bool:
        """Return True if others are compared to this arm."""
        return self.baseline is not None and arm.has(self.compared_on)

    def baseline_of(self, arm: Arm, condition: Condition) -> Arm | None:
        """Return the baseline of an arm on a condition; None for a baseline itself and where the arm is not scored.

        A cell of the grid is compared to the cell that has the baseline's values on the axes that the baseline names
        and its own on all others; a named arm to the first baseline that is scored there; a reference to the only one,
        as among several none is its own.
        """
        if self.baseline is None or self.is_baseline(arm) or condition not in arm.conditions:
            return None
        if arm.kind == "grid":
            baselines = self._by_values.get(frozenset({**arm.values, **self.compared_on}.items()), [])
        else:
            baselines = self._baselines
        scored = [a for a in baselines if condition in a.conditions]
        if arm.kind == "reference" and len(scored) > 1:
            return None
        return scored[0] if scored else None

    @cached_property
    def _by_values(self) -> dict[frozenset[tuple[str, Any]], list[Arm]]:
        """The arms of the grid by their axis values."""
        arms: dict[frozenset[tuple[str, Any]], list[Arm]] = {}
        for arm in self.arms:
            if arm.kind == "grid":
                arms.setdefault(frozenset(arm.values.items()), []).append(arm)
        return arms

    @cached_property
    def _baselines(self) -> list[Arm]:
        return [arm for arm in self.arms if self.is_baseline(arm)]

    def controls_of(self, arm: Arm, condition: Condition) -> list[Arm]:
        """Return the positive controls that show whether a gain of this arm would be detected on this condition."""
        values = self.plan.control_values
        if not values:
            return [a for a in (self.control,) if a is not None and condition in a.conditions]
        cell = {**arm.values, **{p: v for p, v in values.items() if p not in self.scale_axes}}
        return [a for a in self.arms if a.kind == "grid" and a.values == cell and condition in a.conditions]

    def is_control(self, arm: Arm) -> bool:
        """Return True if an arm is a positive control."""
        values = {p: v for p, v in self.plan.control_values.items() if p not in self.scale_axes}
        return arm.has(values) if values else arm.name == self.plan.control

    def is_contender(self, arm: Arm) -> bool:
        """Return True if an arm competes for the best of a column: no reference, no positive control, no oracle."""
        return not (arm.seedless or arm.kind == "reference" or self.is_control(arm) or self.is_oracle(arm))

    def is_oracle(self, arm: Arm) -> bool:
        """Return True if an arm owes itself to HR images under a kernel that the study takes as unknown.

        It was selected by such images in a search, is trained on pairs of them, or on a D that is that kernel.
        """
        if arm.seedless or self.is_baseline(arm):
            return False
        if self.oracle_kernels and arm.kind == "grid":
            return True
        condition = self.primary_of(arm)
        base = self.baseline_of(arm, condition) if condition is not None else None
        return base is not None and bool((_kernels(arm, "data") | operator_kernels(arm)) & _hidden(base))

    def oracle_reason(self, arm: Arm) -> str:
        """Write the reason why an arm is an oracle, of one that no search selected."""
        if operator_kernels(arm) & self.hidden_kernels and not _kernels(arm, "data") & self.hidden_kernels:
            return "D is the true degradation of the unpaired images, which the study takes as unknown"
        return "trained on pairs under a kernel that the study takes as unknown"

    @cached_property
    def hidden_kernels(self) -> frozenset[str]:
        """Short names of the kernels that the study takes as unknown: those of unpaired images that no pairs have."""
        return _hidden(self.baseline or self.arms[0])

    @cached_property
    def oracle_kernels(self) -> tuple[str, ...]:
        """Short names of the unknown kernels under which the search, or what gives candidates up, looks at HR images."""
        if self.search is None:
            return ()
        objectives = self.search["objectives"]
        kernels = [objective["kernel"] for objective in objectives if _needs_hr(objective["what"])]
        for pruner in self.search["pruner"]:
            if pruner.startswith("Median("):  # it watches validation PSNR
                watched = re.search(r"kernel='([^']*)'", pruner)
                kernels.append(watched[1] if watched else objectives[0]["kernel"])
        names = dict.fromkeys(labels.kernel(kernel) for kernel in kernels if kernel)
        return tuple(name for name in names if name in self.hidden_kernels)

    @property
    def subject(self) -> list[Arm]:
        """The arms that the question is about: neither baseline nor control, of the grid; named ones if it names none."""
        values = self.plan.subject
        kinds = {"grid"} if values else {"grid", "named"}
        return [
            arm
            for arm in self.arms
            if arm.kind in kinds
            and (not values or arm.has(values))
            and not self.is_baseline(arm)
            and not self.is_control(arm)
        ]

    @property
    def baseline_label(self) -> str:
        """The baseline in a caption: `ρ=0`, or `ρ=0 at the same scale` where there are several."""
        bases = {arm.name: arm for arm in self.arms if self.is_baseline(arm)}
        if len(bases) < 2:
            return str(next(iter(bases), self.plan.baseline))
        first = next(iter(bases.values()))
        titles = {axis.path: axis.title for axis in self.axes}
        values = {path: {repr(base.values[path]) for base in bases.values()} for path in titles}
        same = [f"{titles[p]}={value_text(first.values[p])}" for p in titles if len(values[p]) == 1]
        return f"{', '.join(same)} at the same {labels.listing([titles[p] for p in titles if len(values[p]) > 1])}"

    @property
    def counts(self) -> tuple[int, int]:
        """Number of trials that are done, and of all trials."""
        states = [trial.state for arm in self.arms for trial in arm.trials]
        return states.count("done"), len(states)


def _kernels(arm: Arm, images: str) -> frozenset[str]:
    """Return short names of the kernels of an arm's pairs (`data`) or unpaired images (`unpaired`)."""
    stages = arm.config["stages"] if arm.config is not None else []
    return frozenset(labels.kernel(stage[images]["kernel"]) for stage in stages if stage.get(images))


def operator_kernels(arm: Arm) -> frozenset[str]:
    """Return short names of the kernels of the known D that an arm applies to unpaired images."""
    stages = arm.config["stages"] if arm.config is not None else []
    return frozenset(
        labels.kernel(stage.get("unpaired_dual_kernel") or stage["unpaired"]["kernel"])
        for stage in stages
        if stage.get("unpaired") and stage["rho"] > 0 and (stage.get("unpaired_dual") or stage["dual"]) == "known"
    )


def _hidden(arm: Arm) -> frozenset[str]:
    return _kernels(arm, "unpaired") - _kernels(arm, "data")


def _needs_hr(objective: str) -> bool:
    """Return True if an objective of a search is measured on HR images."""
    return objective == VALIDATION or (objective in metrics and "hr" in metrics.get(objective).needs)
