"""How images are compared: one named object, printed in every caption and part of every evaluation's key.

PSNR that does not match a paper is nearly always RGB against Y, the border, or rounding; each is stated here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from drnbench.data.images import finite, mod_crop, quantise
from drnbench.errors import DataError, UsageError

if TYPE_CHECKING:
    from drnbench.evaluation.metric import Metric

Pixels = NDArray[np.uint8]
COLORS = {"y": "Y of BT.601", "rgb": "RGB"}
"""What metrics compare, by the short names that they use."""


class Protocol(BaseModel):
    """The field's protocol; its defaults are what papers report.

    Whether a score is of Y or of RGB is in the name of its metric (`psnr_y`, `psnr_rgb`); the rest stands here.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    y_round: bool = Field(
        False, description="round Y to integers, as MATLAB does on uint8; Set5 x4 bicubic: 28.42 for 28.43 dB"
    )
    border: int | None = Field(None, ge=0, description="pixels shaved on each side before comparing; none: the scale")
    quantise: bool = Field(
        True, description="round SR to 8 bits before comparing, as a file holds it; false: only clamp it to 0..255"
    )

    def shaved(self, scale: int) -> int:
        """Return the pixels shaved on each side at a scale."""
        return scale if self.border is None else self.border

    def reaching(self, metric: Metric) -> dict[str, Any]:
        """Return the fields that move a metric's numbers: what enters the key of its scores, and their tag."""
        return {name: value for name, value in self.model_dump(mode="json").items() if name in metric.reads}

    def tag(self, metrics: Mapping[str, Metric], scale: int | None = None) -> str:
        """Return one line that says how each metric was measured: colours, settings with their values, versions.

        It stands beside each score in per_image.parquet, and as a tag in MLflow.
        """
        told = []
        for name, metric in metrics.items():
            fields = self.reaching(metric)
            if "border" in fields:
                border = "scale" if scale is None and self.border is None else self.shaved(scale or 0)
                fields["border"] = border
            values = [f"{key}={str(value).lower()}" for key, value in fields.items()]
            told.append(" ".join([f"{name} v{metric.version}:", COLORS.get(metric.color or "", ""), *values]).strip())
        return "; ".join(" ".join(one.split()) for one in told)

    def caption(self, metrics: Iterable[Metric], scale: int | None = None) -> str:
        """Return one sentence for the caption of a table of these metrics; without a scale, for a table of several.

        Metrics of no `kind`, which their own summaries describe, are not told of.
        """
        shown = [metric for metric in metrics if metric.kind]
        parts = []
        for color, named in (("y", f"Y of BT.601 (studio range, float64, {self._rounded()})"), ("rgb", "RGB")):
            kinds = list(dict.fromkeys(metric.kind for metric in shown if metric.color == color))
            if kinds:
                parts.append(f"{' and '.join(kinds)} on {named}")
        if not parts:
            return ""
        if scale is None and self.border is None:
            border = "border of as many pixels as the scale shaved"
        else:
            pixels = self.shaved(scale or 0)
            border = f"border of {pixels} pixel{'s' * (pixels != 1)} shaved" if pixels else "no border shaved"
        bits = "SR rounded to 8 bit" if self.quantise else "SR clamped to 0..255 and not rounded"
        return f"{'; '.join(parts)}, {border}, {bits}, mean over images"

    def _rounded(self) -> str:
        return "rounded to integers" if self.y_round else "not rounded"

    def planes(self, image: NDArray[Any], color: str) -> NDArray[np.float64]:
        """Return what a metric compares of an H x W x 3 image: Y, H x W, for "y"; float64 R, G, B for "rgb"."""
        return self.luma(image) if color == "y" else image.astype(np.float64)

    def luma(self, image: NDArray[Any]) -> NDArray[np.float64]:
        """Return Y of BT.601 in studio range, 16..235, float64 H x W, of an H x W x 3 RGB image in 0..255.

        Full-range luma would lower every PSNR by 1.3219 dB (20 log10(219/255) from the peak of 255 alone).
        """
        # Summed in place: half the time of one expression, and the same bits.
        luma: NDArray[np.float64] = np.multiply(image[..., 0], 65.481, dtype=np.float64)
        luma += np.multiply(image[..., 1], 128.553, dtype=np.float64)
        luma += np.multiply(image[..., 2], 24.966, dtype=np.float64)
        luma /= 255
        luma += 16
        return np.floor(luma + 0.5) if self.y_round else luma

    def align(self, sr: NDArray[Any], hr: Pixels, scale: int) -> tuple[NDArray[Any], Pixels]:
        """Return SR clamped and, unless the protocol says otherwise, rounded to uint8, and HR cropped, both whole.

        Args:
            sr: H x W x 3 RGB in 0..255, any number type.
            hr: H' x W' x 3 RGB; at most `scale` - 1 pixels larger each way, which are cropped off.
            scale: HR size over LR size.

        Raises:
            UsageError: a scale below 1.
            DataError: not RGB, numbers that are not finite, or sizes that differ after the crop.

        """
        if scale < 1:
            raise UsageError(f"the scale is an integer of at least 1, not {scale}")
        for what, image in (("SR", sr), ("HR", hr)):
            if image.ndim != 3 or image.shape[2] != 3:
                raise DataError(f"{what} is not an H x W x 3 RGB image but an array of shape {image.shape}")
        cropped = mod_crop(hr, scale)
        if sr.shape != cropped.shape:
            same = cropped.shape == hr.shape
            if sr.shape == hr.shape:
                raise DataError(
                    f"SR has the size of HR, {sr.shape[1]} x {sr.shape[0]}, which is no multiple of {scale}: crop both to their "
                    f"top left {cropped.shape[1]} x {cropped.shape[0]} pixels"
                )
            raise DataError(
                f"SR is {sr.shape[1]} x {sr.shape[0]} pixels (width x height), but HR is {hr.shape[1]} x {hr.shape[0]}"
                + ("" if same else f", {cropped.shape[1]} x {cropped.shape[0]} when cropped to a multiple of {scale}")
                + ": check the scale and that both show the same picture"
            )
        return quantise(sr) if self.quantise else finite(sr).clip(0, 255), cropped

    def shave(self, image: NDArray[Any], scale: int) -> NDArray[Any]:
        """Return the image without its border.

        Raises:
            DataError: nothing is left.

        """
        return shaved(image, self.shaved(scale))

    def prepare(self, sr: NDArray[Any], hr: Pixels, scale: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return (SR, HR) aligned and shaved: what PSNR and SSIM compare. Raises as `align` and `shave`."""
        whole_sr, whole_hr = self.align(sr, hr, scale)
        return self.shave(whole_sr, scale), self.shave(whole_hr, scale)


def shaved(image: NDArray[Any], border: int) -> NDArray[Any]:
    """Return H x W x C without `border` pixels on each side.

    Raises:
        DataError: nothing is left.

    """
    height, width = image.shape[:2]
    if min(height, width) <= 2 * border:
        raise DataError(
            f"an image of {width} x {height} pixels has nothing left when a border of {border} pixels "
            "is shaved: use larger images or a smaller border"
        )
    return image[border : height - border, border : width - border]
