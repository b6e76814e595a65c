"""Fingerprints and LR sets: made once, by content, whoever asks and however many at a time."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import warnings
from contextlib import ExitStack

import numpy as np
import pytest
from PIL import Image

from drnbench.data.cache import fingerprint, hr_set, lr_set
from drnbench.data.images import center_crop, mod_crop, read_rgb, to_tensor, to_uint8
from drnbench.degradations import parse
from drnbench.errors import DamageWarning, DataError, UsageError
from drnbench.store.integrity import decode


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(1)
    (tmp_path / "set").mkdir()
    for name in "ab":
        Image.fromarray(rng.integers(0, 256, (21, 30, 3), dtype=np.uint8)).save(tmp_path / f"set/{name}.png")
    return tmp_path / "set"


def test_a_second_fingerprint_decodes_nothing(folder, store, decoded):
    first = fingerprint(str(folder), store)
    assert decoded == ["a.png", "b.png"]
    assert fingerprint(str(folder), store) == first
    assert decoded == ["a.png", "b.png"]
    assert [(image.name, image.height, image.width) for image in first.images] == [
        ("a", 21, 30),
        ("b", 21, 30),
    ]


def test_the_digest_is_of_pixels_names_and_order(folder, store, tmp_path):
    first = fingerprint(str(folder), store)
    (tmp_path / "copy").mkdir()
    for name in "ab":  # the same pixels in files of another format
        Image.open(folder / f"{name}.png").save(tmp_path / f"copy/{name}.bmp")
    assert fingerprint(str(tmp_path / "copy"), store).digest == first.digest
    (folder / "b.png").rename(folder / "c.png")
    assert fingerprint(str(folder), store).digest != first.digest
    Image.fromarray(read_rgb(folder / "a.png").reshape(30, 21, 3)).save(folder / "a.png")
    assert fingerprint(str(folder), store).images[0].sha != first.images[0].sha  # same bytes, another shape


@pytest.mark.parametrize("broken", [b"", b"{", b"[]", b"\xff\xfe", "entries"])
def test_a_broken_cache_is_built_again(folder, store, broken):
    first = fingerprint(str(folder), store)
    file = store / "fingerprints.json"
    if broken == "entries":
        broken = json.dumps({path: [1, 2] for path in json.loads(file.read_text())}).encode()
    file.write_bytes(broken)
    with warnings.catch_warnings(record=True, action="always") as shown:
        assert fingerprint(str(folder), store) == first
    assert all(str(file) in str(warning.message) for warning in shown)
    assert shown or b"[" in broken
    assert len(decode(file.read_bytes())) == 2


def test_a_broken_image_is_refused_before_work(folder, store):
    (folder / "c.png").write_bytes((folder / "a.png").read_bytes()[:-200])
    with pytest.raises(DataError, match=r"c\.png"):
        fingerprint(str(folder), store)


def test_lr_images_are_crop_modcrop_and_kernel(folder, store):
    images = fingerprint(str(folder), store).images
    for scale, crop, modulo in [(4, None, None), (2, 11, None), (2, None, 8)]:
        lrs = lr_set(images, "bd", scale, store, crop=crop, modulo=modulo)
        for image, lr in zip(images, lrs, strict=True):
            hr = center_crop(read_rgb(image.path), crop or 99)
            hr = mod_crop(hr, modulo or scale)
            assert (lr == to_uint8(parse("bd").degrade(to_tensor(hr), scale))).all()
    assert [hr.shape for hr in hr_set(images, 11)] == [(11, 11, 3)] * 2


def test_lr_images_are_made_once_and_the_spelling_of_a_kernel_does_not_count(folder, store, decoded):
    images = fingerprint(str(folder), store).images
    first = lr_set(images, "bd", 4, store)
    files = sorted((store / "lr").rglob("*.npy"))
    assert len(files) == 2
    assert all(file.parent.name == file.stem[:2] for file in files)
    decoded.clear()
    again = lr_set(images, "bd:sigma=1.6", 4, store)
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert not {"a.png", "b.png"} & set(decoded)
    lr_set(images, "bd:sigma=2.0", 4, store)
    lr_set(images, "bd", 2, store)
    lr_set(images, "bd", 4, store, crop=16)
    assert len(list((store / "lr").rglob("*.npy"))) == 8


def test_noise_is_drawn_for_each_image_by_its_pixels(folder, store, tmp_path):
    for name in "cd":  # the same pixels once more
        Image.open(folder / f"{'ab'['cd'.index(name)]}.png").save(folder / f"{name}.png")
    images = fingerprint(str(folder), store).images
    a, b, again, _ = lr_set(images, "nearest:noise=9,jpeg=90", 3, store)
    assert (a == again).all()
    # Alone, in another order, in another cache: the same noise.
    (alone,) = lr_set(images[1:2], "nearest:jpeg=90,noise=9.0", 3, tmp_path / "other")
    assert (alone == b).all()
    noise = [lr_set(images, "nearest:noise=9", 3, store)[i] - lr_set(images, "nearest", 3, store)[i] for i in (0, 1)]
    assert (noise[0] != noise[1]).any()


def test_the_key_of_a_kernel_without_noise_stays(store, tmp_path):
    # sha256 of these pixels, of this kernel's fields and of the sizes: changing it would make every LR set again.
    (tmp_path / "one").mkdir()
    Image.fromarray(np.arange(48, dtype=np.uint8).reshape(4, 4, 3)).save(tmp_path / "one/x.png")
    lr_set(fingerprint(str(tmp_path / "one"), store).images, "bd", 2, store)
    assert [file.name for file in (store / "lr").rglob("*.npy")] == [
        "eee18959529683d1b0da445b0b9623a34f84cdf9d7a395687c795a943ba8044a.npy"
    ]


def test_a_kernel_file_is_identified_by_its_content(folder, store, tmp_path):
    images = fingerprint(str(folder), store).images
    np.save(tmp_path / "k.npy", np.eye(4))
    first = lr_set(images, f"file:path={tmp_path / 'k.npy'}", 2, store)
    (tmp_path / "k.npy").rename(tmp_path / "moved.npy")
    again = lr_set(images, f"file:path={tmp_path / 'moved.npy'}", 2, store)
    assert all((lr == again_lr).all() for lr, again_lr in zip(first, again, strict=True))
    assert len(list((store / "lr").rglob("*.npy"))) == 2
    np.save(tmp_path / "moved.npy", np.ones((4, 4)))
    lr_set(images, f"file:path={tmp_path / 'moved.npy'}", 2, store)
    assert len(list((store / "lr").rglob("*.npy"))) == 4


def test_images_of_kernel_real_are_lr_already(folder, store):
    images = fingerprint(str(folder), store).images
    whole = lr_set(images, "real", 4, store, modulo=8)
    assert all((lr == read_rgb(image.path)).all() for lr, image in zip(whole, images, strict=True))
    cropped = lr_set(images, "real", 4, store, crop=10)
    assert all((lr == center_crop(uncropped, 10)).all() for lr, uncropped in zip(cropped, whole, strict=True))
    assert not (store / "lr").exists()


@pytest.mark.parametrize("damage", [
    lambda b: b[:40], lambda b: b[:-1], lambda b: b"?" + b[1:], lambda b: b + b"0", lambda b: bytes(len(b)),
    lambda b: b[:200] + bytes([b[200] ^ 16]) + b[201:],
])  # fmt: skip
def test_a_damaged_lr_image_is_made_again(folder, store, damage):
    images = fingerprint(str(folder), store).images
    first = lr_set(images, "nearest", 2, store)
    file = next((store / "lr").rglob("*.npy"))
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    with pytest.warns(DamageWarning, match=file.name):
        again = list(lr_set(images, "nearest", 2, store))
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert file.read_bytes() == whole


def test_lr_files_are_plain_arrays_and_lr_sets_are_read_only(folder, store):
    images = fingerprint(str(folder), store).images
    lrs = lr_set(images, "bd", 2, store)
    assert len(lrs) == 2
    assert [lr.shape for lr in lrs[1:]] == [(10, 15, 3)]
    assert sorted(np.load(file).tobytes() for file in (store / "lr").rglob("*.npy")) == sorted(
        lr.tobytes() for lr in lrs
    )
    with pytest.raises(ValueError, match="read-only"):
        lrs[0][0, 0] = 0
    with pytest.raises(IndexError):
        lrs[2]


def test_a_cache_deleted_under_the_hands_of_a_reader_is_made_again(folder, store):
    images = fingerprint(str(folder), store).images
    before = [lr.copy() for lr in lr_set(images, "bd", 2, store)]
    lrs = lr_set(images, "bd", 2, store)
    shutil.rmtree(store)
    assert all((a == b).all() for a, b in zip(before, lrs, strict=True))
    assert len(list((store / "lr").rglob("*.npy"))) == 2


def test_all_bad_images_are_named_at_once_and_the_good_ones_are_kept(folder, store, decoded):
    (folder / "_.png").write_bytes((folder / "a.png").read_bytes()[:-200])
    (folder / "c.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"^\S*_\.png .*\(and 1 more of set cannot be used: \S*c\.png is empty"):
        fingerprint(str(folder), store)
    decoded.clear()
    (folder / "_.png").unlink()
    (folder / "c.png").unlink()
    assert len(fingerprint(str(folder), store).images) == 2
    assert decoded == []


def test_an_image_that_changes_under_a_run_is_noticed(folder, store):
    images = fingerprint(str(folder), store).images
    Image.fromarray(np.zeros((21, 30, 3), np.uint8)).save(folder / "b.png")
    with pytest.raises(DataError, match=r"b\.png has changed"):
        lr_set(images, "bicubic", 2, store)
    with pytest.raises(DataError, match=r"b\.png has changed"):
        hr_set(images)


def test_impossible_requests(folder, store, tmp_path):
    images = fingerprint(str(folder), store).images
    with pytest.raises(DataError, match=r"a\.png.*too small for scale 32"):
        lr_set(images, "bicubic", 32, store)
    with pytest.raises(UsageError, match="does not fit scale 4"):
        lr_set(images, "bicubic", 4, store, modulo=6)
    with pytest.raises(DataError, match=r"a\.png.*too small for scale 32"):
        hr_set(images, modulo=32)
    with pytest.raises(UsageError, match="did you mean 'bicubic'"):
        lr_set(images, "bicubics", 4, store)
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot be written"):
        fingerprint(str(folder), tmp_path / "file")


RACE = """
import sys
from pathlib import Path
from drnbench.data import build, cache
from drnbench.degradations.kernel import Kernel
folder, store = sys.argv[1], Path(sys.argv[2])
made, degrade, read, reads = [], Kernel.degrade, build.read_rgb, []
def counted(*given):
    made.append(given)
    return degrade(*given)
def reading(path, **options):
    reads.append(path)
    return read(path, **options)
Kernel.degrade, build.read_rgb = counted, reading
print("ready", flush=True)
sys.stdin.readline()
images = cache.fingerprint(folder, store).images
first = len(reads)
lrs = cache.lr_set(images, "bd", 4, store)
print(first, len(made), [int(lr.sum()) for lr in lrs])
"""


@pytest.mark.real
@pytest.mark.parametrize("pack", [pytest.param("0", marks=pytest.mark.real), "512"])
def test_two_processes_make_a_set_once(folder, store, pack):
    command = [sys.executable, "-c", RACE, str(folder), str(store)]
    env = {**os.environ, "DRNBENCH_PACK_MB": pack}
    with ExitStack() as stack:
        racers = [
            stack.enter_context(
                subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)
            )
            for _ in range(2)
        ]
        assert [racer.stdout.readline() for racer in racers] == ["ready\n"] * 2
        for racer in racers:
            racer.stdin.write("go\n")
            racer.stdin.flush()
        answers = [racer.communicate(timeout=120)[0].strip().split(" ", 2) for racer in racers]
    assert [racer.returncode for racer in racers] == [0, 0]
    (decoded, made, sums), (redecoded, remade, same) = answers
    assert int(decoded) + int(redecoded) == 2  # two images, each decoded by one of the two
    assert int(made) + int(remade) == 2  # and degraded
    assert sums == same
    assert len(list((store / "pixels").rglob("*.npy"))) == (2 if pack == "0" else 0)
    assert not list(store.rglob("*.tmp"))
    assert len(decode((store / "fingerprints.json").read_bytes())) == 2
