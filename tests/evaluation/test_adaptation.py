"""Test-time adaptation in a study: shared stages, keys, results of single images, estimated time; and on the command line."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from drnbench import Data, Evaluate, Stage, Study, Trial, models
from drnbench.cli import main
from drnbench.errors import StoppedError, UsageError
from drnbench.evaluation.evaluator import evaluate
from drnbench.planning.build import make
from drnbench.planning.costs import Costs
from drnbench.planning.estimate import scoring_seconds
from drnbench.session.recording import record_trial
from drnbench.store import Store
from tests.helpers import expand_study

SIZES = {"n_blocks": 1, "n_feats": 4}
SPEC = "srtta:steps=2,batch=2,patch=8"
CPU = torch.device("cpu")


def images(folder, count=2):
    folder.mkdir(exist_ok=True)
    for number in range(count):
        pixels = np.random.default_rng(number).integers(0, 256, (20, 24, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    return images(tmp_path_factory.mktemp("clean"))


def planned(store, clean, arms=None, kernel="bicubic:noise=9", **fields):
    stage = Stage("pretrain", data=Data("photos/train"), steps=1, batch=1, patch=16)
    base = {"method": "edsr", "model": SIZES, "scale": 2, "stages": [stage], "test_time": f"{SPEC},clean={clean}"}
    evaluation = Evaluate("photos/test", kernel=kernel, crop=20, count=2, metrics=("psnr_y",))
    study = Study(base=Trial(**{**base, **fields}, evaluate=[evaluation]), arms=arms or {}, seeds=1)
    return make(expand_study(study, "s", "?"), store)


def units(store, clean, arms):
    return {trial.arm.name: trial.unit for trial in planned(store, clean, arms).trials}


def score(store, unit, stop=lambda: False):
    if not (path := store.stage(unit.stage) / "checkpoint.pt").exists():
        train(path, seed=0)
    return evaluate(unit, store, CPU, lambda message: None, stop)


def train(path, seed):
    """Write the checkpoint of a stage that was trained."""
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    torch.save({"model": models.create("edsr", 2, **SIZES).state_dict(), "extra": {}}, path)


def fits(store, unit):
    return {path.name: path for path in sorted((store.trial(unit.key) / "fits").glob("*.npz"))}


@pytest.fixture(scope="module")
def scored(tmp_path_factory, clean):
    store = Store(tmp_path_factory.mktemp("store"))
    plan = planned(store, clean)
    unit = plan.trials[0].unit
    score(store, unit)
    return store, plan, unit


def test_arms_that_differ_by_the_adaptation_share_their_stages_and_no_score(tmp_path, clean):
    spec = f"{SPEC},clean={clean}"
    same = {"method": "srtta", "test_time": spec}, {"test_time": f"{spec},types=given"}
    other = [None, *(f"{spec},{change}" for change in ("steps=3", "lr=0.1", "types=blur", "teacher=0", "preserve=0.1"))]
    arms = {f"same {n}": arm for n, arm in enumerate(same)} | {str(spec): {"test_time": spec} for spec in other}
    different = units(Store(tmp_path), clean, arms)
    del different["bicubic"]
    assert len({unit.stage for unit in different.values()}) == 1
    assert len({different[name].key for name in ("base", "same 0", "same 1")}) == 1
    assert len({unit.key for unit in different.values()}) == 1 + len(other)
    alone = planned(Store(tmp_path), clean, test_time=None).trials[0].unit
    assert alone.key == different["None"].key


def test_the_content_of_the_clean_images_counts_and_not_their_folder(tmp_path, clean):
    arms = {"moved": {"test_time": f"{SPEC},clean={images(tmp_path / 'moved')}"}}
    arms["other"] = {"test_time": f"{SPEC},clean={images(tmp_path / 'other', 3)}"}
    different = units(Store(tmp_path), clean, arms)
    assert different["moved"].key == different["base"].key != different["other"].key


def test_a_stopped_scoring_goes_on_with_the_next_image_and_ends_with_the_same_bits(scored, clean, tmp_path):
    store, (whole, _, unit) = Store(tmp_path), scored
    with pytest.raises(StoppedError):
        score(store, unit, stop=lambda: len(fits(store, unit)) == 1)
    (first,) = fits(store, unit).values()
    before = first.stat().st_mtime_ns
    score(store, unit)
    assert first.stat().st_mtime_ns == before
    assert len(fits(store, unit)) == 2
    for name, path in fits(store, unit).items():
        with np.load(path) as result, np.load(fits(whole, unit)[name]) as expected:
            assert np.array_equal(result["sr"], expected["sr"])


def test_images_are_adapted_again_where_the_stage_was_trained_again(scored, tmp_path):
    store, unit = Store(tmp_path), scored[2]
    score(store, unit)
    before = set(fits(store, unit))
    train(store.stage(unit.stage) / "checkpoint.pt", seed=1)
    (store.trial(unit.key) / "per_image.parquet").unlink()
    score(store, unit)
    assert len(fits(store, unit)) == 2 * len(before)


def test_the_plan_states_the_time_of_the_images_that_are_left(scored, clean):
    store, plan, unit = scored
    record_trial(store, unit.key, [], plan.trials[0].trial)
    longer = planned(store, clean, test_time=f"{SPEC.replace('steps=2', 'steps=4')},clean={clean}").trials[0]
    other = planned(store, clean, test_time=f"{SPEC},clean={clean},types=blur").trials[0]
    costs, expected = Costs(store, "cpu"), 0.0
    for path in fits(store, unit).values():
        with np.load(path) as fit:
            expected += 2 * float(fit["seconds"])
    assert scoring_seconds(costs, plan.trials[0], unit, None) == 0
    assert scoring_seconds(costs, longer, longer.unit, None) == pytest.approx(expected)
    assert scoring_seconds(costs, other, other.unit, None) is None


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"method": "zssr", "model": {}, "stages": []}, "itself fitted"),
        ({"method": "bicubic", "model": {}, "stages": []}, "no weights"),
        ({"test_time": "srta"}, "did you mean 'srtta'"),
        ({"test_time": "srtta:clean=nowhere"}, "nowhere"),
    ],
)
def test_what_cannot_be_adapted_is_refused_before_work(tmp_path, clean, fields, message):
    with pytest.raises(UsageError, match=message):
        planned(Store(tmp_path), clean, **fields)


def test_the_command_line_adapts_trained_weights_to_real_images(tmp_path, clean, capsys):
    images(tmp_path / "lr", 1)
    train(tmp_path / "edsr.pt", seed=0)
    sizes = [part for name, value in SIZES.items() for part in ("--set", f"{name}={value}")]
    args = ["evaluate", "srtta", "--scale", "2", "--data", str(tmp_path / "lr"), "--kernel", "real", "--device", "cpu"]
    args += [*sizes, "--metrics", "lr_psnr", "--json", str(tmp_path / "out.json"), "--save", str(tmp_path / "sr")]
    spec = f"{SPEC},clean={clean}"
    assert main([*args, "--test-time", spec]) == 2
    assert "--weights" in capsys.readouterr().err
    args += ["--weights", str(tmp_path / "edsr.pt")]
    assert main([*args, "--test-time", spec]) == 2
    assert "types=blur" in capsys.readouterr().err
    assert main([*args, "--test-time", f"{spec},types=noise", "--tile", "8"]) == 2
    assert main([*args, "--test-time", f"{spec},types=noise"]) == 0
    assert "types=noise" in json.loads((tmp_path / "out.json").read_text())["test_time"]
    with Image.open(tmp_path / "sr" / "0.png") as sr:
        assert sr.size == (48, 40)
