"""Decoded images of large sources as files: made once, whole or not at all, and the same pixels as without them."""

from __future__ import annotations

import os
import shutil
import warnings
from pathlib import Path

import numpy as np
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from drnbench.data import build, packed
from drnbench.data.cache import fingerprint, fingerprint_undecoded, hr_set, lr_set
from drnbench.data.images import read_rgb
from drnbench.errors import DamageWarning, DataError, UsageError
from tests.data.packing import COUNT, packs, paint


def fill(monkeypatch):
    """Leave one free byte on the disk."""
    usage = type(shutil.disk_usage("/"))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(100, 99, 1))


def test_a_large_source_is_decoded_once_and_a_small_one_is_not_kept(folder, store, decoded, monkeypatch):
    small = fingerprint(str(folder), store)
    assert not small.large
    assert not packs(store)
    shutil.rmtree(store)
    decoded.clear()
    size = COUNT * 26 * 35 * 3
    for limit, large in ((size, False), (size - 1, True)):  # above the limit, not at it
        monkeypatch.setenv("DRNBENCH_PACK_MB", str(limit / 2**20))
        assert fingerprint(str(folder), store / str(limit)).large is large
        assert fingerprint_undecoded(str(folder), store / str(limit)).large is large
    decoded.clear()
    source = fingerprint(str(folder), store)
    assert source.digest == small.digest
    hrs = hr_set(source.images)
    assert len(decoded) == COUNT
    for hr, image in zip(hrs, source.images, strict=True):
        assert (hr == read_rgb(image.path)).all()
        file = store / "pixels" / image.sha[:2] / f"{image.sha}.npy"
        assert (np.load(file, mmap_mode="r", allow_pickle=False) == hr).all()
        with pytest.raises(ValueError, match="read-only"):
            hr[0] = 0
    assert not list(store.rglob("*.tmp"))


@pytest.mark.parametrize("limit", ["many", "-1", "nan", "1 GB"])
def test_a_limit_that_is_no_number_is_refused(folder, store, monkeypatch, limit):
    monkeypatch.setenv("DRNBENCH_PACK_MB", limit)
    with pytest.raises(UsageError, match="DRNBENCH_PACK_MB="):
        fingerprint(str(folder), store)


def test_sets_share_the_files_of_the_pictures_they_share(folder, store, large, tmp_path, monkeypatch):
    fingerprint(str(folder), store)
    before = packs(store)
    shutil.copytree(folder, tmp_path / "copy")
    paint(tmp_path / "copy", 1, start=COUNT)
    images = fingerprint(str(tmp_path / "copy"), store).images
    after = packs(store)
    assert len(after) == COUNT + 1
    assert before.items() <= after.items()
    monkeypatch.delenv("DRNBENCH_PACK_MB")
    monkeypatch.setattr(build, "read_rgb", None)  # a small source uses them too
    assert not fingerprint(str(tmp_path / "copy"), store).large
    assert len(hr_set(fingerprint(str(tmp_path / "copy"), store).images)) == len(images)


@pytest.mark.parametrize("damage", [lambda b: b"", lambda b: b[:-1], lambda b: b"?" + b[1:], None])
def test_a_damaged_file_is_made_again_and_the_others_are_not(folder, store, large, damage):
    images = fingerprint(str(folder), store).images
    before = packs(store)
    file = next(iter(before))
    whole = file.read_bytes()
    if damage is None:
        file.unlink()
    else:
        file.write_bytes(damage(whole))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DamageWarning)
        hrs = hr_set(images)
    assert file.read_bytes() == whole
    after = packs(store)
    assert {f for f in before if before[f] != after[f]} == {file}
    file.unlink()  # also while the set is in use
    assert all((hr == read_rgb(image.path)).all() for hr, image in zip(hrs, images, strict=True))
    assert file.read_bytes() == whole


def test_a_changed_image_is_noticed(folder, store, large, decoded):
    images = fingerprint(str(folder), store).images
    first = [hr.copy() for hr in hr_set(images)]
    Image.fromarray(np.zeros((26, 35, 3), np.uint8)).save(folder / "002.png")
    decoded.clear()
    again = fingerprint(str(folder), store).images
    assert decoded == ["002.png"]
    assert [image.sha != old.sha for image, old in zip(again, images, strict=True)] == [i == 2 for i in range(COUNT)]
    assert not hr_set(again)[2].any()
    # Who began with the old image goes on with its pixels, while there are some.
    assert all((hr == old).all() for hr, old in zip(hr_set(images), first, strict=True))
    shutil.rmtree(store / "pixels")
    with pytest.raises(DataError, match=r"002\.png has changed"):
        hr_set(images)


def test_too_little_free_space_is_refused_before_any_work(folder, store, large, decoded, monkeypatch):
    fill(monkeypatch)
    with pytest.raises(
        UsageError, match=r"6 images would take .* GB decoded, and .*pixels has 1e-09 GB free: make room"
    ):
        fingerprint(str(folder), store)
    assert decoded == []
    assert not packs(store)


def test_no_room_for_lr_images(folder, store, large, decoded, monkeypatch):
    images = fingerprint(str(folder), store).images
    fill(monkeypatch)
    with pytest.raises(UsageError, match="making LR images, bd x2: 6 images would take"):
        lr_set(images, "bd", 2, store)
    assert not (store / "lr").exists()


def test_files_that_are_there_need_no_room(folder, store, large, monkeypatch, capsys):
    fingerprint(str(folder), store)
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert message.startswith("set: 6 images, ")
    before = packs(store)
    fill(monkeypatch)
    for file in folder.iterdir():  # copied anew: other times, the same pictures
        os.utime(file, ns=(1, 1))
    fingerprint(str(folder), store)
    assert packs(store) == before
    assert capsys.readouterr().err == ""


def test_a_disk_that_refuses_a_file_is_one_line(folder, store, large):
    images = fingerprint(str(folder), store).images
    (store / "lr").write_bytes(b"")  # nothing can be written below it
    with pytest.raises(UsageError, match=r"\.npy cannot be written \(.*\): make room or choose another --results"):
        lr_set(images, "bd", 2, store)


@pytest.mark.parametrize("held", [0, 9000, 2**28])
def test_maps_cost_no_open_files(folder, store, large, monkeypatch, held):
    monkeypatch.setattr(packed, "OPEN_BYTES", held)
    images = fingerprint(str(folder), store).images
    hrs, lrs = hr_set(images), lr_set(images, "bd", 2, store)
    before = psutil.Process().num_fds()
    maps = [stack[i % COUNT] for i in range(200) for stack in (hrs, lrs)]
    assert psutil.Process().num_fds() <= before
    wanted = [read_rgb(image.path) for image in images]
    assert all((maps[2 * i] == wanted[i % COUNT]).all() for i in range(200))
    assert all((maps[2 * i + 1] == maps[2 * (i % COUNT) + 1]).all() for i in range(200))


@settings(max_examples=25, deadline=None)
@given(
    sizes=st.lists(st.tuples(st.integers(8, 40), st.integers(8, 40)), min_size=1, max_size=4),
    seed=st.integers(0, 2**32 - 1),
    crop=st.none() | st.integers(8, 50),
    scale=st.sampled_from([1, 2, 3, 4]),
    kernel=st.sampled_from(["bicubic", "bd", "nearest:noise=20,jpeg=60"]),
)
def test_pixels_are_the_same_with_and_without_files(tmp_path_factory, sizes, seed, crop, scale, kernel):
    home = tmp_path_factory.mktemp("pixels")
    rng = np.random.default_rng(seed)
    (home / "set").mkdir()
    for i, (height, width) in enumerate(sizes):
        Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8)).save(home / f"set/{i}.png")
    pixels = {}
    for limit in ("0", "512"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("DRNBENCH_PACK_MB", limit)
            prints = fingerprint(str(home / "set"), home / limit)
            hrs = hr_set(prints.images, crop, modulo=scale)
            lrs = lr_set(prints.images, kernel, scale, home / limit, crop)
            pixels[limit] = prints.digest, [hr.tolist() for hr in hrs], [lr.tolist() for lr in lrs]
    assert pixels["0"] == pixels["512"]
    assert len(packs(home / "0")) == len({Path(file).stem for file in packs(home / "0")}) > 0
    assert not packs(home / "512")
