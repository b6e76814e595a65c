"""Untrained methods: interpolation and back-projection."""

from __future__ import annotations

from torch import Tensor, nn

from drnbench.degradations.resize import downsample, upsample


class Bicubic(nn.Module):
    """MATLAB's `imresize` upwards on uint8: the first row of every table of the field."""

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, lr: Tensor) -> tuple[Tensor]:
        """N x 3 x H x W in 0..255 -> one image of scale x the size, integers in 0..255."""
        return (upsample(lr.double(), self.scale, border="symmetric", quantize=True).to(lr.dtype),)


class BackProjection(nn.Module):
    """Iterative back-projection (Irani and Peleg 1991): y <- y + up(x - down(y)), from bicubic as the first guess.

    `down` and `up` are MATLAB's bicubic without rounding: where LR was made by another kernel, the iterations reach
    consistency with the wrong degradation, which is the point of a table with this row.
    """

    def __init__(self, scale: int, iterations: int) -> None:
        super().__init__()
        self.scale, self.iterations = scale, iterations

    def forward(self, lr: Tensor) -> tuple[Tensor]:
        """N x 3 x H x W in 0..255 -> one image of scale x the size; not clamped."""
        x = lr.double()
        y = upsample(x, self.scale, border="symmetric")
        for _ in range(self.iterations):
            y = y + upsample(x - downsample(y, self.scale, border="symmetric"), self.scale, border="symmetric")
        return (y.to(lr.dtype),)
