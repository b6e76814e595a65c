"""D as an operator: one strided kernel for all colours, as a degradation is, learned or known."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from drnbench.degradations.kernel import Bicubic, Kernel, Taps


class Operator(nn.Module):
    """y[i, j] = sum over k, l of w[k, l] x[i s + first row + k, j s + first column + l] in each colour, w of sum 1.

    Edges are replicated. It is linear and has no bias, so an image of one level keeps its level whatever the weights are.

    Args:
        taps: the weights, and the position of the first in an LR pixel's cell.
        scale: HR size over LR size.
        learned: the weights are a parameter; they stay divided by what they sum to by construction, and may be negative.
    """

    weights: Tensor

    def __init__(self, taps: Taps, scale: int, *, learned: bool) -> None:
        super().__init__()
        self.scale = scale
        # Adam moves each number by about its learning rate: of the size of 1, as the weights of other networks nearly are.
        self.gain = math.sqrt(taps.weights.numel())
        self.weights = nn.Parameter(self.gain * taps.weights.float(), requires_grad=learned)
        self.register_buffer("first", torch.tensor(taps.first))
        self._first = taps.first

    def kernel(self) -> Tensor:
        """Return the weights of sum 1, K x L."""
        weights = self.weights / self.gain
        return weights + (1 - weights.sum()) / weights.numel()

    def forward(self, hr: Tensor) -> Tensor:
        """N x 3 x sH x sW in 0..255 -> N x 3 x H x W, in fp32 whatever the precision of the networks is."""
        with torch.autocast(hr.device.type, enabled=False):
            rows, columns = self.weights.shape
            top, left = self._first
            pads = (-left, left + columns - self.scale, -top, top + rows - self.scale)
            padded = F.pad(hr.float(), tuple(max(pad, 0) for pad in pads), mode="replicate")
            # A kernel that begins or ends within the cell reads less than all of it.
            cut = [max(-pad, 0) for pad in pads]
            padded = padded[..., cut[2] : padded.shape[-2] - cut[3], cut[0] : padded.shape[-1] - cut[1]]
            return F.conv2d(padded, self.kernel().expand(3, 1, -1, -1), stride=self.scale, groups=3)


def learned(scale: int) -> Operator:
    """Return an operator to train, 4 s x 4 s weights (4 s + 1 at odd scales) that begin as bicubic's."""
    side = 4 * scale + scale % 2
    bicubic, (first, _) = Bicubic().taps(scale)
    start = (scale - side) // 2
    weights = torch.zeros(side, side, dtype=torch.float64)
    inner = slice(first - start, first - start + len(bicubic))
    weights[inner, inner] = bicubic
    return Operator(Taps(weights, (start, start)), scale, learned=True)


def known(kernel: Kernel, scale: int) -> Operator:
    """Return the linear part of a degradation; without its rounding, noise and JPEG.

    Raises:
        UsageError: a kernel that does not state its weights.
    """
    return Operator(kernel.taps(scale), scale, learned=False)


def from_state(state: dict[str, Tensor], scale: int) -> Operator:
    """Return an operator with stored weights."""
    row, column = (int(value) for value in state["first"])
    operator = Operator(Taps(torch.ones_like(state["weights"]), (row, column)), scale, learned=False)
    operator.load_state_dict(state)
    return operator
