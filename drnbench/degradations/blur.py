"""Kernels that are a weighted mean of HR pixels, rounded once: isotropic and anisotropic Gaussians, and BD."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from drnbench.degradations import kernels
from drnbench.degradations.kernel import Kernel, Taps
from drnbench.degradations.resize import border_indices, round_half_up

if TYPE_CHECKING:
    from torch import Tensor

Sigma = Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)]
# The work of a kernel that is not separable grows with the square of its size.
Axis = Annotated[float, Field(gt=0, le=25, allow_inf_nan=False)]


BLOCK = 16384
"""LR pixels that are summed at a time on a CPU: 128 KiB."""


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


@kernels.register("gaussian")
class Gaussian(Separable):
    """An isotropic Gaussian centred on each LR pixel, phase-aligned with bicubic at every scale."""

    summary: ClassVar[str] = "isotropic Gaussian of a given sigma, phase-aligned with bicubic at every scale"
    sigma: Sigma = Field(description="standard deviation in HR pixels; required")

    def line(self, scale: int) -> tuple[Tensor, int]:
        """Sample the continuous Gaussian around (s-1)/2 of each cell, 4 sigma each way."""
        size = _centred_size(self.sigma, scale)
        return _gaussian(_positions(size), self.sigma), (scale - size) // 2


@kernels.register("anisotropic")
class Anisotropic(Kernel):
    """A Gaussian of two widths in any direction, centred on each LR pixel as `gaussian` is."""

    summary: ClassVar[str] = "Gaussian of two sigmas and an angle, phase-aligned with bicubic at every scale"
    sigma_x: Axis = Field(description="standard deviation along the direction of the angle, in HR pixels; required")
    sigma_y: Axis = Field(description="standard deviation across the direction of the angle, in HR pixels; required")
    angle: Annotated[float, Field(allow_inf_nan=False)] = Field(
        0.0, description="degrees from the x axis (to the right), counter-clockwise as one sees the image"
    )

    def make(self, hr: Tensor, scale: int) -> Tensor:
        """Blur at the position of each LR pixel, edges replicated, and round."""
        isotropic = self._isotropic()
        return isotropic.make(hr, scale) if isotropic else round_half_up(sample(hr, self.taps(scale), scale))

    def taps(self, scale: int) -> Taps:
        """Sample the continuous Gaussian around (s-1)/2 of each cell, 4 of the larger sigma each way."""
        if isotropic := self._isotropic():
            return isotropic.taps(scale)
        size = _centred_size(max(self.sigma_x, self.sigma_y), scale)
        right, up = _positions(size)[None, :], -_positions(size)[:, None]  # rows are counted downwards
        turn = math.radians(self.angle)
        along = right * math.cos(turn) + up * math.sin(turn)
        across = up * math.cos(turn) - right * math.sin(turn)
        exponent = -0.5 * ((along / self.sigma_x) ** 2 + (across / self.sigma_y) ** 2)
        weights = exponent.flatten().softmax(dim=0).view(size, size)
        # Below the precision of float64 beside the largest: most taps of a narrow kernel, and most of its work.
        weights[weights < 1e-17 * weights.max()] = 0
        first = (scale - size) // 2
        return Taps(weights, (first, first))

    def _isotropic(self) -> Gaussian | None:
        """Return the isotropic kernel that two equal sigmas make, with exactly the same levels; None otherwise."""
        return Gaussian(sigma=self.sigma_x) if self.sigma_x == self.sigma_y else None


def _centred_size(sigma: float, scale: int) -> int:
    """Return the number of taps that reach 4 sigma each way from the centre (s-1)/2 of a cell.

    The centre lies on a pixel at odd scales and between two at even scales, so the number is odd or even with the scale:
    taps are always symmetric about the centre, and cutting the tails does not shift it.
    """
    return 2 * math.ceil(4 * sigma) + scale % 2


def _positions(size: int) -> Tensor:
    import torch

    return torch.arange(size, dtype=torch.float64) - (size - 1) / 2


def _gaussian(positions: Tensor, sigma: float) -> Tensor:
    """Return weights that sum to 1; softmax, since exp underflows to 0/0 for a small sigma between pixels."""
    return (-0.5 * (positions / sigma) ** 2).softmax(dim=0)


def sample_line(x: Tensor, weights: Tensor, first: int, scale: int) -> Tensor:
    """Return y[i, j] = sum over k, l of w[k] w[l] x[i scale + first + k, j scale + first + l], edges replicated.

    Args:
        x: N x C x H x W, float64; H and W are multiples of `scale`.
        weights: K float64.
        first: offset of the first weight, of any sign.
        scale: step between the pixels of the result.

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
        out = out.index_select(axis, border_indices(size, -first, after, "replicate").to(x.device))
        shape, stride = ([-1, 1], [scale, 1]) if axis == 2 else ([1, -1], [1, scale])
        out = torch.conv2d(out, weights.to(x.device).view(1, 1, *shape), stride=stride)
    return out.view(batch, channels, *out.shape[2:])


def sample(x: Tensor, taps: Taps, scale: int) -> Tensor:
    """Return y[i, j] = sum over k, l of w[k, l] x[i scale + first row + k, j scale + first column + l].

    A correlation: the kernel is not flipped. Edges are replicated. Taps are added one after the other, always in the
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
        indices = border_indices(x.shape[axis], -first, end - x.shape[axis], "replicate")
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
