"""LR images as other programs make them, for tests."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn.functional import interpolate

from drnbench.data.images import degrade, mod_crop, read_rgb
from drnbench.datasets.sources import resolve
from drnbench.degradations import parse

SET5 = ("baby", "bird", "butterfly", "head", "woman")
SCALES = [pytest.param(2, marks=pytest.mark.real), pytest.param(3, marks=pytest.mark.real), 4]
"""One scale of every program is among the fast tests."""


def photos(count: int = 5) -> dict[str, np.ndarray]:
    """Return embedded photographs, uint8."""
    return {name: read_rgb(path) for name, path in resolve("photos/test").images[:count]}


def pillow(name: str) -> Callable[[np.ndarray, int], np.ndarray]:
    def make(hr, scale):
        size = (hr.shape[1] // scale, hr.shape[0] // scale)
        return np.array(Image.fromarray(hr).resize(size, getattr(Image.Resampling, name)))

    return make


def opencv(name: str) -> Callable[[np.ndarray, int], np.ndarray]:
    def make(hr, scale):
        import cv2

        size = (hr.shape[1] // scale, hr.shape[0] // scale)
        return cv2.resize(hr, size, interpolation=getattr(cv2, f"INTER_{name}"))

    return make


def pytorch(mode: str, **options: bool) -> Callable[[np.ndarray, int], np.ndarray]:
    def make(hr, scale):
        batch = torch.from_numpy(hr.transpose(2, 0, 1).copy()).float()[None]
        size = (hr.shape[0] // scale, hr.shape[1] // scale)
        out = interpolate(batch, size=size, mode=mode, **options)[0]
        return out.round().clamp(0, 255).byte().numpy().transpose(1, 2, 0)

    return make


def kernel(spec: str, seed: str = "0" * 16) -> Callable[[np.ndarray, int], np.ndarray]:
    return lambda hr, scale: degrade(parse(spec), hr, scale, seed)


def every(row: int, column: int) -> Callable[[np.ndarray, int], np.ndarray]:
    return lambda hr, scale: hr[row::scale, column::scale]


TOOLS = {
    "MATLAB's bicubic (symmetric border)": kernel("bicubic"),
    "MATLAB's bicubic (replicate border)": kernel("bicubic:border=replicate"),
    **{f"Pillow's {name.lower()}": pillow(name) for name in ("BICUBIC", "BILINEAR", "BOX", "HAMMING", "LANCZOS")},
    **{f"OpenCV's INTER_{name}": opencv(name) for name in ("CUBIC", "LINEAR", "LANCZOS4", "AREA")},
    "PyTorch's bicubic with antialias": pytorch("bicubic", antialias=True),
    "PyTorch's bicubic without antialias": pytorch("bicubic"),
    "PyTorch's bicubic with antialias, align_corners": pytorch("bicubic", antialias=True, align_corners=True),
    "PyTorch's bicubic without antialias, align_corners": pytorch("bicubic", align_corners=True),
    "PyTorch's bilinear with antialias": pytorch("bilinear", antialias=True),
    "the mean of each cell (PyTorch's area)": pytorch("area"),
    "nearest, pixel (0, 0) of each cell ([::s, ::s], OpenCV's and PyTorch's nearest)": every(0, 0),
    "nearest, pixel (1, 0) of each cell": every(1, 0),
    "bd (Gaussian of sigma 1.6, then every s-th pixel)": kernel("bd"),
}
"""Generators by the name that an audit gives them."""


def pairs(names: dict[str, np.ndarray], tool: str, scale: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return HR, cropped to the scale, and LR of some images."""
    cropped = {name: mod_crop(hr, scale) for name, hr in names.items()}
    return {name: (hr, TOOLS[tool](hr, scale)) for name, hr in cropped.items()}


def save(folder, images: dict[str, np.ndarray], **options) -> None:
    """Write images as PNG, or in another format."""
    folder.mkdir(parents=True, exist_ok=True)
    kind = options.pop("kind", "png")
    for name, pixels in images.items():
        Image.fromarray(np.ascontiguousarray(pixels)).save(folder / f"{name}.{kind}", **options)
