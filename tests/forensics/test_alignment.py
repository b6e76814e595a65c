"""The shift of an LR image is measured to a few hundredths of an HR pixel, whatever the kernel."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drnbench.forensics.alignment import align, median
from tests.forensics.tools import SCALES, TOOLS, pairs, photos

PHOTOS = {name: hr[:320, :320] for name, hr in photos(3).items()}
SMALL = {name: hr[:200, :200] for name, hr in PHOTOS.items()}
CROPS = {name: hr[:192, :192].astype(float) for name, hr in photos().items()}


def moved(image: np.ndarray, x: float, y: float) -> np.ndarray:
    """Move the content of an image right by x and down by y pixels; it goes around the edges."""
    rows = np.exp(-2j * np.pi * np.fft.fftfreq(image.shape[0]) * y)[:, None, None]
    columns = np.exp(-2j * np.pi * np.fft.fftfreq(image.shape[1]) * x)[None, :, None]
    return np.fft.ifft2(np.fft.fft2(image, axes=(0, 1)) * rows * columns, axes=(0, 1)).real


@pytest.mark.real
@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(sorted(CROPS)), st.sampled_from([2, 3, 4]), st.floats(-3, 3), st.floats(-3, 3),
    st.sampled_from(["MATLAB's bicubic (symmetric border)", "Pillow's bilinear", "bd (Gaussian of sigma 1.6, then every s-th pixel)"]),
)  # fmt: skip
def test_a_shift_is_measured_to_a_twentieth_of_a_pixel(name, scale, x, y, tool):
    hr = CROPS[name]
    shifted = np.clip(np.rint(moved(hr, x, y)), 0, 255).astype(np.uint8)
    alignment = align(hr, TOOLS[tool](shifted, scale).astype(float), (scale, scale))
    assert (alignment.x, alignment.y) == pytest.approx((x, y), abs=0.05)


@pytest.mark.fast_variants(12)
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("tool", TOOLS)
def test_the_phase_of_every_program(tool, scale):
    if "OpenCV" in tool:
        pytest.importorskip("cv2")
    expected = {
        "nearest, pixel (0, 0) of each cell ([::s, ::s], OpenCV's and PyTorch's nearest)": (0.0, 0.0),
        "nearest, pixel (1, 0) of each cell": (0.0, 1.0),
    }.get(tool)
    middle = (scale - 1) / 2
    x, y = (0.0, 0.0) if expected is None else (middle - expected[0], middle - expected[1])
    drift = 0.0
    if "align_corners" in tool:
        drift = -(scale - 1)
        x = y = -middle if "with antialias" in tool else 0.0
    alignment = median([align(hr, lr, (scale, scale)) for hr, lr in pairs(SMALL, tool, scale).values()])
    assert (alignment.x, alignment.y) == pytest.approx((x, y), abs=0.05)
    assert (alignment.drift_x, alignment.drift_y) == pytest.approx((drift, drift), abs=0.5 if scale == 2 else 0.15)
    assert alignment.displaced == bool(x or y or drift)


@pytest.mark.real
def test_noise_and_jpeg_do_not_move_it():
    from drnbench.data.images import degrade, mod_crop
    from drnbench.degradations import parse

    for spec in ("bicubic:noise=10", "bicubic:jpeg=40", "gaussian:noise=5,sigma=2.0"):
        measured = [
            align(hr, degrade(parse(spec), hr, 4, f"{n:016x}"), (4, 4))
            for n, hr in enumerate(mod_crop(hr, 4) for hr in PHOTOS.values())
        ]
        assert (median(measured).x, median(measured).y) == pytest.approx((0, 0), abs=0.05)


def test_a_flat_image_says_nothing():
    flat = np.full((64, 64, 3), 9.0)
    alignment = align(flat, flat[::4, ::4], (4, 4))
    assert not np.isfinite(alignment.error)
    assert median([alignment]) is None
    assert not alignment.displaced
