"""Kernels that are a weighted mean of HR pixels, rounded once: isotropic and anisotropic Gaussians, and BD."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from drnbench.degradations import kernels
from drnbench.degradations.kernel import Bicubic, Kernel, Taps
from drnbench.degradations.resize import Extension, border_indices, downsample, round_half_up

if TYPE_CHECKING:
    from torch import Tensor

Sigma = Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)]
# The work of a kernel that is not separable grows with the square of its size.
Axis = Annotated[float, Field(gt=0, le=25, allow_inf_nan=False)]


BLOCK = 16384
"""LR pixels that are summed at a time on a CPU: 128 KiB."""


Then = Literal["sample", "bicubic"]
"""How a blurred image shrinks: every s-th pixel, or MATLAB's bicubic, neither rounded in between."""


class Filter(Kernel):
    """A kernel of weights, used alone or before bicubic."""

    later: ClassVar[tuple[str, ...]] = ("border", "then")
    border: Extension = Field(
        "replicate",
        description="beyond the edge: replicate (SciPy: nearest), symmetric (SciPy: reflect), reflect (SciPy: mirror), "
        "wrap (SciPy: grid-wrap)",
    )
    then: Then = Field(
        "sample",
        description="after the blur: sample (one pixel of each cell) or bicubic (as the kernel bicubic shrinks, not "
        "rounded in between; the blur is then centred on each HR pixel)",
    )

    def weights(self, scale: int) -> Taps:
        """Return the weights of the HR pixels that are blurred into the LR pixel of a cell; at scale 1, into a pixel.

        Raises:
            UsageError: weights that cannot be made.
        """
        raise NotImplementedError

    def blur(self, hr: Tensor, scale: int) -> Tensor:
        """Return float64 means by `weights` at the LR pixels of a scale, not rounded."""
        return sample(hr, self.weights(scale), scale, self.border)

    def make(self, hr: Tensor, scale: int) -> Tensor:
        """Blur at the position of each LR pixel, or everywhere before bicubic; round half up and clip once."""
        if self.then == "bicubic":
            return round_half_up(downsample(self.blur(hr, 1), scale))
        return round_half_up(self.blur(hr, scale))

    def taps(self, scale: int) -> Taps:
        """Return the weights of an LR pixel; before bicubic, the blur convolved with bicubic's weights."""
        return chained(self.weights(1), Bicubic().taps(scale)) if self.then == "bicubic" else self.weights(scale)


class Separable(Kernel):
    """A separable blur: the product of a line of weights across and the same line down."""

    def line(self, scale: int) -> tuple[Tensor, int]:
        """Return float64 weights of sum 1, and the HR pixel of the first weight, counted from the first of the cell."""
        raise NotImplementedError

    def make(self, hr: Tensor, scale: int) -> Tensor:
        """Blur at the position of each LR pixel, edges replicated, and round.

        Rounding is element-wise, so the levels equal those of blurring the whole image, storing it as uint8 and sampling
        that.
        """
        weights, first = self.line(scale)
        return round_half_up(sample_line(hr, weights, first, scale))

    def taps(self, scale: int) -> Taps:
        """Return the product."""
        weights, first = self.line(scale)
        return Taps(weights.outer(weights), (first, first))


@kernels.register("bd")
class BlurDown(Separable):
    """The field's BD: a Gaussian blur stored as uint8, then every s-th pixel."""

    summary: ClassVar[str] = (
        "blur-down: Gaussian (sigma 1.6; 7x7 at odd, 12x12 at even factors), uint8, every s-th pixel"
    )
    sigma: Sigma = Field(1.6, description="standard deviation of the Gaussian in HR pixels")
    size: Annotated[int, Field(ge=1, le=1001)] | None = Field(
        None,
        description="side of the kernel in HR pixels; none: 7 at odd factors, 12 at even ones; an even size "
        "at an odd factor, or the reverse, moves the phase by half an HR pixel",
    )

    def line(self, scale: int) -> tuple[Tensor, int]:
        """Sample at 0-based offset (s-1)/2 at odd and s/2 - 1 at even factors."""
        size = self.size or (7 if scale % 2 else 12)
        # MATLAB's imfilter puts the origin of a kernel at (size-1)//2, so an even kernel is centred half a
        # pixel after the output pixel: 12 taps at offset s/2 - 1 are centred at s/2 - 1/2 = (s-1)/2, and so
        # are 7 taps at an odd factor. With this offset both are phase-aligned with bicubic.
        return _gaussian(_positions(size), self.sigma), (scale - 1) // 2 - (size - 1) // 2


class Gauss(Filter):
    """A Gaussian sampled around the LR pixel's position, cut to a square."""

    later: ClassVar[tuple[str, ...]] = (*Filter.later, "size", "phase")
    size: Annotated[int, Field(ge=1, le=201)] | None = Field(
        None, description="side of the kernel in HR pixels; none: at least 4 sigma each way"
    )
    phase: Literal["centre", "zero"] = Field(
        "centre",
        description="position of the LR pixel in its cell of 0-based HR pixels: centre = (s-1)/2 (phase-aligned with "
        "bicubic), zero = 0 (blurred, then [0::s], as MZSR does)",
    )

    @model_validator(mode="after")
    def _phase_of_samples(self) -> Self:
        if self.then == "bicubic" and self.phase == "zero":
            raise ValueError("phase=zero needs then=sample: bicubic shrinks around the centre of each cell")
        return self

    def positions(self, sigma: float, scale: int) -> tuple[Tensor, int]:
        """Return the float64 distances of the HR pixels of a line from the LR pixel, and the first of them.

        Args:
            sigma: the largest standard deviation in HR pixels.
            scale: HR pixels in a cell.
        """
        import torch

        centre = (scale - 1) / 2 if self.phase == "centre" else 0.0
        # Odd or even as the centre lies on a pixel or between two: the taps are symmetric, and cutting does not shift.
        size = self.size or 2 * math.ceil(4 * sigma) + (scale % 2 if self.phase == "centre" else 1)
        first = math.floor(centre - (size - 1) / 2)
        return torch.arange(size, dtype=torch.float64) + (first - centre), first


@kernels.register("gaussian")
class Gaussian(Gauss):
    """An isotropic Gaussian centred on each LR pixel, phase-aligned with bicubic at every scale unless `phase` says otherwise."""

    summary: ClassVar[str] = "isotropic Gaussian of a given sigma, phase-aligned with bicubic at every scale"
    sigma: Sigma = Field(description="standard deviation in HR pixels; required")

    def line(self, scale: int) -> tuple[Tensor, int]:
        """Sample the continuous Gaussian around the LR pixel, 4 sigma each way."""
        positions, first = self.positions(self.sigma, scale)
        return _gaussian(positions, self.sigma), first

    def blur(self, hr: Tensor, scale: int) -> Tensor:
        """Blur rows, then columns."""
        return sample_line(hr, *self.line(scale), scale, self.border)

    def weights(self, scale: int) -> Taps:
        """Return the product of the line with itself."""
        weights, first = self.line(scale)
        return Taps(weights.outer(weights), (first, first))


@kernels.register("anisotropic")
class Anisotropic(Gauss):
    """A Gaussian of two widths in any direction, centred on each LR pixel as `gaussian` is."""

    summary: ClassVar[str] = "Gaussian of two sigmas and an angle, phase-aligned with bicubic at every scale"
    sigma_x: Axis = Field(description="standard deviation along the direction of the angle, in HR pixels; required")
    sigma_y: Axis = Field(description="standard deviation across the direction of the angle, in HR pixels; required")
    angle: Annotated[float, Field(allow_inf_nan=False)] = Field(
        0.0, description="degrees from the x axis (to the right), counter-clockwise as one sees the image"
    )

    def blur(self, hr: Tensor, scale: int) -> Tensor:
        """Blur by all weights at once, or by lines where the sigmas are equal."""
        isotropic = self._isotropic()
        return isotropic.blur(hr, scale) if isotropic else super().blur(hr, scale)

    def weights(self, scale: int) -> Taps:
        """Sample the continuous Gaussian around the LR pixel, 4 of the larger sigma each way."""
        if isotropic := self._isotropic():
            return isotropic.weights(scale)
        positions, first = self.positions(max(self.sigma_x, self.sigma_y), scale)
        right, up = positions[None, :], -positions[:, None]  # rows are counted downwards
        turn = math.radians(self.angle)
        along = right * math.cos(turn) + up * math.sin(turn)
        across = up * math.cos(turn) - right * math.sin(turn)
        exponent = -0.5 * ((along / self.sigma_x) ** 2 + (across / self.sigma_y) ** 2)
        weights = exponent.flatten().softmax(dim=0).view(len(positions), len(positions))
        # Below the precision of float64 beside the largest: most taps of a narrow kernel, and most of its work.
        weights[weights < 1e-17 * weights.max()] = 0
        return Taps(weights, (first, first))

    def _isotropic(self) -> Gaussian | None:
        """Return the isotropic kernel that two equal sigmas make, with exactly the same levels; None otherwise."""
        if self.sigma_x != self.sigma_y:
            return None
        return Gaussian(sigma=self.sigma_x, size=self.size, phase=self.phase, border=self.border, then=self.then)


def _positions(size: int) -> Tensor:
    import torch

    return torch.arange(size, dtype=torch.float64) - (size - 1) / 2


def _gaussian(positions: Tensor, sigma: float) -> Tensor:
    """Return weights that sum to 1; softmax, since exp underflows to 0/0 for a small sigma between pixels."""
    return (-0.5 * (positions / sigma) ** 2).softmax(dim=0)


def chained(blur: Taps, shrink: Taps) -> Taps:
    """Return the weights of a blur of every HR pixel followed by a kernel that shrinks."""
    import torch

    full = [rows - 1 for rows in blur.weights.shape]
    # A correlation of both: the full convolution of their weights.
    weights = torch.conv2d(shrink.weights[None, None], blur.weights.flip(0, 1)[None, None], padding=full)[0, 0]
    return Taps(weights, (shrink.first[0] + blur.first[0], shrink.first[1] + blur.first[1]))


def sample_line(x: Tensor, weights: Tensor, first: int, scale: int, border: Extension = "replicate") -> Tensor:
    """Return y[i, j] = sum over k, l of w[k] w[l] x[i scale + first + k, j scale + first + l].

    Args:
        x: N x C x H x W, float64; H and W are multiples of `scale`.
        weights: K float64.
        first: offset of the first weight, of any sign.
        scale: step between the pixels of the result.
        border: extension of the image beyond its edges.

    Returns:
        N x C x H/scale x W/scale, float64, not rounded.
    """
    import torch

    batch, channels = x.shape[:2]
    out = x.flatten(0, 1).unsqueeze(1)
    for axis in (2, 3):
        size = x.shape[axis]
        after = (size // scale - 1) * scale + first + len(weights) - size
        # A negative `before` or `after` crops: a kernel shorter than its offset reads nothing there.
        out = out.index_select(axis, border_indices(size, -first, after, border).to(x.device))
        shape, stride = ([-1, 1], [scale, 1]) if axis == 2 else ([1, -1], [1, scale])
        out = torch.conv2d(out, weights.to(x.device).view(1, 1, *shape), stride=stride)
    return out.view(batch, channels, *out.shape[2:])


def sample(x: Tensor, taps: Taps, scale: int, border: Extension = "replicate") -> Tensor:
    """Return y[i, j] = sum over k, l of w[k, l] x[i scale + first row + k, j scale + first column + l].

    A correlation: the kernel is not flipped. Taps are added one after the other, always in the
    same order, so the sums do not depend on the size of the batch, and memory stays that of an image.

    Args:
        x: N x C x H x W, float64; H and W are multiples of `scale`.
        taps: the weights and the position of the first.
        scale: step between the pixels of the result.

    Returns:
        N x C x H/scale x W/scale, float64, not rounded.
    """
    import torch

    rows, columns = (side // scale for side in x.shape[2:])
    padded = x
    for axis, first, size, cells in zip((2, 3), taps.first, taps.weights.shape, (rows, columns), strict=True):
        # Up to the end of a cell, so that the padded image splits into its phases.
        end = first + (cells + -(-size // scale)) * scale
        indices = border_indices(x.shape[axis], -first, end - x.shape[axis], border)
        padded = padded.index_select(axis, indices.to(x.device))
    # N C s^2 x (cells): phase (k % s, l % s) is channel (k % s) s + l % s.
    unshuffled = torch.pixel_unshuffle(padded, scale)
    phases = unshuffled.reshape(*x.shape[:2], scale, scale, *unshuffled.shape[2:])
    out = x.new_zeros(*x.shape[:2], rows, columns)
    placed = [(k, l, float(taps.weights[k, l])) for k, l in taps.weights.nonzero().tolist()]
    # A few rows of one channel at a time stay in the processor's cache while all taps are added: several times as fast
    # as the whole image at once. On a GPU each call costs more than it saves.
    height = rows if x.is_cuda else max(1, BLOCK // columns)
    whole = [(slice(None), slice(None))]
    parts = whole if x.is_cuda else [(n, c) for n in range(x.shape[0]) for c in range(x.shape[1])]
    for part in parts:
        of_part, into = phases[part], out[part]
        for top in range(0, rows, height):
            block = into[..., top : top + height, :]
            for k, l, weight in placed:
                down, right = top + k // scale, l // scale
                pixels = of_part[..., k % scale, l % scale, down : down + block.shape[-2], right : right + columns]
                block.add_(pixels, alpha=weight)
    return out
