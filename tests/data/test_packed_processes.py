"""Decoded images of large sources, made by several processes, some of which are killed."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import psutil
import pytest
from PIL import Image

from drnbench.data import build
from drnbench.data.cache import fingerprint, hr_set, lr_set
from drnbench.data.images import read_rgb
from drnbench.errors import DataError
from drnbench.parallel import WORTH, Work
from drnbench.store.integrity import decode
from tests.data.packing import COUNT, packs, paint
from tests.helpers import until


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
    assert len(decode((store / "fingerprints.json").read_bytes())) == 4
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
