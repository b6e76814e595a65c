"""Declaration of a study: base trial, axes, named arms, seeds, exclusions, outputs, profiles."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field, InstanceOf, SerializeAsAny, ValidationInfo, field_validator, model_validator

from drnbench.config.arm_names import check_names
from drnbench.config.outputs import OutputSpec
from drnbench.config.overrides import path_problem, validated
from drnbench.config.plain import on_axes
from drnbench.config.search import AXIS, Search
from drnbench.config.trial import Frozen, Positive, Scalar, Trial
from drnbench.errors import UsageError, nearest

PROFILES: dict[str, dict[str, Any]] = {
    "tiny": {
        "*.steps": 4, "*.batch": 2, "*.patch": 32, "*.validations": 2, "*.data.crop": 96, "*.unpaired.crop": 96,
        "evaluate.*.crop": 64, "seeds": 2,
    },
    "quick": {},
}  # fmt: skip
"""Overrides of size by the profiles that every study has; a study's own `profiles` come on top and add others."""

LISTED = 12
"""So many values of an axis are listed in messages."""


class Axis(Frozen):
    """One dimension of the grid.

    Its values are those of one path into the trial, or, given as a dictionary, named sets of overrides:
    `Axis("loss", {"off": {"train.scheme": "supervised"}, "on": {"train.scheme": "paired"}})`.
    """

    path: str = Field(description="override path, such as adapt.rho, scale, *.lam; for named values any name")
    values: Annotated[tuple[Scalar, ...], Field(strict=False, min_length=1)] = Field(description="in table order")
    choices: dict[Scalar, dict[str, Any]] = Field(default_factory=dict, description="overrides of each named value")
    label: str | None = Field(None, description="name in tables and figures; none: the path's last word")

    def __init__(self, path: str, values: Any, **fields: Any) -> None:
        if isinstance(values, Mapping):
            fields = {"choices": dict(values), **fields}
            values = tuple(values)
        super().__init__(**{"path": path, "values": values, **fields})

    @property
    def title(self) -> str:
        """The label, or the last word of the path."""
        return self.label or self.path.rpartition(".")[2]

    def overrides(self, value: Any) -> dict[str, Any]:
        """Return the overrides of a value."""
        return self.choices[value] if self.choices else {self.path: value}

    @property
    def named(self) -> bool:
        """True if its values are clear without the axis' name; `bicubic` alone would be mistaken for the reference."""
        return bool(self.choices) and "bicubic" not in self.values and all(isinstance(v, str) for v in self.values)

    @property
    def paths(self) -> set[str]:
        """Every path that some value sets."""
        return {path for choice in self.choices.values() for path in choice} if self.choices else {self.path}

    @field_validator("values")
    @classmethod
    def _differ(cls, values: tuple[Scalar, ...]) -> tuple[Scalar, ...]:
        if len({repr(value) for value in values}) != len(values):
            raise ValueError("the same value stands twice")
        return values


class Exclude(Frozen):
    """Trials of the grid that are excluded, with the reason, which the plan and the report show."""

    where: dict[str, Any] = Field(description="axis paths (and `seed`) to a value or a list of values; all must match")
    reason: str = Field(min_length=1, description="the reason, in a sentence")

    def __init__(self, where: dict[str, Any], reason: str) -> None:
        fields: dict[str, Any] = {"where": where, "reason": reason}
        super().__init__(**fields)

    def matches(self, values: Mapping[str, Any]) -> bool:
        """Return True if a cell with these axis values (and seed) is excluded."""
        return all(
            path in values and values[path] in (excluded if isinstance(excluded, (list, tuple)) else [excluded])
            for path, excluded in self.where.items()
        )


class Primary(Frozen):
    """The one comparison that a study declares in advance: it is tested alone at 5 %, all others are one family.

    `Primary({"adapt.rho": 0.3}, kernel="bd", metric="ssim_y")`; `primary="true pairs"` and `primary={"adapt.rho": 0.3}`
    stand for the arm's first evaluation and first metric.
    """

    arm: str | dict[str, Any] = Field(
        description="the arm that is compared with its baseline: its name, or axis values"
    )
    dataset: str | None = Field(None, description="test set; none: that of the arm's first evaluation")
    kernel: str | None = Field(None, description="its kernel; none: that of the arm's first evaluation")
    metric: str | None = Field(None, description="none: the first one of that evaluation")

    def __init__(self, arm: str | dict[str, Any], **fields: Any) -> None:
        super().__init__(**{"arm": arm, **fields})


class Until(Frozen):
    """A number of seeds that grows, arm by arm, until the difference to the baseline is precise enough.

    The rule is `drnbench.results.stopping`; docs/statistics.md has its simulation.
    """

    half_width: Positive = Field(description="of the difference's interval, in the metric's unit, that is small enough")
    at_least: int = Field(3, ge=3, description="seeds that every arm has; under three nothing earns a star")
    at_most: int = Field(10, le=1000, description="seeds that no arm has more of")

    def __init__(self, *half_width: float, **fields: Any) -> None:
        if len(half_width) > 1:
            raise UsageError(f"Until takes one half-width (got {half_width}): Until(0.05, at_least=3, at_most=10)")
        super().__init__(**dict(zip(("half_width",), half_width, strict=False)), **fields)

    @model_validator(mode="after")
    def _ordered(self) -> Until:
        if self.at_most < self.at_least:
            raise ValueError(f"at_most={self.at_most} is less than at_least={self.at_least}")
        return self


class Study(Frozen):
    """A question, as a grid of trials or as a search among them. The study's name is the stem of its file."""

    base: Trial = Field(description="the trial that axes and arms override")
    axes: Annotated[tuple[Axis, ...], Field(strict=False)] = Field((), description="the grid")
    search: Search | None = Field(
        None,
        description="an adaptive search instead of axes; `baseline` then has overrides of the base, not axis values",
    )
    arms: dict[str, dict[str, Any]] = Field(default_factory=dict, description="named extra arms: overrides of the base")
    seeds: int | Until = Field(
        3, description="number of seeds, 0 .. seeds - 1, or Until(half_width=...): as many as each comparison needs"
    )
    exclude: Annotated[tuple[Exclude, ...], Field(strict=False)] = Field(
        (), description="excluded trials, with reasons"
    )
    baseline: dict[str, Any] = Field(
        default_factory=dict, description="axis values of the arm that all others are compared to"
    )
    control: str | dict[str, Any] | None = Field(
        None, description="the positive control, an upper bound of the gain: a named arm, or axis values"
    )
    subject: dict[str, Any] = Field(
        default_factory=dict, description="axis values of the arms that the question is about; none: all"
    )
    primary: Primary | None = Field(
        None,
        description="the comparison that is declared in advance and tested alone: an arm's name, axis values, a Primary",
    )
    margin: dict[str, float] = Field(
        default_factory=dict, description="by metric, the largest difference to the baseline that means nothing"
    )
    allow_overlap: str | None = Field(
        None, description="why test images may be among the training images; captions say it"
    )
    outputs: Annotated[tuple[SerializeAsAny[InstanceOf[OutputSpec]], ...], Field(strict=False)] = Field(
        (), description="tables and figures"
    )
    image_budget: int = Field(
        1024,
        ge=0,
        description="MiB on disk, at most, for whole SR images of the first seed of each arm, with LR and HR once; 0: none",
    )
    profiles: dict[str, dict[str, Any]] = Field(default_factory=dict, description="overrides of size by profile name")

    @field_validator("baseline", "subject", mode="before")
    @classmethod
    def _axis_values(cls, value: Any) -> Any:
        if isinstance(value, dict):
            return value
        raise ValueError('takes the axis values of an arm, such as {"train.lam": 0}')

    @field_validator("control", mode="before")
    @classmethod
    def _control(cls, value: Any) -> Any:
        if value is None or (isinstance(value, (str, dict)) and value):
            return value
        raise ValueError('takes a named arm, such as "true pairs", or axis values, such as {"train.lam": 0.1}')

    @field_validator("primary", mode="before")
    @classmethod
    def _primary(cls, value: Any) -> Any:
        if value is None or isinstance(value, Primary):
            return value
        if isinstance(value, (str, dict)) and value:
            return Primary(value)
        raise ValueError(
            'takes one comparison: an arm\'s name, its axis values, such as {"train.lam": 0.1}, or Primary(arm, kernel="bd")'
        )

    @field_validator("margin", mode="before")
    @classmethod
    def _margin_by_metric(cls, margin: Any) -> Any:
        if isinstance(margin, dict):
            return margin
        raise ValueError('takes a size by metric, such as {"psnr_y": 0.05}')

    @field_validator("margin")
    @classmethod
    def _above_zero(cls, margin: dict[str, float]) -> dict[str, float]:
        for metric, size in margin.items():
            if not 0 < size < float("inf"):
                raise ValueError(f"the margin of {metric!r} must be finite and above 0 (got {size:g})")
        return margin

    @field_validator("seeds", mode="before")
    @classmethod
    def _seeds(cls, seeds: Any) -> Any:
        if isinstance(seeds, Until) or (isinstance(seeds, int) and not isinstance(seeds, bool) and seeds >= 1):
            return seeds
        raise ValueError("must be greater than or equal to 1 and whole, or Until(half_width=...)")

    @field_validator("allow_overlap")
    @classmethod
    def _reason(cls, reason: str | None) -> str | None:
        if reason is not None and not reason.strip():
            raise ValueError("captions give the reason: say in a sentence why test images may be trained on")
        return reason

    @field_validator("exclude", "baseline", "control", "subject", "primary")
    @classmethod
    def _on_axes(cls, cells: Any, info: ValidationInfo) -> Any:
        """Replace numbers that differ from a value of their axis by rounding alone: a cell is looked up by its values."""
        axes = {axis.path: axis.values for axis in info.data.get("axes", ())}
        if isinstance(cells, Primary) and isinstance(cells.arm, dict):
            return cells.model_copy(update={"arm": on_axes(cells.arm, axes)})
        if isinstance(cells, tuple):
            return tuple(rule.model_copy(update={"where": on_axes(rule.where, axes)}) for rule in cells)
        return on_axes(cells, axes) if isinstance(cells, dict) else cells

    @model_validator(mode="after")
    def _consistent(self) -> Study:
        if self.search is not None:
            return self._check_search()
        if isinstance(self.seeds, Until) and not self.baseline:
            raise ValueError("seeds=Until(...) compares every arm to the baseline, and the study declares none")
        axes = {axis.path: axis for axis in self.axes}
        check_names([*self._cells(), *self.arms])
        self._check_axes(axes)
        self._check_cells(axes)
        self._check_claims()
        self._check_outputs(axes)
        return self

    def _cells(self) -> list[str]:
        """Return the names of the arms of the grid."""
        paths = [axis.path for axis in self.axes]
        cells = itertools.product(*(axis.values for axis in self.axes)) if self.axes else ()
        return [arm_name(self, dict(zip(paths, cell, strict=True))) for cell in cells]

    def _check_axes(self, axes: Mapping[str, Axis]) -> None:
        """Refuse two axes that set one path."""
        if len(axes) < len(self.axes):
            raise ValueError("two axes share a path")
        for axis, other in itertools.combinations(self.axes, 2):
            if both := axis.paths & other.paths:
                raise ValueError(
                    f"the axes {axis.path!r} and {other.path!r} both set {min(both)!r}: one would undo the other"
                )

    def _check_cells(self, axes: Mapping[str, Axis]) -> None:
        """Refuse a baseline, a control, a subject, a primary arm or an exclusion that is not of the grid."""
        control = self.control if isinstance(self.control, dict) else {}
        primary = self.primary.arm if self.primary is not None and isinstance(self.primary.arm, dict) else {}
        excluded = [path for exclude in self.exclude for path in exclude.where if path != "seed"]
        for path in [*self.baseline, *self.subject, *control, *primary, *excluded]:
            if path not in axes:
                raise ValueError(self.unknown_axis(path))
        if isinstance(self.control, str) and self.control not in self.arms:
            raise ValueError(f"the control {self.control!r} is not a named arm: {nearest(self.control, self.arms)}")
        cells = {"baseline": self.baseline, "control": control, "subject": self.subject, "primary": primary}
        for role, cell in cells.items():
            for path, value in cell.items():
                if value not in axes[path].values:
                    raise ValueError(
                        f"the {role}'s {path} = {value!r} is not on the axis: its values are {_listed(axes[path].values)}"
                    )
            if role != "baseline" and cell and all(self.baseline.get(path) == value for path, value in cell.items()):
                values = ", ".join(f"{path} = {value!r}" for path, value in cell.items())
                others = [value for value in axes[path].values if value != cell[path]]
                raise ValueError(
                    f"the {role} is the baseline itself ({values}): choose another value of {path}: {_listed(others)}"
                )

    def unknown_axis(self, path: str) -> str:
        """Return the message on a path that is no axis; where an axis itself has a path that does not exist, on that."""
        for axis in self.axes:
            for own in sorted(axis.paths):
                if problem := path_problem(self.base, own, f"the axis {axis.path!r}"):
                    return problem
        return f"{path!r} is not an axis of this study: {nearest(path, [axis.path for axis in self.axes])}"

    def _check_claims(self) -> None:
        """Refuse claims on differences in a study that declares no baseline, and on an arm or a metric that it has not."""
        for field in ("primary", "margin"):
            if getattr(self, field) and not self.baseline and self.search is None:
                raise ValueError(f"{field} speaks of a difference to the baseline, and the study declares none")
        arm = self.primary.arm if self.primary is not None and self.search is None else None
        if isinstance(arm, str) and not any("axes" in sizes for sizes in self.profiles.values()):
            names = [*self._cells(), *self.arms]
            if arm not in names and arm.partition(" ")[0] != "bicubic":  # a plan says why a reference cannot be meant
                raise ValueError(f"primary: no arm is called {arm!r}: {nearest(arm, names)}")
        overrides = [*self.arms.values(), *self.profiles.values(), *(c for a in self.axes for c in a.choices.values())]
        paths = {axis.path for axis in self.axes}.union(*overrides)
        if not any(path.partition(".")[0] == "evaluate" and path.endswith(("evaluate", "metrics")) for path in paths):
            measured = {metric for evaluate in self.base.evaluate for metric in evaluate.metrics}
            for metric in self.margin:
                if metric not in measured:
                    raise ValueError(f"margin: no arm is measured in {metric!r}: {nearest(metric, measured)}")

    def _check_outputs(self, axes: Collection[str]) -> None:
        """Refuse an output of an axis that the study does not have, and what an output itself refuses."""
        for output in self.outputs:
            if not output.name:
                kind = type(output).__name__
                raise ValueError(f"the output {kind} has no name: register its class with @outputs.register(...)")
            for path in output.axes():
                if path not in axes:
                    arms = f"a search has one, {AXIS!r}, whose values are its arms"
                    raise ValueError(
                        f"an output wants the axis {path!r}: {arms if self.search else self.unknown_axis(path)}"
                    )
            output.check_study(self.baseline)

    def _check_search(self) -> Study:
        for field in ("axes", "exclude", "subject"):
            if getattr(self, field):
                raise ValueError(f"a study with a search has no {field}: the search says what is tried")
        if self.primary is not None and not isinstance(self.primary.arm, str):
            raise ValueError(f"the primary of a search is an arm's name, such as 'winner' (got {self.primary.arm!r})")
        if "seeds" in self.model_fields_set or any("seeds" in sizes for sizes in self.profiles.values()):
            raise ValueError(
                "a search has seeds of its own: Search(seeds=..., fresh_seeds=...), search.seeds in a profile"
            )
        for path in self.baseline:
            if self.search is not None and path not in self.search.space:
                raise ValueError(
                    f"the baseline of a search sets {path!r}, which the search does not vary: set it in base, or add it to the "
                    f"space ({', '.join(self.search.space)})"
                )
        if self.control is not None and (not isinstance(self.control, str) or self.control not in self.arms):
            raise ValueError(f"the control of a search is a named arm (got {self.control!r}): {nearest('', self.arms)}")
        check_names([*self.arms])
        self._check_claims()
        self._check_outputs([AXIS])
        return self


def _listed(values: Sequence[Any]) -> str:
    """Write the values of an axis as a study file gives them; of many, the first ones."""
    more = f" and {len(values) - LISTED} more" if len(values) > LISTED else ""
    return ", ".join(map(repr, values[:LISTED])) + more if values else "it has no other"


def arm_name(study: Study, values: Mapping[str, Any]) -> str:
    """Return the name of a cell of the grid: `ρ=0.3`, or `adapted, scale=4` with several axes, one of them named."""
    cell = [(axis, values[axis.path]) for axis in study.axes]
    return ", ".join(str(v) if a.named else f"{a.title}={value_text(v)}" for a, v in cell)


def value_text(value: Any) -> str:
    """Write a value of an axis as arm names do: 0.3, 1, on."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def build(fields: dict[str, Any], where: str) -> Study:
    """Build a study from plain fields, with a one-line error (used by tests and by programs)."""
    return validated(Study, fields, where)
