"""The frozen configuration of one trial, and the keys under which its results are stored.

A trial is everything that determines a number: method, scale, stages, evaluations, protocol, seed. Settings of speed and
location (device, jobs, paths, timeouts) are not part of it and cannot enter a key.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic.fields import FieldInfo

from drnbench.config.kernel_sets import kernels_of
from drnbench.config.loss import loss_terms, loss_text
from drnbench.config.plain import PlainArguments
from drnbench.config.protocol import Protocol
from drnbench.errors import UsageError, in_plain_words, nearest

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

Scalar = bool | int | float | str | None
Dual = Literal["level", "chain", "single", "linear", "known", "estimated"]
Fraction01 = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
StepsOrShare = Annotated[int, Field(ge=0)] | NonNegative
"""A number of steps, or below 1 a share of the steps of the stage."""
_RANKS = {"extra_forbidden": 0, "missing": 2}
"""Order of the problems of a declaration by pydantic's type, other types 1: a missing field may be an unknown one misspelt."""
NAMED = 3
"""Up to so many problems are named."""
NAMED_FIELDS = 5
"""So many of the fields of a class are named beside an unknown one."""


class _OneLineErrors(PlainArguments):
    """Makes one line of pydantic's report where a program, or a study file, calls a class.

    pydantic itself calls the classes of the models inside of a dictionary: there its report keeps their path.
    """

    def __call__(cls, *args: Any, **fields: Any) -> Any:  # noqa: N805 - of a metaclass
        try:
            return super().__call__(*args, **fields)
        except ValidationError as error:
            frame = inspect.currentframe()
            caller = frame.f_back if frame is not None else None
            if caller is not None and caller.f_globals.get("__name__", "").startswith("pydantic."):
                raise
            raise UsageError(f"{cls.__name__}: {explain(error)}") from error


class Frozen(BaseModel, metaclass=_OneLineErrors):
    """Strict, immutable, no unknown fields: a misspelt name is an error and never a silent default."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def explain(error: ValidationError, raw: dict[str, Any] | None = None) -> str:
    """Return one line for a pydantic report: unknown fields, then the first wrong value, then missing fields.

    Args:
        error: the report.
        raw: the dictionary of the trial that was validated, for the names of its stages.
    """
    problems: dict[tuple[int | str, ...], list[ErrorDetails]] = {}
    for details in error.errors():
        location = details["loc"]
        # The members of a union report one by one, each under its own type.
        is_member = len(location) > 1 and details["type"] != "missing" and _is_type(location[-1])
        problems.setdefault(location[:-1] if is_member else location, []).append(details)
    ordered = sorted(problems.items(), key=lambda problem: _RANKS.get(problem[1][0]["type"], 1))
    first_rank = _RANKS.get(ordered[0][1][0]["type"], 1)
    clauses = [
        _clause(error.title, location, details, raw)
        for n, (location, details) in enumerate(ordered)
        if n == 0 or _RANKS.get(details[0]["type"], 1) == first_rank != 1 or details[0]["type"] == "missing"
    ][:NAMED]
    more = f" (and {len(ordered) - len(clauses)} more)" if len(ordered) > len(clauses) else ""
    return " ".join(f"{'; '.join(clauses)}{more}".split())


def _clause(title: str, location: Sequence[int | str], problem: list[ErrorDetails], raw: dict[str, Any] | None) -> str:
    """Return path, what is allowed, and the value of one problem; a union reports it once for each member."""
    parts = [str(part) for part in location if not _is_type(part)]
    if raw and len(parts) > 1 and parts[0] == "stages" and parts[1].isdigit():
        parts[:2] = [str(raw["stages"][int(parts[1])]["name"])]
    path, kind, value = ".".join(parts), problem[0]["type"], problem[0]["input"]
    if kind == "missing" and isinstance(location[-1], int):
        return f"{'.'.join(parts[:-1])}: has too few values (got {value!r})"
    if kind == "missing":
        return f"{path} is missing{_description(title, path)}"
    if kind == "extra_forbidden":
        return f"{path}: there is no such field{_near_field(title, parts[-1])}"
    messages = list(dict.fromkeys(in_plain_words(details["msg"]) for details in problem))
    message = " or ".join([messages[0], *(text.removeprefix("must be ") for text in messages[1:])])
    given = "" if isinstance(value, (dict, BaseModel)) else f" (got {value!r})"
    return f"{path}: {message}{given}".removeprefix(": ")


def _is_type(part: int | str) -> bool:
    """Return True if a part of a location is the type of a union's member rather than a field."""
    return isinstance(part, str) and (part in {"bool", "int", "float", "str"} or "[" in part or "constrained-" in part)


def _near_field(title: str, word: str) -> str:
    fields = _fields(title)
    return f": {nearest(word, fields, NAMED_FIELDS)}" if fields else ""


def _description(title: str, field: str) -> str:
    info = _fields(title).get(field)
    return f": {info.description}" if info is not None and info.description else ""


def _fields(title: str) -> dict[str, FieldInfo]:
    """Return the fields of the class of that name; empty for one that is declared elsewhere."""
    return next((model.model_fields for model in _subclasses(Frozen) if model.__name__ == title), {})


def _subclasses(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for child in model.__subclasses__():
        yield child
        yield from _subclasses(child)


class Data(Frozen):
    """A set of HR images and the degradation that makes LR images of them."""

    source: str = Field(
        min_length=1,
        description="photos/train, photos/unpaired, photos/test, photos/more; a standard name (Set5); a folder; or several with +",
    )
    kernel: str = Field(
        "bicubic", description="degradation HR -> LR, such as bicubic, bd, bicubic:noise=5; real: the images are LR"
    )
    crop: int | None = Field(None, ge=1, description="use only a central HR square of this many pixels at most")
    count: int | None = Field(None, ge=1, description="use only the first images, this many, after the hold-out")
    lr: str | None = Field(
        None,
        description="ready-made LR images at the trial's scale, matched by name; `kernel` is the degradation that made "
        "them, and makes the sizes between",
    )

    def __init__(self, source: str, **fields: Any) -> None:
        super().__init__(**{"source": source, **fields})


class Stage(Frozen):
    """One training phase. Every loss, budget and numeric setting that a weight depends on."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="name of this stage in overrides and figures")
    scheme: str | None = Field(None, description="training scheme; none: the method's own")
    data: Data = Field(description="paired training data")
    unpaired: Data | None = Field(None, description="LR images without HR: the source is degraded, its HR never shown")
    steps: int = Field(ge=1, description="optimiser steps; the same for every arm")
    batch: int = Field(8, ge=1, description="images in a batch, pairs and unpaired together")
    accumulate: Annotated[int, Field(ge=1)] | Literal["auto"] = Field(
        1,
        description="number of parts of a batch whose gradients are added up: less memory, the same step but for the last "
        "bits; auto: one part, and twice as many after each out-of-memory error",
    )
    patch: int = Field(96, ge=1, description="side of a training patch in HR pixels")
    unpaired_patch: int | None = Field(
        None,
        ge=1,
        description="side of a patch of unpaired images in HR pixels, scale times its LR pixels; none: as `patch`",
    )
    lr: Positive = Field(1e-4, description="learning rate at the first step (Adam)")
    lr_min: NonNegative = Field(1e-7, description="learning rate at the end of the cosine")
    schedule: Literal["cosine", "constant", "multistep"] = Field(
        "cosine", description="learning rate over the stage; multistep: times `gamma` from each milestone on"
    )
    milestones: Annotated[tuple[Annotated[int, Field(ge=1)] | Positive, ...], Field(strict=False)] = Field(
        (), description="steps of the multistep schedule, or below 1 shares of the stage: (0.5, 0.75)"
    )
    gamma: float = Field(0.5, gt=0, lt=1, description="factor of the learning rate at each milestone")
    warmup: StepsOrShare = Field(
        0,
        description="steps, or below 1 a share of the stage, over which the learning rate of the schedule rises linearly",
    )
    optimiser: Literal["adam", "adamw"] = Field("adam", description="adamw: Adam with decoupled weight decay")
    weight_decay: NonNegative | None = Field(None, description="of adamw, on every trained parameter; none: 0.01")
    betas: Annotated[tuple[Fraction01, Fraction01], Field(strict=False)] = Field(
        (0.9, 0.999), description="Adam's betas"
    )
    eps: Positive = Field(1e-8, description="Adam's epsilon")
    clip_norm: Positive | None = Field(None, description="largest L2 norm of the gradient of each network; none: any")
    clip_value: Positive | None = Field(None, description="largest magnitude of each entry of a gradient; none: any")
    ema: Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)] = Field(
        0.0, description="decay of an exponential moving average of P's weights, such as 0.999; 0: none"
    )
    score_ema: bool = Field(
        True, description="the averaged weights are validated, scored and continued; otherwise those of the last step"
    )
    loss: str = Field(
        "l1",
        description='primary loss, of P against HR: losses with weights, "l1+0.05*fft" or {"l1": 1, "fft": 0.05}; '
        "`list losses` names them",
    )
    lam: NonNegative = Field(0.1, description="λ, weight of the dual regression loss")
    unpaired_lam: NonNegative | None = Field(
        None, description="weight of the dual regression loss of unpaired images; none: `lam`, as for pairs"
    )
    rho: Fraction01 = Field(0.0, description="ρ, share of unpaired LR images in a batch")
    dual: Dual = Field(
        "chain",
        description="D: level and chain: a network for each 2x level, of an unpaired image D0 only or all in a row; single: "
        "one network s -> 1; linear: one learned strided kernel; known: the kernel of the images' degradation; estimated: the "
        "kernel that a stage of scheme kernelgan before this one estimated",
    )
    unpaired_dual: Dual | None = Field(
        None, description="D of unpaired images, their own; none: as `dual` and `dual_of`"
    )
    dual_kernel: str | None = Field(None, description="kernel of a known D; none: that of `data`")
    unpaired_dual_kernel: str | None = Field(
        None, description="kernel of a known D of unpaired images; none: that of `unpaired`, an oracle"
    )
    dual_border: int = Field(0, ge=0, description="LR pixels at each edge of a patch that the dual loss leaves out")
    dual_feats: int | None = Field(
        None,
        ge=1,
        description="channels of the dual networks; none: the model's n_feats for level and chain, 16 for single",
    )
    dual_of: Literal["shared", "own"] = Field(
        "shared", description="one D for pairs and unpaired images, or a D of its own for the unpaired domain"
    )
    dual_frozen: bool = Field(False, description="D is not trained, only the P before it")
    unpaired_dual_frozen: bool | None = Field(
        None, description="the own D of unpaired images is not trained; none: as `dual_frozen`"
    )
    dual_weights: str | None = Field(None, description="file of D's initial weights: the authors' or a checkpoint.pt")
    unpaired_dual_weights: str | None = Field(
        None, description="file of the initial weights of the own D of unpaired images; none: as `dual_weights`"
    )
    hr_lam: NonNegative = Field(0.0, description="weight of the HR-domain constraint y -> D -> P -> y")
    aux: NonNegative = Field(1.0, description="weight of the outputs below the SR image in the primary loss")
    weights: str | None = Field(None, description="file of initial weights: the authors' or a checkpoint.pt")
    options: dict[str, Scalar] = Field(default_factory=dict, description="further settings of the scheme")
    augment: bool = Field(True, description="flips and transposition, each with probability 1/2")
    holdout: int = Field(1, ge=0, description="training images held out for validation: the last ones of the source")
    validations: int = Field(
        8, ge=0, description="validations on the held-out images, evenly spaced, the last at the end"
    )
    precision: Literal["fp32", "tf32", "bf16"] = Field(
        "fp32",
        description="bf16: autocast of the networks, fp32 weights and losses; tf32: fp32 whose products an NVIDIA GPU rounds to "
        "19 bits, the same as fp32 elsewhere",
    )
    channels_last: bool = Field(
        False,
        description="networks with channels last in memory: faster on many processors and GPUs, with other last bits",
    )
    compile: bool = Field(
        False,
        description="P (on a GPU: its blocks) compiled by torch.compile, once for each shape of batch: other last bits; needs a C++ "
        "compiler",
    )
    recompute: bool = Field(
        False,
        description="activation checkpointing: blocks of P are computed again in the backward pass; less memory, more time, "
        "the same numbers",
    )
    threads: int = Field(1, ge=1, description="CPU threads: they change the numbers, 1 and 2 give different weights")
    deterministic: bool = Field(True, description="deterministic algorithms only")

    def __init__(self, name: str, **fields: Any) -> None:
        super().__init__(**{"name": name, **fields})

    @property
    def effective_weight_decay(self) -> float:
        """The weight decay: 0 with Adam."""
        return 0.0 if self.optimiser == "adam" else 0.01 if self.weight_decay is None else self.weight_decay

    @field_validator("name")
    @classmethod
    def _not_a_field(cls, name: str) -> str:
        if name in {"method", "model", "scale", "stages", "evaluate", "protocol", "test_time", "seed", "seeds"}:
            raise ValueError(f"a stage cannot be called {name!r}: override paths use that word")
        return name

    @field_validator("loss", mode="before")
    @classmethod
    def _as_text(cls, loss: Any) -> str:
        return loss_text(loss_terms(loss))


class Evaluate(Frozen):
    """One test set under one degradation, and the metrics on it."""

    source: str = Field(min_length=1, description="test images: a name or a folder, as in Data")
    kernel: str | Annotated[tuple[str, ...], Field(strict=False, min_length=1)] = Field(
        "bicubic",
        description="degradation that makes the LR inputs; real: the images are LR; several, or a set such as gaussian8: a row "
        "each and their mean",
    )
    metrics: Annotated[tuple[str, ...], Field(strict=False)] = Field(("psnr_y", "ssim_y"), description="metric names")
    crop: int | None = Field(None, ge=1, description="use only a central HR square of this many pixels at most")
    count: int | None = Field(None, ge=1, description="score only the first images, this many")
    lr: str | None = Field(
        None, description="ready-made LR images, matched by name; `kernel` is the degradation that made them"
    )

    def __init__(self, source: str, **fields: Any) -> None:
        super().__init__(**{"source": source, **fields})

    def each(self, scale: int) -> tuple[Evaluate, ...]:
        """Return an evaluation for each kernel, in order.

        Raises:
            UsageError: its set of kernels is not defined at the scale.
        """
        kernels = kernels_of(self.kernel, scale)
        return (self,) if kernels == (self.kernel,) else tuple(self.model_copy(update={"kernel": k}) for k in kernels)

    @field_validator("metrics")
    @classmethod
    def _at_least_one(cls, metrics: tuple[str, ...]) -> tuple[str, ...]:
        if not metrics or len(set(metrics)) != len(metrics):
            raise ValueError("name at least one metric, each once")
        return metrics


class Trial(Frozen):
    """One complete configuration with its seed: stages, then evaluations."""

    method: str = Field("drn", description="name in the registry: a model and its default training scheme")
    model: dict[str, Scalar] = Field(default_factory=dict, description="sizes of the model, such as n_blocks, n_feats")
    scale: int = Field(4, ge=1, description="HR size over LR size")
    stages: Annotated[tuple[Stage, ...], Field(strict=False)] = Field((), description="training phases, in order")
    evaluate: Annotated[tuple[Evaluate, ...], Field(strict=False)] = Field(description="test sets, scored afterwards")
    protocol: Protocol = Field(default_factory=Protocol, description="scoring protocol")
    test_time: str | None = Field(
        None,
        description="adaptation of the trained network to each test image when it is scored, such as srtta or "
        "srtta:types=blur; none: the method's own",
    )
    seed: int = Field(0, ge=0, description="of initialisation and sampling")

    @model_validator(mode="after")
    def _names_differ(self) -> Trial:
        names = [stage.name for stage in self.stages]
        if len(set(names)) != len(names):
            raise ValueError(f"two stages share a name: {', '.join(names)}")
        if not self.evaluate:
            raise ValueError("a trial without an evaluation measures nothing: add evaluate=[Evaluate(...)]")
        return self
