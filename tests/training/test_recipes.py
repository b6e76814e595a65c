"""Recipes of training: they resume bit for bit, averages are what they should be, the history shows rates and losses."""

import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from drnbench import Data, Evaluate, Stage, Trial
from drnbench.errors import DivergedError
from drnbench.models.weights import load_checkpoint
from drnbench.planning.keys import Keys
from drnbench.store import Store
from drnbench.store.locks import Lock
from drnbench.training.loop import build, train
from tests.helpers import same

RECIPES = {
    "average and clipped norm": {"ema": 0.9, "clip_norm": 20.0, "warmup": 3},
    "multistep and AdamW": {
        "schedule": "multistep", "milestones": (0.5, 3), "gamma": 0.3, "optimiser": "adamw", "weight_decay": 0.1,
        "clip_value": 1.0, "ema": 0.9, "score_ema": False,
    },
    "channels last": {"channels_last": True, "ema": 0.5, "augment": True},
    "recomputed": {"recompute": True, "ema": 0.5, "clip_norm": 20.0},
    "combined loss, bf16 in parts": {
        "loss": "0.05*fft+charbonnier", "precision": "bf16", "accumulate": 2, "ema": 0.5, "clip_norm": 20.0, "schedule": "constant",
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder, noise = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    for name in "abc":
        Image.fromarray(noise.integers(0, 256, (20, 20, 3), dtype=np.uint8)).save(folder / f"{name}.png")
    return folder


def make_unit(images, **fields):
    common = {"data": Data(str(images)), "batch": 2, "patch": 16, "steps": 4, "lr": 1e-3, "validations": 1}
    stage = Stage("train", **{"scheme": "paired", **common, **fields})
    trial = Trial(model={"n_blocks": 1, "n_feats": 2}, scale=2, stages=[stage], evaluate=[Evaluate("x")])
    return Keys(images / "cache").stages(trial, "test")[0]


def run(unit, store, *, saves=()):
    """Train a stage that is stopped and continued after some steps; return its state at each stop, the last at the end."""
    folder, states = store.stage(unit.key), []
    folder.mkdir(parents=True)
    for end in (*saves, unit.stage.steps):
        done = len(states) and states[-1]["step"]
        left = iter(range(end - done - 1, -1, -1))
        train(unit, store, torch.device("cpu"), lambda _: None, lambda left=left: next(left) == 0)
        states.append(load_checkpoint(folder / "checkpoint.pt"))
    return states


def history(unit, store):
    return pd.read_parquet(store.stage(unit.key) / "history.parquet").drop(columns="time")


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_stage_that_was_stopped_equals_an_uninterrupted_one(images, tmp_path, recipe):
    unit, whole, parts = make_unit(images, **RECIPES[recipe]), Store(tmp_path / "a"), Store(tmp_path / "b")
    expected, stops = run(unit, whole)[-1], run(unit, parts, saves=(1, 3))
    assert [state["step"] for state in stops] == [1, 3, 4]
    assert same(expected, stops[-1])
    pd.testing.assert_frame_equal(history(unit, whole), history(unit, parts), check_exact=True)


def test_averaged_weights_are_scored_and_those_of_the_last_step_trained(images, tmp_path):
    plain, averaged, kept = (
        make_unit(images, **fields) for fields in ({}, {"ema": 0.4}, {"ema": 0.4, "score_ema": False})
    )
    expected = run(plain, Store(tmp_path / "plain"))[-1]
    steps = run(averaged, Store(tmp_path / "averaged"), saves=(1, 2, 3))
    other = run(kept, Store(tmp_path / "kept"))[-1]
    assert same(steps[-1]["last_step"], expected["model"])
    assert same(other["model"], expected["model"])
    assert same(other["average"], steps[-1]["model"])
    assert not same(steps[-1]["model"], expected["model"])
    mean = {name: value.double() for name, value in build(plain).model.state_dict().items()}
    for step, state in enumerate(steps, 1):
        decay = min(0.4, (1 + step) / (10 + step))
        mean = {name: decay * value + (1 - decay) * state["last_step"][name] for name, value in mean.items()}
    for name, value in steps[-1]["model"].items():
        torch.testing.assert_close(value.double(), mean[name], rtol=1e-5, atol=1e-7)
    scored = [history(unit, Store(tmp_path / name)) for unit, name in ((plain, "plain"), (kept, "kept"))]
    pd.testing.assert_frame_equal(*scored, check_exact=True)


def test_the_history_has_the_rate_the_parts_of_the_loss_and_the_norm(images, tmp_path):
    fields = {"loss": {"l2": 0.01, "l1": 1}, "warmup": 2, "clip_norm": 1.0, "schedule": "multistep", "milestones": (3,)}
    unit, store = make_unit(images, **fields), Store(tmp_path)
    run(unit, store)
    table = history(unit, store).pivot_table(index="step", columns="name", values="value")
    assert list(table["lr"]) == pytest.approx([5e-4, 1e-3, 1e-3, 5e-4])
    parts = table["primary/l1"] + 0.01 * table["primary/l2"]
    assert list(table["primary"]) == pytest.approx(list(parts), rel=1e-5)
    assert (table["grad_norm"] > 1).all()


def test_a_recipe_that_diverges_says_so(images, tmp_path):
    unit = make_unit(images, lr=1e30, warmup=2, ema=0.9, clip_norm=1.0)
    with pytest.raises(DivergedError, match="lower lr"):
        run(unit, Store(tmp_path))


@pytest.mark.real
def test_a_compiled_stage_resumes_bit_for_bit_and_is_compiled_once_under_the_lock_of_its_store(
    images, tmp_path, monkeypatch
):
    graphs, compile_network = [], torch.compile

    def backend(graph, _):
        (lock,) = tmp_path.rglob("compiled.lock")
        with pytest.raises(TimeoutError):
            Lock(lock).acquire(timeout=0)
        graphs.append(graph)
        return graph.forward

    monkeypatch.setattr(torch, "compile", lambda network, **fixed: compile_network(network, backend=backend, **fixed))
    # The share of unpaired images changes from step to step, and patches of one step are all transposed; P's batch keeps its shape.
    unit = make_unit(images, scheme="unpaired", rho=0.5, unpaired=Data(str(images)), batch=3, compile=True, ema=0.5)
    expected = run(unit, Store(tmp_path / "a" / "whole"))[-1]
    assert len(graphs) == 1
    torch._dynamo.reset()
    shutil.rmtree(tmp_path / "a")
    stops = run(unit, Store(tmp_path / "b"), saves=(1,))
    assert same(expected, stops[-1])
    assert "_orig_mod" not in repr([*expected["model"], *expected["last_step"]])
