"""The declaration of a search in a study file: its space, objectives, sampler, seeds and pruners."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, field_validator, model_validator

from drnbench.config.outputs import MEASURED, Cost
from drnbench.config.trial import Frozen, Scalar

AXIS = "search"
"""Path of the axis that the arms of a search make: `Table(rows="search")`."""
FILE = "search.json"
"""Record of the searches of a study, in results/<study>/."""
DEFAULT = "default"
"""Name of the arm that the study calls its baseline."""
VALIDATION = "val_psnr_y"
"""PSNR on the held-out training images at the end of the last stage, as its history has it."""
COSTS: tuple[str, ...] = tuple(cost for cost in get_args(Cost) if cost not in MEASURED)


class _Range(Frozen):
    label: str | None = Field(None, description="name in tables and figures; none: λ, ρ, or the path's last word")

    @property
    def size(self) -> int | None:
        """Number of values; None where there is no end of them."""
        return None

    def snapped(self, value: Any) -> Any:
        """Return the value that a trial is given for a value that a sampler drew."""
        return value

    def overrides(self, path: str, value: Any) -> dict[str, Any]:
        """Return the overrides of a trial that a value stands for."""
        return {path: value}


class _Interval(_Range):
    """Numbers from `low` to `high`."""

    low: float
    high: float

    @property
    def ends(self) -> tuple[Any, Any]:
        """The first and the last value."""
        return self.low, self.high

    def contains(self, value: Any) -> bool:
        """Return True if a path may take this value."""
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            return False
        return bool(self.low <= value <= self.high and self.snapped(value) == value)


class Float(_Interval):
    """Real numbers from `low` to `high`, drawn with `digits` significant digits, so that a paper can print them whole."""

    low: float = Field(allow_inf_nan=False)
    high: float = Field(allow_inf_nan=False)
    log: bool = Field(False, description="as many between 0.01 and 0.1 as between 0.1 and 1")
    digits: int = Field(3, ge=1, le=15, description="significant digits of a value")

    def __init__(self, low: float, high: float, **fields: Any) -> None:
        super().__init__(**{"low": low, "high": high, **fields})

    @model_validator(mode="after")
    def _ordered(self) -> Float:
        _check(self.low, self.high, log=self.log)
        return self

    def snapped(self, value: Any) -> Any:
        """See `_Range`."""
        return min(max(float(f"{value:.{self.digits}g}"), self.low), self.high)


class Int(_Interval):
    """Whole numbers from `low` to `high`, both included."""

    low: int
    high: int
    log: bool = False

    def __init__(self, low: int, high: int, **fields: Any) -> None:
        super().__init__(**{"low": low, "high": high, **fields})

    @model_validator(mode="after")
    def _ordered(self) -> Int:
        _check(self.low, self.high, log=self.log)
        return self

    def snapped(self, value: Any) -> Any:
        """See `_Range`."""
        return int(value)

    @property
    def size(self) -> int | None:
        """See `_Range`."""
        return self.high - self.low + 1


class Steps(_Interval):
    """The grid low, low + step, ..., high: whole numbers where all three are, so that sizes of models can be searched."""

    low: float = Field(allow_inf_nan=False)
    high: float = Field(allow_inf_nan=False)
    step: float = Field(gt=0, allow_inf_nan=False)

    def __init__(self, low: float, high: float, step: float, **fields: Any) -> None:
        super().__init__(**{"low": low, "high": high, "step": step, **fields})

    @model_validator(mode="after")
    def _even(self) -> Steps:
        _check(self.low, self.high, log=False)
        if (self._exact("high") - self._exact("low")) % self._exact("step"):
            raise ValueError(f"from {self.low:g} to {self.high:g} there is no whole number of steps of {self.step:g}")
        return self

    def _exact(self, name: str) -> Decimal:
        return Decimal(repr(getattr(self, name)))

    @property
    def size(self) -> int | None:
        """See `_Range`."""
        return int((self._exact("high") - self._exact("low")) / self._exact("step")) + 1

    def snapped(self, value: Any) -> Any:
        """See `_Range`."""
        # In decimals: 0.1 * 3 is not the 0.3 that a study file writes, and would be another key.
        exact = self._exact("low") + round((value - self.low) / self.step) * self._exact("step")
        whole = all(getattr(self, name).is_integer() for name in ("low", "high", "step"))
        return int(exact) if whole else float(exact)


class Choice(_Range):
    """One of some values, without an order; given as a dictionary, named sets of overrides as in `Axis`."""

    values: Annotated[tuple[Scalar, ...], Field(strict=False, min_length=2)]
    choices: dict[Scalar, dict[str, Any]] = Field(default_factory=dict, description="overrides of each named value")

    def __init__(self, values: Any, **fields: Any) -> None:
        if isinstance(values, Mapping):
            fields = {"choices": dict(values), **fields}
            values = tuple(values)
        super().__init__(**{"values": values, **fields})

    @property
    def ends(self) -> tuple[Any, Any]:
        """The first and the last value."""
        return self.values[0], self.values[-1]

    def contains(self, value: Any) -> bool:
        """Return True if a path may take this value."""
        return value in self.values

    @property
    def size(self) -> int | None:
        """See `_Range`."""
        return len(self.values)

    def overrides(self, path: str, value: Any) -> dict[str, Any]:
        """See `_Range`."""
        return self.choices[value] if self.choices else {path: value}


Range = Float | Int | Steps | Choice


class Objective(Frozen):
    """An objective: validation PSNR, a metric on images declared for the search, or a cost.

    With an unknown kernel, `val_psnr_y` under it is an oracle; `Maximise("val_psnr_y")` selects by the source kernel, and
    `Maximise("lr_psnr")` by LR consistency on the unpaired images.
    """

    what: str = Field(
        min_length=1,
        description="val_psnr_y; a metric, with a source; parameters, macs, activations, step_macs, seconds",
    )
    source: str | None = Field(
        None,
        description="images of a metric, as in Evaluate, not those that the study reports; none, for a metric that looks at "
        "no HR image (lr_psnr): the unpaired images of the last stage",
    )
    kernel: str | None = Field(
        None,
        description="degradation; none: bicubic, or for val_psnr_y that of the pairs, the source kernel. HR images under the "
        "kernel of the unpaired images are an oracle, and reports say so",
    )
    crop: int | None = Field(None, ge=1, description="use only a central HR square of this many pixels at most")
    count: int | None = Field(None, ge=1, description="score only the first images, this many")
    direction: Literal["maximise", "minimise"] = "maximise"

    def __init__(self, what: str, source: str | None = None, **fields: Any) -> None:
        super().__init__(**{"what": what, "source": source, **fields})

    @model_validator(mode="after")
    def _whole(self) -> Objective:
        if self.source is None and (self.crop is not None or self.count is not None):
            raise ValueError(f"{self.what}: crop and count belong to a source of images")
        if self.source is not None and self.what in {VALIDATION, *COSTS}:
            raise ValueError(f"{self.what} is not measured on images of its own: leave the source out")
        return self


class Maximise(Objective):
    """An objective of which more is better."""


class Minimise(Objective):
    """An objective of which less is better."""

    direction: Literal["maximise", "minimise"] = "minimise"


class Median(Frozen):
    """Stops training whose best validation PSNR so far is below the median of complete candidates at the same step."""

    startup: int = Field(5, ge=1, description="complete candidates before any is stopped")
    warmup: float = Field(0.0, ge=0, lt=1, description="share of a candidate's steps before it may be stopped")
    kernel: str | None = Field(None, description="validated kernel that is watched; none: that of the objective")


class Wilcoxon(Frozen):
    """Leaves out the remaining seeds of a candidate whose per-image scores are worse than the best one's.

    A one-sided signed-rank test over (seed, image) pairs, asked after each seed; it wants an objective with a source.
    """

    p: float = Field(0.1, gt=0, lt=1, description="given up below this p")


Pruner = Median | Wilcoxon


class Search(Frozen):
    """A search over some paths of the base trial."""

    space: dict[str, Range] = Field(min_length=1, description="override path, such as adapt.rho, to its values")
    objectives: Annotated[tuple[Objective, ...], Field(strict=False, min_length=1)]
    trials: int = Field(20, ge=1, description="number of different candidates")
    seeds: int = Field(2, ge=1, description="seeds 0 .. seeds - 1 that a candidate's score is the mean over")
    fresh_seeds: int = Field(3, ge=1, description="seeds of the report, none of which a candidate had")
    sampler: Literal["tpe", "nsga2", "random"] = Field("tpe", description="algorithm that proposes candidates")
    seed: int = Field(0, ge=0, description="of the sampler")
    startup: int = Field(10, ge=1, description="random candidates first; the population of nsga2")
    pruner: Annotated[tuple[Pruner, ...], Field(strict=False)] = Field(
        (), description="rules that give candidates up early"
    )
    front: int = Field(4, ge=2, description="with several objectives: how many of the front are run again at most")

    @field_validator("pruner", mode="before")
    @classmethod
    def _several(cls, pruner: Any) -> Any:
        return (pruner,) if isinstance(pruner, (Median, Wilcoxon)) else () if pruner is None else pruner

    @model_validator(mode="after")
    def _agrees(self) -> Search:
        if len({type(pruner) for pruner in self.pruner}) < len(self.pruner):
            raise ValueError("the same pruner is declared twice")
        if self.pruner and len(self.objectives) > 1:
            raise ValueError("with several objectives no candidate is hopeless: leave the pruner out")
        if self.find(Wilcoxon) and self.objectives[0].source is None:
            raise ValueError(
                f"Wilcoxon compares per-image scores, and {self.objectives[0].what} has none: give the objective a source"
            )
        return self

    def find(self, kind: type[Frozen]) -> Any:
        """Return the pruner of a kind, or None."""
        return next((pruner for pruner in self.pruner if isinstance(pruner, kind)), None)

    @property
    def size(self) -> int | None:
        """Number of different candidates in the space; None where it is continuous."""
        sizes = [values.size for values in self.space.values()]
        return None if None in sizes else math.prod(size for size in sizes if size is not None)

    @property
    def candidates(self) -> int:
        """Number of candidates that are tried: `trials`, or the whole space where that is smaller."""
        return self.trials if self.size is None else min(self.size, self.trials)

    @property
    def sampler_settings(self) -> str:
        """The sampler with its settings, for captions."""
        names = {
            "tpe": f"TPESampler(multivariate=True, constant_liar=True, n_startup_trials={self.startup})",
            "nsga2": f"NSGAIISampler(population_size={max(2, self.startup)})",
            "random": "RandomSampler()",
        }
        return f"Optuna {names[self.sampler]}, seeded by {self.seed} and the candidate's number"


def _check(low: float, high: float, *, log: bool) -> None:
    if low >= high:
        raise ValueError(f"low must be below high (got {low:g} and {high:g})")
    if log and low <= 0:
        raise ValueError(f"a logarithmic range starts above 0 (got {low:g})")
