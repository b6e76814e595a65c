"""Methods that nobody trains."""

from __future__ import annotations

from torch import Tensor, nn

from drnbench.degradations.resize import upsample
from drnbench.models import register


class Bicubic(nn.Module):
    """MATLAB's `imresize` upwards on uint8: the first row of every table of the field."""

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, lr: Tensor) -> tuple[Tensor]:
        """N x 3 x H x W in 0..255 -> one image of scale x the size, integers in 0..255."""
        return (upsample(lr.double(), self.scale, border="symmetric", quantize=True).to(lr.dtype),)


@register("bicubic", "MATLAB's bicubic interpolation, any scale, not trained", scheme=None)
def bicubic(scale: int) -> Bicubic:
    """Build the interpolation."""
    return Bicubic(scale)
