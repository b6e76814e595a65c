"""The pixels of SR and HR that are compared under a protocol."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from drnbench.config.protocol import Protocol
from drnbench.data.images import finite, mod_crop, quantise
from drnbench.errors import DataError, UsageError

Pixels = NDArray[np.uint8]


def planes(image: NDArray[Any], color: str, protocol: Protocol) -> NDArray[np.float64]:
    """Return the planes of an H x W x 3 image that a metric compares: Y, H x W, for "y"; float64 R, G, B for "rgb"."""
    return luma(image, y_round=protocol.y_round) if color == "y" else image.astype(np.float64)


def luma(image: NDArray[Any], *, y_round: bool = False) -> NDArray[np.float64]:
    """Return Y of BT.601 in studio range, 16..235, float64 H x W, of an H x W x 3 RGB image in 0..255.

    Full-range luma would lower every PSNR by 1.3219 dB (20 log10(219/255) from the peak of 255 alone).
    """
    # Summed in place: half the time of one expression, and the same bits.
    y: NDArray[np.float64] = np.multiply(image[..., 0], 65.481, dtype=np.float64)
    y += np.multiply(image[..., 1], 128.553, dtype=np.float64)
    y += np.multiply(image[..., 2], 24.966, dtype=np.float64)
    y /= 255
    y += 16
    return np.floor(y + 0.5) if y_round else y


def align(sr: NDArray[Any], hr: Pixels, scale: int, protocol: Protocol) -> tuple[NDArray[Any], Pixels]:
    """Return SR clamped and, if the protocol quantises, rounded to uint8, and HR cropped to its size; nothing is shaved.

    Args:
        sr: H x W x 3 RGB in 0..255, any number type.
        hr: H' x W' x 3 RGB; at most `scale` - 1 pixels larger each way, which are cropped off.
        scale: HR size over LR size.
        protocol: rounding.

    Raises:
        UsageError: a scale below 1.
        DataError: not RGB, numbers that are not finite, or sizes that differ after the crop.
    """
    if scale < 1:
        raise UsageError(f"the scale is an integer of at least 1, not {scale}")
    for role, image in (("SR", sr), ("HR", hr)):
        if image.ndim != 3 or image.shape[2] != 3:
            raise DataError(f"{role} is not an H x W x 3 RGB image but an array of shape {image.shape}")
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
    return quantise(sr) if protocol.quantise else finite(sr).clip(0, 255), cropped


def prepare(sr: NDArray[Any], hr: Pixels, scale: int, protocol: Protocol) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return (SR, HR) aligned and shaved, as PSNR and SSIM compare them; errors as in `align` and `shaved`."""
    aligned_sr, aligned_hr = align(sr, hr, scale, protocol)
    border = protocol.shaved(scale)
    return shaved(aligned_sr, border), shaved(aligned_hr, border)


def shaved(image: NDArray[Any], border: int) -> NDArray[Any]:
    """Return H x W x C without `border` pixels on each side.

    Raises:
        DataError: no pixel is left.
    """
    height, width = image.shape[:2]
    if min(height, width) <= 2 * border:
        raise DataError(
            f"an image of {width} x {height} pixels has nothing left when a border of {border} pixels "
            "is shaved: use larger images or a smaller border"
        )
    return image[border : height - border, border : width - border]
