"""Pixels of one LR image and its degradation: interpolation in phase with the kernel, symmetries, exact projection."""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

import torch
from torch import Tensor

from drnbench.degradations.blur import sample
from drnbench.degradations.kernel import Taps
from drnbench.degradations.resize import border_indices


class Transform(NamedTuple):
    """One of the eight flips and quarter turns of an image: a flip of the columns, then turns counter-clockwise."""

    flip: bool
    turns: int

    def apply(self, x: Tensor) -> Tensor:
        """Transform the last two axes."""
        return torch.rot90(x.flip(-1) if self.flip else x, self.turns, (-2, -1))

    def invert(self, x: Tensor) -> Tensor:
        """Undo `apply`."""
        back = torch.rot90(x, -self.turns, (-2, -1))
        return back.flip(-1) if self.flip else back


TRANSFORMS = tuple(Transform(flip, turns) for flip, turns in itertools.product((False, True), range(4)))


def centre_of_mass(taps: Taps) -> tuple[float, float]:
    """Return row and column of the centre of mass of a kernel, in HR pixels from the first pixel of the LR pixel's cell."""
    weights = taps.weights.double()
    rows, columns = (torch.arange(side, dtype=torch.float64) for side in weights.shape)
    total = weights.sum()
    row = float((weights.sum(1) * rows).sum() / total)
    column = float((weights.sum(0) * columns).sum() / total)
    return taps.first[0] + row, taps.first[1] + column


def symmetries(taps: Taps, tolerance: float = 1e-3) -> tuple[Transform, ...]:
    """Return the transforms that leave a kernel as it is, about its own centre of mass; the identity is always the first.

    Args:
        taps: the kernel.
        tolerance: largest sum of absolute differences, of weights that sum to 1.
    """
    row, column = (2 * (centre - first) for centre, first in zip(centre_of_mass(taps), taps.first, strict=True))
    around = [round(row), round(column)]
    if max(abs(row - around[0]), abs(column - around[1])) > 0.02:  # no pixel and no edge of one lies there
        return TRANSFORMS[:1]
    # An odd square about the centre, of half pixels' parity by rows and columns: its middle is the centre.
    side = max(max(twice, 2 * (size - 1) - twice) for twice, size in zip(around, taps.weights.shape, strict=True)) + 1
    if (around[0] - around[1]) % 2:
        return TRANSFORMS[:1]
    square = taps.weights.new_zeros(side, side)
    top, left = ((side - 1 - twice) // 2 for twice in around)
    square[top : top + taps.weights.shape[0], left : left + taps.weights.shape[1]] = taps.weights / taps.weights.sum()
    return tuple(t for t in TRANSFORMS if float((t.apply(square) - square).abs().sum()) <= tolerance)


def enlarge(lr: Tensor, scale: int, centre: tuple[float, float]) -> Tensor:
    """Enlarge by cubic interpolation (a = -0.5), edges replicated.

    Args:
        lr: N x C x H x W.
        scale: HR size over LR size.
        centre: HR row and column of an LR pixel in its cell; (s-1)/2 is MATLAB's phase.

    Returns:
        N x C x sH x sW of the same dtype.
    """
    out = lr
    for axis, position in zip((2, 3), centre, strict=True):
        phases = []
        for phase in range(scale):
            at = (phase - position) / scale  # in LR pixels from the LR pixel of the cell
            first = int(at // 1) - 1
            distances = [abs(at - (first + tap)) for tap in range(4)]
            size = out.shape[axis]
            indices = border_indices(size, -first, first + 3, "replicate").to(out.device)
            padded = out.index_select(axis, indices)
            parts = [_cubic(distance) * padded.narrow(axis, tap, size) for tap, distance in enumerate(distances)]
            phases.append(parts[0] + parts[1] + parts[2] + parts[3])
        out = torch.stack(phases, axis + 1).flatten(axis, axis + 1)
    return out


def _cubic(x: float) -> float:
    """Return Keys' kernel of a = -0.5 at a distance of 0 to 2."""
    if x <= 1:
        return 1.5 * x**3 - 2.5 * x**2 + 1
    return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x < 2 else 0.0


def project_back(sr: Tensor, lr: Tensor, taps: Taps, scale: int, times: int) -> Tensor:
    """Return SR after iterative back-projection: y <- y + up(x - down(y)), clamped to 0..255 each time.

    `down` is the kernel without rounding, `up` interpolates in phase with it (Irani and Peleg 1991).
    """
    centre = centre_of_mass(taps)
    out, exact = sr.double(), lr.double()
    for _ in range(times):
        out = (out + enlarge(exact - sample(out, taps, scale), scale, centre)).clamp(0, 255)
    return out.to(sr.dtype)


def move(taps: Taps, centre: tuple[float, float]) -> Taps:
    """Return a kernel whose centre of mass was moved by cubic interpolation; negative weights are cut, the sum is 1."""
    weights, first = taps.weights, list(taps.first)
    for axis, (wanted, current) in enumerate(zip(centre, centre_of_mass(taps), strict=True)):
        whole = math.floor(wanted - current)
        part = wanted - current - whole
        # The weight at x comes to x + part: on the grid, each is spread over the four pixels around.
        line = weights.new_tensor([_cubic(abs(tap - part)) for tap in (-1, 0, 1, 2)])
        shape = [1, 1, 4, 1] if axis == 0 else [1, 1, 1, 4]
        padding = [3, 0] if axis == 0 else [0, 3]
        weights = torch.conv2d(weights[None, None], line.flip(0).view(shape), padding=padding)[0, 0]
        first[axis] += whole - 1
    weights = weights.clamp(min=0)
    return Taps(weights / weights.sum(), (first[0], first[1]))
