"""Whole SR images of one seed of each arm: kept at scoring within a budget, listed with their scores, cleaned, and missed."""

import shutil

import pytest

from drnbench import score
from drnbench.cli import main
from drnbench.config.study import Study
from drnbench.errors import DamageWarning
from drnbench.outputs import compose
from drnbench.results.reading import read
from drnbench.results.sr_images import read_pixels, sr_images
from drnbench.store import Store
from tests.fake_store import base, plan_of
from tests.session import inline
from tests.session.damages import run

STUDY = '''"""Does it run?"""
from drnbench import Axis, Data, Evaluate, Stage, Study, Trial
train = Stage("train", data=Data("photos/train", crop=32), steps=1, patch=16, lr=2e-3)
study = Study(
    base=Trial(method="drn", model={"n_blocks": 1, "n_feats": 2}, scale=2, stages=[train],
               evaluate=[Evaluate("photos/test", crop=32, count=2), Evaluate("photos/test", kernel="nearest", crop=33, count=3)]),
    axes=[Axis("train.batch", [1, 2])], seeds=2, baseline={"train.batch": 1}, image_budget=2)
'''


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    (folder / "m.py").write_text(STUDY, encoding="utf-8")
    with inline.available(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(compose, "figures", lambda study, shown: [])
        assert run(folder / "m.py", folder / "results") == 0
        yield Store(folder / "results")


def images_of(store):
    return sr_images(read(store, "m"), store)


def test_one_seed_of_each_arm_keeps_its_images_with_their_scores(store):
    images = images_of(store)
    assert [*images] == ["batch=1", "batch=2", "bicubic"]
    for arm, kept in images.items():
        counts = {(i.dataset, i.kernel): 0 for i in kept}
        for image in kept:
            counts[image.dataset, image.kernel] += 1
            assert image.seed == 0
            assert image.scores.keys() == {"psnr_y", "ssim_y"}
            lr, sr, hr = map(read_pixels, (image.lr, image.sr, image.hr))
            assert sr.shape == hr.shape == (32, 32, 3)
            assert lr.shape == (16, 16, 3)
        assert counts[next(iter(counts))] == 2
        assert len(counts) == 2, arm


def test_they_are_what_was_scored(store, tmp_path):
    for image in images_of(store)["batch=2"][:2]:
        for kind, path in (("sr", image.sr), ("hr", image.hr)):
            (tmp_path / kind).mkdir(exist_ok=True)
            shutil.copy(path, tmp_path / kind / f"{image.name}.png")
    values = {row["image"]: row["psnr_y"] for row in score(tmp_path / "sr", tmp_path / "hr", scale=2).record["images"]}
    assert values == {i.name: pytest.approx(i.scores["psnr_y"], abs=1e-9) for i in images_of(store)["batch=2"][:2]}


def test_lr_and_hr_are_kept_once(store):
    for kind in ("lr", "hr"):
        names = [path.relative_to(store.root).parts[2:] for path in store.root.glob(f"trials/*/images/**/*_{kind}.png")]
        assert len(names) == len(set(names)) > 0


def test_a_budget_is_shared_by_arms_and_test_sets_in_turn():
    def counts(budget):
        units = [trial.unit for trial in plan_of(Study(base=base(), seeds=2, image_budget=budget)).trials]
        assert not any(unit.sr_images for unit in units if unit.seed)
        return [list(unit.sr_images.values()) for unit in units if unit.sr_images]

    assert counts(0) == []
    few, many = counts(3), counts(4000)
    assert few[0] == few[1] != many[0] == many[1]
    assert max(few[0]) - min(few[0]) <= 1


def test_a_cleaned_image_is_not_missed_and_a_damaged_one_is_a_line(store, tmp_path, capsys):
    copy = Store(shutil.copytree(store.root, tmp_path / "r"))
    assert main(["clean", "--images", "--yes", "--results", str(copy.root)]) == 0
    assert images_of(copy) == {}
    assert main(["check", "--results", str(copy.root)]) == 0
    capsys.readouterr()
    damaged = Store(shutil.copytree(store.root, tmp_path / "d"))
    image = images_of(damaged)["batch=1"][0]
    image.sr.write_bytes(image.sr.read_bytes()[:50])
    with pytest.warns(DamageWarning, match="picture"):
        assert read_pixels(image.sr) is None
    assert main(["check", "--results", str(damaged.root)]) == 1
    assert str(image.sr) in capsys.readouterr().out
