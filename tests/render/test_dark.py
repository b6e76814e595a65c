"""Figures for dark mode: dark and light exchanged, hues and pictures as they are."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from drnbench.render import dark, style
from drnbench.render.style import CaptionedFigure


def test_dark_and_light_are_exchanged_and_pictures_stay(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    with style.styled():
        figure = style.new_figure(2.0, 1.0)
        figure.set_layout_engine("none")
        picture, plot = figure.add_axes((0.05, 0.1, 0.4, 0.8)), figure.add_axes((0.55, 0.1, 0.4, 0.8))
        style.picture(picture, pixels)
        plot.set_axis_off()
        for height, colour in enumerate(("black", style.COLOURS[0], "0.92")):
            plot.axhline(height, color=colour, linewidth=8)
        style.save(CaptionedFigure("figure_x", "", figure), tmp_path)
    light = np.asarray(Image.open(tmp_path / "figure_x.png").convert("RGB")).astype(int)
    turned = np.asarray(Image.open(io.BytesIO(dark.webp(tmp_path / "figure_x.png", figure))).convert("RGB")).astype(int)
    assert turned.shape == light.shape
    assert tuple(turned[0, 0]) == dark.PAPER
    left, right = light.shape[1] // 4, 3 * light.shape[1] // 4
    assert (turned[90:110, left - 10 : left + 10] == light[90:110, left - 10 : left + 10]).all()
    values = dict(zip(map(tuple, light[:, right]), turned[:, right], strict=True))
    red, green, blue = values[1, 115, 178]
    assert red < green < blue, "blue stays blue"
    assert min(values[0, 0, 0]) > 200, "black becomes light"
    assert max(values[235, 235, 235]) < 90, "what is nearly white stays faint"
