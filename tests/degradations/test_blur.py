"""Weights as pictures, the anisotropic Gaussian, kernels of files."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import savemat

from drnbench.degradations import canonical, identity, parse
from drnbench.degradations.kernel import Kernel
from drnbench.errors import UsageError

LINEAR = [
    "bicubic", "nearest", "nearest:offset=zero", "bd", "bd:size=1", "bd:size=6", "bd:size=5,sigma=0.7",
    "gaussian:sigma=0.1", "gaussian:sigma=1.4", "anisotropic:sigma_x=2.2,sigma_y=0.6,angle=25",
    "anisotropic:sigma_x=1,sigma_y=1,angle=25",
]  # fmt: skip
scales = st.integers(1, 6)


def noise(height: int, width: int, seed: int = 0, low: int = 0, high: int = 256) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(low, high, (1, 3, height, width), generator=generator).double()


def applied(kernel: Kernel, hr: torch.Tensor, scale: int) -> tuple[torch.Tensor, slice]:
    """The interior of the LR image as the documented window says it, not rounded, and which cells that is."""
    window = kernel.impulse(scale)
    side = len(window)
    assert window.shape == (side, side)
    assert (side - scale) % 2 == 0
    before = (side - scale) // 2
    cells = hr.shape[2] // scale
    inside = [r for r in range(cells) if r * scale - before >= 0 and r * scale - before + side <= hr.shape[2]]
    start = inside[0] * scale - before
    flat = hr[..., start:, start:].transpose(0, 1)
    sums = torch.conv2d(flat, window[None, None], stride=scale).transpose(0, 1)[..., : len(inside), : len(inside)]
    return sums, slice(inside[0], inside[-1] + 1)


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(LINEAR), scales, st.integers(0, 9))
def test_the_impulse_response_is_that_of_degrade_before_rounding(spec, scale, seed):
    kernel = parse(spec)
    side = len(kernel.impulse(scale))
    # Away from black and white: bicubic overshoots, and clips after its first pass.
    hr = noise(scale * (4 + -(-side // scale)), scale * (4 + -(-side // scale)), seed, 64, 192)
    expected, cells = applied(kernel, hr, scale)
    lr = kernel.degrade(hr, scale)[..., cells, cells]
    # Bicubic rounds after each pass; the second weighs the first one's halves by up to 1.19 in all.
    assert float((lr - expected).abs().max()) <= (1.1 if spec == "bicubic" else 0.5 + 1e-9)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(LINEAR), scales)
def test_an_impulse_sums_to_one_and_is_centred_where_the_phase_is(spec, scale):
    window = parse(spec).impulse(scale)
    assert window.dtype == torch.float64
    assert float(window.sum()) == pytest.approx(1, abs=1e-12)
    away = torch.arange(len(window), dtype=torch.float64) - (len(window) - 1) / 2
    off = {"nearest": scale // 2, "nearest:offset=zero": 0}.get(spec, (scale - 1) / 2) - (scale - 1) / 2
    if spec.startswith("bd:size") and (int(spec[8]) - scale) % 2:
        off = 0.5 if scale % 2 else -0.5  # its documented half pixel
    for axis in (0, 1):
        assert float(window.sum(axis) @ away) == pytest.approx(off, abs=1e-9)


def test_noise_and_jpeg_are_not_in_the_impulse():
    assert torch.equal(parse("bd:noise=9,jpeg=20").impulse(4), parse("bd").impulse(4))


def test_kernels_without_weights_say_so():
    class Mean(Kernel):
        name = "mean"
        summary = ""

    for kernel in (Mean(), parse("real")):
        with pytest.raises(UsageError, match="does not state its weights"):
            kernel.impulse(2)
    with pytest.raises(UsageError, match="at least 1"):
        parse("bd").impulse(0)


@settings(max_examples=30, deadline=None)
@given(st.floats(0.05, 5), st.floats(-720, 720), scales)
def test_equal_sigmas_are_the_isotropic_gaussian(sigma, angle, scale):
    x = noise(5 * scale, 7 * scale)
    stretched = parse(f"anisotropic:sigma_x={sigma!r},sigma_y={sigma!r},angle={angle!r}")
    assert torch.equal(stretched.degrade(x, scale), parse(f"gaussian:sigma={sigma!r}").degrade(x, scale))


@settings(max_examples=30, deadline=None)
@given(st.floats(0.3, 3), st.floats(0.3, 3), st.floats(-180, 180), scales)
def test_turning_the_kernel(long, short, angle, scale):
    def window(x, y, a):
        return parse(f"anisotropic:sigma_x={x!r},sigma_y={y!r},angle={a!r}").impulse(scale)

    kernel = window(long, short, angle)
    same = {"atol": 1e-12, "rtol": 1e-9}
    torch.testing.assert_close(window(long, short, angle + 180), kernel, **same)
    torch.testing.assert_close(window(short, long, angle + 90), kernel, **same)
    torch.testing.assert_close(torch.rot90(kernel), window(long, short, angle + 90), **same)  # counter-clockwise
    torch.testing.assert_close(kernel.flip(0), window(long, short, -angle), **same)


@pytest.mark.parametrize(("angle", "direction"), [(0, (0, 1)), (45, (-1, 1)), (90, (-1, 0)), (135, (-1, -1))])
def test_sigma_x_lies_along_the_angle(angle, direction):
    window = parse(f"anisotropic:sigma_x=3,sigma_y=1,angle={angle}").impulse(3)
    middle = len(window) // 2
    (down, right) = direction
    along = window[middle + 2 * down, middle + 2 * right]
    assert along > 2 * window[middle - 2 * right, middle + 2 * down]  # the direction turned by a right angle


def test_the_widths_are_the_sigmas():
    window = parse("anisotropic:sigma_x=3,sigma_y=1.5").impulse(4)
    away = torch.arange(len(window), dtype=torch.float64) - (len(window) - 1) / 2
    assert float(window.sum(0) @ away**2) == pytest.approx(9, rel=0.01)
    assert float(window.sum(1) @ away**2) == pytest.approx(2.25, rel=0.01)


def test_edges_are_replicated():
    from scipy.ndimage import correlate

    x = noise(9, 12)
    kernel = parse("anisotropic:sigma_x=2,sigma_y=1,angle=30")
    blurred = correlate(x[0, 0].numpy(), kernel.impulse(3).numpy(), mode="nearest")[1::3, 1::3]
    assert np.array_equal(kernel.degrade(x, 3)[0, 0].numpy(), np.floor(blurred + 0.5))


def saved(path, array, **variables):
    """Write an array as .npy or .mat and return the spec of the kernel."""
    if path.suffix == ".mat":
        savemat(path, {"k": array, **variables})
    else:
        np.save(path, array)
    return f"file:path={path}"


@pytest.mark.parametrize("suffix", [".npy", ".mat", ".NPY"])
@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_a_file_is_phase_aligned_where_size_and_scale_are_odd_or_even_together(tmp_path, suffix, scale):
    weights = 7 * parse("anisotropic:sigma_x=1.7,sigma_y=0.6,angle=40").impulse(scale).numpy()
    with (tmp_path / f"k{suffix}").open("wb") as file:
        savemat(file, {"k": weights}) if suffix == ".mat" else np.save(file, weights)
    x = noise(12 * scale, 9 * scale)
    lr = parse(f"file:path={tmp_path / f'k{suffix}'}").degrade(x, scale)
    assert torch.equal(lr, parse("anisotropic:sigma_x=1.7,sigma_y=0.6,angle=40").degrade(x, scale))


def test_a_file_is_correlated(tmp_path):
    corner = np.zeros((3, 3))
    corner[0, 2] = 5.0
    x = noise(6, 7)
    lr = parse(saved(tmp_path / "k.npy", corner)).degrade(x, 1)
    assert torch.equal(lr[..., 1:, :-1], x[..., :-1, 1:])  # up and to the right


@pytest.mark.parametrize(("shape", "scale", "at"), [((3, 3), 2, 0), ((5, 5), 4, 1), ((1, 1), 4, 1), ((2, 2), 2, None)])
def test_an_odd_size_at_an_even_scale_lies_half_a_pixel_before_the_centre(tmp_path, shape, scale, at):
    x = noise(6 * scale, 6 * scale)
    weights = np.zeros(shape)
    weights[shape[0] // 2, shape[1] // 2] = 1
    lr = parse(saved(tmp_path / "k.npy", weights)).degrade(x, scale)
    at = scale // 2 if at is None else at  # of an even size, the weight after the middle
    assert torch.equal(lr, x[..., at::scale, at::scale])


@settings(max_examples=30, deadline=None)
@given(st.tuples(st.integers(1, 9), st.integers(1, 9)), scales, st.integers(0, 99))
def test_the_impulse_of_a_file_of_any_shape(tmp_path_factory, shape, scale, seed):
    weights = np.random.default_rng(seed).random(shape) + 0.01
    kernel = parse(saved(tmp_path_factory.mktemp("k") / "k.npy", weights))
    hr = noise(scale * 20, scale * 20, seed)
    expected, cells = applied(kernel, hr, scale)
    assert float((kernel.degrade(hr, scale)[..., cells, cells] - expected).abs().max()) <= 0.5 + 1e-9
    assert sorted(kernel.impulse(scale)[kernel.impulse(scale) > 0].tolist()) == pytest.approx(
        sorted((weights / weights.sum()).ravel().tolist())
    )


def test_the_identity_of_a_file_is_its_content(tmp_path):
    weights = np.arange(6.0).reshape(2, 3)
    first = identity(saved(tmp_path / "a.npy", weights))
    assert set(first) == {"name", "sha256"}
    assert identity(saved(tmp_path / "b.npy", np.asfortranarray(weights.astype(np.float32)))) == first
    assert identity(saved(tmp_path / "c.mat", weights, sigma=1.5, note="text")) == first
    assert identity(saved(tmp_path / "d.npy", weights.reshape(3, 2))) != first
    assert identity(saved(tmp_path / "a.npy", weights + 1)) != first
    assert identity(f"file:path={tmp_path}/b.npy,noise=2") == {**first, "noise": 2.0}
    assert canonical(f"file: path={tmp_path}/b.npy") == f"file:path={tmp_path}/b.npy"


def test_a_kernel_uses_the_weights_it_hashed(tmp_path):
    spec = saved(tmp_path / "k.npy", np.eye(3))
    kernel = parse(spec)
    before, x = kernel.identity(), noise(9, 9)
    lr = kernel.degrade(x, 3)
    saved(tmp_path / "k.npy", np.ones((3, 3)))
    assert kernel.identity() == before
    assert torch.equal(kernel.degrade(x, 3), lr)
    assert parse(spec).identity() != before


def broken(kind: str) -> bytes:
    buffer = io.BytesIO()
    if kind == "archive":
        np.savez(buffer, a=np.eye(3))
    elif kind == "objects":
        np.save(buffer, np.array([[{}]], dtype=object), allow_pickle=True)
    elif kind == "matlab 7.3":
        buffer.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + b"\x89HDF")
    else:
        np.save(buffer, np.ones((20, 20)))
    return buffer.getvalue()[: -900 if kind == "cut" else None]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("k.txt", b"1 2", "no kernel file.*npy"),
        ("gone.npy", None, "does not exist"),
        ("k.npy", b"", "k.npy is broken or truncated"),
        ("k.npy", b"text", "k.npy is broken or truncated"),
        ("k.npy", broken("cut"), "k.npy is broken or truncated"),
        ("k.npy", broken("archive"), "archive"),
        ("k.npy", broken("objects"), "broken"),
        ("k.npy", np.zeros((3, 3)), "sum 0"),
        ("k.npy", -np.ones((3, 3)), "sum -9"),
        ("k.npy", np.array([[1, -1 + 1e-12]]), "sum is positive"),
        ("k.npy", np.full((3, 3), np.nan), "not finite"),
        ("k.npy", np.ones((3, 3), complex), "real numbers"),
        ("k.npy", np.array([["a"]]), "real numbers"),
        ("k.npy", np.ones(9), "holds 9: a kernel is a 2-D array"),
        ("k.npy", np.ones((2, 2, 2)), "2 x 2 x 2"),
        ("k.npy", np.ones((3, 102)), "up to 101 x 101"),
        ("k.npy", np.ones((0, 3)), "."),
        ("k.mat", b"text", "k.mat is broken|cannot be read"),
        ("k.mat", broken("matlab 7.3"), "-v7"),
        ("k.mat", {"a": np.eye(3), "b": np.eye(4)}, r"2 2-D numeric variables \(holds a \(3x3 double\), b \(4x4"),
        ("k.mat", {"sigma": 2.0}, r"0 2-D numeric variables \(holds sigma \(1x1"),
        ("k.mat", {}, "holds nothing"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_used_is_one_line(tmp_path, name, content, message):
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif isinstance(content, np.ndarray):
        np.save(path, content)
    elif isinstance(content, dict):
        savemat(path, content)
    with pytest.raises(UsageError, match=message) as caught:
        identity(f"file:path={path}")
    assert "\n" not in str(caught.value)
    assert name in str(caught.value)


def test_a_folder_is_no_kernel(tmp_path):
    (tmp_path / "k.npy").mkdir()
    with pytest.raises(UsageError, match="cannot be read"):
        parse(f"file:path={tmp_path / 'k.npy'}").degrade(noise(4, 4), 2)
