"""Interpolation in phase with a kernel, its symmetries, and back-projection."""

import pytest
import torch

from drnbench.degradations import parse
from drnbench.degradations.blur import sample
from drnbench.degradations.resize import upsample
from drnbench.zeroshot.geometry import TRANSFORMS, centre_of_mass, enlarge, project_back, symmetries


def image(rows=12, columns=15):
    return torch.rand(1, 3, rows, columns, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 255


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_in_the_middle_of_the_cell_it_is_matlabs_bicubic(scale):
    middle = (scale - 1) / 2
    inner = (..., slice(3 * scale, -3 * scale), slice(3 * scale, -3 * scale))
    assert torch.allclose(enlarge(image(), scale, (middle, middle))[inner], upsample(image(), scale)[inner], atol=1e-9)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_an_lr_pixel_keeps_its_value_at_its_own_position(scale):
    assert torch.equal(enlarge(image(), scale, (0.0, 1.0))[..., ::scale, 1::scale], image())


@pytest.mark.parametrize(
    ("kernel", "centre", "count"),
    [
        ("bicubic", 0.5, 8),
        ("gaussian:sigma=1.4142135623730951,size=15,phase=zero", 0.0, 8),
        ("gaussian:sigma=1.2", 0.5, 8),
        ("anisotropic:sigma_x=2,sigma_y=1", 0.5, 4),  # the identity, both flips, half a turn
        ("anisotropic:sigma_x=2,sigma_y=1,angle=45", 0.5, 4),  # the identity, both diagonals, half a turn
        ("anisotropic:sigma_x=2,sigma_y=1,angle=20", 0.5, 2),
    ],
)
def test_centre_and_symmetries_of_kernels(kernel, centre, count):
    taps = parse(kernel).taps(2)
    assert centre_of_mass(taps) == pytest.approx((centre, centre), abs=1e-6)
    assert len(symmetries(taps)) == count
    assert symmetries(taps)[0] == TRANSFORMS[0]


def test_every_transform_is_undone():
    for transform in TRANSFORMS:
        assert torch.equal(transform.invert(transform.apply(image())), image())


def test_back_projection_brings_sr_to_its_lr_image():
    taps = parse("gaussian:sigma=1.2").taps(2)
    lr = sample(
        torch.nn.functional.avg_pool2d(image(64, 64), 8).repeat_interleave(8, 2).repeat_interleave(8, 3), taps, 2
    )
    start = enlarge(lr, 2, (0.5, 0.5))
    errors = [(sample(project_back(start, lr, taps, 2, n), taps, 2) - lr).abs().mean() for n in (0, 2, 10)]
    assert errors[0] > errors[1] > errors[2]
