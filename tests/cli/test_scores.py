"""`evaluate`, `score` and `degrade` on files: the same numbers by every way, and one line for each image that is no good."""

from __future__ import annotations

import json
import shutil
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from drnbench.cli import main
from drnbench.data.images import read_rgb
from drnbench.datasets.sources import resolve


def call(capsys, *args):
    code = main([str(a) for a in args])
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    return code, out, err


def save(path, pixels, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)


def picture(height=48, width=60, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture
def hr(tmp_path):
    for i, name in enumerate("abc"):
        save(tmp_path / "hr" / f"{name}.png", picture(seed=i))
    return tmp_path / "hr"


METRICS = ("--metrics", "psnr_y,ssim_y,psnr_rgb,ssim_rgb,lr_psnr")


@pytest.mark.real
@pytest.mark.parametrize("jobs", [1, 2])
def test_score_of_saved_images_equals_evaluate(tmp_path, capsys, jobs):
    made = ("--scale", 4, "--json")
    first = call(
        capsys, "evaluate", "ibp", "--data", "photos/test", "--save", tmp_path / "sr", *made, tmp_path / "e.json", *METRICS,
        "--jobs", jobs, "--device", "cpu",
    )  # fmt: skip
    folder = tmp_path / "hr"
    folder.mkdir()
    for name, path in resolve("photos/test").images:
        shutil.copy(path, folder / f"{name}{path.suffix}")
    second = call(capsys, "score", tmp_path / "sr", folder, *made, tmp_path / "s.json", *METRICS, "--jobs", jobs)
    assert (first[0], second[0]) == (0, 0)
    evaluated, scored = (json.loads((tmp_path / f"{x}.json").read_text()) for x in "es")
    by_name = {row["image"]: row for row in evaluated["images"]}
    assert {row["image"]: row for row in scored["images"]} == by_name  # to the last bit
    assert len(by_name) == 5
    assert scored["mean"] == pytest.approx(evaluated["mean"], abs=1e-12)
    assert scored["protocol"] == evaluated["protocol"]


def test_identical_images_are_infinite_and_counted(hr, tmp_path, capsys):
    shutil.copytree(hr, tmp_path / "sr")
    save(tmp_path / "sr" / "a.png", 255 - picture())
    code, out, _ = call(capsys, "score", tmp_path / "sr", hr, "--scale", 2, "--json", tmp_path / "s.json")
    record = json.loads((tmp_path / "s.json").read_text())
    assert code == 0
    assert [row["psnr_y"] is None for row in record["images"]] == [False, True, True]
    assert [row["ssim_y"] for row in record["images"]][1:] == [1.0, 1.0]
    assert record["infinite"] == {"psnr_y": 2}
    assert record["mean"]["psnr_y"] == record["images"][0]["psnr_y"]
    assert "PSNR-Y is infinite for 2 of 3 images" in out
    assert out.count("inf\n") == 0
    code, out, _ = call(capsys, "score", hr, hr, "--scale", 2, "--json", "-")
    assert (code, json.loads(out)["mean"]["psnr_y"], json.loads(out)["infinite"]) == (0, None, {"psnr_y": 3})
    assert "nothing is left for a mean" in call(capsys, "score", hr, hr, "--scale", 1)[1]


def test_images_of_any_origin_are_compared_at_scale_1(hr, tmp_path, capsys):
    for path in hr.iterdir():
        save(tmp_path / "jpeg" / f"{path.stem}_q90.jpg", read_rgb(path), quality=90)
    code, out, _ = call(capsys, "score", tmp_path / "jpeg", hr, "--scale", 1, "--border", 0, "--json", "-")
    record = json.loads(out)
    assert code == 0
    assert record["protocol"]["shaved"] == 0
    assert [row["image"] for row in record["images"]] == ["a", "b", "c"]


def test_images_without_a_counterpart_are_named_and_the_rest_is_scored(hr, tmp_path, capsys):
    shutil.copytree(hr, tmp_path / "sr")
    (tmp_path / "sr" / "b.png").rename(tmp_path / "sr" / "stranger.png")
    code, out, err = call(capsys, "score", tmp_path / "sr", hr, "--scale", 2, "--json", "-")
    assert code == 1
    assert [row["image"] for row in json.loads(out)["images"]] == ["a", "c"]
    assert "stranger.png belongs to no HR image" in err
    assert "b.png has no SR image" in err
    assert err.count("\n") == 2


def test_two_sr_images_of_one_picture_are_refused(hr, tmp_path, capsys):
    shutil.copytree(hr, tmp_path / "sr")
    shutil.copy(hr / "a.png", tmp_path / "sr" / "a_x2.png")
    code, _, err = call(capsys, "score", tmp_path / "sr", hr, "--scale", 2)
    assert code == 2
    assert "a.png and a_x2.png" in err
    assert err.count("\n") == 1
    (tmp_path / "sr" / "a_x2.png").rename(tmp_path / "sr" / "a_RCAN_x2.png")
    code, _, err = call(capsys, "score", tmp_path / "sr", hr, "--scale", 2)
    assert code == 2
    assert "2 SR images belong to" in err


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def bomb():
    header = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def malformed(folder):
    """Ten files nobody should score, by name: what the line about each must say."""
    good = picture()
    save(folder / "truncated.png", good)
    (folder / "truncated.png").write_bytes((folder / "truncated.png").read_bytes()[:2000])
    save(folder / "deep.png", (good[..., 0].astype(np.uint16) * 257))
    Image.fromarray(good).convert("CMYK").save(folder / "cmyk.jpg")
    Image.fromarray(good).quantize(16).save(folder / "palette.png")
    save(folder / "alpha.png", np.dstack([good, np.full(good.shape[:2], 128, np.uint8)]))
    save(folder / "tiny.png", good[:1, :1])
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.png").write_text("not an image")
    (folder / "bomb.png").write_bytes(bomb())
    save(folder / "size.png", good[:20, :20])
    return {
        "truncated.png": "truncated", "deep.png": "more than 8 bits", "cmyk.jpg": "CMYK", "palette.png": "palette",
        "alpha.png": "alpha", "tiny.png": "1 x 1", "empty.png": "empty", "text.png": "not an image",
        "bomb.png": "100 megapixels", "size.png": "20 x 20",
    }  # fmt: skip


@pytest.mark.parametrize("jobs", [1, 2])
def test_ten_malformed_inputs_give_one_line_each_and_the_rest_is_scored(tmp_path, capsys, jobs):
    (tmp_path / "sr").mkdir()
    problems = malformed(tmp_path / "sr")
    for name in problems:
        save(tmp_path / "hr" / f"{name.split('.')[0]}.png", picture())
    for folder in ("sr", "hr"):
        save(tmp_path / folder / "good.png", picture(seed=5))
    code, out, err = call(
        capsys, "score", tmp_path / "sr", tmp_path / "hr", "--scale", 2, "--json", "-", "--jobs", jobs
    )
    assert code == 1
    record = json.loads(out)
    assert [row["image"] for row in record["images"]] == ["good"]
    assert len(record["failed"]) == 10
    lines = err.splitlines()
    assert len(lines) == 10
    for name, words in problems.items():
        (line,) = [text for text in lines if str(tmp_path / "sr" / name) in text]
        assert words in line
    (tmp_path / "sr" / "good.png").unlink()
    code, out, err = call(capsys, "score", tmp_path / "sr", tmp_path / "hr", "--scale", 2, "--json", "-")
    assert (code, out, len(err.splitlines())) == (2, "", 11)


@pytest.mark.parametrize("verb", ["evaluate", "degrade"])
def test_malformed_hr_images_stop_nobody(tmp_path, capsys, verb):
    (tmp_path / "hr").mkdir()
    problems = malformed(tmp_path / "hr")
    problems.pop("size.png")  # on its own it is a picture like any other
    args = {
        "evaluate": ("evaluate", "bicubic", "--data", tmp_path / "hr", "--save", tmp_path / "out"),
        "degrade": ("degrade", tmp_path / "hr", tmp_path / "out", "--kernel", "bicubic"),
    }[verb]
    code, _, err = call(capsys, *args, "--scale", 2)
    assert code == 1
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["size.png"]
    lines = err.splitlines()
    assert len(lines) == len(problems)
    for name, words in problems.items():
        (line,) = [text for text in lines if str(tmp_path / "hr" / name) in text]
        assert words in line
    (tmp_path / "hr" / "size.png").unlink()
    assert call(capsys, *args, "--scale", 2, "--force")[0] == 2


def test_transparent_images_are_laid_onto_a_colour(tmp_path, capsys):
    pixels = picture()
    save(tmp_path / "hr" / "a.png", np.dstack([pixels, np.zeros(pixels.shape[:2], np.uint8)]))
    args = ("degrade", tmp_path / "hr", tmp_path / "out", "--kernel", "nearest", "--scale", 1, "--alpha")
    assert call(capsys, *args, "#102030")[0] == 0
    assert (read_rgb(tmp_path / "out" / "a.png") == [16, 32, 48]).all()
    code, _, err = call(capsys, *args, "whit")
    assert code == 2
    assert "white, black or #rrggbb" in err


@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("border", ["symmetric", "replicate"])
@pytest.mark.parametrize("jobs", [1, 2])
def test_degrade_gives_matlabs_files_bit_for_bit(shared_data, tmp_path, capsys, scale, border, jobs):
    hr, theirs = shared_data / "Set5" / "HR", shared_data / "Set5" / f"LR_matlab_{border}" / f"X{scale}"
    code, out, _ = call(
        capsys,
        "degrade",
        hr,
        tmp_path / "lr",
        "--kernel",
        "bicubic",
        "--scale",
        scale,
        "--border",
        border,
        "--jobs",
        jobs,
    )
    assert code == 0
    assert "5 LR images" in out
    files = sorted(theirs.iterdir())
    assert len(files) == 5
    for file in files:
        assert (read_rgb(tmp_path / "lr" / f"{file.stem.split('_')[0]}.png") == read_rgb(file)).all(), file


@pytest.mark.real
def test_ready_made_lr_images_give_the_same_scores(shared_data, tmp_path, capsys):
    args = ("evaluate", "bicubic", "--data", shared_data / "Set5", "--scale", 4, "--json", "-")
    ready = shared_data / "Set5" / "LR_matlab_symmetric" / "X4"
    made, read = json.loads(call(capsys, *args)[1]), json.loads(call(capsys, *args, "--lr", ready)[1])
    assert read["images"] == made["images"]
    assert read["lr"] == str(ready)
    code, _, err = call(capsys, *args, "--lr", shared_data / "Set5" / "LR_matlab_symmetric" / "X2")
    assert (code, len(err.splitlines())) == (2, 5)
    assert "makes 128 x 128" in err


def test_degrade_overwrites_nothing_unasked(hr, tmp_path, capsys):
    args = ("degrade", hr, tmp_path / "lr", "--kernel", "bd", "--scale", 2)
    assert call(capsys, *args)[0] == 0
    code, _, err = call(capsys, *args)
    assert code == 2
    assert "a.png is there already: give --force" in err
    assert call(capsys, *args, "--force")[0] == 0
    before = (hr / "a.png").read_bytes()
    code, _, err = call(capsys, "degrade", hr, hr, "--kernel", "bd", "--scale", 2, "--force")
    assert code == 2
    assert "choose another folder" in err
    assert (hr / "a.png").read_bytes() == before


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--kernel", "nearest", "--border", "replicate"), "no border to choose"),
        (("--kernel", "bicubic", "--border", "mirror"), "known: replicate, symmetric"),
        (("--kernel", "bicubic:border=replicate", "--border", "symmetric"), "leave --border out"),
        (("--kernel", "real"), "LR already"),
        (("--kernel", "gausian"), "did you mean 'gaussian'"),
    ],
)
def test_wrong_words_of_degrade(hr, tmp_path, capsys, args, message):
    code, _, err = call(capsys, "degrade", hr, tmp_path / "lr", "--scale", 2, *args)
    assert code == 2
    assert message in err
    assert err.count("\n") == 1
    assert not (tmp_path / "lr").exists()


def test_noise_is_the_same_in_every_process_and_order(hr, tmp_path, capsys):
    for jobs in (1, 2):
        args = ("--kernel", "bicubic:noise=10", "--scale", 2, "--jobs", jobs)
        assert call(capsys, "degrade", hr, tmp_path / f"lr{jobs}", *args)[0] == 0
    (tmp_path / "one").mkdir()
    shutil.copy(hr / "c.png", tmp_path / "one" / "renamed.png")
    call(capsys, "degrade", tmp_path / "one", tmp_path / "lr3", "--kernel", "bicubic:noise=10", "--scale", 2)
    for name in "abc":
        assert (read_rgb(tmp_path / "lr1" / f"{name}.png") == read_rgb(tmp_path / "lr2" / f"{name}.png")).all()
    assert (read_rgb(tmp_path / "lr1" / "c.png") == read_rgb(tmp_path / "lr3" / "renamed.png")).all()


def test_tiles_self_ensemble_and_rounding_are_reported(tmp_path, capsys):
    (tmp_path / "hr").mkdir()
    for name, path in resolve("photos/unpaired").images:
        if name in {"coins", "moon"}:  # the small ones
            shutil.copy(path, tmp_path / "hr")
    images = ("evaluate", "bicubic", "--data", tmp_path / "hr", "--scale", 4)
    args = (*images, "--json", "-", "--metrics", "psnr_y")
    plain, tiled, mean, exact = (
        json.loads(call(capsys, *args, *more)[1])
        for more in ((), ("--tile", "32"), ("--self-ensemble",), ("--no-quantise",))
    )
    assert tiled["mean"]["psnr_y"] == pytest.approx(plain["mean"]["psnr_y"], abs=1e-4)
    assert tiled["tile"] == {"size": 32, "overlap": 16}
    assert [row["tile_difference"] for row in tiled["images"] if "tile_difference" in row] == [0.0]
    assert (plain["model"], mean["model"], mean["self_ensemble"]) == ("bicubic", "bicubic+", True)
    assert mean["mean"]["psnr_y"] == pytest.approx(plain["mean"]["psnr_y"], abs=0.01)
    assert exact["protocol"]["quantise"] is False
    code, out, _ = call(capsys, *images, "--tile", 8, "--overlap", 0)
    assert code == 0
    assert "tiles change the SR image: " in out


def test_a_jpeg_beside_which_a_png_would_stand_keeps_its_folder(tmp_path, capsys):
    save(tmp_path / "hr" / "a.jpg", picture())
    code, _, err = call(capsys, "degrade", tmp_path / "hr", tmp_path / "hr", "--kernel", "bicubic", "--scale", 2)
    assert code == 2
    assert "choose another folder" in err
    assert [path.name for path in (tmp_path / "hr").iterdir()] == ["a.jpg"]


def test_what_users_made_comes_before_what_is_called_so_under_a_root(hr, tmp_path, capsys, monkeypatch):
    for i, name in enumerate("abc"):
        save(tmp_path / "roots" / "Set5" / "HR" / f"{name}.png", picture(seed=i))
        save(tmp_path / "here" / "Set5" / f"{name}.png", picture(seed=i + 7))
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("DRNBENCH_DATA", str(tmp_path / "roots"))
    record = json.loads(call(capsys, "score", "Set5", "Set5", "--scale", 2, "--json", "-")[1])
    assert record["infinite"] == {}
    assert record["mean"]["psnr_y"] < 20


def test_lr_consistency_needs_no_hr(tmp_path, capsys):
    args = ("--scale", 4, "--metrics", "lr_psnr", "--json", "-")
    call(capsys, "degrade", "photos/test", tmp_path / "lr", "--kernel", "bd", "--scale", 4)
    call(capsys, "evaluate", "bicubic", "--data", tmp_path / "lr", "--kernel", "real", "--save", tmp_path / "sr", *args)
    alone = json.loads(call(capsys, "score", tmp_path / "sr", "--lr", tmp_path / "lr", *args, "--kernel", "bd")[1])
    with_hr = json.loads(call(capsys, "score", tmp_path / "sr", "photos/test", *args, "--kernel", "bd")[1])
    assert alone["mean"] == with_hr["mean"]
    assert alone["lr"] == str(tmp_path / "lr")
    code, _, err = call(capsys, "score", tmp_path / "sr", *args)
    assert code == 2
    assert "give them with --lr" in err
    code, _, err = call(capsys, "score", tmp_path / "sr", "--lr", tmp_path / "lr", *args[2:], "--scale", 2)
    assert (code, err.count("\n")) == (2, 5)
    assert "check the scale" in err


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--json", "."), "is a folder"),
        (("--json", "/proc/none.json"), "cannot be written"),
        (("--metrics", ","), "at least one metric"),
        (("--metrics", "psnr_rgb", "--y-round"), "--y-round: none of psnr_rgb looks at it"),
        (("--kernel", "bd"), "no metric looks at LR"),
        (("--lr", "."), "no metric looks at LR"),
        (("--metrics", "lr_psnr", "--kernel", "file:path=none.npy"), "none.npy"),
    ],
)
def test_wrong_words_of_score(hr, capsys, args, message):
    code, out, err = call(capsys, "score", hr, hr, "--scale", 2, *args)
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


def test_an_overlap_without_tiles_is_refused(capsys):
    code, _, err = call(capsys, "evaluate", "bicubic", "--scale", 2, "--data", "photos/test", "--overlap", 3)
    assert code == 2
    assert "add --tile" in err


def test_opaque_alpha_is_no_transparency(tmp_path, capsys):
    save(tmp_path / "hr" / "a.png", np.dstack([picture(), np.full((48, 60), 255, np.uint8)]))
    assert call(capsys, "degrade", tmp_path / "hr", tmp_path / "lr", "--kernel", "nearest", "--scale", 1)[0] == 0
    assert (read_rgb(tmp_path / "lr" / "a.png") == picture()).all()


def test_json_says_what_made_the_numbers(hr, capsys):
    record = json.loads(call(capsys, "score", hr, hr, "--scale", 2, "--json", "-")[1])
    assert record["versions"]["scikit-image"]
    assert record["protocol"]["metrics"]["psnr_y"] == {"color": "y", "version": "1"}
