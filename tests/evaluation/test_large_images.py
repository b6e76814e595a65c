"""Images that a network cannot enlarge as a whole in bounded memory: in tiles, and every place that shows a score says so."""

import json

import pytest
import torch

from drnbench import Data, Evaluate, Stage, Study, Trial, models
from drnbench.cli import main
from drnbench.evaluation import inference
from drnbench.execution.compute import compute
from drnbench.planning.build import make
from drnbench.store import Status, Store, read_json
from tests.helpers import expand_study

SIZES = {"n_blocks": 1, "n_feats": 4}


@pytest.fixture
def little_memory(monkeypatch):
    """Every image is large, and a network may have 600 kB for it."""
    monkeypatch.setattr(inference, "LARGE", 0)
    monkeypatch.setattr(inference, "FORWARD_BYTES", 600_000)
    yield
    torch.set_deterministic_debug_mode("default")


def score(store, metrics, status):
    """Score a trial whose stage was trained, as a worker does; return what it records."""
    stage = Stage("train", data=Data("photos/train"), steps=1, batch=1, patch=16)
    sets = [
        Evaluate("photos/test", count=1, metrics=metrics),
        Evaluate("photos/test", count=1, crop=20, metrics=metrics),
    ]
    trial = Trial(method="edsr", model=SIZES, scale=2, stages=[stage], evaluate=sets)
    (planned,) = (
        trial for trial in make(expand_study(Study(base=trial, seeds=1), "s", "?"), store).trials if trial.unit.stage
    )
    checkpoint = store.stage(planned.unit.stage) / "checkpoint.pt"
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"model": models.create("edsr", 2, **SIZES).state_dict(), "extra": {}}, checkpoint)
    messages = []
    assert compute(planned.unit, store, "cpu", messages.append, lambda: False, status) == "done"
    assert all("step" in message for message in messages)
    return read_json(store.trial(planned.unit.key) / "scores.json")


def test_scores_say_which_images_were_enlarged_in_tiles(tmp_path, little_memory):
    store, status = Store(tmp_path), Status("running")
    first = score(store, ("psnr_y",), status)
    ((condition, side),) = first["tiles"].items()  # the crop is small enough as a whole
    assert condition == "photos-test, bicubic"
    assert 64 <= side < 128
    (folder,) = (store.root / "trials").iterdir()
    store.write_status(folder, status)
    inference.FORWARD_BYTES = 10**12
    assert score(store, ("psnr_y", "ssim_y"), status)["tiles"] == first["tiles"]  # of the scores that were there


def test_scores_of_whole_images_say_nothing(tmp_path):
    try:
        assert "tiles" not in score(Store(tmp_path), ("psnr_y",), Status("running"))
    finally:
        torch.set_deterministic_debug_mode("default")


def test_evaluate_names_the_images_that_were_enlarged_in_tiles(tmp_path, capsys, little_memory):
    out = tmp_path / "scores.json"
    torch.save(models.create("edsr", 2, **SIZES).state_dict(), tmp_path / "weights.pt")
    call = ["evaluate", "edsr", "--scale", "2", "--data", "photos/test", "--weights", str(tmp_path / "weights.pt"), "--device", "cpu",
            "--jobs", "1", "--json", str(out), *(f"--set={name}={value}" for name, value in SIZES.items())]  # fmt: skip
    assert main(call) == 0
    assert "note: 5 images in tiles of " in capsys.readouterr().out
    assert {64 <= row["tile"] < 128 for row in json.loads(out.read_text())["images"]} == {True}
