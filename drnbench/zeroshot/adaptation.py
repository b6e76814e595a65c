"""Test-time adaptation: a trained network is adapted to each test image when it is scored, `Trial.test_time`.

An adaptation is a class derived from `Adaptation` under `@adaptations.register("name")`; its fields are parameters of its
spec: `srtta:types=blur,steps=20`. A plan reads names and parameters alone, so PyTorch is imported by what computes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, field_validator

from drnbench.config.overrides import from_spec
from drnbench.config.trial import Fraction01, Frozen, NonNegative, Positive
from drnbench.degradations.kernel import Kernel
from drnbench.errors import UsageError, nearest
from drnbench.registry import Registry
from drnbench.zeroshot import on_demand
from drnbench.zeroshot.oracle import GIVEN

if TYPE_CHECKING:
    from torch import Tensor, nn

    from drnbench.zeroshot.base import ZeroShot

adaptations: Registry[type[Adaptation]] = Registry("test-time adaptation", home=("drnbench.zeroshot.adaptation",))

TYPES = ("blur", "noise", "jpeg")
"""Types of degradation, in the order in which they are applied."""
UNBLURRED = ("bicubic", "nearest")
"""Kernels whose LR images count as clean: without blur beyond that of resizing."""


class Adaptation(Frozen, ABC):
    """Base of all adaptations; the fields of a subclass are its parameters.

    Attributes:
        name: in the registry and in specs.
        summary: one line.
        steps: optimiser steps an image.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    steps: int = Field(10, ge=1, description="optimiser steps an image")

    @property
    def clean_source(self) -> str | None:
        """The source of clean images that the adaptation reads; None: it reads none."""
        return None

    def content(self) -> dict[str, Any]:
        """Return name and parameters as they enter a key; the content of clean images stands for their source."""
        return {"name": self.name, **self.model_dump(exclude={"clean"})}

    @abstractmethod
    def check(self, kernel: Kernel) -> None:
        """Refuse a degradation of a test set that the adaptation cannot work with.

        Raises:
            UsageError: which, and what to choose instead.
        """

    @abstractmethod
    def wrap(self, network: nn.Module, scale: int, clean: Callable[[], Sequence[Tensor]]) -> ZeroShot:
        """Return the method that adapts a trained network.

        Args:
            network: with the weights that every adaptation starts from.
            scale: HR size over LR size.
            clean: returns clean LR images, 1 x 3 x H x W in 0..255; called once, when an image is fitted.
        """


@adaptations.register("srtta")
class SRTTA(Adaptation):
    """Settings of `drnbench.zeroshot.srtta.SRTTA`; the defaults are those of its authors, but for the types of degradation."""

    summary: ClassVar[str] = "SRTTA (Deng et al., NeurIPS 2023): second-order degradation of the test image"
    lr: Positive = Field(5e-5, description="learning rate (Adam)")
    types: str = Field(
        GIVEN,
        description="degradation of the LR images: given (from the kernel of the test set, an oracle), or of blur, noise and "
        "jpeg one or several with +",
    )
    teacher: NonNegative = Field(1.0, description="weight of the distance from the features of the unadapted network")
    preserve: Fraction01 = Field(0.5, description="share of each layer's weights that is kept, by Fisher information")
    clean: str = Field("photos/train", description="source of the clean images that the Fisher information is of")
    batch: int = Field(32, ge=1, description="patches in a batch")
    patch: int = Field(64, ge=1, description="side of a patch in LR pixels")

    @field_validator("types")
    @classmethod
    def _known_types(cls, types: str) -> str:
        names = [name.strip() for name in types.split("+")]
        if names == [GIVEN]:
            return GIVEN
        for name in names:
            if name not in TYPES:
                raise ValueError(f"there is no type {name!r}: {nearest(name, (GIVEN, *TYPES))}")
        return "+".join(name for name in TYPES if name in names)

    @property
    def clean_source(self) -> str | None:
        """See `Adaptation.clean_source`."""
        return self.clean if self.preserve else None

    def check(self, kernel: Kernel) -> None:
        """Refuse images of a camera, whose degradation nobody can give."""
        if self.types == GIVEN and kernel.real:
            raise UsageError(
                f"srtta with types={GIVEN}: the degradation of 'real' images is not known; choose types=blur, noise, jpeg, "
                "or several as in types=blur+noise"
            )

    def types_of(self, kernel: Kernel) -> tuple[str, ...]:
        """Return the types of degradation of LR images that a kernel made, in the order of `TYPES`; empty for clean ones."""
        self.check(kernel)
        if self.types != GIVEN:
            return tuple(self.types.split("+"))
        if kernel.name == "second-order":
            return TYPES
        present = (kernel.name not in UNBLURRED, kernel.noise is not None, kernel.jpeg is not None)
        return tuple(name for name, is_present in zip(TYPES, present, strict=True) if is_present)

    def wrap(self, network: nn.Module, scale: int, clean: Callable[[], Sequence[Tensor]]) -> ZeroShot:
        """See `Adaptation.wrap`."""
        method: ZeroShot = on_demand.srtta.SRTTA(network, scale, self, clean)
        return method


def parse(spec: str) -> Adaptation:
    """Return the adaptation that `name` or `name:parameter=value,...` describes.

    >>> parse("srtta:types=noise+blur").types
    'blur+noise'

    Raises:
        UsageError: an unknown name or parameter, or a bad value.
    """
    return from_spec(adaptations, spec)
