"""`drnbench.audit` on folders: the generator, the shift, damage, sizes and names; and the warnings of what uses LR images."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

import drnbench
from drnbench.data.images import mod_crop
from drnbench.errors import UsageError
from tests.forensics.tools import SCALES, SET5, TOOLS, kernel, pairs, photos, save

PHOTOS = {name: hr[:171, :174] for name, hr in photos(3).items()}


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


@pytest.mark.fast_variants(12)
@pytest.mark.parametrize("scale", SCALES)
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


@pytest.mark.real
@pytest.mark.parametrize("border", ["symmetric", "replicate"])
@pytest.mark.parametrize("scale", [pytest.param(2, marks=pytest.mark.real), 4])
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


@pytest.mark.fast_variants(1)
@pytest.mark.parametrize("sigma", [3.0, 10.0])
def test_the_level_of_noise(audited, sigma):
    hr = {name: mod_crop(image, 2) for name, image in PHOTOS.items()}
    lr = {name: kernel(f"bicubic:noise={sigma}", f"{n:016x}")(image, 2) for n, (name, image) in enumerate(hr.items())}
    result = audited(hr, lr, 2)
    assert "MATLAB's bicubic (symmetric border)" in result.sentence
    assert "noise of standard deviation" in result.sentence
    assert [row["noise"] for row in result.record["images"]] == pytest.approx([sigma] * 3, rel=0.06)


@pytest.mark.fast_variants(1)
@pytest.mark.parametrize("quality", [40, 83])
def test_jpeg_is_recognised_in_a_png(audited, quality):
    hr = {name: mod_crop(image, 2) for name, image in PHOTOS.items()}
    result = audited(hr, {name: kernel(f"bicubic:jpeg={quality}")(image, 2) for name, image in hr.items()}, 2)
    assert f"MATLAB's bicubic (symmetric border), then JPEG of quality {quality} (4:2:0)" in result.sentence


@pytest.mark.real
def test_a_file_of_jpeg_says_its_quality(audited):
    hr, lr = both("Pillow's bicubic", 2)
    result = audited(hr, lr, 2, kind="jpg", quality=71)
    assert "the file is a JPEG of quality 71" in result.sentence


@pytest.mark.real
def test_jpeg_after_noise_leaves_blocks(audited):
    hr = {name: mod_crop(image, 2) for name, image in PHOTOS.items()}
    result = audited(hr, {name: kernel("bicubic:jpeg=30,noise=5")(image, 2) for name, image in hr.items()}, 2)
    assert "JPEG" in result.sentence


@pytest.mark.fast_variants(1)
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
    hr = {name: mod_crop(image[:180, :180], 2) for name, image in coffee.items()}
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


@pytest.mark.fast_variants(1)
@pytest.mark.parametrize(("place", "words"), [("centre", "HR cropped at its centre"), ("none", "HR without a crop")])
def test_the_crop_of_hr_that_the_scale_does_not_divide(audited, place, words):
    odd = {name: hr[:170, :171] for name, hr in PHOTOS.items()}
    lr = {}
    for name, hr in odd.items():
        cut = hr[1:169, 1:169] if place == "centre" else hr
        lr[name] = np.array(Image.fromarray(cut).resize((42, 42), Image.Resampling.BICUBIC))
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


@pytest.mark.real
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


@pytest.mark.real
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


@pytest.mark.fast_variants(1)
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


SMALL = {name: mod_crop(hr[:160, :200], 4) for name, hr in photos(4).items()}
PILLOW = {name: TOOLS["Pillow's bicubic"](hr, 4) for name, hr in SMALL.items()}


def others():
    """Return LR images under the name of the next one."""
    return dict(zip(PILLOW, [*PILLOW.values()][1:] + [*PILLOW.values()][:1], strict=True))


def test_pairs_of_different_pictures_come_first_in_the_sentence(audited):
    first = next(iter(PILLOW))
    result = audited(SMALL, others() | {first: PILLOW[first]}, 4)
    assert result.sentence.startswith("3 of 4 pairs show different pictures: ")
    assert all(f"{name}.png" in result.sentence for name in PILLOW if name != first)
    assert "the other LR image is Pillow's bicubic" in result.sentence


@pytest.mark.real
def test_low_frequencies_that_agree_make_no_pair(audited):
    """A Gaussian wide enough makes any two pictures of a bright top and a dark bottom alike."""
    ramp = np.linspace(90, -90, 160)[:, None, None]
    hr = {name: np.clip(image[:160] * 0.3 + 90 + ramp, 0, 255).astype(np.uint8) for name, image in SMALL.items()}
    lr = [TOOLS["Pillow's bicubic"](image, 4) for image in hr.values()]
    with pytest.raises(UsageError, match="all 4 pairs show different pictures"):
        audited(hr, dict(zip(hr, lr[1:] + lr[:1], strict=True)), 4)


@pytest.mark.fast_variants(2)
@pytest.mark.parametrize(
    ("hr", "lr", "words"),
    [
        (SMALL, others(), ["all 4 pairs show different pictures"]),
        (PILLOW, SMALL, ["LR larger than HR", "exchange HR_DIR and LR_DIR"]),
        (SMALL, SMALL, ["equal to HR pixel by pixel", "it fits scale 1", "LR_DIR"]),
        (SMALL, {n: i[::2, ::2] for n, i in SMALL.items()}, ["scale 4", "it fits scale 2"]),
        (SMALL, {n: i.swapaxes(0, 1) for n, i in PILLOW.items()}, ["LR that is transposed"]),
        (SMALL, {n: np.rot90(i) for n, i in PILLOW.items()}, ["LR that is turned by 90 degrees counter-clockwise"]),
        (SMALL, {n: i[::-1] for n, i in PILLOW.items()}, ["LR that is upside down"]),
        (SMALL, {n: 255 - i for n, i in PILLOW.items()}, ["LR that is a negative"]),
    ],
)
def test_a_set_without_any_pair_is_refused_in_one_sentence(audited, hr, lr, words):
    with pytest.raises(UsageError) as error:
        audited(hr, lr, 4)
    message = str(error.value)
    assert "\n" not in message
    assert [word for word in ["all 4 pairs", f"{min(hr)}.png", *words] if word not in message] == []


@pytest.mark.fast_variants(1)
@pytest.mark.parametrize(("down", "right"), [(1, 2), (-3, 5), (8, 0), (20, -41)])
def test_the_generator_of_images_that_are_rolled(audited, down, right):
    rolled = {name: np.roll(hr, (down, right), (0, 1)) for name, hr in SMALL.items()}
    result = audited(SMALL, {name: TOOLS["Pillow's lanczos"](hr, 4) for name, hr in rolled.items()}, 4)
    assert result.record["generator"] == "Pillow's lanczos"
    assert result.record["candidates"][0]["exact"] == 4
    shift = result.record["shift"]
    assert (shift["x"], shift["y"]) == pytest.approx((right, down), abs=0.05)
    assert "rolled around" in result.sentence


@pytest.mark.fast_variants(1)
@pytest.mark.parametrize("tool", ["Pillow's bicubic", "nearest, pixel (1, 0) of each cell"])
def test_the_generator_of_images_that_are_cropped_at_an_offset(audited, tool):
    lr = {name: TOOLS[tool](mod_crop(hr[5:, 2:], 4), 4) for name, hr in SMALL.items()}
    padded = {name: np.pad(i, ((0, 40 - i.shape[0]), (0, 50 - i.shape[1]), (0, 0))) for name, i in lr.items()}
    x, y = (-2, -5) if "nearest" not in tool else (1.5 - 2, 0.5 - 5)
    result = audited(SMALL, padded, 4)
    assert result.record["candidates"][0]["exact"] == 4
    # Row 5 + 1 of HR is pixel 2 of the second cell.
    assert result.record["generator"].startswith(
        tool if "nearest" not in tool else "nearest, pixel (2, 2) of each cell"
    )
    assert (result.record["shift"]["x"], result.record["shift"]["y"]) == pytest.approx((x, y), abs=0.05)


@pytest.mark.real
def test_an_lr_image_that_is_a_row_smaller_is_aligned(audited):
    lr = {name: TOOLS["Pillow's bicubic"](mod_crop(hr[3:, 1:], 4), 4) for name, hr in SMALL.items()}
    result = audited(SMALL, lr, 4)
    assert "Pillow's bicubic, exact to rounding in 4 of 4 images, HR from row 3, column 1 on" in result.sentence


@pytest.mark.fast_variants(1)
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda i: i * (219 / 255) + 16, "levels are in limited range, 16..235 (LR = 0.86 HR +16)"),
        (lambda i: i * 0.8, "levels differ: LR = 0.80 HR"),
        (lambda i: i + 20.0, "levels differ: LR = 1.00 HR +20"),
        (lambda i: 255 * (i / 255) ** 0.6, "levels follow a curve, of gamma about 0.6"),
    ],
)
def test_a_change_of_levels_is_named_once(audited, change, words):
    lr = {
        name: np.clip(np.rint(change(image.astype(float))), 0, 255).astype(np.uint8) for name, image in PILLOW.items()
    }
    sentence = audited(SMALL, lr, 4).sentence
    assert words in sentence
    assert sentence.count("levels differ") + sentence.count("limited range") + sentence.count("curve") == 1
    assert "Pillow's bicubic" in sentence


@pytest.mark.real
def test_gray_images_against_images_in_colour(audited):
    hr = {name: image for name, image in SMALL.items() if np.ptp(image, axis=2).max()}
    lr = {name: np.array(Image.fromarray(PILLOW[name]).convert("L").convert("RGB")) for name in hr}
    result = audited(hr, lr, 4)
    assert "LR images are gray (BT.601 luma), HR images are not" in result.sentence
    assert "of no listed kind" not in result.sentence
    gray = {name: np.array(Image.fromarray(image).convert("L").convert("RGB")) for name, image in hr.items()}
    result = audited(gray, {name: PILLOW[name] for name in hr}, 4)
    assert "HR images are gray" in result.sentence


def test_lists_in_the_sentence_are_short(audited):
    lr = {name: image[1::3, 1::3] for name, image in ((name, mod_crop(hr, 3)) for name, hr in SMALL.items())}
    result = audited({name: mod_crop(hr, 3) for name, hr in SMALL.items()}, lr, 3)
    assert "on floating-point images" not in result.sentence
    assert result.sentence.count(",") < 12
