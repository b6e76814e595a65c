"""Figures for the dark mode of a page: the pixels of a PNG with dark and light exchanged, pictures and maps as they are."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.transforms import Bbox

PAPER, INK = (20.0, 24.0, 28.0), 236.0
"""Colours that white and black become: the page's in dark mode, and a light gray."""
WEIGHTS = (0.299, 0.587, 0.114)
"""Of R, G and B in the luma of ITU-R BT.601."""


def webp(file: Path, figure: Figure) -> bytes:
    """Return a figure for dark mode as lossless WebP.

    Luma is turned around and the hue kept, so blue stays blue. It falls slowly from black, so that colours which are
    lighter than gray on white stand out on black as well. Photographs, kernels and heat maps, with what is written on
    them and their colour bars, stay: their colours are their content.

    Args:
        file: PNG of the figure.
        figure: laid out as it was saved, for the places of its pictures.

    """
    from PIL import Image

    with Image.open(file) as image:
        pixels = np.asarray(image.convert("RGB"))
    height = pixels.shape[0]
    turned = _turned(pixels)
    for box in _pictures(figure):
        rows = slice(max(0, round(height - box.y1)), max(0, round(height - box.y0)))
        columns = slice(max(0, round(box.x0)), max(0, round(box.x1)))
        turned[rows, columns] = pixels[rows, columns]
    out = io.BytesIO()
    Image.fromarray(turned).save(out, "WEBP", lossless=True, quality=0, method=0)
    return out.getvalue()


def _turned(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return pixels, H x W x 3 uint8, with their luma turned around."""
    paper = np.array(PAPER, np.float32)
    turned = np.empty_like(pixels)
    turned[:] = paper
    drawn = (pixels != 255).any(-1)  # most of a figure is white
    colours = pixels[drawn].astype(np.float32)
    luma = (colours @ np.array(WEIGHTS, np.float32))[:, None]
    gray = paper + (1 - (luma / 255) ** 2) * (INK - paper)
    turned[drawn] = np.clip(gray + colours - luma + 0.5, 0, 255)
    return turned


def _pictures(figure: Figure) -> Iterator[Bbox]:
    """Yield the places of pictures, maps and their colour bars, in pixels of the figure from its lower left corner."""
    from matplotlib.collections import PathCollection, QuadMesh
    from matplotlib.image import AxesImage
    from matplotlib.transforms import Bbox

    # Panels alone are asked: a search through all artists makes every tick of every axis first.
    panels = [panel for axes in figure.axes for panel in (axes, *axes.child_axes)]
    artists = [artist for panel in panels for artist in (*panel.collections, *panel.images)]
    # The bar of points is turned around with its points.
    points = (artist.colorbar for artist in artists if isinstance(artist, PathCollection))
    turned = {bar.ax for bar in points if bar is not None}
    for artist in artists:
        axes = artist.axes
        if isinstance(artist, (AxesImage, QuadMesh)) and axes is not None and axes not in turned:
            shared = Bbox.intersection(artist.get_window_extent(), axes.bbox)
            if shared is not None:
                yield shared
