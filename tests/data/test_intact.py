"""Damaged PNG and JPEG files that decoders conceal, and whole ones of every kind."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile, PngImagePlugin

from drnbench.data.images import read_rgb
from drnbench.data.intact import damage
from drnbench.errors import DataError


def photograph(height: int, width: int, seed: int = 0) -> Image.Image:
    """Return smooth colours with noise: neither flat nor incompressible."""
    y, x = np.mgrid[:height, :width]
    noise = np.random.default_rng(seed).normal(0, 8, (height, width, 3))
    smooth = np.stack([128 + 90 * np.sin(x / 7), 128 + 90 * np.cos(y / 5), 40 + x + y], axis=2)
    return Image.fromarray(np.clip(smooth + noise, 0, 255).astype(np.uint8))


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def entropy_coded(content: bytes) -> tuple[int, int]:
    """Return the beginning and end of the data of the first scan."""
    start = content.index(b"\xff\xda")
    return start + 2 + int.from_bytes(content[start + 2 : start + 4]), len(content) - 2


@settings(deadline=None, max_examples=60)
@given(
    size=st.tuples(st.integers(1, 70), st.integers(1, 70)),
    quality=st.integers(1, 100),
    gray=st.booleans(),
    progressive=st.booleans(),
    subsampling=st.sampled_from([0, 1, 2]),
    optimize=st.booleans(),
    restart=st.sampled_from([0, 1, 3]),
)
def test_whole_jpegs_of_every_kind_are_read(size, quality, gray, progressive, subsampling, optimize, restart):
    options = {"quality": quality, "progressive": progressive, "subsampling": subsampling, "optimize": optimize}
    image = photograph(*size).convert("L" if gray else "RGB")
    content = encoded(image, "JPEG", restart_marker_blocks=restart, **options)
    assert damage(content) is None
    assert damage(content + b"trailing bytes of another program") is None


@settings(deadline=None, max_examples=60)
@given(progressive=st.booleans(), at=st.floats(0.05, 0.9), seed=st.integers(0, 99))
def test_a_jpeg_that_was_cut_is_damaged(progressive, at, seed):
    content = encoded(photograph(96, 96, seed), "JPEG", progressive=progressive)
    start, end = entropy_coded(content)
    assert damage(content[: start + int(at * (end - start))]) is not None


@settings(deadline=None, max_examples=60)
@given(at=st.floats(0.05, 0.9), seed=st.integers(0, 99))
def test_a_jpeg_that_was_cut_and_closed_is_damaged(at, seed):
    content = encoded(photograph(96, 96, seed), "JPEG")
    start, end = entropy_coded(content)
    # Not between 0xFF and the byte after it, which would make another marker.
    cut = content[: start + int(at * (end - start))].rstrip(b"\xff")
    assert damage(cut + b"\xff\xd9") is not None


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("fill", [b"\0", b"\x5a", b"\xff\0"])
def test_damaged_data_is_refused_with_the_file_named_though_the_decoder_reads_on(tmp_path, progressive, fill):
    content = bytearray(encoded(photograph(128, 128), "JPEG", quality=60, progressive=progressive))
    start, end = entropy_coded(bytes(content))
    middle = (start + end) // 2
    content[middle : middle + 400] = fill * (400 // len(fill))
    path = tmp_path / "x.jpg"
    path.write_bytes(content)
    with Image.open(path) as image:
        image.load()  # Pillow says nothing
    with pytest.raises(DataError, match=f"^{path} is damaged"):
        read_rgb(path)


def test_restart_markers_out_of_order_or_missing():
    content = encoded(photograph(64, 64), "JPEG", restart_marker_blocks=4)
    first = content.index(b"\xff\xd0")
    assert damage(content[:first] + b"\xff\xd3" + content[first + 2 :]) is not None
    assert damage(content[:first] + content[first + 2 :]) is not None


@pytest.mark.parametrize("chunk", [b"IHDR", b"IDAT", b"tEXt", b"IEND"])
def test_a_png_with_a_wrong_checksum_is_damaged(tmp_path, chunk):
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "a note")
    content = bytearray(encoded(photograph(16, 16), "PNG", pnginfo=text))
    assert damage(bytes(content)) is None
    at = content.index(chunk)
    content[at + 4 + int.from_bytes(content[at - 4 : at])] ^= 1
    assert chunk.decode() in damage(bytes(content))
    (tmp_path / "x.png").write_bytes(content)
    with pytest.raises(DataError, match=str(tmp_path / "x.png")):
        read_rgb(tmp_path / "x.png")


@settings(deadline=None, max_examples=30)
@given(st.integers(8, 10_000))
def test_a_png_that_was_cut_is_damaged(length):
    content = encoded(photograph(48, 48), "PNG")
    assert damage(content[: min(length, len(content) - 1)]) is not None


def test_code_that_tolerates_truncated_images_does_not_reach_the_reader(tmp_path, monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    for name in ("x.bmp", "x.tif", "x.png", "x.jpg", "x.webp"):
        path = tmp_path / name
        photograph(64, 64).save(path)
        path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
        with pytest.raises(DataError, match=str(path)):
            read_rgb(path)
    assert ImageFile.LOAD_TRUNCATED_IMAGES
