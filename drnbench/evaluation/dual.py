"""The dual network D of a trained stage, and its effective kernel: the degradation that it has learned."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from drnbench.data.images import to_tensor
from drnbench.degradations import parse
from drnbench.errors import UsageError
from drnbench.evaluation.metric import Item
from drnbench.models.dual import Chain
from drnbench.models.weights import dual_from_file
from drnbench.store import atomic

REACH = 8
"""Side of the window of an effective kernel in LR pixels; D of 4x sees 19 HR pixels, D of 8x 43."""


def load_dual(stage: Path, scale: int, device: torch.device) -> nn.Module:
    """Return D of a trained stage, from the SR size all the way to LR; the D of unpaired images if they have their own."""
    return Chain(dual_from_file(stage / "checkpoint.pt", scale)).to(device).eval()


def effective_kernel(dual: nn.Module, hr: Tensor, scale: int) -> tuple[Tensor, int]:
    """Return the weight that D gives to each HR pixel around an LR pixel, for gray images, summed over many LR pixels.

    D is piecewise linear without biases: around an image it equals its Jacobian, and the Jacobian of one LR pixel, its
    three channels averaged and the input's summed, is the kernel applied to a gray image there.

    Args:
        dual: N x 3 x sH x sW -> N x 3 x H x W.
        hr: 1 x 3 x sH x sW in 0..255.
        scale: HR size over LR size.

    Returns:
        K x K in HR pixels (K = 8 scale), the sum over the sampled LR pixels, with the centre of the LR pixel in the
        middle of the window (between two HR pixels at even scales); and the number of sampled LR pixels.
    """
    hr = hr.clone().requires_grad_(True)
    out = dual(hr).mean(1)[0]
    # Windows of LR pixels that lie a window apart do not overlap, so one backward pass gives them all.
    rows, columns = (range(REACH // 2, size - REACH // 2, REACH) for size in out.shape)
    samples = [out[row, column] for row in rows for column in columns]
    # At odd scales the middle of the window is a pixel, so its side is odd, too.
    side = REACH * scale + (REACH - 1) * scale % 2
    total = torch.zeros(side, side, dtype=hr.dtype)
    if not samples:
        return total, 0
    (gradient,) = torch.autograd.grad(torch.stack(samples).sum(), hr)
    weights, before = gradient[0].sum(0).cpu(), (side - scale) // 2
    for row in rows:
        for column in columns:
            top, left = row * scale - before, column * scale - before
            total += weights[top : top + side, left : left + side]
    return total, len(samples)


class MeanKernel:
    """The effective kernel of D, which is on `device`, averaged over the images of a test set."""

    def __init__(self, scale: int, device: torch.device) -> None:
        self.scale, self.device = scale, device
        self._total: Tensor | None = None
        self._count = 0

    def add(self, dual: nn.Module, item: Item) -> None:
        """Add the kernel of D around one HR image; images of less than three windows have no interior and are skipped."""
        if item.hr is None:
            return
        total, count = effective_kernel(dual, to_tensor(item.hr).to(self.device), self.scale)
        if count:
            self._total = total if self._total is None else self._total + total
            self._count += count

    def save(self, path: Path, kernel: str) -> None:
        """Write `learned`, D's effective kernel, and `true`, that of the degradation, as .npz; nothing without an image.

        Both are K x K in HR pixels around the centre of an LR pixel; `true` sums to 1, and is absent if the degradation
        does not state its weights.
        """
        if self._total is None:
            return
        kernels: dict[str, Any] = {"learned": (self._total / self._count).double().numpy()}
        with contextlib.suppress(UsageError):  # a kernel of another package may not state its weights
            kernels["true"] = centred(parse(kernel).impulse(self.scale), len(self._total)).numpy()
        with atomic(path, durable=False) as temporary, temporary.open("wb") as file:
            np.savez(file, **kernels)


def centred(kernel: Tensor, side: int) -> Tensor:
    """Crop a square kernel to a side, or extend it with zeros, about its centre; both sides are even or both odd."""
    pad = (side - len(kernel)) // 2
    return torch.nn.functional.pad(kernel, (pad, pad, pad, pad))
