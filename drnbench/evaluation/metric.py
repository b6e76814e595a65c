"""PSNR and SSIM as the field computes them, the base of all metrics, and what a metric is given.

What a report needs (label, unit, direction, decimals) is readable without torch or scikit-image.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from drnbench.errors import DataError
from drnbench.evaluation import metrics
from drnbench.evaluation.protocol import Pixels, Protocol

SSIM_WINDOW = 11


@dataclass(frozen=True)
class Item:
    """One test image with everything that a metric may look at; pixels are H x W x 3.

    Attributes:
        name: of the image.
        lr, sr: uint8.
        hr: uint8, cropped to a multiple of the scale; None for real LR images.
        scale: HR size over LR size.
        kernel: spec of the degradation that made LR.
        back: D(HR), float64 and not rounded; None where the method has no dual network or nobody asks.

    """

    name: str
    lr: Pixels
    sr: Pixels
    hr: Pixels | None
    scale: int
    kernel: str
    back: NDArray[np.float64] | None = None


def psnr(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Return the peak signal-to-noise ratio of two arrays of one shape, in dB with peak 255; infinite where equal."""
    error = float(np.mean((a - b) ** 2))
    return 10 * math.log10(255**2 / error) if error else math.inf


class Metric:
    """Base of all metrics.

    Attributes:
        name: what the registry and result files call it.
        label: what tables and figures call it.
        unit: "dB", or nothing.
        higher_is_better: the direction of an improvement.
        decimals: digits after the point in tables.
        summary: one line for `list`.
        needs: what beside LR and SR must be there: "hr"; "dual", the method's dual network.

    """

    name: ClassVar[str]
    label: ClassVar[str]
    unit: ClassVar[str] = ""
    higher_is_better: ClassVar[bool] = True
    decimals: ClassVar[int] = 4
    summary: ClassVar[str] = ""
    needs: ClassVar[frozenset[str]] = frozenset({"hr"})

    def measure(self, item: Item, protocol: Protocol) -> float:
        """Return the score of one image; a metric that looks at more than SR and HR overrides this.

        Raises:
            DataError: as `score`.

        """
        assert item.hr is not None  # the plan lets no metric that needs HR near images without
        return self.score(item.sr, item.hr, item.scale, protocol)

    def score(self, sr: Pixels, hr: Pixels, scale: int, protocol: Protocol) -> float:
        """Return the score of one image; the score of a set is the mean over its images.

        Args:
            sr: H x W x 3 uint8 RGB.
            hr: H' x W' x 3 uint8 RGB; cropped to a multiple of the scale here.
            scale: HR size over LR size.
            protocol: border and rounding.

        Raises:
            DataError: sizes that do not fit, or an image too small for the metric.

        """
        raise NotImplementedError


@metrics.register("psnr_y", lambda kind: kind())
class PsnrY(Metric):
    """Peak signal-to-noise ratio on Y, in dB with peak 255; infinite for identical images."""

    name: ClassVar[str] = "psnr_y"
    label: ClassVar[str] = "PSNR-Y"
    unit: ClassVar[str] = "dB"
    decimals: ClassVar[int] = 2
    summary: ClassVar[str] = "PSNR on Y of BT.601, border shaved, peak 255; dB, higher is better"

    def score(self, sr: Pixels, hr: Pixels, scale: int, protocol: Protocol) -> float:
        """Return dB."""
        sr, hr = protocol.prepare(sr, hr, scale)
        return psnr(protocol.luma(sr), protocol.luma(hr))


@metrics.register("ssim_y", lambda kind: kind())
class SsimY(Metric):
    """Structural similarity on Y (Wang et al. 2004): 11 x 11 Gaussian window, sigma 1.5, valid region."""

    name: ClassVar[str] = "ssim_y"
    label: ClassVar[str] = "SSIM-Y"
    summary: ClassVar[str] = "SSIM on Y of BT.601, border shaved, 11x11 Gaussian window; higher is better"

    def score(self, sr: Pixels, hr: Pixels, scale: int, protocol: Protocol) -> float:
        """Return a number of at most 1."""
        from skimage.metrics import structural_similarity

        sr, hr = protocol.prepare(sr, hr, scale)
        height, width = hr.shape[:2]
        if min(height, width) < SSIM_WINDOW:
            raise DataError(
                f"SSIM looks through an {SSIM_WINDOW} x {SSIM_WINDOW} window, but {width} x {height} "
                f"pixels are left of an image when its border of {protocol.shaved(scale)} is shaved: "
                "use larger images, or leave out ssim_y"
            )
        return float(
            structural_similarity(  # type: ignore[no-untyped-call]
                protocol.luma(sr),
                protocol.luma(hr),
                gaussian_weights=True,
                sigma=1.5,
                use_sample_covariance=False,
                data_range=255,
            )
        )
