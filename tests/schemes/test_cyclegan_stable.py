"""CycleGAN at the size and budget of the `quick` studies: neither side of the game wins, and PSNR-Y stays near bicubic."""

import pandas as pd
import pytest
import torch

from drnbench import models
from drnbench.config.protocol import Protocol
from drnbench.config.studyfile import load
from drnbench.data.cache import fingerprint
from drnbench.evaluation import metrics
from drnbench.evaluation.evaluator import load_model, super_resolve_all
from drnbench.evaluation.inference import Upscaler
from drnbench.planning.expand import expand
from drnbench.planning.keys import Keys
from drnbench.store import Store
from drnbench.training.loop import train
from tests.conftest import REPOSITORY


@pytest.mark.real
def test_it_trains_stably_from_unpaired_images_alone(tmp_path):
    study, name, question, _ = load(REPOSITORY / "studies" / "method_comparison.py")
    trial = next(arm for arm in expand(study, name, question).arms if arm.name == "cyclegan").trials[0]
    store, keys = Store(tmp_path), Keys(tmp_path / "cache")
    (unit,) = keys.stages(trial, "here")
    store.stage(unit.key).mkdir(parents=True)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        assert train(unit, store, torch.device("cpu"), lambda message: None, lambda: False)
    finally:
        torch.set_num_threads(threads)
    history = pd.read_parquet(store.stage(unit.key) / "history.parquet")
    late = history[history["step"] > unit.stage.steps / 2]
    for domain in ("d_hr", "d_lr"):
        losses = late.loc[late["name"] == domain, "value"]
        assert len(losses) > 20
        assert losses.between(0.02, 1).all(), (domain, losses.min(), losses.max())

    images = fingerprint("photos/test", store.cache).images
    trained = load_model(keys.evaluation(trial, [unit], "here"), store, torch.device("cpu"))
    means = []
    for model in (trained, models.create("bicubic", 4)):
        items = super_resolve_all(Upscaler(model, 4, torch.device("cpu")), images, "bicubic", store.cache)
        scores = [metrics.get("psnr_y").measure(item, Protocol()) for item in items]
        means.append(sum(scores) / len(scores))
    assert means[0] > means[1] - 3
