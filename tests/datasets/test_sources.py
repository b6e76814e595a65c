"""Names, folders, roots."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from drnbench.datasets import photos
from drnbench.datasets.photos import SPLITS
from drnbench.datasets.sources import absent, datasets, resolve
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
    assert names("photos/more") == ["grace_hopper", "text"]
    every = [image.path for split in SPLITS for image in resolve(f"photos/{split}").images]
    assert all(path.is_file() for path in every)
    assert len(set(every)) == len(every)


def test_a_photograph_that_is_not_installed(monkeypatch):
    monkeypatch.setattr(photos, "find_spec", lambda name: None)
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
    assert [(dataset.name, dataset.images) for dataset in datasets()] == [
        ("photos/train", 8), ("photos/unpaired", 4), ("photos/test", 5), ("photos/more", 2),
        ("Set5", 2), ("T91", 2), ("Mine", 1),
    ]  # fmt: skip


def paths(source):
    return [image.path for image in resolve(source).images]


@pytest.mark.parametrize(
    ("name", "places"),
    [
        ("Set14", ["Set14/HR", "Set14", "benchmark/Set14/HR", "benchmark/Set14", "set14"]),
        ("B100", ["B100/HR", "benchmark/B100/HR", "BSDS300/images/test", "BSD100", "BSDS100/HR", "benchmark/BSDS100"]),
        ("BSDS200", ["BSDS200", "BSDS300/images/train", "bsd200"]),
        ("Manga109", ["benchmark/Manga109/HR", "manga109/HR", "manga109"]),
        ("Urban100", ["benchmark/Urban100/HR", "urban100"]),
        ("DIV2K", ["DIV2K/HR", "DIV2K", "DIV2K/DIV2K_train_HR", "DIV2K_train_HR"]),
        ("DIV2K-valid", ["DIV2K-valid/HR", "DIV2K/DIV2K_valid_HR", "DIV2K_valid_HR", "DIV2K_valid"]),
        ("Flickr2K", ["Flickr2K", "Flickr2K/Flickr2K_HR", "Flickr2K_HR"]),
        ("DF2K", ["DF2K/HR", "DF2K/DF2K_HR", "DF2K_HR"]),
        ("T91", ["T91", "91-image", "91-images/HR"]),
    ],
)
def test_the_usual_layouts_are_found_by_standard_name(tmp_path, monkeypatch, name, places):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DRNBENCH_DATA", "root")
    # The first of them wins, so each is seen once all before it are gone.
    for i, place in enumerate(places):
        put(Path("root", place, f"{i}.png"))
    for i, place in enumerate(places):
        assert paths(name) == [Path("root", place, f"{i}.png")]
        assert resolve(name).label == name
        assert (name, str(Path("root", place)), 1) in datasets()
        Path("root", place, f"{i}.png").unlink()
    with pytest.raises(DataError, match="is not here"):
        resolve(name)


def test_lr_folders_and_cropped_copies_are_not_taken_for_hr(root):
    put(root / "Set14/LR_bicubic/X4/ax4.png", root / "benchmark/Set14/GTmod12/a.png", root / "Set14/X2/a.png")
    with pytest.raises(DataError, match=r"'Set14', 14 images .*is not here"):
        resolve("Set14")


def test_an_exact_name_wins_over_an_alias_and_the_first_root_over_both(root, tmp_path, monkeypatch):
    second = tmp_path / "second"
    monkeypatch.setenv("DRNBENCH_DATA", f"{root}:{second}")
    put(second / "B100/HR/exact.png")
    assert names("B100") == ["exact"]
    put(root / "BSD100/alias.png")
    assert names("B100") == ["alias"]
    put(root / "B100/HR/first.png")
    assert names("B100") == ["first"]
    assert resolve("BSD100").label == "BSD100"
    listed = [dataset.name for dataset in datasets()]
    assert listed.count("B100") == 1
    assert "BSD100" in listed  # another folder than the one that B100 means


def test_a_folder_that_a_standard_name_means_is_listed_once(root):
    put(root / "BSD100/a.png", root / "DIV2K_train_HR/0001.png")
    assert [(dataset.name, dataset.where) for dataset in datasets() if dataset.where.startswith(str(root))] == [
        ("B100", str(root / "BSD100")), ("DIV2K", str(root / "DIV2K_train_HR")), ("Set5", str(root / "Set5/HR")),
        ("T91", str(root / "T91")),
    ]  # fmt: skip


@pytest.mark.parametrize("folder", ["DIV2K/DIV2K_train_HR", "DIV2K_train_HR"])
def test_one_folder_with_all_900_photographs_is_parted(root, folder):
    put(*(root / folder / f"{i:04}.png" for i in (1, 800, 801, 900)), root / folder / "mine.png")
    assert names("DIV2K") == ["0001", "0800", "mine"]
    assert names("DIV2K-valid") == ["0801", "0900"]
    put(root / "DIV2K_valid_HR/0850.png")
    assert names("DIV2K-valid") == ["0850"]
    assert {dataset.name: dataset.images for dataset in datasets() if "DIV2K" in dataset.name} == {
        "DIV2K": 3,
        "DIV2K-valid": 1,
    }


def test_the_label_is_the_standard_name_whatever_the_folder_is_called(root, tmp_path):
    put(tmp_path / "far/pictures/a.png")
    (root / "Urban100").symlink_to(tmp_path / "far/pictures")
    assert resolve("Urban100").label == "Urban100"
    put(tmp_path / "Manga109/b.png")  # in the current folder, not under a root
    assert resolve("Manga109").label == "Manga109"


def test_absent_sets_are_listed_with_the_way_to_get_them(root):
    missing = dict(absent())
    assert "Set5" not in missing
    assert missing["DIV2K"].endswith(
        "800 training photographs in 2K (Agustsson and Timofte 2017); `data fetch DIV2K` gets it"
    )
    assert missing["DF2K"].endswith("`data fetch DF2K` gets it")
    assert "manga109.org" in missing["Manga109"]
    with pytest.raises(DataError, match=r"'DIV2K-valid'.*`data fetch DIV2K-valid` gets it, or put the images at ROOT"):
        resolve("DIV2K-valid")
    put(root / "DIV2K/HR/0001.png", root / "Flickr2K/000001.png")
    assert {"DIV2K", "Flickr2K", "DF2K"}.isdisjoint(dict(absent()))


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
def test_missing_sources_are_refused(root, tmp_path, source, message):
    (tmp_path / "hollow").mkdir()
    put(tmp_path / "twins/a.png", tmp_path / "twins/a.jpg")
    with pytest.raises(DataError, match=message) as caught:
        resolve(source)
    assert "\n" not in str(caught.value)


def test_no_root_at_all(tmp_path, monkeypatch):
    monkeypatch.delenv("DRNBENCH_DATA", raising=False)
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    with pytest.raises(DataError, match=r"'Set5', 5 images.*data/Set5.*`data fetch Set5` gets it"):
        resolve("Set5")
    with pytest.raises(DataError, match=r"\./Set5: no such folder; looked in .*empty/Set5"):
        resolve("./Set5")


def test_a_root_that_does_not_exist(tmp_path, monkeypatch):
    monkeypatch.setenv("DRNBENCH_DATA", str(tmp_path / "gone"))
    assert [dataset.name for dataset in datasets()] == ["photos/train", "photos/unpaired", "photos/test", "photos/more"]
    with pytest.raises(DataError, match="gone/Set5"):
        resolve("Set5")


def test_names_that_cannot_be_opened_count_as_images(root):
    (root / "Set5/HR/c.png").symlink_to("../.git/annex/objects/c.png")
    (root / "Set5/HR/d.png").mkdir()
    assert names("Set5") == ["a", "b", "c", "d"]


def test_two_names_of_one_picture_in_a_folder_are_refused(root, tmp_path):
    put(tmp_path / "pack/a_HR.png", tmp_path / "pack/a_LR.png", tmp_path / "pack/b_HR.png")
    with pytest.raises(DataError, match=r"a_HR\.png and a_LR\.png in .*pack.*'pack without a_LR'"):
        resolve("pack")
    assert names("pack without a_LR") == ["a_HR", "b_HR"]
    put(tmp_path / "other/a_HR.jpg", tmp_path / "other/A_hr.png")
    with pytest.raises(DataError, match=r"A_hr\.png and a_HR\.jpg"):
        resolve("other")
