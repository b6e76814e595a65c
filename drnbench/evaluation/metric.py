"""PSNR and SSIM as the field computes them, the base class of metrics, and the input of a metric.

The attributes that a report needs (label, unit, direction, decimals) are available without torch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from drnbench.config.protocol import Protocol
from drnbench.errors import DataError, UnitError
from drnbench.evaluation import metrics
from drnbench.evaluation.protocol import Pixels, planes, prepare
from drnbench.evaluation.ssim import RADIUS, ssim

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Item:
    """One test image with all inputs of metrics; pixels are H x W x 3.

    Attributes:
        name: of the image.
        lr: uint8; None if images made elsewhere are scored and no metric needs it.
        sr: uint8, as in a file.
        hr: uint8, at most `scale` - 1 pixels larger than SR each way; None for real LR images.
        scale: HR size over LR size.
        kernel: spec of the degradation that made LR.
        back: D(HR), float64 and not rounded; None if the method has no dual network or no metric needs it.
        exact: SR in 0..255 before it was rounded; None if SR was read from a file.
    """

    name: str
    lr: Pixels | None
    sr: Pixels
    hr: Pixels | None
    scale: int
    kernel: str
    back: Array | None = None
    exact: NDArray[np.float32] | None = None
    _planes: dict[tuple[Protocol, str], tuple[Array, Array]] = field(default_factory=dict, repr=False, compare=False)

    def result(self, protocol: Protocol) -> NDArray[Any]:
        """Return the SR image under a protocol: rounded to 8 bits, or the output of the network itself."""
        return self.sr if protocol.quantise or self.exact is None else self.exact

    def compared(self, protocol: Protocol, color: str) -> tuple[Array, Array]:
        """Return SR and HR, aligned and shaved, in the planes of a colour; computed once for all metrics of an image.

        Raises:
            DataError: sizes that do not fit, or nothing left without the border.
        """
        assert self.hr is not None  # the plan refuses metrics that need HR on images without
        if (protocol, color) not in self._planes:
            sr, hr = prepare(self.result(protocol), self.hr, self.scale, protocol)
            self._planes[protocol, color] = planes(sr, color, protocol), planes(hr, color, protocol)
        return self._planes[protocol, color]


def psnr(a: Array, b: Array) -> float:
    """Return the peak signal-to-noise ratio of two arrays of one shape, in dB with peak 255; infinite if they are equal.

    >>> round(psnr(np.full((2, 2), 100.0), np.full((2, 2), 101.0)), 2)
    48.13
    """
    error = float(np.mean((a - b) ** 2))
    return 10 * math.log10(255**2 / error) if error else math.inf


class Metric:
    """Base class of metrics.

    Attributes:
        name: in the registry and in result files.
        label: in tables and figures.
        unit: "dB", or empty.
        higher_is_better: the direction of an improvement.
        decimals: digits after the point in tables.
        summary: one line for `list`.
        needs: required inputs beside SR: "hr"; "lr"; "dual", the method's dual network.
        version: raised when the same images would get another score; it enters the keys of scores.
        reads: fields of the protocol that change the score; they enter its key.
        color: colour that is compared: "y", "rgb", or None.
        kind: "PSNR" or "SSIM" if the protocol's sentence in captions describes the metric; empty: its summary does.
        packages: distributions beside torch and numpy that compute the score: of another version, scores are stale.
    """

    name: ClassVar[str]
    label: ClassVar[str]
    unit: ClassVar[str] = ""
    higher_is_better: ClassVar[bool] = True
    decimals: ClassVar[int] = 4
    summary: ClassVar[str] = ""
    needs: ClassVar[frozenset[str]] = frozenset({"hr"})
    version: ClassVar[str] = "1"
    reads: ClassVar[frozenset[str]] = frozenset(Protocol.model_fields)
    color: ClassVar[str | None] = None
    kind: ClassVar[str] = ""
    packages: ClassVar[tuple[str, ...]] = ()

    def check_available(self) -> None:
        """Check, before any work, that the metric can be computed on this machine.

        Raises:
            UsageError: a package or a file of weights is missing or cannot be read.
        """

    def measure(self, item: Item, protocol: Protocol) -> float:
        """Return the score of one image; a metric with other inputs than SR and HR overrides this.

        Raises:
            DataError: as `score`.
        """
        assert item.hr is not None  # the plan refuses metrics that need HR on images without
        return self.score(item.result(protocol), item.hr, item.scale, protocol)

    def score(self, sr: NDArray[Any], hr: Pixels, scale: int, protocol: Protocol) -> float:
        """Return the score of one image; the score of a set is the mean over its images.

        Args:
            sr: H x W x 3 RGB in 0..255.
            hr: H' x W' x 3 uint8 RGB; cropped to a multiple of the scale here.
            scale: HR size over LR size.
            protocol: border and rounding.

        Raises:
            DataError: sizes that do not fit, or an image too small for the metric.
        """
        raise NotImplementedError


def measure(item: Item, metric: str, protocol: Protocol) -> float:
    """Return one score of an image by the name of the metric.

    Raises:
        UnitError: the image cannot be scored; the message begins with its name.
    """
    try:
        return metrics.get(metric).measure(item, protocol)
    except DataError as error:
        raise UnitError(f"{item.name}: {error}") from error


class Compared(Metric):
    """A metric of the planes of one colour, aligned and shaved by the protocol; subclasses implement `compare`."""

    def measure(self, item: Item, protocol: Protocol) -> float:
        """See `Metric.measure`."""
        assert self.color is not None
        return self.compare(*item.compared(protocol, self.color))

    def score(self, sr: NDArray[Any], hr: Pixels, scale: int, protocol: Protocol) -> float:
        """See `Metric.score`."""
        assert self.color is not None
        a, b = prepare(sr, hr, scale, protocol)
        return self.compare(planes(a, self.color, protocol), planes(b, self.color, protocol))

    def compare(self, sr: Array, hr: Array) -> float:
        """Return the score of two arrays of one shape, H x W or H x W x 3, in 0..255."""
        raise NotImplementedError


class Psnr(Compared):
    """Peak signal-to-noise ratio in dB with peak 255; infinite for identical images."""

    unit: ClassVar[str] = "dB"
    decimals: ClassVar[int] = 2
    kind: ClassVar[str] = "PSNR"

    def compare(self, sr: Array, hr: Array) -> float:
        """Return dB, of the mean over all pixels and colours."""
        return psnr(sr, hr)


class Ssim(Compared):
    """Structural similarity (Wang et al. 2004): 11 x 11 Gaussian window, sigma 1.5, valid region; mean of the colours."""

    kind: ClassVar[str] = "SSIM"

    def compare(self, sr: Array, hr: Array) -> float:
        """Return a number of at most 1.

        Raises:
            DataError: images smaller than the window.
        """
        (height, width), window = hr.shape[:2], 2 * RADIUS + 1
        if min(height, width) < window:
            raise DataError(
                f"SSIM has an {window} x {window} window, but {width} x {height} pixels are left of "
                f"an image when its border is shaved: use larger images, or leave out {self.name}"
            )
        if sr.ndim == 2:
            return ssim(sr, hr)
        return float(np.mean([ssim(sr[..., color], hr[..., color]) for color in range(sr.shape[2])]))


@metrics.register("psnr_y")
class PsnrY(Psnr):
    """PSNR on Y of BT.601, studio range, as in the tables of the field."""

    label: ClassVar[str] = "PSNR-Y"
    color: ClassVar[str] = "y"
    summary: ClassVar[str] = "PSNR on Y of BT.601, border shaved, peak 255; dB, higher is better"


@metrics.register("ssim_y")
class SsimY(Ssim):
    """SSIM on Y of BT.601, studio range."""

    label: ClassVar[str] = "SSIM-Y"
    color: ClassVar[str] = "y"
    summary: ClassVar[str] = "SSIM on Y of BT.601, border shaved, 11x11 Gaussian window; higher is better"


@metrics.register("psnr_rgb")
class PsnrRgb(Psnr):
    """PSNR over R, G and B together: one mean squared error over all three."""

    label: ClassVar[str] = "PSNR-RGB"
    color: ClassVar[str] = "rgb"
    reads: ClassVar[frozenset[str]] = frozenset({"border", "quantise"})
    summary: ClassVar[str] = "PSNR over R, G and B, border shaved, peak 255; dB, higher is better"


@metrics.register("ssim_rgb")
class SsimRgb(Ssim):
    """SSIM of R, G and B, their mean."""

    label: ClassVar[str] = "SSIM-RGB"
    color: ClassVar[str] = "rgb"
    reads: ClassVar[frozenset[str]] = frozenset({"border", "quantise"})
    summary: ClassVar[str] = "mean SSIM of R, G and B, border shaved, 11x11 Gaussian window; higher is better"
