"""`drnbench.audit` on folders: the generator, the shift, damage, sizes and names; and the warnings of what uses LR images."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

import drnbench
from drnbench.data.images import mod_crop
from drnbench.errors import UsageError
from tests.forensics.tools import SET5, TOOLS, kernel, pairs, photos, save

PHOTOS = {name: hr[:243, :246] for name, hr in photos(3).items()}


@pytest.fixture
def audited(tmp_path):
    """Return a function that writes HR and LR images, and audits them."""

    def call(hr, lr, scale, **options):
        save(tmp_path / "hr", hr)
        save(tmp_path / "lr", lr, **options)
        return drnbench.audit(tmp_path / "hr", tmp_path / "lr", scale=scale, jobs=1)

    return call


def both(tool, scale):
    made = pairs(PHOTOS, tool, scale)
    return {name: hr for name, (hr, _) in made.items()}, {name: lr for name, (_, lr) in made.items()}


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("tool", TOOLS)
def test_the_program_is_named(audited, tool, scale):
    if "OpenCV" in tool:
        pytest.importorskip("cv2")
    hr, lr = both(tool, scale)
    names = sorted(hr)[:2]
    result = audited({name: hr[name] for name in names}, {name: lr[name] for name in names}, scale)
    record = result.record
    named = {record["generator"].partition(", halves")[0], *(name.partition(", halves")[0] for name in record["same"])}
    assert tool in named, result.sentence
    assert tool in result.sentence
    assert record["candidates"][0]["exact"] == 2
    assert "exact to rounding in 2 of 2 images" in result.sentence
    assert ("no shift" in result.sentence) != bool(("nearest" in tool and "(" in tool) or "align_corners" in tool)


@pytest.mark.parametrize("border", ["symmetric", "replicate"])
@pytest.mark.parametrize("scale", [2, 4])
def test_files_of_matlab(shared_data, border, scale):
    folder = shared_data / "Set5"
    result = drnbench.audit(folder / "HR", folder / f"LR_matlab_{border}" / f"X{scale}", scale=scale, jobs=1)
    expected = (
        f"LR images are MATLAB's bicubic ({border} border), exact to rounding in {len(SET5)} of {len(SET5)} images"
    )
    assert result.sentence == f"{expected}; no shift."


@pytest.mark.parametrize("phase", [0.0, 1.5])
def test_the_sigma_of_a_blur_is_estimated(audited, phase):
    from scipy.ndimage import gaussian_filter

    hr = {name: mod_crop(image, 4) for name, image in PHOTOS.items()}
    if phase:
        lr = {name: kernel("gaussian:sigma=2.3")(image, 4) for name, image in hr.items()}
    else:
        lr = {
            name: np.rint(gaussian_filter(image.astype(float), (2.3, 2.3, 0))).astype(np.uint8)[::4, ::4]
            for name, image in hr.items()
        }
    result = audited(hr, lr, 4)
    assert "Gaussian blur of sigma 2.3" in result.sentence
    assert f"sampled at column {phase:g}, row {phase:g}" in result.sentence
    assert (result.record["shift"]["x"], result.record["shift"]["y"]) == pytest.approx((1.5 - phase,) * 2, abs=0.05)
    assert result.kernel.centre == pytest.approx((phase - 1.5,) * 2, abs=0.2)


def test_an_unlisted_kernel_is_estimated(audited):
    hr = {name: mod_crop(image, 3) for name, image in PHOTOS.items()}
    motion = {name: np.rint(sum(image.astype(float)[1::3, n::3] for n in range(3)) / 3) for name, image in hr.items()}
    result = audited(hr, {name: image.astype(np.uint8) for name, image in motion.items()}, 3)
    assert "of no listed kind" in result.sentence
    assert "estimated linear kernel" in result.sentence
    middle = len(result.kernel.weights) // 2
    weights = result.kernel.weights
    assert weights[middle, middle - 1 : middle + 2] == pytest.approx([1 / 3] * 3, abs=0.03)
    assert result.kernel.residual < 0.6


def test_the_axes_of_an_anisotropic_blur_are_estimated(audited):
    hr = {name: mod_crop(image, 4) for name, image in PHOTOS.items()}
    blur = kernel("anisotropic:sigma_x=3.0,sigma_y=1.0,angle=30")
    result = audited(hr, {name: blur(image, 4) for name, image in hr.items()}, 4)
    assert result.kernel.sigma == pytest.approx((3, 1), abs=0.1)
    assert result.kernel.angle == pytest.approx(30, abs=2)
    assert "along 30 degrees" in result.sentence


@pytest.mark.parametrize("sigma", [3.0, 10.0])
def test_the_level_of_noise(audited, sigma):
    hr = {name: mod_crop(image, 2) for name, image in PHOTOS.items()}
    lr = {name: kernel(f"bicubic:noise={sigma}", f"{n:016x}")(image, 2) for n, (name, image) in enumerate(hr.items())}
    result = audited(hr, lr, 2)
    assert "MATLAB's bicubic (symmetric border)" in result.sentence
    assert "noise of standard deviation" in result.sentence
    assert [row["noise"] for row in result.record["images"]] == pytest.approx([sigma] * 3, rel=0.06)


@pytest.mark.parametrize("quality", [40, 83])
def test_jpeg_is_recognised_in_a_png(audited, quality):
    hr = {name: mod_crop(image, 2) for name, image in PHOTOS.items()}
    result = audited(hr, {name: kernel(f"bicubic:jpeg={quality}")(image, 2) for name, image in hr.items()}, 2)
    assert f"MATLAB's bicubic (symmetric border), then JPEG of quality {quality} (4:2:0)" in result.sentence


def test_a_file_of_jpeg_says_its_quality(audited):
    hr, lr = both("Pillow's bicubic", 2)
    result = audited(hr, lr, 2, kind="jpg", quality=71)
    assert "the file is a JPEG of quality 71" in result.sentence


def test_jpeg_after_noise_leaves_blocks(audited):
    hr = {name: mod_crop(image, 2) for name, image in PHOTOS.items()}
    result = audited(hr, {name: kernel("bicubic:jpeg=30,noise=5")(image, 2) for name, image in hr.items()}, 2)
    assert "JPEG" in result.sentence


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda lr: lr[..., ::-1], "red and blue are exchanged"),
        (lambda lr: np.rint(lr * (219 / 255) + 16), "limited range"),
        (lambda lr: np.rint(255 * (lr / 255) ** (1 / 2.2)), "gamma about 0.4"),
        (lambda lr: np.repeat(lr.mean(axis=2, keepdims=True), 3, axis=2), "gray"),
    ],
)
def test_mistakes_of_colour_are_named(audited, change, words):
    coffee = {name: hr for name, hr in photos().items() if name in {"coffee", "astronaut"}}
    hr = {name: mod_crop(image[:240, :240], 2) for name, image in coffee.items()}
    lr = {
        name: change(TOOLS["Pillow's bicubic"](image, 2).astype(float)).astype(np.uint8) for name, image in hr.items()
    }
    assert words in audited(hr, lr, 2).sentence


def test_cut_off_levels_are_told_from_rounded_ones(audited):
    from drnbench.forensics.generators import Window, generators

    (generator,) = [g for g in generators(2) if g.name == "PyTorch's bicubic with antialias"]
    hr = {name: mod_crop(image, 2) for name, image in PHOTOS.items()}
    lr = {}
    for name, image in hr.items():
        size = (image.shape[0] // 2, image.shape[1] // 2)
        made = dict(generator.make(Window(image.astype(float), size, size, (2, 2))))
        lr[name] = made[", cut off instead of rounded"].astype(np.uint8)
    assert "cut off instead of rounded" in audited(hr, lr, 2).sentence


@pytest.mark.parametrize(("place", "words"), [("centre", "HR cropped at its centre"), ("none", "HR without a crop")])
def test_the_crop_of_hr_that_the_scale_does_not_divide(audited, place, words):
    odd = {name: hr[:242, :239] for name, hr in PHOTOS.items()}
    lr = {}
    for name, hr in odd.items():
        cut = hr[1:241, 1:237] if place == "centre" else hr
        lr[name] = np.array(Image.fromarray(cut).resize((59, 60), Image.Resampling.BICUBIC))
    sentence = audited(odd, lr, 4).sentence
    assert "Pillow's bicubic" in sentence
    assert words in sentence


def test_images_that_are_displaced_by_whole_pixels(audited):
    hr = {name: mod_crop(image, 4) for name, image in PHOTOS.items()}
    lr = {name: kernel("bicubic")(np.roll(image, (2, -3), (0, 1)), 4) for name, image in hr.items()}
    result = audited(hr, lr, 4)
    assert result.record["generator"].startswith("MATLAB's bicubic")
    assert (result.record["shift"]["x"], result.record["shift"]["y"]) == pytest.approx((-3, 2), abs=0.05)
    assert {row["crop"] for row in result.record["images"]} == {"HR from row -2, column 3 on"}


def test_several_programs_in_one_folder(audited):
    hr, lr = both("Pillow's bicubic", 2)
    first = next(iter(hr))
    lr[first] = TOOLS["Pillow's lanczos"](hr[first], 2)
    sentence = audited(hr, lr, 2).sentence
    assert "of several kinds" in sentence
    assert "Pillow's bicubic in 2 of 3" in sentence
    assert "Pillow's lanczos in 1 of 3" in sentence


def test_names_and_sizes_that_do_not_match_are_named(audited):
    hr, lr = both("Pillow's bicubic", 2)
    first, second, third = hr
    lr["nobody"] = lr.pop(first)
    lr[second] = lr[second][:-5]
    result = audited(hr, lr, 2)
    assert [row["image"] for row in result.record["images"]] == [third]
    assert sorted(line.count("pixels") for line in result.failed) == [0, 0, 1]
    assert any("nobody.png belongs to no HR image" in line for line in result.failed)
    assert any(f"{first}.png has no LR image" in line for line in result.failed)


def test_the_scale_that_fits_is_suggested(tmp_path):
    hr, lr = both("Pillow's bicubic", 2)
    save(tmp_path / "hr", hr)
    save(tmp_path / "lr", lr)
    with pytest.raises(UsageError, match="it fits scale 2"):
        drnbench.audit(tmp_path / "hr", tmp_path / "lr", scale=4)


def test_the_picture_and_the_frames(audited):
    result = audited(*both("Pillow's box", 2), 2)
    file = io.BytesIO()
    result.figure().savefig(file, format="png")
    assert Image.open(file).size[0] > 800
    assert list(result.per_image["generator"]) == ["Pillow's box"] * 3
    assert result.candidates["generator"][0] == "Pillow's box"


def test_evaluate_and_score_warn_of_shifted_lr_images(tmp_path):
    hr = {name: mod_crop(image, 4) for name, image in PHOTOS.items()}
    save(tmp_path / "hr", hr)
    save(tmp_path / "every", {name: image[::4, ::4] for name, image in hr.items()})
    save(tmp_path / "aligned", {name: TOOLS["Pillow's bicubic"](image, 4) for name, image in hr.items()})
    options = {"data": tmp_path / "hr", "metrics": ["psnr_y", "lr_psnr"], "jobs": 1, "device": "cpu"}
    shifted = drnbench.evaluate("bicubic", 4, lr=tmp_path / "every", save=tmp_path / "sr", **options)
    (warning,) = shifted.warnings
    assert "(+1.50, +1.50) HR pixels" in warning
    assert str(tmp_path / "every") in warning
    assert "drnbench audit" in warning
    assert drnbench.evaluate("bicubic", 4, lr=tmp_path / "aligned", **options).warnings == []
    # What the images are said to be made by has that phase.
    declared = drnbench.evaluate("bicubic", 4, lr=tmp_path / "every", kernel="nearest:offset=zero", **options)
    assert declared.warnings == []
    scored = drnbench.score(
        tmp_path / "sr", tmp_path / "hr", scale=4, lr=tmp_path / "every", metrics=["lr_psnr"], jobs=1
    )
    assert "(+1.50, +1.50) HR pixels" in scored.record["warnings"][0]
    alone = drnbench.score(tmp_path / "sr", scale=4, lr=tmp_path / "every", metrics=["lr_psnr"], jobs=1)
    assert alone.warnings == []


@pytest.mark.parametrize(
    ("turn", "words"),
    [
        (lambda lr: lr[:, ::-1], "mirrored"),
        (lambda lr: lr[::-1, ::-1], "turned by 180 degrees"),
        (lambda lr: np.random.default_rng(0).permuted(lr.reshape(-1, 3), axis=0).reshape(lr.shape), "check the pair"),
    ],
)
def test_a_pair_that_shows_two_pictures_is_named(audited, turn, words):
    hr, lr = both("Pillow's bicubic", 2)
    first = next(iter(hr))
    lr[first] = turn(lr[first])
    result = audited(hr, lr, 2)
    assert "Pillow's bicubic, exact to rounding in 2 of 2 images; no shift" in result.sentence
    (line,) = result.failed
    assert "show different pictures" in line
    assert f"{first}.png" in line
    assert words in line
