"""Reading strictly, cropping, rounding."""

from __future__ import annotations

import os
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from drnbench.data.images import center_crop, mod_crop, quantise, read_rgb, to_tensor, to_uint8
from drnbench.errors import DataError, UsageError

COLOUR = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)


def test_rgb_gray_and_bilevel(tmp_path):
    gray = COLOUR[..., 0]
    Image.fromarray(COLOUR).save(tmp_path / "rgb.png")
    Image.fromarray(gray).save(tmp_path / "gray.png")
    Image.fromarray(gray > 127).save(tmp_path / "bilevel.png")
    assert (read_rgb(tmp_path / "rgb.png") == COLOUR).all()
    assert (read_rgb(tmp_path / "gray.png") == gray[..., None]).all()
    assert (read_rgb(tmp_path / "bilevel.png") == (gray > 127)[..., None] * 255).all()


@pytest.mark.parametrize("name", ["x.bmp", "x.tif", "x.webp"])
def test_other_lossless_formats(tmp_path, name):
    Image.fromarray(COLOUR).save(tmp_path / name, **({"lossless": True} if name == "x.webp" else {}))
    assert (read_rgb(tmp_path / name) == COLOUR).all()


@pytest.mark.parametrize("kind", ["L", "RGB"])
def test_jpeg_is_decoded_as_its_library_does(tmp_path, kind):
    Image.fromarray(COLOUR).convert(kind).save(tmp_path / "x.jpg")
    with Image.open(tmp_path / "x.jpg") as image:
        assert image.mode == kind
        assert (read_rgb(tmp_path / "x.jpg") == np.array(image.convert("RGB"))).all()


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_exif_orientation_is_respected(tmp_path, suffix):
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying, shown upright: turn by 90 degrees clockwise
    Image.fromarray(COLOUR).save(tmp_path / f"plain.{suffix}")
    Image.fromarray(COLOUR).save(tmp_path / f"turned.{suffix}", exif=exif)
    plain = read_rgb(tmp_path / f"plain.{suffix}")
    assert plain.shape == (6, 9, 3)
    assert (read_rgb(tmp_path / f"turned.{suffix}") == np.rot90(plain, -1)).all()


def test_transparency_is_laid_onto_a_colour_when_one_is_given(tmp_path):
    # Every colour with every opacity.
    fore, a = np.meshgrid(np.arange(256), np.arange(256))
    image = np.stack([fore, 255 - fore, fore // 2, a], axis=2).astype(np.uint8)
    Image.fromarray(image).save(tmp_path / "x.png")
    onto = (255, 7, 200)
    got = read_rgb(tmp_path / "x.png", alpha=onto)
    # A quotient by 255 is never within 1/510 of a half, so float64 rounds it right.
    exact = np.rint((a[..., None] * image[..., :3] + (255 - a[..., None]) * np.array(onto)) / 255.0)
    assert (got == exact).all()
    with pytest.raises(DataError, match="--alpha white"):
        read_rgb(tmp_path / "x.png")


def test_every_kind_of_transparency_can_be_laid_onto_a_colour(tmp_path):
    white = (255, 255, 255)
    gray = COLOUR[..., 0]
    opacity = COLOUR[..., 1]
    Image.fromarray(np.dstack([gray, opacity])).save(tmp_path / "la.png")
    Image.fromarray(np.dstack([gray, gray, gray, opacity])).save(tmp_path / "rgba.png")
    assert (read_rgb(tmp_path / "la.png", alpha=white) == read_rgb(tmp_path / "rgba.png", alpha=white)).all()

    keyed = COLOUR.copy()
    keyed[2, 3] = (1, 2, 3)
    Image.fromarray(keyed).save(tmp_path / "keyed.png", transparency=(1, 2, 3))
    expected = keyed.copy()
    expected[2, 3] = 255
    assert (read_rgb(tmp_path / "keyed.png", alpha=white) == expected).all()

    palette = Image.fromarray(COLOUR).quantize(8)
    palette.save(tmp_path / "palette.png", transparency=3)
    expected = np.array(palette.convert("RGB"))
    expected[np.array(palette) == 3] = 255
    assert (read_rgb(tmp_path / "palette.png", alpha=white) == expected).all()

    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.dstack([COLOUR, opacity])).save(tmp_path / "lying.png", exif=exif)
    Image.fromarray(np.dstack([COLOUR, opacity])).save(tmp_path / "upright.png")
    turned, upright = (read_rgb(tmp_path / f"{name}.png", alpha=white) for name in ("lying", "upright"))
    assert (turned == np.rot90(upright, -1)).all()


def test_a_colour_for_transparency_changes_nothing_else(tmp_path):
    Image.fromarray(COLOUR).save(tmp_path / "rgb.png")
    assert (read_rgb(tmp_path / "rgb.png", alpha=(9, 9, 9)) == COLOUR).all()
    Image.fromarray(COLOUR).quantize(8).save(tmp_path / "palette.png")
    with pytest.raises(DataError, match="is a palette image: save it as RGB"):
        read_rgb(tmp_path / "palette.png", alpha=(9, 9, 9))
    (tmp_path / "deep.png").write_bytes(png(2, 2, 16, 6, (b"\0" + b"\1" * 16) * 2))
    with pytest.raises(DataError, match="more than 8 bits"):
        read_rgb(tmp_path / "deep.png", alpha=(9, 9, 9))


def png(width: int, height: int, depth: int, colour: int, rows: bytes) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def whole(name, tmp_path) -> bytes:
    Image.fromarray(COLOUR.repeat(40, 0).repeat(40, 1)).save(tmp_path / name)
    return (tmp_path / name).read_bytes()


def alpha(tmp_path):
    image = Image.fromarray(COLOUR).convert("RGBA")
    image.putpixel((0, 0), (0, 0, 0, 254))
    image.save(tmp_path / "x.png")


def palette(tmp_path):
    Image.fromarray(COLOUR).quantize(8).save(tmp_path / "x.png")


def palette_bmp(tmp_path):
    Image.fromarray(COLOUR).quantize(8).save(tmp_path / "x.bmp")


def palette_tiff(tmp_path):
    Image.fromarray(COLOUR).quantize(8).save(tmp_path / "x.tif")


def transparent_webp(tmp_path):
    Image.fromarray(np.dstack([COLOUR, COLOUR[..., 0]])).save(tmp_path / "x.webp", lossless=True)


def gray16_tiff(tmp_path):
    Image.fromarray(COLOUR[..., 0].astype(np.uint16) * 257).save(tmp_path / "x.tif")


def rgb16_tiff(tmp_path):
    entries = [(256, 3, 1, 2), (257, 3, 1, 2), (258, 3, 3, 134), (259, 3, 1, 1), (262, 3, 1, 2), (273, 4, 1, 140)]
    entries += [(277, 3, 1, 3), (278, 3, 1, 2), (279, 4, 1, 24)]
    tags = b"".join(struct.pack("<HHI", *entry[:3]) + struct.pack("<I", entry[3]) for entry in entries)
    head = b"II*\0" + struct.pack("<IH", 8, len(entries)) + tags + bytes(4)
    (tmp_path / "x.tif").write_bytes(head.ljust(134, b"\0") + struct.pack("<3H", 16, 16, 16) + bytes(range(24)))


def floats_tiff(tmp_path):
    Image.fromarray(COLOUR[..., 0].astype(np.float32)).save(tmp_path / "x.tif")


def transparent_palette(tmp_path):
    Image.fromarray(COLOUR).quantize(8).save(tmp_path / "x.png", transparency=0)


def gray16(tmp_path):
    Image.fromarray(COLOUR[..., 0].astype(np.uint16) * 257).save(tmp_path / "x.png")


def rgb16(tmp_path):
    (tmp_path / "x.png").write_bytes(png(2, 2, 16, 2, (b"\0" + b"\1" * 12) * 2))


def cmyk(tmp_path):
    Image.fromarray(COLOUR).convert("CMYK").save(tmp_path / "x.jpg")


def pages(tmp_path):
    Image.fromarray(COLOUR).save(tmp_path / "x.tif", save_all=True, append_images=[Image.fromarray(COLOUR)])


def zero_bytes(tmp_path):
    (tmp_path / "x.png").touch()


def text(tmp_path):
    (tmp_path / "x.png").write_text("<html>404</html>")


def cut_png(tmp_path):
    full = whole("x.png", tmp_path)
    (tmp_path / "x.png").write_bytes(full[: len(full) // 2])


def cut_jpeg(tmp_path):
    (tmp_path / "x.jpg").write_bytes(whole("x.jpg", tmp_path)[:-500])


def scrambled_png(tmp_path):
    broken = bytearray(whole("x.png", tmp_path))
    broken[60:90] = bytes(30)
    (tmp_path / "x.png").write_bytes(broken)


def bomb(tmp_path):
    (tmp_path / "x.png").write_bytes(png(50_000, 50_000, 8, 0, b""))


def declared_400_megapixels(tmp_path):
    (tmp_path / "x.png").write_bytes(png(20_000, 20_000, 8, 2, b""))


def big(tmp_path):
    # Between the size that Pillow warns of and the one it refuses.
    (tmp_path / "x.png").write_bytes(png(12_000, 12_000, 8, 0, b""))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (alpha, "has an alpha channel: .*--alpha white"),
        (transparent_webp, "alpha"),
        (palette, "is a palette image: save it as RGB"),
        (palette_bmp, "is a palette image: save it as RGB"),
        (palette_tiff, "is a palette image: save it as RGB"),
        (transparent_palette, "alpha"),
        (gray16, "more than 8 bits"),
        (gray16_tiff, "more than 8 bits"),
        (rgb16_tiff, "more than 8 bits"),
        (floats_tiff, "more than 8 bits"),
        (rgb16, "more than 8 bits"),
        (cmyk, "CMYK"),
        (pages, "2 pictures"),
        (zero_bytes, "0 bytes"),
        (text, "not an image"),
        (cut_png, "broken or truncated"),
        (cut_jpeg, "broken or truncated"),
        (scrambled_png, "broken or truncated"),
        (bomb, "100 megapixels"),
        (declared_400_megapixels, "100 megapixels"),
        (big, "100 megapixels"),
    ],
)
def test_unusable_images_are_refused_with_the_file_named(tmp_path, spoil, message):
    spoil(tmp_path)
    (path,) = tmp_path.iterdir()
    with pytest.raises(DataError, match=message) as caught:
        read_rgb(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_folder(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        read_rgb(tmp_path / "nothing.png")
    with pytest.raises(DataError, match=str(tmp_path)):
        read_rgb(tmp_path)


def test_crops():
    image = np.arange(7 * 10 * 3, dtype=np.uint8).reshape(7, 10, 3)
    assert (mod_crop(image, 4) == image[:4, :8]).all()
    assert mod_crop(image, 1).shape == image.shape
    assert (center_crop(image, 4) == image[1:5, 3:7]).all()
    assert (center_crop(image, 8) == image[:, 1:9]).all()
    assert center_crop(image, 99).shape == image.shape
    with pytest.raises(DataError, match="too small for scale 8"):
        mod_crop(image, 8)
    with pytest.raises(UsageError):
        mod_crop(image, 0)
    with pytest.raises(UsageError):
        center_crop(image, 0)


def test_tensors_and_rounding():
    tensor = to_tensor(COLOUR)
    assert tensor.shape == (1, 3, 6, 9)
    assert tensor.dtype == torch.float32
    assert (to_uint8(tensor) == COLOUR).all()
    values = np.array([-3.0, 0.49, 0.5, 1.5, 2.5, 254.5, 255.4, 999.0])
    assert quantise(values).tolist() == [0, 0, 1, 2, 3, 255, 255, 255]
    with pytest.raises(DataError, match="not finite"):
        to_uint8(torch.full((1, 3, 2, 2), torch.nan))
    with pytest.raises(UsageError, match="one image"):
        to_uint8(torch.zeros(2, 3, 4, 4))


def test_names_that_cannot_be_opened_are_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "link.png").symlink_to("../annex/link.png")
    (tmp_path / "loop.png").symlink_to("loop.png")
    (tmp_path / "device.png").symlink_to("/dev/zero")
    (tmp_path / "lfs.png").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    messages = {
        "pipe": "named pipe", "folder": "folder", "link": r"link to \.\./annex/link\.png.*git annex get", "loop": "links",
        "device": "device", "lfs": "git lfs pull",
    }  # fmt: skip
    for name, message in messages.items():
        with pytest.raises(DataError, match=f"^{tmp_path / name}.png .*{message}"):
            read_rgb(tmp_path / f"{name}.png")
