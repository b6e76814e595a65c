"""Networks of the unpaired adversarial baselines: generators up and down, patch discriminators, CinCGAN's chain.

Both generators learn a correction to a plain resize, and the correction is exactly zero at first. From unpaired data
alone and a random initialisation the image itself would have to emerge from the cycle: G and F could agree on any code
between them. Initialised as resizes they are an inverse pair from the start, and the discriminators act on details alone.
Neither has a normalisation, which would lose an image's brightness. Sources: CycleGAN (Zhu et al., ICCV 2017), CinCGAN
(Yuan et al., CVPRW 2018); blocks as in EDSR.
"""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from drnbench.degradations.resize import upsample
from drnbench.errors import UsageError
from drnbench.models import HALF_RANGE, SMALLEST
from drnbench.models.drn import SLOPE
from drnbench.models.edsr import ResidualBlock
from drnbench.models.interpolation import Interpolation


def _zero(n_feats: int) -> nn.Conv2d:
    """Return a 3x3 convolution to RGB whose output is zero until it is trained."""
    layer = nn.Conv2d(n_feats, 3, 3, padding=1)
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


class Bicubic(Interpolation):
    """MATLAB's bicubic enlargement (`resize.upsample`); in a cycle its input has a gradient. H and W are at least 2."""

    def __init__(self, scale: int) -> None:
        super().__init__(scale, self._upsample, mirrored=True)
        # As stored results were computed.
        self.weight = self.weight.float()

    def _upsample(self, x: Tensor) -> Tensor:
        if x.is_meta:  # its indices would be followed in Python
            return x.new_empty(*x.shape[:2], *(self.scale * side for side in x.shape[2:]))
        return upsample(x, self.scale)


class Repeat(nn.Module):
    """Nearest-neighbour enlargement with a gradient that is deterministic on every device."""

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W -> N x C x sH x sW."""
        n, c, height, width = x.shape
        s = self.scale
        return x[:, :, :, None, :, None].expand(n, c, height, s, width, s).reshape(n, c, s * height, s * width)


def resize_convolutions(scale: int, n: int) -> nn.Sequential:
    """Enlarge features by repeating them before a 3x3 convolution, 2x a level or 3x (Odena et al., 2016).

    A PixelShuffle can lay a fine pattern of zero mean over flat areas. F averages it away, so no cycle loss penalises it,
    and the generator hides information there: on the photographs PSNR-Y fell from 28.6 dB to 24 in 200 steps, where this
    form, at the same cost, kept 28.
    """
    layers: list[nn.Module] = []
    for factor in [3] if scale == 3 else [2] * (scale.bit_length() - 1):
        layers += [Repeat(factor), nn.Conv2d(n, n, 3, padding=1), nn.LeakyReLU(SLOPE)]
    return nn.Sequential(*layers)


class Enlarger(nn.Module):
    """G: bicubic enlargement plus a learned correction; at scale 1 a network from LR to LR.

    Args:
        scale: 1, 2, 3, 4 or 8.
        n_blocks: residual blocks at LR size.
        n_feats: channels.
    """

    def __init__(self, scale: int, n_blocks: int, n_feats: int) -> None:
        super().__init__()
        self.enlarge = nn.Identity() if scale == 1 else Bicubic(scale)
        self.head = nn.Conv2d(3, n_feats, 3, padding=1)
        blocks = [ResidualBlock(n_feats) for _ in range(n_blocks)]
        self.body = nn.Sequential(*blocks, nn.Conv2d(n_feats, n_feats, 3, padding=1))
        self.tail = nn.Sequential(resize_convolutions(scale, n_feats), _zero(n_feats))

    def forward(self, lr: Tensor) -> tuple[Tensor]:
        """N x 3 x H x W in 0..255 -> one image of scale x the size; not clamped."""
        x = self.head(lr / HALF_RANGE - 1)
        x = x + self.body(x)
        return (self.enlarge(lr) + HALF_RANGE * self.tail(x),)


class Shrinker(nn.Module):
    """F: mean over each s x s block plus a learned correction; at scale 1 a network from LR to LR.

    A strided convolution for each 2x level, or one with stride 3, then residual blocks. Scales 1, 2, 3, 4, 8.
    """

    def __init__(self, scale: int, n_blocks: int, n_feats: int) -> None:
        super().__init__()
        self.scale = scale
        strides = [3] if scale == 3 else [2] * (scale.bit_length() - 1) or [1]
        layers: list[nn.Module] = []
        for i, stride in enumerate(strides):
            layers += [nn.Conv2d(n_feats if i else 3, n_feats, 3, stride, 1), nn.LeakyReLU(SLOPE)]
        self.body = nn.Sequential(*layers, *(ResidualBlock(n_feats) for _ in range(n_blocks)), _zero(n_feats))

    def forward(self, hr: Tensor) -> Tensor:
        """N x 3 x sH x sW in 0..255 -> N x 3 x H x W; not clamped."""
        return F.avg_pool2d(hr, self.scale) + HALF_RANGE * cast("Tensor", self.body(hr / HALF_RANGE - 1))


class PatchGAN(nn.Module):
    """Discriminator of overlapping patches: 4x4 convolutions, LeakyReLU, InstanceNorm but in the first layer, one output.

    From sides of 64 on it is the 70x70 PatchGAN of CycleGAN: three strided convolutions of n, 2n, 4n channels, one of
    8n without stride, and one to the map. Smaller images get fewer strides, floor(log2(side / 8)), so that at least 8 x 8
    positions are left before the last two layers: two strides from 32, one from 16, below that none and one layer more.
    The map is 6x6 for 64, 5x5 for 8, 1x1 for 4.

    Args:
        side: of the training patches in pixels, at least 4.
        n_feats: channels of the first layer.

    Raises:
        UsageError: the side is too small for the map to have a pixel.
    """

    def __init__(self, side: int, n_feats: int = 64) -> None:
        super().__init__()
        if side < SMALLEST:
            raise UsageError(
                f"a discriminator needs patches of at least {SMALLEST} x {SMALLEST} pixels at LR size, not {side} x {side}: "
                "raise patch"
            )
        strided = min(3, max(0, (side // 8).bit_length() - 1))
        layers: list[nn.Module] = []
        n = 3
        for i, stride in enumerate([2] * strided + [1] * (1 if strided else 2)):
            layers.append(nn.Conv2d(n, n_feats * 2**i, 4, stride, 1))
            n = n_feats * 2**i
            layers += [nn.InstanceNorm2d(n), nn.LeakyReLU(SLOPE)] if i else [nn.LeakyReLU(SLOPE)]
        self.body = nn.Sequential(*layers, nn.Conv2d(n, 1, 4, 1, 1))

    def forward(self, image: Tensor) -> Tensor:
        """N x 3 x H x W in 0..255 -> N x 1 x H' x W', a score for each patch."""
        return cast("Tensor", self.body(image / HALF_RANGE - 1))


class CinC(nn.Module):
    """CinCGAN's chain: G1 maps an LR image to a clean LR image of the same size, SR enlarges that."""

    def __init__(self, scale: int, n_blocks: int, n_feats: int, inner_blocks: int) -> None:
        super().__init__()
        self.clean = Enlarger(1, inner_blocks, n_feats)
        self.enlarge = Enlarger(scale, n_blocks, n_feats)

    def forward(self, lr: Tensor) -> tuple[Tensor]:
        """N x 3 x H x W in 0..255 -> one image of scale x the size; not clamped."""
        return cast("tuple[Tensor]", self.enlarge(self.clean(lr)[0]))
