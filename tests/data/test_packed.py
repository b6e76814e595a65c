"""Decoded images of large sources as files: made once, whole or not at all, and the same pixels as without them."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
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
from drnbench.parallel import WORTH, Work
from tests.helpers import until

COUNT = 6


def paint(folder, count=COUNT, size=(26, 35), start=0):
    """Write different images of noise."""
    folder.mkdir(exist_ok=True)
    for i in range(start, start + count):
        pixels = np.random.default_rng(i).integers(0, 256, (*size, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{i:03d}.png")
    return folder


def packs(store):
    """Return the modification time of each file of pixels."""
    return {file: file.stat().st_mtime_ns for file in (store / "pixels").rglob("*.npy")}


@pytest.fixture
def folder(tmp_path):
    return paint(tmp_path / "set")


@pytest.fixture
def store(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def large(monkeypatch):
    """Every source is large."""
    monkeypatch.setenv("DRNBENCH_PACK_MB", "0")


@pytest.fixture
def decoded(monkeypatch):
    """Names of the files that were decoded, in order."""
    seen = []

    def spy(path):
        seen.append(Path(path).name)
        return read_rgb(path)

    monkeypatch.setattr(build, "read_rgb", spy)
    return seen


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


@pytest.mark.real
def test_several_processes_build_the_same_files_as_one(tmp_path, large, monkeypatch):
    folder = paint(tmp_path / "set", 2 * WORTH)
    (folder / "zz.png").write_bytes(b"")
    monkeypatch.setattr(build, "PARALLEL_BYTES", 0)
    with pytest.raises(DataError, match=r"zz\.png is empty"):
        fingerprint(str(folder), tmp_path / "many")
    (folder / "zz.png").unlink()
    many = fingerprint(str(folder), tmp_path / "many")
    several = lr_set(many.images, "bd:noise=5", 2, tmp_path / "many")
    monkeypatch.setattr(build, "PARALLEL_BYTES", 2**60)
    single = fingerprint(str(folder), tmp_path / "one")
    assert single.digest == many.digest
    alone = lr_set(single.images, "bd:noise=5", 2, tmp_path / "one")
    assert all((a == b).all() for a, b in zip(alone, several, strict=True))
    assert {f.name for f in packs(tmp_path / "one")} == {f.name for f in packs(tmp_path / "many")}
    Image.fromarray(np.zeros((26, 35, 3), np.uint8)).save(folder / "003.png")
    shutil.rmtree(tmp_path / "many/pixels")
    monkeypatch.setattr(build, "PARALLEL_BYTES", 0)
    with pytest.raises(DataError, match=r"003\.png has changed"):
        hr_set(many.images)


class Dies(Work[int, int]):
    """Is killed by its twentieth item, unless it runs in the process that asked."""

    def __call__(self, item):
        if item == 20 and multiprocessing.parent_process() is not None:
            os.kill(os.getpid(), signal.SIGKILL)
        return item


@pytest.mark.real
def test_one_process_goes_on_where_several_were_killed(capsys):
    assert list(build.each_image(Dies(), range(3 * WORTH), build.PARALLEL_BYTES, "counting")) == list(range(3 * WORTH))
    assert "counting: a process was killed, perhaps for want of memory; one goes on" in capsys.readouterr().err


SCRIPT = """
import sys
from pathlib import Path
from drnbench.data import build, cache
build.PARALLEL_BYTES = 0
print(len(cache.fingerprint(sys.argv[1], Path(sys.argv[2])).images))
"""


@pytest.mark.real
def test_a_script_without_a_main_guard_does_not_hang(tmp_path, large):
    folder = paint(tmp_path / "set", 2 * WORTH)
    (tmp_path / "script.py").write_text(SCRIPT)
    command = [sys.executable, str(tmp_path / "script.py"), str(folder), str(tmp_path / "cache")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "32\n"
    assert "put what the script does under `if __name__ == '__main__':`" in done.stderr


DAEMON = """
import multiprocessing, sys
from pathlib import Path
from drnbench.data import build, cache
build.PARALLEL_BYTES = 0
def work(folder, store):
    images = cache.fingerprint(folder, Path(store)).images
    print(len(cache.hr_set(images)), len(cache.lr_set(images, "nearest", 2, Path(store))), flush=True)
worker = multiprocessing.get_context("fork").Process(target=work, args=sys.argv[1:], daemon=True)
worker.start()
worker.join()
sys.exit(worker.exitcode)
"""


@pytest.mark.real
def test_a_worker_builds_alone(tmp_path, large):
    folder = paint(tmp_path / "set", 2 * WORTH)
    done = subprocess.run(
        [sys.executable, "-c", DAEMON, str(folder), str(tmp_path / "cache")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == "32 32\n"


BUILD = """
import sys
from pathlib import Path
from drnbench.data import cache, fingerprints
folder, store, stop, fingerprints.SAVE_S = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
done, replace = [], Path.replace
def replaced(part, target):
    if target.suffix == ".npy":
        if len(done) == stop:
            part.write_bytes(part.read_bytes()[:50])  # half of it is on the disk
            print("half", flush=True)
            sys.stdin.readline()
        done.append(target)
    return replace(part, target)
Path.replace = replaced
images = cache.fingerprint(folder, store).images
cache.lr_set(images, "bd", 2, store)
"""


def interrupted(folder, store, stop, save_s, how):
    """Build in another process until `stop` files are whole and one is half written; then end it."""
    command = [sys.executable, "-c", BUILD, str(folder), str(store), str(stop), str(save_s)]
    env = {**os.environ, "DRNBENCH_PACK_MB": "0"}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, env=env, text=True, **pipes) as process:
        assert process.stdout.readline() == "half\n"
        process.send_signal(how)
        process.stdin.close()  # a signal that comes just before the read begins does not wake it; the end of the pipe does
        process.wait(60)


@pytest.mark.real
@pytest.mark.parametrize(("stop", "left"), [(3, COUNT - 3), (COUNT + 3, 0)], ids=["decoding", "degrading"])
def test_a_killed_build_goes_on_where_it_was(folder, store, large, decoded, stop, left):
    interrupted(folder, store, stop, 0, signal.SIGKILL)
    assert list(store.rglob("*.tmp"))  # what the kill left
    whole = {file: file.stat().st_mtime_ns for file in store.rglob("*.npy")}
    assert len(whole) == stop
    source = fingerprint(str(folder), store)
    lrs = lr_set(source.images, "bd", 2, store)
    assert len(decoded) == left
    after = {file: file.stat().st_mtime_ns for file in store.rglob("*.npy")}
    assert len(after) == 2 * COUNT
    assert whole.items() <= after.items()
    assert not list(store.rglob("*.tmp"))
    fresh = store.with_name("fresh")
    images = fingerprint(str(folder), fresh).images
    expected = lr_set(images, "bd", 2, fresh)
    assert all((a == b).all() for a, b in zip(lrs, expected, strict=True))
    assert all((hr == read_rgb(image.path)).all() for hr, image in zip(hr_set(source.images), images, strict=True))


@pytest.mark.real
def test_ctrl_c_keeps_decoded_images(folder, store, large, decoded):
    interrupted(folder, store, 4, 1e9, signal.SIGINT)
    assert len(json.loads((store / "fingerprints.json").read_text())) == 4
    assert len(packs(store)) == 4
    assert not list(store.rglob("*.tmp"))
    fingerprint(str(folder), store)
    assert decoded == ["004.png", "005.png"]


PARALLEL = """
import sys
from pathlib import Path
from drnbench.data import build, cache
build.PARALLEL_BYTES = 0
cache.fingerprint(sys.argv[1], Path(sys.argv[2]))
"""


@pytest.mark.real
def test_several_processes_are_killed_and_go_on(tmp_path, store, large):
    folder = paint(tmp_path / "set", 40, (900, 1100))
    command = [sys.executable, "-c", PARALLEL, str(folder), str(store)]
    with subprocess.Popen(command, env={**os.environ, "DRNBENCH_PACK_MB": "0"}, stderr=subprocess.DEVNULL) as process:
        until(lambda: len(packs(store)) >= 5 or process.poll() is not None)
        family = psutil.Process(process.pid).children(recursive=True)
        process.kill()
    _, alive = psutil.wait_procs(family, timeout=60)
    assert not alive
    before = packs(store)
    assert 5 <= len(before) < 40
    images = fingerprint(str(folder), store).images
    after = packs(store)
    assert before.items() <= after.items()
    assert len(after) == 40
    assert not list(store.rglob("*.tmp"))
    assert all((hr == read_rgb(image.path)).all() for hr, image in zip(hr_set(images), images, strict=True))
