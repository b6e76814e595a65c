"""Every imitation makes the pixels of the program itself."""

import numpy as np
import pytest

from drnbench.forensics.generators import Window, generators
from tests.forensics.tools import TOOLS, pairs, photos

PHOTOS = photos(2)


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
@pytest.mark.parametrize("tool", TOOLS)
def test_pixels_are_those_of_the_program(tool, scale):
    if "OpenCV" in tool:
        pytest.importorskip("cv2")
    for hr, lr in pairs(PHOTOS, tool, scale).values():
        window = Window(hr.astype(float), lr.shape[:2], lr.shape[:2], (scale, scale))
        (generator,) = [generator for generator in generators(scale) if generator.name == tool]
        made = [levels for _, levels in generator.make(window)]
        # PyTorch computes in float32: a half is rounded the other way here and there.
        assert max(np.mean(levels == lr) for levels in made) > (0.999 if "PyTorch" in tool else 1 - 1e-12)
        assert min(np.abs(levels - lr).max() for levels in made) <= ("PyTorch" in tool)


@pytest.mark.parametrize("scale", [2, 3, 5])
def test_a_constant_image_stays_constant(scale):
    hr = np.full((6 * scale, 7 * scale, 3), 77.0)
    window = Window(hr, (6, 7), (6, 7), (scale, scale))
    for generator in generators(scale):
        for suffix, levels in generator.make(window):
            assert levels.shape == (6, 7, 3)
            assert np.all(levels == 77), generator.name + suffix


def test_names_are_unique():
    names = [generator.name for generator in generators(4)]
    assert len(names) == len(set(names))
