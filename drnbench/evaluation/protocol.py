"""How images are compared: one named object, printed in every caption and part of every evaluation's key.

PSNR that does not match a paper is nearly always RGB against Y, the border, or rounding; each is stated here.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from drnbench.data.images import mod_crop, quantise
from drnbench.errors import DataError, UsageError

Pixels = NDArray[np.uint8]


class Protocol(BaseModel):
    """The field's protocol; its defaults are what papers report."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    color: Literal["y"] = Field("y", description="what PSNR and SSIM compare: y, the luma of BT.601 in studio range")
    y_round: bool = Field(
        False, description="round Y to integers, as MATLAB does on uint8; Set5 x4 bicubic: 28.42 for 28.43 dB"
    )
    border: int | None = Field(None, ge=0, description="pixels shaved on each side before comparing; none: the scale")

    def shaved(self, scale: int) -> int:
        """Return the pixels shaved on each side at a scale."""
        return scale if self.border is None else self.border

    def caption(self, scale: int | None = None) -> str:
        """Return one sentence for the caption of a table; without a scale, for a table of several."""
        rounded = "rounded to integers" if self.y_round else "not rounded"
        if scale is None and self.border is None:
            border = "border of as many pixels as the scale shaved"
        else:
            pixels = self.shaved(scale or 0)
            border = f"border of {pixels} pixel{'s' * (pixels != 1)} shaved" if pixels else "no border shaved"
        return (
            f"PSNR and SSIM on Y of BT.601 (studio range, float64, {rounded}), {border}, SR rounded to 8 "
            "bit, mean over images"
        )

    def luma(self, image: NDArray[Any]) -> NDArray[np.float64]:
        """Return Y of BT.601 in studio range, 16..235, float64 H x W, of an H x W x 3 RGB image in 0..255.

        Full-range luma would lower every PSNR by 1.3219 dB (20 log10(219/255) from the peak of 255 alone).
        """
        red, green, blue = np.moveaxis(image.astype(np.float64), -1, 0)
        luma: NDArray[np.float64] = 16 + (65.481 * red + 128.553 * green + 24.966 * blue) / 255
        return np.floor(luma + 0.5) if self.y_round else luma

    def align(self, sr: NDArray[Any], hr: Pixels, scale: int) -> tuple[Pixels, Pixels]:
        """Return SR clamped and rounded to 8 bit, and HR cropped to a multiple of the scale, both whole.

        Args:
            sr: H x W x 3 RGB in 0..255, any number type.
            hr: H' x W' x 3 RGB; at most `scale` - 1 pixels larger each way.
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
            raise DataError(
                f"SR is {sr.shape[1]} x {sr.shape[0]} pixels (width x height), but HR is "
                f"{hr.shape[1]} x {hr.shape[0]}, {cropped.shape[1]} x {cropped.shape[0]} when "
                f"cropped to a multiple of {scale}: check the scale and that both show the same picture"
            )
        return quantise(sr), cropped

    def shave(self, image: Pixels, scale: int) -> Pixels:
        """Return the image without its border.

        Raises:
            DataError: nothing is left.

        """
        border = self.shaved(scale)
        height, width = image.shape[:2]
        if min(height, width) <= 2 * border:
            raise DataError(
                f"an image of {width} x {height} pixels has nothing left when a border of {border} pixels "
                "is shaved: use larger images or a smaller border"
            )
        return image[border : height - border, border : width - border]

    def prepare(self, sr: NDArray[Any], hr: Pixels, scale: int) -> tuple[Pixels, Pixels]:
        """Return (SR, HR) aligned and shaved: what PSNR and SSIM compare. Raises as `align` and `shave`."""
        whole_sr, whole_hr = self.align(sr, hr, scale)
        return self.shave(whole_sr, scale), self.shave(whole_hr, scale)
