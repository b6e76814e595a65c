"""The registered kernels: phase, ranges, specs."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from drnbench.data.images import to_tensor, to_uint8
from drnbench.degradations import canonical, identity, kernels, parse
from drnbench.errors import UsageError

specs = st.one_of(
    st.sampled_from(["bicubic", "bicubic:border=replicate", "nearest", "nearest:offset=zero", "bd"]),
    st.floats(0.05, 8).map(lambda sigma: f"gaussian:sigma={sigma!r}"),
    st.tuples(st.floats(0.05, 8), st.integers(1, 30)).map(lambda two: f"bd:size={two[1]},sigma={two[0]!r}"),
    st.tuples(st.floats(0.05, 4), st.floats(0.05, 4), st.floats(-400, 400)).map(
        lambda three: "anisotropic:sigma_x={!r},sigma_y={!r},angle={!r}".format(*three)
    ),
)
camera = st.sampled_from(["", "noise=3.5", "jpeg=70", "jpeg=100,noise=0.25"])


def ramp(scale: int, cells: int = 24, axis: int = 3) -> torch.Tensor:
    """An image whose level is `2 x position`: what an LR pixel shows tells where it was taken."""
    side = cells * scale
    line = 2.0 * torch.arange(side, dtype=torch.float64)
    return line.view(1, 1, 1, side).expand(1, 3, side, side).transpose(axis, 3).contiguous()


def phase(spec: str, scale: int, axis: int) -> torch.Tensor:
    """Return the position of the middle LR pixels in their cell, in HR pixels from 0."""
    x = ramp(scale, cells=-(-120 // (2 * scale)), axis=axis)
    lr = parse(spec).degrade(x, scale).transpose(axis, 3)[0, 0]
    columns = torch.arange(lr.shape[1], dtype=torch.float64)
    middle = slice(lr.shape[1] // 2 - 1, lr.shape[1] // 2 + 2)
    return (lr / 2 - columns * scale)[:, middle]


@pytest.mark.parametrize("axis", [2, 3])
@pytest.mark.parametrize("scale", [1, 2, 3, 4, 5, 8])
@pytest.mark.parametrize(
    "spec",
    [
        "bicubic",
        "bicubic:border=replicate",
        "bd",
        "gaussian:sigma=1.3",
        "gaussian:sigma=0.2",
        "anisotropic:sigma_x=2.5,sigma_y=0.4,angle=30",
        "anisotropic:sigma_x=0.1,sigma_y=0.2,angle=45",
    ],
)
def test_phase_aligned_with_bicubic(spec, scale, axis):
    assert torch.equal(phase(spec, scale, axis), torch.full_like(phase(spec, scale, axis), (scale - 1) / 2))


@pytest.mark.parametrize("scale", [1, 2, 3, 4, 8])
def test_nearest_states_its_phase(scale):
    half, zero = phase("nearest", scale, 3), phase("nearest:offset=zero", scale, 3)
    assert torch.equal(half, torch.full_like(half, scale // 2))
    assert torch.equal(zero, torch.zeros_like(zero))


def test_nearest_equals_that_of_pillow_and_torch():
    x = noise(24, 36)
    pillow = Image.fromarray(to_uint8(x)).resize((9, 6), Image.Resampling.NEAREST)
    assert torch.equal(parse("nearest").degrade(x, 4), to_tensor(np.array(pillow)).double())
    assert torch.equal(parse("nearest").degrade(x, 4), torch.nn.functional.interpolate(x, (6, 9), mode="nearest-exact"))
    zero = parse("nearest:offset=zero").degrade(x, 4)
    assert torch.equal(zero, torch.nn.functional.interpolate(x, (6, 9), mode="nearest"))


@pytest.mark.parametrize(("scale", "size", "offset"), [(2, 12, 0), (3, 7, 1), (4, 12, 1), (5, 7, 2), (8, 12, 3)])
def test_bd_is_blur_then_uint8_then_sampling(scale, size, offset):
    # By scipy, whose origin convention is stated by the padding: x[i + k - (size-1)//2].
    from scipy.ndimage import correlate

    x = noise(4 * scale, 5 * scale)[:1]
    taps = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    weights = torch.exp(-(taps[:, None] ** 2 + taps**2) / (2 * 1.6**2))
    weights /= weights.sum()
    origin = -1 if size % 2 == 0 else 0  # scipy centres an even kernel at size//2
    blurred = correlate(x[0, 0].numpy(), weights.numpy(), mode="nearest", origin=origin)
    expected = (torch.from_numpy(blurred) + 0.5).floor()[offset::scale, offset::scale]
    assert torch.equal(parse("bd").degrade(x, scale)[0, 0], expected)


def noise(height: int, width: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (1, 3, height, width), generator=generator).double()


@settings(max_examples=40, deadline=None)
@given(specs, st.integers(1, 9), st.integers(1, 4), st.integers(1, 4), st.integers(0, 255))
def test_any_kernel_at_any_scale(spec, scale, rows, columns, level):
    x = noise(rows * scale, columns * scale).float()
    lr = parse(spec).degrade(x, scale)
    assert lr.shape == (1, 3, rows, columns)
    assert lr.dtype == torch.float32
    assert torch.equal(lr, lr.round().clamp(0, 255))
    flat = parse(spec).degrade(torch.full_like(x, level), scale)
    assert torch.equal(flat, torch.full_like(flat, level))


@pytest.mark.parametrize("spec", ["bicubic", "nearest", "gaussian:sigma=0.01"])
def test_scale_one_is_legal_and_filters_of_no_width_keep_the_image(spec):
    x = noise(6, 5)
    assert torch.equal(parse(spec).degrade(x, 1), x)


@pytest.mark.parametrize("spec", ["bicubic", "nearest", "bd", "gaussian:sigma=1"])
@pytest.mark.parametrize(("size", "scale"), [((9, 8), 4), ((8, 9), 4), ((8, 8), 0), ((0, 8), 4)])
def test_sizes_that_do_not_fit(spec, size, scale):
    with pytest.raises(UsageError, match="scale"):
        parse(spec).degrade(torch.zeros(1, 3, *size), scale)


@given(specs, camera)
def test_specs_round_trip(spec, more):
    spec += f"{',' if ':' in spec else ':'}{more}" if more else ""
    short = canonical(spec)
    assert canonical(short) == short
    assert parse(short) == parse(spec)
    assert identity(short) == identity(spec)


@pytest.mark.parametrize(
    ("spec", "short"),
    [
        ("bd:sigma=1.6", "bd"),
        ("bd:size=none", "bd"),
        ("bd: size=12, sigma=2", "bd:sigma=2.0,size=12"),
        ("bicubic:border=symmetric", "bicubic"),
        ("gaussian:sigma=2", "gaussian:sigma=2.0"),
        ("bd:jpeg=70,noise=5", "bd:jpeg=70,noise=5.0"),
        ("bd:jpeg=none,noise=0", "bd"),
        ("anisotropic:sigma_y=1,sigma_x=2,angle=0", "anisotropic:sigma_x=2.0,sigma_y=1.0"),
    ],
)
def test_canonical_drops_defaults_and_sorts(spec, short):
    assert canonical(spec) == short


def test_identity_holds_every_parameter():
    assert identity("bd") == {"name": "bd", "sigma": 1.6, "size": None}
    assert identity("bicubic") == {"name": "bicubic", "border": "symmetric"}
    assert identity("real") == {"name": "real"}


def test_noise_and_jpeg_are_in_the_identity_only_where_set():
    assert identity("bd:noise=0,jpeg=none") == identity("bd")
    assert identity("bd:noise=5") == {**identity("bd"), "noise": 5.0}
    assert identity("bd:jpeg=70") == {**identity("bd"), "jpeg": 70}
    assert [parse(spec).seeded for spec in ("bd", "bd:jpeg=70", "bd:noise=0", "bd:noise=5")] == [False] * 3 + [True]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("bicubicc", "did you mean 'bicubic'"),
        ("", "unknown kernel"),
        ("bd:sgma=2", "did you mean 'sigma'"),
        ("bd:sigma=wide", "valid number"),
        ("bd:sigma=-1", "greater than 0"),
        ("bd:sigma=NaN", "finite"),
        ("bd:size=2.5", "integer"),
        ("bd:size=true", "integer"),
        ("bd:sigma", "not parameter=value"),
        ("bd:", "not parameter=value"),
        ("bd:sigma=1,sigma=2", "twice"),
        ("gaussian", "sigma: is missing"),
        ("bicubic:border=mirror", "symmetric"),
        ("bicubic:noise=-1", "greater than or equal to 0"),
        ("bicubic:noise=nan", "valid number"),
        ("bicubic:noise=NaN", "finite|greater"),
        ("bicubic:jpeg=0", "greater than or equal to 1.*quality"),
        ("bicubic:jpeg=101", "less than or equal to 100"),
        ("bicubic:jpeg=7.5", "integer"),
        ("anisotropic:sigma_x=1", "sigma_y: is missing"),
        ("anisotropic:sigma_x=1,sigma_y=99", "less than or equal to 25"),
        ("anisotropic:sigma_x=1,sigma_y=2,angle=Infinity", "finite"),
        ("real:noise=5", "must be None.*keep the noise"),
        ("file", "path: is missing.*npy"),
        ("file:path=", "not parameter=value"),
        ("file:path=3", "must be a string"),
    ],
)
def test_bad_specs_are_one_line(spec, message):
    with pytest.raises(UsageError, match=message) as caught:
        parse(spec)
    assert "\n" not in str(caught.value)


def test_real_images_are_not_degraded():
    real = parse("real")
    assert real.real
    assert not parse("bicubic").real
    with pytest.raises(UsageError, match="images of kernel 'real' are LR already"):
        real.degrade(noise(8, 8), 2)


@pytest.mark.gpu
@pytest.mark.parametrize(
    "spec", ["bicubic", "bd:noise=5", "gaussian:sigma=1.3,jpeg=60", "anisotropic:sigma_x=2,sigma_y=1"]
)
def test_cuda_gives_the_levels_of_the_cpu(spec):
    x = noise(64, 96)
    lr = parse(spec).degrade(x.cuda(), 4, 7)
    assert lr.is_cuda
    assert torch.equal(lr.cpu(), parse(spec).degrade(x, 4, 7))


def test_every_kernel_is_described():
    for name in kernels.list():
        kind = kernels.get(name)
        assert kind.name == name
        assert kind.summary
        assert all(field.description for field in kind.model_fields.values())


def test_the_package_imports_nothing_heavy():
    code = (
        "import sys, drnbench.degradations, drnbench.data, drnbench.evaluation as e; "
        "from drnbench.data import cache, images; from drnbench.datasets import photos, sources; "
        "e.metrics.get('psnr_y').label; "
        "print(sorted({'torch', 'skimage', 'sklearn', 'scipy', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_importing_the_modules_leaves_the_registries_in_place():
    import drnbench.degradations.kernel
    import drnbench.evaluation.metric
    from drnbench.registry import Registry

    assert isinstance(drnbench.degradations.kernels, Registry)
    assert isinstance(drnbench.evaluation.metrics, Registry)
