"""Effects of a camera on the LR image after the kernel: sensor noise, then JPEG."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np

from drnbench.degradations.resize import round_half_up
from drnbench.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor


def add_noise(lr: Tensor, sigma: float, seed: int) -> Tensor:
    """Add Gaussian noise, then round half up and clip.

    Image i of the batch gets the draws of Philox keyed by (seed, i), made on the CPU: the same on every device, and for
    the first image of a batch of any size.

    Args:
        lr: N x C x h x w, float64, integers in 0..255.
        sigma: standard deviation in gray levels, before rounding.
        seed: any integer; counts modulo 2^64.

    Returns:
        The same shape and device: integers in 0..255.
    """
    import torch

    draws = [
        np.random.Generator(np.random.Philox(key=np.array([seed % 2**64, i], np.uint64))).standard_normal(image.shape)
        for i, image in enumerate(lr)
    ]
    return round_half_up(lr + sigma * torch.from_numpy(np.stack(draws)).to(lr.device)) if draws else lr


def through_jpeg(lr: Tensor, quality: int) -> Tensor:
    """Encode each image as JPEG with chroma halved both ways (4:2:0), and decode it.

    Args:
        lr: N x 3 x h x w, float64, integers in 0..255.
        quality: 1..100 in Pillow's (libjpeg's) count.

    Returns:
        The same shape and device: integers in 0..255.

    Raises:
        UsageError: images that are not of three channels.
    """
    import torch
    from PIL import Image

    if lr.shape[1] != 3:
        raise UsageError(f"jpeg codes RGB images of 3 channels, not {lr.shape[1]}: repeat the gray channel")
    out = torch.empty_like(lr)
    for i, image in enumerate(lr):
        buffer = io.BytesIO()
        pixels = np.ascontiguousarray(image.cpu().numpy().astype(np.uint8).transpose(1, 2, 0))
        Image.fromarray(pixels).save(buffer, format="JPEG", quality=quality, subsampling="4:2:0")
        with Image.open(buffer) as decoded:
            out[i] = torch.from_numpy(np.array(decoded.convert("RGB")).transpose(2, 0, 1).copy())
    return out
