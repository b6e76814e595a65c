"""The built-in kernels: what turns an HR image into an LR image.

Every kernel states its phase: where in the scale x scale cell of HR pixels an LR pixel lies. With 0-based HR
coordinates the centre of the first cell is (scale - 1) / 2; a kernel whose LR pixels lie there is
*phase-aligned* with bicubic. A phase that training and test do not share costs several dB (3 dB between the
two of nearest at x4).
"""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from drnbench.degradations import kernels
from drnbench.degradations.resize import Border, border_indices, downsample, round_half_up
from drnbench.errors import UsageError

Sigma = Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)]


class Kernel(BaseModel):
    """Base of all kernels: parameters as described fields, `make` for the work.

    Attributes:
        name: what the registry calls it.
        summary: one line for `list`.

    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    name: ClassVar[str]
    summary: ClassVar[str]

    def degrade(self, hr: Tensor, scale: int) -> Tensor:
        """Return the LR batch.

        Args:
            hr: N x 3 x H x W, floating point, integers in 0..255; H and W are multiples of `scale`.
            scale: integer of at least 1.

        Returns:
            N x 3 x H/scale x W/scale of the same dtype and device: integers in 0..255, as an image file has.

        Raises:
            UsageError: a scale below 1, or a size that it does not divide.

        """
        if scale < 1:
            raise UsageError(f"kernel {self.name}: the scale is an integer of at least 1, not {scale}")
        if hr.ndim != 4 or not hr.is_floating_point():
            raise UsageError(
                f"kernel {self.name}: HR is a floating-point N x 3 x H x W, not {hr.dtype} {tuple(hr.shape)}"
            )
        height, width = hr.shape[-2:]
        if not height or not width or height % scale or width % scale:
            raise UsageError(
                f"kernel {self.name}: an HR image of {height} x {width} pixels is not a multiple of scale "
                f"{scale}: crop it first"
            )
        # float64 on every device: a level that flips with the hardware would make LR sets differ.
        return self.make(hr.double(), scale).to(hr.dtype)

    def make(self, hr: Tensor, scale: int) -> Tensor:
        """Return integers in 0..255 for a float64 batch of checked size; what a new kernel implements."""
        raise NotImplementedError


@kernels.register("bicubic")
class Bicubic(Kernel):
    """MATLAB's `imresize` on uint8."""

    name: ClassVar[str] = "bicubic"
    summary: ClassVar[str] = "MATLAB's imresize on uint8, bit for bit; the field's standard"
    border: Border = Field(
        "symmetric",
        description="beyond the edge: symmetric (today's MATLAB) or replicate (older; packs of RCAN, RDN)",
    )

    def make(self, hr: Tensor, scale: int) -> Tensor:
        """Shrink with rounding after each pass."""
        return downsample(hr, scale, border=self.border, quantize=True)


@kernels.register("nearest")
class Nearest(Kernel):
    """One HR pixel of each cell."""

    name: ClassVar[str] = "nearest"
    summary: ClassVar[str] = "every s-th pixel, no filter: strong aliasing"
    offset: Literal["half", "zero"] = Field(
        "half",
        description="0-based pixel taken in each cell: half = s//2 (MATLAB, PIL), zero = 0 (F.interpolate)",
    )

    def make(self, hr: Tensor, scale: int) -> Tensor:
        """Pick the pixels."""
        offset = scale // 2 if self.offset == "half" else 0
        return round_half_up(hr[..., offset::scale, offset::scale])


@kernels.register("bd")
class BlurDown(Kernel):
    """The field's BD: a Gaussian blur stored as uint8, then every s-th pixel."""

    name: ClassVar[str] = "bd"
    summary: ClassVar[str] = (
        "blur-down: Gaussian (sigma 1.6; 7x7 at odd, 12x12 at even factors), uint8, every s-th pixel"
    )
    sigma: Sigma = Field(1.6, description="standard deviation of the Gaussian in HR pixels")
    size: Annotated[int, Field(ge=1, le=1001)] | None = Field(
        None,
        description="side of the kernel in HR pixels; none: 7 at odd factors, 12 at even ones; an even size "
        "at an odd factor, or the reverse, moves the phase by half an HR pixel",
    )

    def make(self, hr: Tensor, scale: int) -> Tensor:
        """Blur, edges replicated, and sample at 0-based offset (s-1)/2 at odd and s/2 - 1 at even factors."""
        size = self.size or (7 if scale % 2 else 12)
        taps = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
        # MATLAB's imfilter puts the origin of a kernel at (size-1)//2, so an even kernel is centred half a
        # pixel after the output pixel: 12 taps at offset s/2 - 1 are centred at s/2 - 1/2 = (s-1)/2, and so
        # are 7 taps at an odd factor. That is why the odd-looking offset is right: both are phase-aligned
        # with bicubic.
        first = (scale - 1) // 2 - (size - 1) // 2
        # Rounding is element-wise, so blurring only where a pixel is kept gives the levels of blurring the
        # whole image, storing it as uint8 and sampling that.
        return round_half_up(_filter_and_sample(hr, _gaussian(taps, self.sigma), first, scale))


@kernels.register("gaussian")
class Gaussian(Kernel):
    """An isotropic Gaussian centred on each LR pixel, phase-aligned with bicubic at every scale."""

    name: ClassVar[str] = "gaussian"
    summary: ClassVar[str] = "isotropic Gaussian of a given sigma, phase-aligned with bicubic at every scale"
    sigma: Sigma = Field(description="standard deviation in HR pixels; required")

    def make(self, hr: Tensor, scale: int) -> Tensor:
        """Sample the continuous Gaussian around (s-1)/2 of each cell, 4 sigma each way, edges replicated.

        The centre lies on a pixel at odd scales and between two at even ones, so the number of taps is odd or
        even with the scale: they are always symmetric about the centre, and cutting the tails moves nothing.
        """
        radius = math.ceil(4 * self.sigma)
        size = 2 * radius + scale % 2
        taps = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
        first = (scale - size) // 2  # exact: size and scale are odd or even together
        return round_half_up(_filter_and_sample(hr, _gaussian(taps, self.sigma), first, scale))


def _gaussian(taps: Tensor, sigma: float) -> Tensor:
    """Return weights that sum to 1; softmax, since exp underflows to 0/0 for a small sigma between pixels."""
    return torch.softmax(-0.5 * (taps / sigma) ** 2, dim=0)


def _filter_and_sample(x: Tensor, weights: Tensor, first: int, scale: int) -> Tensor:
    """Return y[i, j] = sum over k, l of w[k] w[l] x[i scale + first + k, j scale + first + l]."""
    batch, channels = x.shape[:2]
    out = x.flatten(0, 1).unsqueeze(1)
    for axis in (2, 3):
        size = x.shape[axis]
        after = (size // scale - 1) * scale + first + len(weights) - size
        # A negative `before` or `after` crops: a kernel shorter than its offset reads nothing there.
        out = out.index_select(axis, border_indices(size, -first, after, "replicate").to(x.device))
        shape, stride = ([-1, 1], [scale, 1]) if axis == 2 else ([1, -1], [1, scale])
        out = torch.conv2d(out, weights.to(x.device).view(1, 1, *shape), stride=stride)
    return out.view(batch, channels, *out.shape[2:])
