"""Names, folders, roots."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from drnbench.data import photos as photos_module
from drnbench.data.photos import SPLITS
from drnbench.data.sources import datasets, resolve
from drnbench.errors import DataError


def put(*paths):
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(path)


@pytest.fixture
def root(tmp_path, monkeypatch):
    root = tmp_path / "root"
    put(root / "Set5/HR/b.png", root / "Set5/HR/a.png", root / "T91/t1.bmp", root / "T91/t2.JPG")
    monkeypatch.setenv("DRNBENCH_DATA", str(root))
    monkeypatch.chdir(tmp_path)
    return root


def names(source):
    return [image.name for image in resolve(source).images]


def test_photographs_keep_their_order_and_are_there():
    assert names("photos/train") == [
        "brick", "china", "grass", "gravel", "hubble_deep_field", "motorcycle", "page", "ihc",
    ]  # fmt: skip
    assert names("photos/unpaired") == ["coins", "flower", "moon", "retina"]
    assert names("photos/test") == ["astronaut", "camera", "chelsea", "coffee", "rocket"]
    assert resolve("photos/test").label == "photos-test"
    every = [image.path for split in SPLITS for image in resolve(f"photos/{split}").images]
    assert all(path.is_file() for path in every)
    assert len(set(every)) == len(every)


def test_a_photograph_that_is_not_installed(monkeypatch):
    monkeypatch.setattr(photos_module, "find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"skimage/data/astronaut\.png is missing.*pip install"):
        resolve("photos/test")


def test_standard_names_under_a_root(root):
    source = resolve("Set5")
    assert source.label == "Set5"
    assert [image.path for image in source.images] == [root / "Set5/HR/a.png", root / "Set5/HR/b.png"]
    assert names("T91") == ["t1", "t2"]


def test_several_joined(root):
    both = resolve("T91+Set5")
    assert both.label == "T91+Set5"
    assert [image.name for image in both.images] == ["t1", "t2", "a", "b"]
    assert resolve("photos/test+Set5").label == "photos-test+Set5"


def test_folders(root, tmp_path):
    put(
        tmp_path / "mine/x.png",
        tmp_path / "mine/.hidden.png",
        tmp_path / "other/HR/y.webp",
        tmp_path / "a+b/z.png",
    )
    (tmp_path / "mine/notes.txt").touch()
    assert resolve(str(tmp_path / "mine")).label == "mine"
    assert names("mine") == ["x"]
    assert resolve("./other").label == "other"
    assert names("other") == ["y"]
    assert resolve("other/HR").label == "other"
    assert names("a+b") == ["z"]
    put(tmp_path / "Set5/local.png")
    assert names("./Set5") == ["local"]
    assert names("Set5") == ["a", "b"]


def test_df2k_is_both_sets(root, tmp_path):
    with pytest.raises(DataError, match=r"DF2K is DIV2K\+Flickr2K; .*'DIV2K'.*not here.*'Flickr2K'.*not here"):
        resolve("DF2K")
    put(root / "DIV2K/HR/0001.png", root / "DIV2K/HR/0002.png")
    with pytest.raises(DataError, match=r"'Flickr2K'.*root/Flickr2K") as caught:
        resolve("DF2K")
    assert "'DIV2K'" not in str(caught.value)
    put(root / "Flickr2K/000001.png")
    assert resolve("DF2K").label == "DF2K"
    assert names("DF2K") == names("DIV2K+Flickr2K") == ["0001", "0002", "000001"]
    assert resolve("Set5+DF2K").label == "Set5+DF2K"
    assert ("DF2K", "DIV2K + Flickr2K", 3) in datasets()
    put(root / "DF2K/own.png")  # a folder of that name is meant first
    assert names("DF2K") == ["own"]


def test_the_first_root_wins_and_several_are_searched(root, tmp_path, monkeypatch):
    put(tmp_path / "second/Set5/c.png", tmp_path / "second/Mine/d.png")
    monkeypatch.setenv("DRNBENCH_DATA", f"{root}:{tmp_path / 'second'}")
    assert names("Set5") == ["a", "b"]
    assert names("Mine") == ["d"]
    assert [(one.name, one.images) for one in datasets()] == [
        ("photos/train", 8), ("photos/unpaired", 4), ("photos/test", 5), ("Set5", 2), ("T91", 2), ("Mine", 1),
    ]  # fmt: skip


def test_default_roots_are_seen_from_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.delenv("DRNBENCH_DATA", raising=False)
    put(tmp_path / "shared/data/Set14/HR/far.png")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert names("Set14") == ["far"]
    put(tmp_path / "here/data/Set14/near.png")
    assert names("Set14") == ["near"]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("set5", "did you mean 'Set5'"),
        ("Urban100", r"100 buildings.*looked in .*root/Urban100.*DRNBENCH_DATA"),
        ("photos/tets", "did you mean 'photos/test'"),
        ("photos", "photos/train"),
        ("nowhere/at/all", "looked in"),
        ("Set5+", "empty"),
        ("", "empty"),
        ("hollow", "holds no images"),
        ("Set5+Set5", "two images are called 'a'"),
        ("twins", "two images are called 'a'"),
    ],
)
def test_what_is_not_there(root, tmp_path, source, message):
    (tmp_path / "hollow").mkdir()
    put(tmp_path / "twins/a.png", tmp_path / "twins/a.jpg")
    with pytest.raises(DataError, match=message) as caught:
        resolve(source)
    assert "\n" not in str(caught.value)


def test_a_root_that_does_not_exist(tmp_path, monkeypatch):
    monkeypatch.setenv("DRNBENCH_DATA", str(tmp_path / "gone"))
    assert [one.name for one in datasets()] == ["photos/train", "photos/unpaired", "photos/test"]
    with pytest.raises(DataError, match="gone/Set5"):
        resolve("Set5")
