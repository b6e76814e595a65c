"""Metrics that compare LR images: degraded SR with the LR input, and D(HR) of the dual network with LR."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from drnbench.config.protocol import Protocol
from drnbench.data.images import to_tensor, to_uint8
from drnbench.degradations import parse
from drnbench.errors import DataError
from drnbench.evaluation import metrics
from drnbench.evaluation.metric import Item, Metric, psnr
from drnbench.evaluation.protocol import luma, shaved

DUAL_BORDER = 4
"""LR pixels that `dual_mae` ignores on each side: D pads with zeros, which biases its outer pixels."""


@metrics.register("lr_psnr")
class LrPsnr(Metric):
    """LR consistency: PSNR on Y between the input and the degraded SR image, in dB. Needs no HR image.

    SR is degraded by the kernel that made the input, without its noise and JPEG; for real images, whose kernel is
    unknown, by MATLAB's bicubic. It measures whether SR explains the input, not whether it is right: bicubic
    interpolation explains it well.
    """

    label: ClassVar[str] = "LR-PSNR"
    unit: ClassVar[str] = "dB"
    decimals: ClassVar[int] = 2
    summary: ClassVar[str] = "PSNR on Y of the degraded SR against the LR input; needs no HR; dB, higher is better"
    needs: ClassVar[frozenset[str]] = frozenset({"lr"})
    reads: ClassVar[frozenset[str]] = frozenset({"y_round", "border"})

    def measure(self, item: Item, protocol: Protocol) -> float:
        """Return dB; infinite where the degraded SR equals the input."""
        assert item.lr is not None
        kernel = parse("bicubic" if parse(item.kernel).real else item.kernel)
        kernel = kernel.model_copy(update={"noise": None, "jpeg": None})
        again = to_uint8(kernel.degrade(to_tensor(item.sr), item.scale))
        border = math.ceil(protocol.shaved(item.scale) / item.scale)
        a, b = (luma(shaved(image, border), y_round=protocol.y_round) for image in (again, item.lr))
        return psnr(a, b)


@metrics.register("dual_mae")
class DualMae(Metric):
    """Mean absolute difference between D(HR), not rounded, and the true LR image, in gray levels over RGB.

    Four LR pixels are ignored on each side. It measures how well D learned the degradation, and nothing about P.
    """

    label: ClassVar[str] = "D MAE"
    unit: ClassVar[str] = "levels"
    higher_is_better: ClassVar[bool] = False
    decimals: ClassVar[int] = 2
    summary: ClassVar[str] = "mean |D(HR) - LR| of the dual network, in gray levels; lower is better"
    needs: ClassVar[frozenset[str]] = frozenset({"hr", "lr", "dual"})
    reads: ClassVar[frozenset[str]] = frozenset()

    def measure(self, item: Item, protocol: Protocol) -> float:  # noqa: ARG002
        """Return gray levels, 0..255.

        Raises:
            DataError: a zero-shot method that states no degradation.
        """
        if item.back is None:
            raise DataError(
                "the method states no degradation that could be compared with the true one; leave dual_mae out"
            )
        assert item.lr is not None
        return float(np.abs(shaved(item.back, DUAL_BORDER) - shaved(item.lr, DUAL_BORDER)).mean())
