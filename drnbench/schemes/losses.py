"""Primary losses: distances of P's outputs to HR images, combined with weights by `Stage.loss`.

A new loss is a class derived from `Loss` under `@losses.register("name")`, in this file or in another package through the
entry-point group `drnbench.losses`. Its fields are parameters of its spec: `charbonnier:eps=0.5`. A plan reads names and
parameters alone, so PyTorch is imported inside the functions that compute.
"""

from __future__ import annotations

from abc import abstractmethod
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

from pydantic import Field

from drnbench.config.loss import loss_terms
from drnbench.config.overrides import from_spec
from drnbench.config.trial import Frozen, Positive
from drnbench.errors import UsageError
from drnbench.models import HALF_RANGE, on_demand
from drnbench.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor

losses: Registry[type[Loss]] = Registry("loss", home=("drnbench.schemes.losses",), group="drnbench.losses")


class Loss(Frozen):
    """Base of all losses; the fields of a subclass are its parameters.

    Attributes:
        name: in the registry and in specs.
        summary: one line for `list`.
        version: raised when the same images would get another value; it enters the keys of stages.
        smallest: side in pixels of the smallest patch that the loss can be computed of.
        on_auxiliary: the loss is computed at the outputs below the SR image, too.
        packages: distributions beside torch and numpy that compute it: of another version, stages are stale.

    """

    name: ClassVar[str]
    summary: ClassVar[str]
    version: ClassVar[str] = "1"
    smallest: ClassVar[int] = 1
    on_auxiliary: ClassVar[bool] = True
    packages: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def check_available(cls) -> None:
        """Check, before any work, that the loss can be computed on this machine.

        Raises:
            UsageError: a package or a file of weights is missing or cannot be read.

        """

    @abstractmethod
    def by_image(self, sr: Tensor, hr: Tensor) -> Tensor:
        """Return the loss of each image: N x 3 x H x W twice, float32 in 0..255 -> N."""


class Term(NamedTuple):
    """A loss in a weighted sum; `spec` as the stage gives it."""

    spec: str
    loss: Loss
    weight: float


def parse(spec: str) -> Loss:
    """Return the loss that `name` or `name:parameter=value,...` describes.

    >>> parse("charbonnier:eps=0.5").eps
    0.5

    Raises:
        UsageError: an unknown name or parameter, or a bad value.

    """
    return from_spec(losses, spec)


def terms(loss: str) -> tuple[Term, ...]:
    """Return the losses of a stage in the order in which they are added, which does not depend on how they are written.

    Raises:
        UsageError: as `parse`, or a loss that is given twice.

    """
    parsed = [Term(spec, parse(spec), weight) for spec, weight in loss_terms(loss).items() if weight]
    ordered = sorted(parsed, key=lambda term: (term.loss.name, term.loss.model_dump_json()))
    for before, term in pairwise(ordered):
        if before.loss == term.loss:
            raise UsageError(f"{before.spec!r} and {term.spec!r} are the same loss: add up their weights")
    return tuple(ordered)


def check(loss: str, where: str, patch: int) -> None:
    """Refuse losses that do not exist, and patches that are too small for them.

    Raises:
        UsageError: with one line that begins with `where`.

    """
    try:
        used = terms(loss)
    except UsageError as error:
        raise UsageError(f"{where}.loss: {error}") from error
    for term in used:
        if patch < term.loss.smallest:
            raise UsageError(
                f"{where}.patch: the loss {term.spec!r} needs patches of {term.loss.smallest} HR pixels, not {patch}"
            )


def check_available(loss: str, where: str) -> None:
    """Check, before any work, that a primary loss can be computed on this machine.

    Raises:
        UsageError: with one line that begins with `where`.

    """
    try:
        for term in terms(loss):
            term.loss.check_available()
    except UsageError as error:
        raise UsageError(f"{where}.loss: {error}") from error


def content(loss: str) -> list[dict[str, object]]:
    """Return what of a primary loss enters a key: name, version, weight and every parameter of each term."""
    return [
        {"name": term.loss.name, "version": term.loss.version, "weight": term.weight, **term.loss.model_dump()}
        for term in terms(loss)
    ]


@losses.register("l1")
class L1(Loss):
    """Mean absolute error, the loss of EDSR, RCAN and DRN."""

    summary: ClassVar[str] = "mean absolute error, gray levels; the default"

    def by_image(self, sr: Tensor, hr: Tensor) -> Tensor:
        """See `Loss.by_image`."""
        return on_demand.drn.mean((sr - hr).abs(), (1, 2, 3))


@losses.register("l2")
class L2(Loss):
    """Mean squared error (MSE), which PSNR measures."""

    summary: ClassVar[str] = "mean squared error (MSE), squared gray levels"

    def by_image(self, sr: Tensor, hr: Tensor) -> Tensor:
        """See `Loss.by_image`."""
        return (sr - hr).square().mean((1, 2, 3))


@losses.register("charbonnier")
class Charbonnier(Loss):
    """Mean of sqrt(d^2 + eps^2), a differentiable L1 (Lai et al., CVPR 2017: eps = 1e-3 of images in [0, 1])."""

    summary: ClassVar[str] = "mean of sqrt(d^2 + eps^2), a smooth L1, gray levels"
    eps: Positive = Field(0.255, description="gray levels; 0.255 is 1e-3 of the range")

    def by_image(self, sr: Tensor, hr: Tensor) -> Tensor:
        """See `Loss.by_image`."""
        return ((sr - hr).square() + self.eps**2).sqrt().mean((1, 2, 3))


@losses.register("fft")
class Frequency(Loss):
    """L1 of the real and imaginary parts of the 2-D Fourier transforms of each colour, over all frequencies.

    With `norm` = "backward", PyTorch's default, the transform is a plain sum over pixels, as published weights such as
    0.1 (MIMO-UNet) and 0.05 (SAFMN) take it: the loss grows with the side of the patch. With "ortho", divided by the root
    of the number of pixels, it does not depend on it.
    """

    summary: ClassVar[str] = "L1 of the Fourier transforms (real and imaginary parts); norm=backward or ortho"
    norm: Literal["backward", "ortho"] = Field(
        "backward", description="backward: not normalised; ortho: divided by the root of the number of pixels"
    )

    def by_image(self, sr: Tensor, hr: Tensor) -> Tensor:
        """See `Loss.by_image`."""
        import torch

        difference: Tensor = torch.fft.fft2(sr - hr, norm=self.norm)
        return torch.view_as_real(difference).abs().mean((1, 2, 3, 4))


@losses.register("lpips")
class Perceptual(Loss):
    """LPIPS 0.1 with AlexNet (Zhang et al., CVPR 2018) of the SR image alone, not clipped.

    It has no unit and lies mostly below 1, whereas L1 is in gray levels: a weight for images in [0, 1] is here 255 times
    as large beside L1.
    """

    summary: ClassVar[str] = "LPIPS 0.1 (AlexNet) of the SR image; needs `data fetch alexnet`"
    smallest: ClassVar[int] = 31
    on_auxiliary: ClassVar[bool] = False
    packages: ClassVar[tuple[str, ...]] = ("lpips", "torchvision")

    @classmethod
    def check_available(cls) -> None:
        """See `Loss.check_available`."""
        on_demand.perceptual.network(on_demand.perceptual.ALEX)

    def by_image(self, sr: Tensor, hr: Tensor) -> Tensor:
        """See `Loss.by_image`."""
        trunk, device = on_demand.perceptual.ALEX, sr.device
        distance: Tensor = on_demand.perceptual.differentiable(trunk, device)(sr / HALF_RANGE - 1, hr / HALF_RANGE - 1)
        return distance
