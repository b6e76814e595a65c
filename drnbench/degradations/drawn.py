"""A random blur kernel for each image, by its seed: the distribution of DIV2KRK."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from drnbench.degradations import kernels
from drnbench.degradations.blur import sample
from drnbench.degradations.kernel import Kernel, Taps
from drnbench.degradations.resize import Extension, round_half_up

if TYPE_CHECKING:
    from torch import Tensor

KERNEL = 1
"""Purpose of the draws, beside those of the noise (0)."""
Variance = Annotated[float, Field(gt=0, le=625, allow_inf_nan=False)]


def generator(seed: int, image: int, purpose: int, own_seed: int = 0) -> np.random.Generator:
    """Return the draws for an image of a batch: a function of the arguments alone.

    Args:
        seed: of the image; any integer, counts modulo 2^64.
        image: number in the batch.
        purpose: of the draws.
        own_seed: of the kernel's spec.
    """
    key = np.array([seed % 2**64, image], np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=np.array([0, 0, own_seed, purpose], np.uint64)))


@kernels.register("random")
class Random(Kernel):
    """An anisotropic Gaussian of random widths and angle for each image, each weight scaled at random.

    As in Bell-Kligler et al. (NeurIPS 2019), whose code draws variances uniformly in 0.175 s to min(2.5 s, 10), an angle
    in 0 to pi, and a factor in 0.75 to 1.25 for each weight, and aligns the centre of mass with (s-1)/2 of the cell. Theirs
    shifts the finished array by a cubic spline; here the Gaussian is moved under the factors until its centre of mass lies
    there, so no weight is negative.
    """

    summary: ClassVar[str] = "a random anisotropic Gaussian for each image, by its seed: DIV2KRK's distribution"
    size: Annotated[int, Field(ge=3, le=101)] | None = Field(
        None, description="side of the kernel in HR pixels; none: 10 s - 9 (11 at x2, 31 at x4), at least 3"
    )
    low: Variance | None = Field(None, description="smallest variance in HR pixels squared; none: 0.175 s")
    high: Variance | None = Field(None, description="largest variance; none: 2.5 s, at most 10")
    jitter: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.25, description="each weight is scaled by 1 - jitter to 1 + jitter"
    )
    seed: Annotated[int, Field(ge=0, le=2**31)] = Field(0, description="another seed gives every image another kernel")
    border: Extension = Field("symmetric", description="beyond the edge: symmetric, replicate, reflect or wrap")

    @model_validator(mode="after")
    def _range(self) -> Self:
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"low={self.low:g} is above high={self.high:g}")
        return self

    @property
    def seeded(self) -> bool:
        """True: the kernel is drawn by the image's seed."""
        return True

    def drawn(self, scale: int, seed: int, image: int = 0) -> Taps:
        """Return the kernel of an image.

        Args:
            scale: HR pixels in a cell.
            seed: of the image, as in `degrade`.
            image: number in the batch.
        """
        import torch

        draws = generator(seed, image, KERNEL, self.seed)
        low, high = self.low or 0.175 * scale, self.high or min(2.5 * scale, 10.0)
        if high < low:  # one bound is given, and lies beyond the other's default
            low, high = (self.low, self.low) if self.low is not None else (high, high)
        variances = draws.uniform(low, high, 2)
        angle = draws.uniform(0, math.pi)
        size = self.size or max(10 * scale - 9, 3)
        factors = draws.uniform(1 - self.jitter, 1 + self.jitter, (size, size))
        first = -(size // 2)
        return Taps(torch.from_numpy(_centred(variances, angle, factors, (scale - 1) / 2 - first)), (first, first))

    def make_seeded(self, hr: Tensor, scale: int, seed: int) -> Tensor:
        """Blur each image by its kernel at the position of each LR pixel; round half up and clip."""
        import torch

        images = [sample(hr[i : i + 1], self.drawn(scale, seed, i), scale, self.border) for i in range(len(hr))]
        return round_half_up(torch.cat(images)) if images else hr[..., ::scale, ::scale]


def _centred(
    variances: NDArray[np.float64], angle: float, factors: NDArray[np.float64], centre: float
) -> NDArray[np.float64]:
    """Return K x K weights of sum 1 whose centre of mass is (centre, centre), counted from the first pixel."""
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    inverse = turn @ np.diag(1 / variances) @ turn.T
    pixels = np.arange(len(factors), dtype=np.float64)
    mean = np.array([centre, centre])
    for _ in range(100):  # halves the distance at least; ends at rounding
        down, right = pixels[:, None] - mean[0], pixels[None, :] - mean[1]
        exponent = inverse[0, 0] * down**2 + 2 * inverse[0, 1] * down * right + inverse[1, 1] * right**2
        weights = factors * np.exp(-0.5 * (exponent - exponent.min()))
        weights /= weights.sum()
        shift = centre - np.array([weights.sum(1) @ pixels, weights.sum(0) @ pixels])
        mean = mean + shift
        if np.abs(shift).max() < 1e-12:
            break
    return np.asarray(weights, dtype=np.float64)
