"""Sets of small images of noise, and the files of decoded pixels that a cache has."""

from __future__ import annotations

import numpy as np
from PIL import Image

COUNT = 6


def paint(folder, count=COUNT, size=(26, 35), start=0):
    """Write different images of noise."""
    folder.mkdir(exist_ok=True)
    for i in range(start, start + count):
        pixels = np.random.default_rng(i).integers(0, 256, (*size, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{i:03d}.png")
    return folder


def packs(store):
    """Return the modification time of each file of pixels."""
    return {file: file.stat().st_mtime_ns for file in (store / "pixels").rglob("*.npy")}
