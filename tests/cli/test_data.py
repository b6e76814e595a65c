"""Where data come from: --data-root, and `data fetch`."""

import os
import re
import signal
import subprocess
import tarfile

import numpy as np
import pytest
from PIL import Image

from drnbench.cli import main
from drnbench.datasets.catalogue import REMOTES
from tests.datasets.serving import serving
from tests.helpers import call, command, until, until_blocked, write_study


def put(*paths, size=48):
    for seed, path in enumerate(paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A current folder with two roots; --data-root sets the variable, which is put back afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DRNBENCH_DATA", str(tmp_path / "env"))
    put(tmp_path / "env/Mine/HR/a.png", tmp_path / "one/Mine/HR/b.png", tmp_path / "two/Other/HR/c.png")
    return tmp_path


@pytest.fixture
def refused(capsys):
    def call(*args):
        assert main([str(a) for a in args]) == 2
        err = capsys.readouterr().err
        assert err.count("\n") == 1, err
        return err

    return call


def listed(capsys, *args):
    assert main(["list", "datasets", *map(str, args)]) == 0
    return capsys.readouterr().out


def test_the_option_wins_over_the_environment_and_that_over_the_defaults(here, capsys, monkeypatch):
    put(here / "data/Mine/HR/d.png")
    assert f"1 images in {here}/env/Mine/HR" in listed(capsys)
    out = listed(capsys, "--data-root", "one", "--data-root", here / "two")
    assert f"1 images in {here}/one/Mine/HR" in out
    assert f"1 images in {here}/two/Other/HR" in out
    assert f"{here}/env" not in out
    assert os.environ["DRNBENCH_DATA"] == f"{here}/one:{here}/two"
    monkeypatch.delenv("DRNBENCH_DATA")
    assert "1 images in data/Mine/HR" in listed(capsys)


def test_list_shows_what_is_absent_and_how_to_get_it(here, capsys):
    out = listed(capsys)
    assert re.search(r"^DIV2K +not here: 800 training photographs .*`data fetch DIV2K` gets it$", out, re.MULTILINE)
    assert re.search(r"^Manga109 +not here: .*manga109.org$", out, re.MULTILINE)
    put(here / "env/DIV2K_train_HR/0001.png")
    assert re.search(r"^DIV2K +1 images in .*/env/DIV2K_train_HR$", listed(capsys), re.MULTILINE)


def test_evaluate_and_plan_look_there(here, capsys):
    study = write_study(here)
    there = ("--data-root", "one")
    assert main(["evaluate", "bicubic", "--scale", "2", "--data", "Mine", *there]) == 0
    assert re.search(r"^b\b", capsys.readouterr().out, re.MULTILINE)
    assert main(["plan", str(study), "--set", "evaluate.0.source=Mine", *there]) == 0


@pytest.mark.real
def test_worker_processes_look_there(here):
    put(here / "far/Only/HR/x.png", here / "far/Only/HR/y.png", size=96)
    study = write_study(here, rhos=(0.0,), steps=1)
    args = ("run", study, "--set", "pretrain.data.source=Only", "--tracking-uri", "off", "--results", here / "r")
    assert call(*args, cwd=here).returncode == 2
    done = call(*args, "--data-root", "far", cwd=here)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "verb", [["list"], ["evaluate", "bicubic", "--scale", "2", "--data", "Mine"], ["plan", "x.py"]]
)
def test_a_root_that_is_not_there(here, refused, verb):
    assert "--data-root nowhere: no such folder" in refused(*verb, "--data-root", "nowhere")


def test_data_alone_shows_its_help(capsys):
    assert main(["data"]) == 0
    out = capsys.readouterr().out
    assert "fetch" in out
    assert "..." not in out.partition("Commands:")[2]


def test_the_help_of_fetch_names_every_file_of_weights(capsys):
    assert main(["data", "fetch", "--help"]) == 0
    out = capsys.readouterr().out
    assert {name for name, remote in REMOTES.items() if remote.folder is None} <= {*re.findall(r"\w+", out)}


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (
            ["Manga109"],
            "Manga109 is not fetched: its authors give it out on application at manga109.org; put the images",
        ),
        (["DIV2k"], "nothing to fetch is called 'DIV2k': did you mean 'DIV2K'"),
        (["Set5", "Set14", "--url", "http://127.0.0.1:9/x"], "--url names one file, and Set5, Set14 are several"),
        (["DF2K", "--url", "http://127.0.0.1:9/x"], "--url names one file, and DIV2K, Flickr2K are several"),
        (["Set5", "--url", "http://127.0.0.1:9/"], "http://127.0.0.1:9/benchmark.tar cannot be reached"),
        (["alexnet", "--url", "http://127.0.0.1:9/x"], "put it at new/alexnet-owt-7be5be79.pth"),
        (["Set5", "--url", "x.tar"], "begins with http://, https:// or file://"),
        (["Set5", "Manga109"], "Manga109 is not fetched"),
        ([], "NAME"),
    ],
)
def test_what_cannot_be_fetched(here, refused, args, message):
    assert message in refused("data", "fetch", *args, "--to", "new")
    assert not [path for path in here.glob("new/**/*") if path.is_file() and path.suffix != ".lock"]


def test_what_is_there_is_left_alone_in_whatever_root_and_layout(here, capsys, monkeypatch):
    monkeypatch.setenv("DRNBENCH_DATA", f"{here}/env:{here}/two")
    put(*(here / f"two/benchmark/Set5/HR/{name}.png" for name in "abcde"), size=8)
    assert main(["data", "fetch", "Set5"]) == 0
    assert capsys.readouterr().out == f"Set5 is there already: 5 images in {here}/two/benchmark/Set5/HR\n"


@pytest.fixture
def bsds300(shared_data, tmp_path):
    """The archive of both sets, packed again from their images."""
    with tarfile.open(tmp_path / "BSDS300-images.tgz", "w:gz", compresslevel=1) as archive:
        for place, split in (("B100/HR", "test"), ("BSDS200", "train")):
            for file in (shared_data / place).glob("*.jpg"):
                archive.add(file, f"BSDS300/images/{split}/{file.name}")
    return tmp_path / "BSDS300-images.tgz"


def test_fetch_list_and_fetch_again(bsds300, here, capsys, monkeypatch):
    monkeypatch.delenv("DRNBENCH_DATA")  # no root is here: ./data is made
    url = bsds300.as_uri()
    assert main(["data", "fetch", "B100", "--url", url]) == 0
    out, err = capsys.readouterr()
    assert out == "B100: 100 images in data/B100/HR\n"
    assert re.fullmatch(r"BSDS300-images\.tgz: [\d.]+ MB from file://.*\n", err)
    assert main(["data", "fetch", "B100", "--url", url]) == 0
    assert capsys.readouterr() == ("B100 is there already: 100 images in data/B100/HR\n", "")
    assert main(["data", "fetch", "BSDS200", "--url", f"{bsds300.parent.as_uri()}/"]) == 0
    assert re.search(r"^B100 +100 images in data/B100/HR$", listed(capsys), re.MULTILINE)
    where = re.escape("199 images in data/BSDS200/HR, without 302003 (Set5's woman)")
    assert re.search(rf"^BSDS200 +{where}$", listed(capsys), re.MULTILINE)
    assert [file.name for file in here.glob("data/.fetch/*")] == ["BSDS300-images.tgz.lock"]


@pytest.mark.real
def test_interrupted_and_taken_up_again(bsds300, here):
    content = bsds300.read_bytes()
    with serving() as server:
        server.content, server.cut, server.stall = content, [5000], True
        args = ("data", "fetch", "B100", "--to", here / "new", "--url", server.url)
        part = here / "new/.fetch" / REMOTES["B100"].file / f"{REMOTES['B100'].file}.part"
        process = subprocess.Popen(command(*args), stderr=subprocess.PIPE, text=True)
        until(lambda: part.exists() and part.stat().st_size == 5000)
        until_blocked(process)
        process.send_signal(signal.SIGINT)
        err = process.communicate(timeout=60)[1]
        assert process.returncode == 130
        assert err.endswith("what has arrived is kept: run the same command again to go on\n")
        assert "Traceback" not in err
        assert part.stat().st_size == 5000
        done = call(*args)
        assert done.returncode == 0, done.stderr
        assert server.ranges_asked == [None, "bytes=5000-"]
