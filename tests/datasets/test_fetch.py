"""Fetching over a loopback server: whole, resumed, checked, safe, and once."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
from pathlib import Path

import pytest

from drnbench.datasets.catalogue import GIVEN_OUT, REMOTES, way_to_get
from drnbench.datasets.fetch import checkpoints, fetch, present
from drnbench.datasets.layouts import STANDARD
from drnbench.errors import DataError, UsageError
from tests.datasets.packs import IMAGES, MEMBERS, WHOLE, files, part_of, picture, remote, taped, zipped
from tests.datasets.serving import serving
from tests.helpers import until, until_blocked


@pytest.fixture
def server():
    with serving() as server:
        yield server


@pytest.mark.parametrize("pack", [zipped, taped, lambda: taped(mode="w"), lambda: taped(mode="w:xz")])
@pytest.mark.parametrize("length", [True, False])
def test_only_the_wanted_images_come(server, tmp_path, pack, length):
    server.length = length
    entry = remote(server, pack())
    assert present(entry, tmp_path) is None
    assert fetch(entry, tmp_path) == (tmp_path / "Pack/HR", 3, True)
    assert files(tmp_path) == WHOLE
    assert {path.name for path in tmp_path.iterdir()} == {"Pack", ".fetch"}


def test_a_second_fetch_makes_no_request(server, tmp_path):
    entry = remote(server, zipped())
    fetch(entry, tmp_path)
    assert fetch(entry, tmp_path) == (tmp_path / "Pack/HR", 3, False)
    assert server.ranges_asked == [None]


def test_a_file_comes_as_it_is(server, tmp_path):
    entry = remote(server, b"weights" * 1000, folder=None)
    assert fetch(entry, tmp_path / "hub") == (tmp_path / "hub/pack.bin", 0, True)
    assert fetch(entry, tmp_path / "hub") == (tmp_path / "hub/pack.bin", 0, False)
    assert files(tmp_path) == {"hub/pack.bin": server.content}
    assert server.ranges_asked == [None]


def test_an_archive_may_stay_for_the_next_set_in_it(server, tmp_path):
    entry = remote(server, zipped({**MEMBERS, "pack/other/x.png": IMAGES["a.png"]}))
    other = entry._replace(name="Other", folder="pack/other", images=1)
    fetch(entry, tmp_path, keep=True)
    fetch(other, tmp_path)
    assert server.ranges_asked == [None]
    assert files(tmp_path) == {**WHOLE, "Other/HR/x.png": IMAGES["a.png"]}


def test_a_broken_connection_goes_on_where_it_stopped(server, tmp_path):
    entry = remote(server, zipped())
    server.cut = [1000, 500]
    fetch(entry, tmp_path)
    assert server.ranges_asked == [None, "bytes=1000-", "bytes=1500-"]
    assert files(tmp_path) == WHOLE


def test_a_server_that_gives_no_parts_starts_again(server, tmp_path):
    entry = remote(server, zipped())
    server.cut, server.ranges = [1000], False
    fetch(entry, tmp_path)
    assert server.ranges_asked == [None, "bytes=1000-"]
    assert files(tmp_path) == WHOLE


def test_a_connection_without_progress_is_given_up_and_the_part_stays(server, tmp_path):
    entry = remote(server, zipped())
    server.cut = [1000, 0]
    with pytest.raises(UsageError, match=r"ended after 1,000 of .*run the same command again") as caught:
        fetch(entry, tmp_path)
    assert "\n" not in str(caught.value)
    assert part_of(tmp_path).read_bytes() == server.content[:1000]
    fetch(entry, tmp_path)
    assert server.ranges_asked[2:] == ["bytes=1000-"]
    assert files(tmp_path) == WHOLE


def test_a_complete_part_is_not_downloaded_again(server, tmp_path):
    entry = remote(server, zipped())
    part_of(tmp_path).parent.mkdir(parents=True)
    part_of(tmp_path).write_bytes(server.content)
    fetch(entry, tmp_path)
    assert server.ranges_asked == [f"bytes={len(server.content)}-"]
    assert files(tmp_path) == WHOLE


def test_a_part_longer_than_the_file_is_dropped(server, tmp_path):
    entry = remote(server, zipped())
    part_of(tmp_path).parent.mkdir(parents=True)
    part_of(tmp_path).write_bytes(server.content + b"!")
    fetch(entry, tmp_path)
    assert server.ranges_asked == [f"bytes={len(server.content) + 1}-", None]
    assert files(tmp_path) == WHOLE


CALL = """
import json, sys
from pathlib import Path
from drnbench.datasets.catalogue import Remote
from drnbench.datasets.fetch import fetch
fetch(Remote(**json.loads(sys.argv[1])), Path(sys.argv[2]))
"""


@pytest.mark.parametrize("how_it_ends", [signal.SIGKILL, signal.SIGINT])
@pytest.mark.parametrize("ranges", [True, False])
def test_the_download_of_a_killed_process_is_resumed(server, tmp_path, how_it_ends, ranges):
    entry = remote(server, zipped())
    server.cut, server.stall, server.ranges = [3000], True, ranges
    process = subprocess.Popen([sys.executable, "-c", CALL, json.dumps(entry._asdict()), str(tmp_path)], stderr=-3)
    until(lambda: part_of(tmp_path).exists() and part_of(tmp_path).stat().st_size == 3000)
    until_blocked(process)
    process.send_signal(how_it_ends)
    assert process.wait(60) != 0
    fetch(entry, tmp_path)
    assert server.ranges_asked == [None, "bytes=3000-"]
    assert files(tmp_path) == WHOLE


def test_leftovers_of_a_killed_unpacking_are_removed(server, tmp_path):
    entry = remote(server, zipped())
    work = part_of(tmp_path).parent
    (work / "images/HR").mkdir(parents=True)
    (work / "images/HR/a.png").write_bytes(b"half")
    (work / "tmpx").touch()
    fetch(entry, tmp_path)
    assert files(tmp_path) == WHOLE


def test_a_wrong_checksum_removes_the_download(server, tmp_path):
    entry = remote(server, zipped())
    server.content = server.content[:-1] + b"!"
    with pytest.raises(
        DataError, match=r"Pack: what http://.* has the wrong checksum and was removed.*--url"
    ) as caught:
        fetch(entry, tmp_path)
    assert "\n" not in str(caught.value)
    assert files(tmp_path) == {}


def test_a_part_of_another_file_is_detected_and_removed(server, tmp_path):
    entry = remote(server, zipped())
    part_of(tmp_path).parent.mkdir(parents=True)
    part_of(tmp_path).write_bytes(b"x" * 1000)
    with pytest.raises(DataError, match="wrong checksum"):
        fetch(entry, tmp_path)
    assert files(tmp_path) == {}
    fetch(entry, tmp_path)
    assert files(tmp_path) == WHOLE


def test_a_mirror_must_have_the_same_file(server, tmp_path):
    entry = remote(server, zipped(), url="http://127.0.0.1:9/pack.bin")
    fetch(entry, tmp_path, url=server.url)
    assert files(tmp_path) == WHOLE
    server.content = zipped({**MEMBERS, "more": b"!"})
    with pytest.raises(UsageError, match=r"has .* bytes, and the official file"):
        fetch(entry, tmp_path / "other", url=server.url)
    with pytest.raises(DataError, match="wrong checksum"):
        fetch(entry._replace(size=None), tmp_path / "other", url=server.url)
    assert files(tmp_path / "other") == {}


def test_a_file_from_another_machine(server, tmp_path):
    entry = remote(server, zipped())
    (tmp_path / "stick").mkdir()
    (tmp_path / "stick/any name.zip").write_bytes(server.content)
    fetch(entry, tmp_path / "data", url=(tmp_path / "stick/any name.zip").as_uri())
    assert files(tmp_path / "data") == WHOLE
    assert server.ranges_asked == []


def test_images_are_checked_where_the_archive_is_not(server, tmp_path):
    digest = hashlib.sha256(b"".join(name.encode() + b"\0" + IMAGES[name] for name in sorted(IMAGES))).hexdigest()
    entry = remote(server, taped())._replace(checksum=None, size=None, content=digest)
    fetch(entry, tmp_path / "gz")
    server.content = taped(mode="w")  # the same images, packed otherwise
    fetch(entry, tmp_path / "tar")
    assert files(tmp_path / "gz") == files(tmp_path / "tar") == WHOLE
    server.content = taped({**MEMBERS, "pack/HR/a.png": picture(9)})
    with pytest.raises(DataError, match=r"the images in pack\.bin have the wrong checksum, and it was removed"):
        fetch(entry, tmp_path / "wrong")
    assert files(tmp_path / "wrong") == {}


def test_two_at_once_download_once(server, tmp_path, monkeypatch):
    entry = remote(server, zipped())
    server.cut, server.stall = [100], True
    errors = io.StringIO()  # pytest's capture loses what is written while it is read
    monkeypatch.setattr(sys, "stderr", errors)
    got = []
    threads = [threading.Thread(target=lambda: got.append(fetch(entry, tmp_path))) for _ in range(2)]
    for thread in threads:
        thread.start()
    until(lambda: "waiting for it" in errors.getvalue())
    server.stall = False
    server.gate.set()
    for thread in threads:
        thread.join(60)
    assert sorted(fetched.new for fetched in got) == [False, True]
    assert files(tmp_path) == WHOLE
    assert len([header for header in server.ranges_asked if header is None]) == 1


def test_no_room(server, tmp_path, monkeypatch):
    entry = remote(server, zipped())
    usage, free = shutil.disk_usage(tmp_path), []
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=free.pop(0)))
    needed = len(server.content) + entry.limit  # the archive, and the images as long as their size is not known
    free[:] = [needed - 1]
    with pytest.raises(UsageError, match=r"pack\.bin needs .* MB in .*, where .* MB are free: make room"):
        fetch(entry, tmp_path)
    assert files(tmp_path) == {}
    free[:] = [needed, sum(map(len, IMAGES.values())) - 1]
    with pytest.raises(UsageError, match=r"unpacking pack\.bin needs .* kB"):
        fetch(entry, tmp_path)
    assert set(files(tmp_path)) == {".fetch/pack.bin/pack.bin"}  # it is whole: only unpacking is left
    free[:] = [sum(map(len, IMAGES.values()))]
    assert fetch(entry, tmp_path).new
    assert server.ranges_asked == [None, None]
    assert files(tmp_path) == WHOLE


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://127.0.0.1:9/pack.bin", r"cannot be reached .*--url file:///PATH`, or put the images at .*/Pack/HR"),
        ("/missing", "the server says 404 .*on another machine"),
        ("file:///nowhere/pack.bin", "cannot be reached"),
        ("ftp://127.0.0.1/pack.bin", "begins with http://"),
        ("pack.bin", "begins with http://"),
    ],
)
def test_no_server(server, tmp_path, url, message):
    entry = remote(server, zipped())
    with pytest.raises(UsageError, match=message) as caught:
        fetch(entry, tmp_path, url=server.url + url if url.startswith("/") else url)
    assert "\n" not in str(caught.value)
    assert files(tmp_path) == {}


def test_other_content_at_the_destination_is_left_alone(server, tmp_path):
    entry = remote(server, zipped())
    (tmp_path / "some/Pack/HR").mkdir(parents=True)
    (tmp_path / "some/Pack/HR/a.png").touch()
    with pytest.raises(UsageError, match="holds 1 images, and Pack has 3"):
        fetch(entry, tmp_path / "some")
    (tmp_path / "other/Pack/HR").mkdir(parents=True)
    (tmp_path / "other/Pack/HR/notes.txt").touch()
    with pytest.raises(UsageError, match="is there and holds no images"):
        fetch(entry, tmp_path / "other")
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights/pack.bin").write_bytes(b"mine")
    with pytest.raises(UsageError, match="is not the official file"):
        fetch(entry._replace(folder=None), tmp_path / "weights")
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"cannot be written .*--to"):
        fetch(entry, tmp_path / "file")
    assert server.ranges_asked == []
    assert set(files(tmp_path)) == {"some/Pack/HR/a.png", "other/Pack/HR/notes.txt", "weights/pack.bin", "file"}


def test_a_folder_with_lr_images_gets_its_hr(server, tmp_path):
    (tmp_path / "Pack/LR_bicubic").mkdir(parents=True)
    (tmp_path / "Pack/LR_bicubic/ax4.png").write_bytes(b"lr")
    fetch(remote(server, zipped()), tmp_path)
    assert files(tmp_path) == {**WHOLE, "Pack/LR_bicubic/ax4.png": b"lr"}


def test_weights_go_where_torch_looks(monkeypatch):
    import torch

    for variables in ({"TORCH_HOME": "/x/torch"}, {"XDG_CACHE_HOME": "/x/cache"}, {}):
        for name in ("TORCH_HOME", "XDG_CACHE_HOME"):
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        assert checkpoints() == Path(torch.hub.get_dir()) / "checkpoints"


def test_every_entry_of_the_catalogue_is_checked():
    for name, entry in REMOTES.items():
        assert entry.name == name
        assert entry.url.startswith("https://")
        assert entry.checksum or entry.content, name
        if entry.checksum:
            algorithm, _, digits = entry.checksum.partition(":")
            assert len(digits) == {"sha256": 64, "md5": 32}[algorithm]
            assert set(digits) <= set("0123456789abcdef")
        if entry.file.endswith(".pth"):
            assert entry.file.split("-")[-1].removesuffix(".pth") == entry.checksum.removeprefix("sha256:")[:8]
        elif entry.folder is not None:
            assert name in STANDARD
            assert entry.images > 0
            assert 0 < entry.limit <= 15e9
    assert not set(GIVEN_OUT) & set(REMOTES)
    assert {name for name in STANDARD if not way_to_get(name)} == {"clip_city"}


@pytest.mark.parametrize(("name", "place", "split"), [("B100", "B100/HR", "test"), ("BSDS200", "BSDS200", "train")])
def test_the_images_of_bsds300_have_the_checksum_of_the_catalogue(shared_data, tmp_path, name, place, split):
    with tarfile.open(tmp_path / "BSDS300-images.tgz", "w:gz", compresslevel=1) as archive:
        for file in sorted((shared_data / place).glob("*.jpg"), reverse=True):
            archive.add(file, f"BSDS300/images/{split}/{file.name}")
    url = (tmp_path / "BSDS300-images.tgz").as_uri()
    assert fetch(REMOTES[name], tmp_path, url=url).images == REMOTES[name].images
