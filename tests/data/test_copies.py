"""Copies of images are recognised after what people do to images, and unrelated images are not taken for copies."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from drnbench.data.cache import fingerprint
from drnbench.data.copies import copies, duplicates

TURNS = list(Image.Transpose)


def picture(seed: int, size: int = 240) -> Image.Image:
    """Return a picture of noise with the spectrum of photographs, and a few shapes."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.fftfreq(size)[None])
    spectrum = np.fft.fft2(rng.normal(size=(size, size))) / np.maximum(frequency, 1 / size) ** 1.2
    gray = np.fft.ifft2(spectrum).real
    gray = 128 + 45 * (gray - gray.mean()) / gray.std()
    for _ in range(12):
        (y, x), (height, width) = rng.integers(0, size, 2), rng.integers(8, 60, 2)
        gray[y : y + height, x : x + width] += rng.uniform(-90, 90)
    return Image.fromarray(np.clip(gray, 0, 255).astype(np.uint8)).convert("RGB")


def source(folder: Path, **pictures: Image.Image) -> tuple:
    folder.mkdir(parents=True)
    for name, image in pictures.items():
        image.save(folder / f"{name}.png")
    return fingerprint(str(folder), folder.parent / "cache").images


def changed(
    image: Image.Image, size: float, left: float, top: float, side: float, turn: Image.Transpose
) -> Image.Image:
    width, height = image.size
    x, y = int(left * (1 - side) * width), int(top * (1 - side) * height)
    part = image.crop((x, y, x + int(side * width), y + int(side * height)))
    part = part.resize((round(part.width * size), round(part.height * size)), Image.Resampling.BICUBIC)
    return part.transpose(turn)


@pytest.mark.real
@settings(max_examples=15, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 10**6),
    size=st.floats(0.5, 2),
    place=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    side=st.floats(0.6, 1),
    turn=st.sampled_from(TURNS),
)
def test_a_changed_copy_is_recognised_and_an_unrelated_image_is_not(seed, size, place, side, turn, tmp_path_factory):
    folder = tmp_path_factory.mktemp("copies")
    original = picture(seed)
    training = source(folder / "training", a=picture(seed + 1), b=original, c=picture(seed + 2))
    test = source(folder / "test", copy=changed(original, size, *place, side, turn), other=picture(seed + 3))
    (copy,) = copies(test, training, folder / "cache")
    assert (test[copy.image].name, training[copy.other].name) == ("copy", "b")
    assert copy.size == pytest.approx(size, rel=0.03)
    assert copy.correlation > 0.95


def test_brightness_and_compression(tmp_path):
    original = picture(5)
    training = source(tmp_path / "training", original=original)
    brighter = Image.fromarray(np.clip(np.asarray(original) * 0.8 + 30, 0, 255).astype(np.uint8))
    (tmp_path / "test").mkdir()
    brighter.save(tmp_path / "test" / "x.jpg", quality=60)
    (copy,) = copies(fingerprint(str(tmp_path / "test"), tmp_path / "cache").images, training, tmp_path / "cache")
    assert not copy.same
    assert "x is original" in copy.text("x", "original")


def test_equal_pixels_of_images_that_are_too_small_or_flat(tmp_path):
    flat = Image.new("RGB", (9, 7), "red")
    first, second = source(tmp_path / "a", x=flat, y=Image.new("RGB", (64, 64), "gray")), source(tmp_path / "b", z=flat)
    (copy,) = copies(first, second, tmp_path / "cache")
    assert copy.same
    assert copy.text("a/x", "b/z") == "a/x is b/z"


def test_an_image_twice_in_one_set(tmp_path):
    images = source(tmp_path / "a", x=picture(1), y=picture(2), z=picture(1).transpose(TURNS[0]))
    (copy,) = duplicates(images, tmp_path / "cache")
    assert (copy.image, copy.other) == (0, 2)


def test_the_result_is_kept_by_content(tmp_path):
    first, second = source(tmp_path / "a", x=picture(1)), source(tmp_path / "b", y=picture(1).transpose(TURNS[1]))
    kept = copies(first, second, tmp_path / "cache")
    for image in (*first, *second):
        image.path.unlink()
    assert copies(first, second, tmp_path / "cache") == kept


@pytest.mark.real
def test_the_sets_of_the_field(shared_data, tmp_path):
    """The copies that docs/overlaps.md lists."""
    names = {"Set5": 5, "Set14": 14, "BSDS200": 200}
    sets = {name: fingerprint(str(shared_data / name), tmp_path).images for name in names}
    assert {name: len(images) for name, images in sets.items()} == names
    pairs = {
        (f"{a}/{sets[a][copy.image].name}", f"{b}/{sets[b][copy.other].name}"): copy
        for a, b in itertools.combinations(names, 2)
        for copy in copies(sets[a], sets[b], tmp_path)
    }
    assert set(pairs) == {
        ("Set5/woman", "BSDS200/302003"),
        ("Set5/head", "Set14/face"),
        ("Set5/butterfly", "Set14/monarch"),
    }
    woman = pairs["Set5/woman", "BSDS200/302003"]
    assert woman.size == pytest.approx(0.72, abs=0.005)
    assert woman.correlation > 0.998
