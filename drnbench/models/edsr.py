"""EDSR (Lim et al., CVPRW 2017) at its baseline size: the field's common baseline, with one output."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from drnbench.models.drn import in_fp32, mean_shift
from drnbench.models.interpolation import PixelShuffle


class ResidualBlock(nn.Module):
    """conv3x3, ReLU, conv3x3, plus the input; no normalisation."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(n, n, 3, padding=1), nn.ReLU(inplace=True), nn.Conv2d(n, n, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as the input."""
        return x + cast("Tensor", self.body(x))


def upsampler(scale: int, n: int) -> nn.Sequential:
    """PixelShuffle stages: one of 2 for each 2x level, or one of 3."""
    factors = [3] if scale == 3 else [2] * (scale.bit_length() - 1)
    layers: list[nn.Module] = []
    for factor in factors:
        layers += [nn.Conv2d(n, factor**2 * n, 3, padding=1), PixelShuffle(factor)]
    return nn.Sequential(*layers)


class EDSR(nn.Module):
    """Residual blocks at LR size, one long skip, PixelShuffle.

    Args:
        scale: 2, 3, 4 or 8.
        n_blocks: residual blocks.
        n_feats: channels.
        train_mean: mean shift layers trainable, as in DRN, or frozen.
    """

    def __init__(self, scale: int, n_blocks: int, n_feats: int, *, train_mean: bool = True) -> None:
        super().__init__()
        self.sub_mean = mean_shift(-1, train_mean=train_mean)
        self.head = nn.Sequential(nn.Conv2d(3, n_feats, 3, padding=1))
        blocks = [ResidualBlock(n_feats) for _ in range(n_blocks)]
        self.body = nn.Sequential(*blocks, nn.Conv2d(n_feats, n_feats, 3, padding=1))
        self.tail = nn.Sequential(upsampler(scale, n_feats), nn.Conv2d(n_feats, 3, 3, padding=1))
        self.add_mean = mean_shift(+1, train_mean=train_mean)

    def forward(self, lr: Tensor) -> tuple[Tensor]:
        """N x 3 x H x W in 0..255 -> one image of scale x the size; not clamped."""
        x = self.head(in_fp32(self.sub_mean, lr))
        x = x + self.body(x)
        enlarge, last = self.tail
        return (in_fp32(self.add_mean, in_fp32(last, enlarge(x))),)
