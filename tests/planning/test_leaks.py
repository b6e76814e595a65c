"""Test images that are trained on are refused before any work, unless the study says why they may be."""

from __future__ import annotations

import re

import pytest

from drnbench import Axis, Data, Evaluate, Gap, Stage, Study, Trial
from drnbench.datasets.sources import datasets, resolve
from drnbench.errors import DataError
from drnbench.outputs import captions
from drnbench.session.declared import declare
from drnbench.store import Store
from tests.data.test_copies import TURNS, picture
from tests.fake_store import plan_of


@pytest.fixture
def sets(tmp_path):
    for folder, images in {
        "train": {"a": picture(1), "b": picture(2), "c": picture(3)},
        "test": {"d": picture(4), "e": picture(5)},
        "leaky": {"d": picture(4), "smaller": picture(2).resize((170, 170)).transpose(TURNS[0])},
        "doubled": {"d": picture(4), "again": picture(4)},
    }.items():
        (tmp_path / folder).mkdir()
        for name, image in images.items():
            image.save(tmp_path / folder / f"{name}.png")
    return tmp_path


def plan(sets, test, *stages, allow=None, **fields):
    stages = stages or (stage(sets, "train"),)
    trial = Trial(model={"n_blocks": 1, "n_feats": 4}, scale=2, stages=stages, evaluate=[Evaluate(f"{sets}/{test}")])
    declared = declare(Study(base=trial, seeds=1, allow_overlap=allow, **fields), name="leak")
    return declared.plan(Store(sets / "results"))


def stage(sets, source, name="train", **fields):
    return Stage(name, **{"scheme": "paired", "steps": 4, "patch": 32, "data": Data(f"{sets}/{source}"), **fields})


def refused(*arguments, **fields):
    with pytest.raises(DataError) as error:
        plan(*arguments, **fields)
    message = str(error.value)
    assert "\n" not in message
    return message


def test_other_images_pass(sets):
    assert plan(sets, "test").overlap is None


def test_one_folder_used_twice(sets):
    message = refused(sets, "train")
    assert {"train/a", "train/b"} <= {*re.findall(r"[\w/]+", message)}
    assert "allow_overlap" in message


def test_a_set_has_one_spelling_in_a_message():
    trial = Trial(
        model={"n_blocks": 1, "n_feats": 4}, scale=2, evaluate=[Evaluate("photos/train", count=2)],
        stages=[Stage("train", scheme="paired", steps=4, patch=32, data=Data("photos/train"))],
    )  # fmt: skip
    with pytest.raises(DataError) as error:
        plan_of(Study(base=trial, seeds=1))
    assert "photos-train/" in str(error.value)
    assert "photos/train" not in str(error.value)


def test_a_link_to_the_folder_is_the_folder(sets):
    (sets / "link").symlink_to(sets / "train")
    assert "train/a" in refused(sets, "link")


def test_a_smaller_flipped_copy_is_named(sets):
    message = refused(sets, "leaky")
    assert "leaky/smaller is train/b at 0.71 times the size mirrored (correlation 0.9" in message
    assert "leaky/d" not in message


def test_an_image_may_be_left_out_by_name(sets):
    assert plan(sets, "leaky without smaller").overlap is None
    assert plan(sets, "leaky", stage(sets, "train without b")).overlap is None
    with pytest.raises(DataError, match="has no image 'smalle'"):
        plan(sets, "leaky without smalle")


def test_the_held_out_image_counts_where_it_is_read(sets):
    assert "validation" in refused(sets, "train without a,b")
    assert plan(sets, "train without a,b", stage(sets, "train", validations=0)).overlap is None


def test_unpaired_images_count_where_they_are_read(sets):
    def adapt(rho):
        unpaired = Data(f"{sets}/test", kernel="nearest")
        return stage(sets, "train", scheme="unpaired", rho=rho, steps=8, unpaired=unpaired)

    assert "unpaired" in refused(sets, "test", adapt(0.5))
    assert plan(sets, "test", adapt(0)).overlap is None


def test_the_reason_goes_into_plan_and_caption(sets):
    made = plan(sets, "leaky", allow="adapted at test time")
    record = made.record()
    assert record.overlap.reason == "adapted at test time"
    assert len(record.overlap.images) == 1
    (sentence,) = captions.training_images(_scores(record))
    assert "adapted at test time" in sentence
    assert "leaky/smaller" in sentence


def _scores(record):
    class Planned:
        plan = record

    return Planned()


def test_held_out_images_of_a_stage_that_another_trains_on(sets):
    stages = (stage(sets, "train", "first"), stage(sets, "train", "second", holdout=2))
    message = refused(sets, "test", *stages)
    assert "second" in message
    assert "train/b" in message
    assert plan(sets, "test", *stages, allow="validation is for show").overlap is not None


def test_a_gap_scores_training_images_by_design(sets):
    trial = Trial(
        model={"n_blocks": 1, "n_feats": 4},
        scale=2,
        stages=[stage(sets, "train", holdout=0)],
        evaluate=[Evaluate(f"{sets}/train"), Evaluate(f"{sets}/test")],
    )
    study = Study(base=trial, axes=[Axis("train.steps", [4, 8])], seeds=1, outputs=[Gap(x="train.steps")])
    assert declare(study, name="gap").plan(Store(sets / "results")).overlap is None


def test_a_picture_twice_in_a_test_set_is_a_warning(sets):
    (warning,) = plan(sets, "doubled").warnings
    assert "doubled/again is d" in warning


def test_a_standard_set_lacks_what_a_test_set_shows(tmp_path, monkeypatch):
    folder = tmp_path / "data" / "BSDS200"
    folder.mkdir(parents=True)
    for name in ("100075", "302003"):
        picture(int(name)).save(folder / f"{name}.jpg")
    monkeypatch.setenv("DRNBENCH_DATA", str(tmp_path / "data"))
    assert [image.name for image in resolve("BSDS200").images] == ["100075"]
    (listed,) = (dataset for dataset in datasets() if dataset.name == "BSDS200")
    assert "without 302003 (Set5's woman)" in listed.where
    picture(7).save(tmp_path / "x.png")
    (tmp_path / "test").mkdir()
    picture(8).save(tmp_path / "test" / "e.png")
    made = plan(tmp_path, "test", stage(tmp_path, "x", data=Data("BSDS200"), holdout=0))
    assert captions.training_images(_scores(made.record())) == ["Image sets: BSDS200 without 302003 (Set5's woman)."]


def pan(first: int, last: int, step: int = 30):
    """Return frames of a camera that pans over one picture, by number."""
    wide = picture(9, 700)
    return {f"frame{n:02}": wide.crop((n * step, 0, n * step + 200, 200)) for n in range(first, last)}


def test_frames_of_one_clip_are_one_scene(sets):
    (sets / "clip").mkdir()
    for name, image in pan(0, 14).items():
        image.save(sets / "clip" / f"{name}.png")
    names = sorted(pan(0, 14))
    train, test = (f"clip without {','.join(part)}" for part in (names[:9], names[3:]))
    message = refused(sets, test, stage(sets, train))
    assert "3 test images" in message
    assert "is a frame of the clip of" in message
    assert plan(sets, test, stage(sets, train), allow="one clip, on purpose").overlap is not None
    # Photographs in one folder are no clip.
    assert plan(sets, "train without a,b", stage(sets, "train without c", holdout=0)).overlap is None


def test_frames_of_one_video_are_one_scene_whatever_their_number(sets, monkeypatch):
    monkeypatch.setattr("drnbench.datasets.video.frames", lambda path, count, cache: frames(sets, count))
    (sets / "city.mp4").touch()
    message = refused(sets, "city.mp4@2", stage(sets, "city.mp4@4", holdout=0))
    assert "2 test images" in message
    assert "is a frame of the clip of" in message


def frames(sets, count):
    folder = sets / f"frames{count}"
    folder.mkdir(exist_ok=True)
    for n in range(count):
        if not (folder / f"{n:04}.png").exists():
            picture(100 * count + n).save(folder / f"{n:04}.png")
    return sorted(folder.iterdir())


def test_unpaired_images_that_another_stage_holds_out(sets):
    unpaired = Data(f"{sets}/train", kernel="nearest")
    adapt = stage(sets, "test without e", "adapt", scheme="unpaired", rho=0.5, steps=8, unpaired=unpaired, holdout=0)
    for name, image in {"x": picture(21), "y": picture(22)}.items():
        (sets / "other").mkdir(exist_ok=True)
        image.save(sets / "other" / f"{name}.png")
    message = refused(sets, "other", stage(sets, "train"), adapt)
    assert "adapt.unpaired" in message
    assert "train/c" in message
    assert plan(sets, "other", stage(sets, "train", validations=0), adapt).overlap is None


def test_each_test_image_counts_once(sets):
    for n in range(3):
        picture(4).resize((200 + n, 200 + n)).save(sets / "train" / f"copy{n}.png")
    assert "1 test image of" in refused(sets, "test")
