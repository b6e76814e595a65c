"""Ready-made LR images in studies: checked before work, keyed by content, and used instead of made ones."""

from __future__ import annotations

import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from drnbench import Data, Evaluate, Stage, Study, Trial
from drnbench.cli import main
from drnbench.data.images import read_rgb
from drnbench.errors import UnitError, UsageError
from drnbench.planning.expand import expand
from drnbench.planning.keys import Keys
from drnbench.training.feed import Feed

CPU = torch.device("cpu")
STAGE = {"scheme": "paired", "steps": 2, "batch": 2, "patch": 32, "holdout": 1}


@pytest.fixture
def sets(tmp_path):
    """HR images, and LR images that are not what any kernel would make of them."""
    rng = np.random.default_rng(0)
    for name in "abc":
        for folder, size in (("hr", (66, 70)), ("lr", (33, 35))):
            (tmp_path / folder).mkdir(exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8)).save(
                tmp_path / folder / f"{name}{'x2' if folder == 'lr' else ''}.png"
            )
    return tmp_path


def trial(sets, *, lr="lr", **fields):
    data = Data(str(sets / "hr"), lr=lr and str(sets / lr), **fields)
    return Trial(
        model={"n_blocks": 1, "n_feats": 2}, scale=2, stages=(Stage("train", data=data, **STAGE),),
        evaluate=(Evaluate(str(sets / "hr"), lr=lr and str(sets / lr)),),
    )  # fmt: skip


def units(sets, **fields):
    keys, declared = Keys(sets / "cache"), trial(sets, **fields)
    stages = keys.stages(declared, "here")
    return stages[0], keys.evaluation(declared, stages, "here")


def test_batches_hold_the_ready_images(sets):
    (stage, _), pixels = units(sets), {}
    for path in (sets / "lr").iterdir():
        pixels[path.stem[0]] = read_rgb(path)
    feed = Feed(stage, sets / "cache", CPU)
    lr = feed.batch(0).lr
    assert lr.shape == (2, 3, 16, 16)
    wanted = {tuple(value) for image in (pixels["a"], pixels["b"]) for value in image.reshape(-1, 3).tolist()}
    assert {tuple(value) for value in lr.permute(0, 2, 3, 1).reshape(-1, 3).int().tolist()} <= wanted
    (held,) = feed.heldout().values()
    assert (held[2][0] == pixels["c"]).all()
    batch = Feed(units(sets, lr=None)[0], sets / "cache", CPU).batch(0)
    assert not torch.equal(batch.lr, lr)
    assert torch.equal(batch.pyramid[1], feed.batch(0).pyramid[1])


def test_keys_are_of_the_content(sets):
    stage, scored = units(sets)
    shutil.copytree(sets / "lr", sets / "elsewhere")
    moved, rescored = units(sets, lr="elsewhere")
    assert moved.key == stage.key
    assert [e.key for e in rescored.wanted] == [e.key for e in scored.wanted]
    assert units(sets, lr=None)[0].key != stage.key
    Image.fromarray(read_rgb(sets / "elsewhere" / "ax2.png")[::-1]).save(sets / "elsewhere" / "ax2.png")
    assert units(sets, lr="elsewhere")[0].key != stage.key


def test_a_change_after_the_plan_is_noticed(sets):
    stage, _ = units(sets)
    Image.fromarray(read_rgb(sets / "lr" / "ax2.png")[::-1]).save(sets / "lr" / "ax2.png")
    with pytest.raises(UnitError, match="changed since the plan"):
        Feed(stage, sets / "cache", CPU).batch(0)


def test_unfitting_lr_images_are_refused_before_work(sets):
    with pytest.raises(UsageError, match=r"here, train.data.lr: .* do not go with crop"):
        units(sets, crop=40)
    (sets / "lr" / "bx2.png").rename(sets / "b.png")
    with pytest.raises(UsageError, match=r"has no LR image of .*b\.png: one is called b\.png or bx2\.png"):
        units(sets)
    Image.fromarray(read_rgb(sets / "b.png")[:30]).save(sets / "lr" / "b.png")
    with pytest.raises(UsageError, match=r"b\.png is 35 x 30 pixels, but .* makes 35 x 33"):
        units(sets)
    shutil.copy(sets / "b.png", sets / "lr" / "b_x2.png")
    with pytest.raises(UsageError, match="stand for one picture"):
        units(sets)


STUDY = '''"""Are MATLAB's own LR images those made here?"""
from drnbench import Axis, Evaluate, Study, Table, Trial

study = Study(
    base=Trial(method="bicubic", scale=4, evaluate=[Evaluate("{0}/HR"), Evaluate("{0}/HR", lr="{0}/LR_matlab_symmetric/X4")]),
    axes=[Axis("method", ["bicubic", "ibp"])], outputs=[Table(rows="method")], seeds=1,
)
'''


@pytest.mark.real
def test_a_study_scores_made_and_ready_images_side_by_side(shared_data, tmp_path):
    (tmp_path / "ready.py").write_text(STUDY.format(shared_data / "Set5"))
    results = tmp_path / "r"
    assert main(["run", str(tmp_path / "ready.py"), "--results", str(results), "--tracking-uri", "off"]) == 0
    summary = pd.read_csv(results / "ready" / "quick" / "summary.csv")
    psnr = summary[(summary["arm"] == "bicubic") & (summary["metric"] == "psnr_y")].set_index("dataset")["mean"]
    assert len(psnr) == 2
    assert psnr.iloc[0] == psnr.iloc[1]
    assert psnr.iloc[0] == pytest.approx(28.4290, abs=1e-3)
    assert any("LR made here" in name for name in psnr.index)
    assert any("LR: LR_matlab_symmetric/X4" in name for name in psnr.index)


def test_the_tiny_profile_leaves_ready_images_whole(sets):
    declared = trial(sets)
    evaluate = (*declared.evaluate, Evaluate(str(sets / "hr")))
    arms = expand(Study(base=declared.model_copy(update={"evaluate": evaluate})), "ready", "", "tiny").arms
    made = next(arm for arm in arms if arm.kind != "reference").trials[0]
    assert made.stages[0].data.crop is None
    assert [evaluate.crop for evaluate in made.evaluate] == [None, 64]


@pytest.mark.parametrize("path", ["evaluate.0.lr", "evaluate.*.lr", "train.data.lr"])
def test_so_it_does_with_those_that_are_named_by_an_override(sets, path):
    study = Study(base=trial(sets, lr=None))
    made = expand(study, "s", "", "tiny", {path: str(sets / "lr")}).arms[0].trials[0]
    is_data = path.startswith("train")
    assert (made.stages[0].data.crop, made.evaluate[0].crop) == ((None, 64) if is_data else (96, None))
    cropped = (
        expand(study, "s", "", "tiny", {path: str(sets / "lr"), path.replace(".lr", ".crop"): 40}).arms[0].trials[0]
    )
    assert (cropped.stages[0].data.crop if is_data else cropped.evaluate[0].crop) == 40, "refused later, by its name"
