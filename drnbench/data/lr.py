"""One LR image of an HR image, and the hash of an image's pixels."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from drnbench.data.images import to_tensor, to_uint8

if TYPE_CHECKING:
    from drnbench.degradations.kernel import Kernel

Pixels = NDArray[np.uint8]


def pixel_sha(image: Pixels) -> str:
    """Return the sha256 (hex) of an image's shape and pixels: its identity in keys and caches."""
    digest = hashlib.sha256(f"{image.shape}".encode())
    digest.update(np.ascontiguousarray(image).data)
    return digest.hexdigest()


def degrade(kernel: Kernel, hr: Pixels, scale: int, sha: str) -> Pixels:
    """Return the LR image of an HR image.

    Args:
        kernel: the degradation.
        hr: H x W x 3, sides divisible by the scale.
        scale: HR size over LR size.
        sha: `pixel_sha` of the whole HR image, before any crop: it seeds the noise, so that an image gets the same noise
            in every set, order and process.

    """
    return to_uint8(kernel.degrade(to_tensor(hr), scale, int(sha[:16], 16)))
