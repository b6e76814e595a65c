"""Dual networks D: HR -> LR, learned. One for each 2x level, or a single one from the full scale straight to LR."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from drnbench.models.drn import SLOPE, Down


def dual_per_level(scale: int, n_feats: int) -> nn.ModuleList:
    """Return D0, D1, ...: D0 maps the 2x output to LR, D1 the 4x output to 2x, and so on.

    54 * n_feats parameters each, no biases, zero padding (which biases the outermost pixels), no mean shift:
    the authors' `pre_DRN?4x_dual_model.pt` is the list of their state dicts.
    """
    return nn.ModuleList(Down(3, n_feats, 3) for _ in range(scale.bit_length() - 1))


class DualSingle(nn.Module):
    """One network from s x the size to 1 x, as the authors' follow-up uses to wrap any SR network.

    A stride-2 convolution and a LeakyReLU for each 2x level, then conv3x3 to RGB; for a scale that is no power of two,
    one convolution with that stride.
    """

    def __init__(self, scale: int, n_feats: int = 16) -> None:
        super().__init__()
        strides = [2] * (scale.bit_length() - 1) if scale & (scale - 1) == 0 else [scale]
        widths = [3, *([n_feats] * len(strides))]
        self.body = nn.Sequential(
            *(
                nn.Sequential(nn.Conv2d(widths[i], n_feats, max(3, stride), stride, 1, bias=False), nn.LeakyReLU(SLOPE))
                for i, stride in enumerate(strides)
            ),
            nn.Conv2d(n_feats, 3, 3, 1, 1, bias=False),
        )

    def forward(self, hr: Tensor) -> Tensor:
        """N x 3 x sH x sW in 0..255 -> N x 3 x H x W."""
        return cast("Tensor", self.body(hr))


def parts(dual: nn.Module) -> list[nn.Module]:
    """Return D0, D1, ... of per-level networks, or the single D."""
    return list(dual) if isinstance(dual, nn.ModuleList) else [dual]


class Chain(nn.Module):
    """D from the SR size all the way to LR: per-level networks in a row, or the single one."""

    def __init__(self, dual: nn.Module) -> None:
        super().__init__()
        self.dual = dual

    def forward(self, hr: Tensor) -> Tensor:
        """N x 3 x sH x sW in 0..255 -> N x 3 x H x W."""
        for d in reversed(parts(self.dual)):
            hr = d(hr)
        return hr
