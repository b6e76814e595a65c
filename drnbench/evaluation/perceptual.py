"""LPIPS (Zhang et al. 2018, "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric"), version 0.1.

Its network is that of `drnbench.models.perceptual`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from drnbench.config.protocol import Protocol
from drnbench.errors import DataError
from drnbench.evaluation import metrics
from drnbench.evaluation.metric import Metric
from drnbench.evaluation.protocol import Pixels, align
from drnbench.models.perceptual import ALEX, VGG, Trunk, network

if TYPE_CHECKING:
    from torch import Tensor


class Lpips(Metric):
    """Distance of two images in the features of a trunk: RGB in [-1, 1], the whole image, no border shaved."""

    higher_is_better: ClassVar[bool] = False
    version: ClassVar[str] = "0.1"  # of LPIPS: 0.0 did not scale its input
    reads: ClassVar[frozenset[str]] = frozenset({"quantise"})
    color: ClassVar[str] = "rgb"
    packages: ClassVar[tuple[str, ...]] = ("lpips", "torchvision")
    trunk: ClassVar[Trunk]

    def check_available(self) -> None:
        """See `Metric.check_available`; the network that is built is kept for scoring.

        Raises:
            UsageError: lpips or torchvision cannot be imported, or the weights are missing or broken.
        """
        network(self.trunk)

    def score(self, sr: NDArray[Any], hr: Pixels, scale: int, protocol: Protocol) -> float:
        """Return a number of at least 0, computed in float32 on the CPU; see `Metric.score`."""
        import torch

        a, b = align(sr, hr, scale, protocol)
        height, width = b.shape[:2]
        if min(height, width) < self.trunk.smallest:
            raise DataError(
                f"LPIPS needs {self.trunk.smallest} x {self.trunk.smallest} pixels for {self.trunk.label}, but an image "
                f"has {width} x {height}: use larger images, or leave out {self.name}"
            )
        distance = network(self.trunk)  # outside of inference mode: training may use the same weights
        with torch.inference_mode():
            return float(distance(_signed(a), _signed(b)))


@metrics.register("lpips")
class LpipsAlex(Lpips):
    """LPIPS with AlexNet: the variant that papers report unless they state another."""

    label: ClassVar[str] = "LPIPS"
    summary: ClassVar[str] = "LPIPS 0.1 (AlexNet) on RGB, the whole image; lower is better"
    trunk: ClassVar[Trunk] = ALEX


@metrics.register("lpips_vgg")
class LpipsVgg(Lpips):
    """LPIPS with VGG-16."""

    label: ClassVar[str] = "LPIPS (VGG)"
    summary: ClassVar[str] = "LPIPS 0.1 (VGG-16) on RGB, the whole image; lower is better"
    trunk: ClassVar[Trunk] = VGG


def _signed(image: NDArray[Any]) -> Tensor:
    """Return float32 1 x 3 x H x W in [-1, 1] of H x W x 3 in 0..255."""
    import torch

    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)[None] / 127.5 - 1, dtype=np.float32))
