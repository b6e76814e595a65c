"""Base class of kernels, and the kernels that are not blurs: bicubic, nearest, real.

Every kernel states its phase: the position of an LR pixel in its scale x scale cell of HR pixels. With 0-based HR
coordinates the centre of the first cell is (scale - 1) / 2; a kernel whose LR pixels lie there is
*phase-aligned* with bicubic. Different phases in training and test cost several dB (3 dB between the
two of nearest at x4).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple, NoReturn

from pydantic import BaseModel, ConfigDict, Field, field_validator

from drnbench.degradations import kernels
from drnbench.degradations.camera import add_noise, through_jpeg
from drnbench.degradations.resize import Border, downsample, round_half_up
from drnbench.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

LATER = ("noise", "jpeg")
"""Fields of every kernel that were added when results existed already: they enter a hash only where they are set."""


class Taps(NamedTuple):
    """The weights of the HR pixels in one LR pixel.

    Attributes:
        weights: float64, rows x columns; sum 1.
        first: the HR row and column of `weights[0, 0]`, counted from the first pixel of the LR pixel's cell.
    """

    weights: Tensor
    first: tuple[int, int]


class Kernel(BaseModel):
    """Base of all kernels: parameters as described fields, `make` to degrade, `taps` for the weights of a linear kernel.

    Attributes:
        name: in the registry and in specs.
        summary: one line for `list`.
        later: fields that were added when results existed already, beside those of `LATER`: they enter a hash only where
            they differ from their defaults.
        real: the images are LR already: there is no HR, and nothing to degrade.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    name: ClassVar[str]
    summary: ClassVar[str]
    later: ClassVar[tuple[str, ...]] = ()
    real: ClassVar[bool] = False
    noise: Annotated[float, Field(ge=0, le=255, allow_inf_nan=False)] | None = Field(
        None,
        description="standard deviation in gray levels of Gaussian noise added to the LR image, then rounded and "
        "clipped; drawn for each image by its seed; none or 0: no noise",
    )
    jpeg: Annotated[int, Field(ge=1, le=100)] | None = Field(
        None,
        description="quality 1..100 of JPEG coding of the LR image, after the noise; chroma subsampled 4:2:0; "
        "none: not coded",
    )

    @field_validator("noise", mode="after")
    @classmethod
    def _no_noise(cls, value: float | None) -> float | None:
        """Turn 0 into None, so that a sweep that begins at 0 shares its results with the plain kernel."""
        return value or None

    @property
    def packages(self) -> tuple[str, ...]:
        """Distributions beside torch and numpy that compute LR images: of another version, results are stale."""
        return ("pillow",) if self.jpeg is not None else ()

    @property
    def seeded(self) -> bool:
        """True if `degrade` depends on its seed."""
        return self.noise is not None

    def identity(self) -> dict[str, object]:
        """Return the name and every parameter that changes a pixel, defaults included, as they enter a key."""
        fields: dict[str, Any] = self.model_dump(mode="json")
        defaults = {name: type(self).model_fields[name].default for name in (*LATER, *self.later)}
        return {"name": self.name, **{k: v for k, v in fields.items() if k not in defaults or v != defaults[k]}}

    def degrade(self, hr: Tensor, scale: int, seed: int = 0) -> Tensor:
        """Return the LR batch: the kernel, then noise and JPEG where they are set.

        Args:
            hr: N x 3 x H x W, floating point, integers in 0..255; H and W are multiples of `scale`.
            scale: integer of at least 1.
            seed: of the noise; image i of the batch draws by (seed, i), the same on every device.

        Returns:
            N x 3 x H/scale x W/scale of the same dtype and device: integers in 0..255, as an image file has.

        Raises:
            UsageError: a scale below 1, or a size that it does not divide.
        """
        self._check_scale(scale)
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
        lr = self.make_seeded(hr.double(), scale, seed)
        lr = lr if self.noise is None else add_noise(lr, self.noise, seed)
        lr = lr if self.jpeg is None else through_jpeg(lr, self.jpeg)
        return lr.to(hr.dtype)

    def make(self, hr: Tensor, scale: int) -> Tensor:
        """Return integers in 0..255 for a float64 batch of checked size; implemented by each kernel without a seed."""
        raise NotImplementedError

    def make_seeded(self, hr: Tensor, scale: int, seed: int) -> Tensor:  # noqa: ARG002 - for those that draw
        """Return `make`; kernels that draw for each image implement this one: image i draws by (seed, i)."""
        return self.make(hr, scale)

    def taps(self, scale: int) -> Taps:  # noqa: ARG002 - for those that have weights
        """Return the weights of the linear part of `make`; implemented by kernels that have an impulse response."""
        raise UsageError(f"kernel {self.name!r} does not state its weights: it has no impulse")

    def impulse(self, scale: int) -> Tensor:
        """Return the weight of each HR pixel in one LR pixel of the interior, without rounding, noise and JPEG.

        Returns:
            float64 K x K, sum 1. K is even at even scales and odd at odd scales, so that the middle of the window is the
            centre (scale - 1) / 2 of the LR pixel's cell: row and column i are those of the HR pixel at
            i - (K - scale) / 2, counted from the first pixel of the cell, K - scale being even. A kernel that is not
            phase-aligned lies off the middle.

        Raises:
            UsageError: a scale below 1, or a kernel that does not state its weights.
        """
        self._check_scale(scale)
        weights, first = self.taps(scale)
        # Twice the distance from the middle of the cell to the outermost taps: whole numbers at even scales too.
        reach = [scale - 1 - 2 * f for f in first]
        reach += [2 * (f + n - 1) - (scale - 1) for f, n in zip(first, weights.shape, strict=True)]
        side = max(reach) + 1
        top, left = (f + (side - scale) // 2 for f in first)
        window = weights.new_zeros(side, side)
        window[top : top + weights.shape[0], left : left + weights.shape[1]] = weights
        return window

    def _check_scale(self, scale: int) -> None:
        if scale < 1:
            raise UsageError(f"kernel {self.name}: the scale is an integer of at least 1, not {scale}")


@kernels.register("bicubic")
class Bicubic(Kernel):
    """MATLAB's `imresize` on uint8."""

    summary: ClassVar[str] = "MATLAB's imresize on uint8, bit for bit; the field's standard"
    border: Border = Field(
        "symmetric", description="beyond the edge: symmetric (today's MATLAB) or replicate (older; packs of RCAN, RDN)"
    )

    def make(self, hr: Tensor, scale: int) -> Tensor:
        """Shrink with rounding after each pass."""
        return downsample(hr, scale, border=self.border, quantize=True)

    def taps(self, scale: int) -> Taps:
        """Return the cubic of a = -0.5 stretched by the scale, both ways."""
        import torch

        size = 4 * scale - scale % 2  # at odd scales the outermost of 4 s + 1 taps are both 0: less than 2 s away
        x = (torch.arange(size, dtype=torch.float64) - (size - 1) / 2).abs() / scale
        near = 1.5 * x**3 - 2.5 * x**2 + 1
        line = torch.where(x <= 1, near, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2)
        line = line / line.sum()
        first = (scale - size) // 2
        return Taps(line.outer(line), (first, first))


@kernels.register("nearest")
class Nearest(Kernel):
    """One HR pixel of each cell."""

    summary: ClassVar[str] = "every s-th pixel, no filter: strong aliasing"
    offset: Literal["half", "zero"] = Field(
        "half", description="0-based pixel taken in each cell: half = s//2 (MATLAB, PIL), zero = 0 (F.interpolate)"
    )

    def make(self, hr: Tensor, scale: int) -> Tensor:
        """Pick the pixels."""
        offset = self._offset(scale)
        return round_half_up(hr[..., offset::scale, offset::scale])

    def taps(self, scale: int) -> Taps:
        """Return a cell of zeros with a 1 at the pixel that is taken."""
        import torch

        weights = torch.zeros(scale, scale, dtype=torch.float64)
        weights[self._offset(scale), self._offset(scale)] = 1
        return Taps(weights, (0, 0))

    def _offset(self, scale: int) -> int:
        return scale // 2 if self.offset == "half" else 0


@kernels.register("real")
class Real(Kernel):
    """No kernel: the images are those of a camera, at the size that is to be enlarged."""

    summary: ClassVar[str] = (
        "the images are LR already; no HR exists, so nothing is degraded and nothing scored against HR"
    )
    real: ClassVar[bool] = True
    noise: None = Field(None, description="none: the images keep the noise they have")
    jpeg: None = Field(None, description="none: the images keep the coding they have")

    def degrade(self, hr: Tensor, scale: int, seed: int = 0) -> NoReturn:  # noqa: ARG002 - the base's signature
        """Refuse."""
        raise UsageError("images of kernel 'real' are LR already: name another kernel to make LR images of them")
