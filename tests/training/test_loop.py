"""The loop: resume, schedule, validation, divergence, in this process."""

import numpy as np
import pandas as pd
import pytest
import torch

from drnbench import Data, Evaluate, Stage, Trial
from drnbench.errors import DivergedError, NotFiniteError, UnitError
from drnbench.evaluation.inference import Upscaler
from drnbench.execution.worker import kind_of
from drnbench.planning.keys import Keys
from drnbench.store import Store
from drnbench.training import graphs
from drnbench.training.feed import Feed
from drnbench.training.loop import build, learning_rate, load_checkpoint, train, validation_steps
from tests.helpers import same

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return Store(tmp_path_factory.mktemp("store"))


def units(store, **fields):
    common = {"data": Data("photos/train", crop=64), "batch": 2, "patch": 16, "steps": 6, "lr": 1e-3, "validations": 2}
    stages = [
        Stage("pretrain", scheme="paired", **common),
        Stage(
            "adapt",
            **{
                "scheme": "unpaired",
                "rho": 0.5,
                "unpaired": Data("photos/unpaired", kernel="bd", crop=64),
                **common,
                **fields,
            },
        ),
    ]
    trial = Trial(model={"n_blocks": 1, "n_feats": 2}, scale=2, stages=stages, evaluate=[Evaluate("photos/test")])
    return Keys(store.cache).stages(trial, "test")


def run(unit, store, *, stop_after=None, seen=None):
    done = {"steps": 0}

    def stop():
        done["steps"] += 1
        return stop_after is not None and done["steps"] >= stop_after

    store.stage(unit.key).mkdir(parents=True, exist_ok=True)
    return train(unit, store, CPU, (seen if seen is not None else []).append, stop)


def outcome(store, unit):
    state = load_checkpoint(store.stage(unit.key) / "checkpoint.pt")
    return state, pd.read_parquet(store.stage(unit.key) / "history.parquet").drop(columns="time")


@pytest.mark.real
def test_stopped_after_every_step_equals_uninterrupted(cache, tmp_path):
    whole, parts = Store(tmp_path / "a"), Store(tmp_path / "b")
    for unit in units(cache):
        assert run(unit, whole)
        while not run(unit, parts, stop_after=1):
            pass
        (state, history), (other, other_history) = outcome(whole, unit), outcome(parts, unit)
        assert same(state, other)
        pd.testing.assert_frame_equal(history, other_history, check_exact=True)
        assert state["step"] == 6


def test_a_finished_stage_is_left_as_it_is(cache, tmp_path):
    unit, store = units(cache)[0], Store(tmp_path)
    run(unit, store)
    before = (store.stage(unit.key) / "checkpoint.pt").read_bytes()
    assert run(unit, store)
    assert (store.stage(unit.key) / "checkpoint.pt").read_bytes() == before


def test_the_next_stage_starts_from_networks_and_fresh_optimisers(cache, tmp_path):
    first, second = units(cache, steps=1, lr=1e-30, lr_min=0.0)
    store = Store(tmp_path)
    run(first, store)
    run(second, store)
    before, after = (outcome(store, u)[0] for u in (first, second))
    assert same(before["model"], after["model"])
    assert same(before["extra"], after["extra"])
    assert {int(s["step"]) for s in after["optimisers"]["model"]["state"].values()} == {1}


def test_the_history_has_losses_and_validation_for_both_kernels(cache, tmp_path):
    first, second = units(cache)
    store, seen = Store(tmp_path), []
    run(first, store)
    run(second, store, seen=seen)
    history = outcome(store, second)[1]
    assert set(history["name"]) == {"primary", "dual", "total", "lr", "val_psnr_y/bicubic", "val_psnr_y/bd"}
    assert sorted(history.loc[history["name"] == "val_psnr_y/bd", "step"]) == [3, 6]
    total = history.pivot_table(index="step", columns="name", values="value")
    assert (total["total"] - total["primary"] - 0.1 * total["dual"]).abs().max() < 1e-3
    assert {"saved": 6} in seen


def test_schemes_start_from_the_same_weights(cache):
    from drnbench.training.loop import build

    paired, supervised = (build(units(cache, scheme=s, rho=0.0)[1]) for s in ("paired", "supervised"))
    assert same(dict(paired.model.state_dict()), dict(supervised.model.state_dict()))


def test_a_loss_that_is_not_finite_stops_with_a_clear_error(cache, tmp_path):
    first, second = units(cache, lr=1e30, steps=20)
    store = Store(tmp_path)
    run(first, store)
    with pytest.raises(DivergedError, match=r"not finite .*lower lr = 1e\+30"):
        run(second, store)
    assert not (store.stage(second.key) / "checkpoint.pt").exists()


def test_a_divergence_that_validation_meets_first_is_one(cache, tmp_path):
    _, second = units(cache, lr=1e30, steps=20, validations=20)
    store = Store(tmp_path)
    run(units(cache)[0], store)
    with pytest.raises(DivergedError, match="validation after step 1 of 20; lower lr"):
        run(second, store)


def test_a_network_without_finite_outputs_has_diverged_where_it_is_scored():
    class Broken(torch.nn.Module):
        def forward(self, lr):
            return (lr.repeat_interleave(2, 2).repeat_interleave(2, 3) * float("nan"),)

    with pytest.raises(NotFiniteError) as error:
        Upscaler(Broken(), 2, CPU)(np.zeros((8, 8, 3), np.uint8))
    assert kind_of(error.value) == "diverged"


def test_images_that_changed_since_the_plan_are_refused(cache, tmp_path):
    unit = units(cache)[0].model_copy(update={"data_digest": "0" * 64})
    with pytest.raises(UnitError, match="changed since the plan was made"):
        run(unit, Store(tmp_path))


@pytest.mark.parametrize(("rho", "patch"), [(0.5, 24), (0.5, 8), (1.0, 24)])
def test_unpaired_patches_have_a_size_of_their_own(cache, rho, patch):
    same_size, unit = (units(cache, rho=rho, unpaired_patch=side)[1] for side in (16, patch))
    assert same_size.key == units(cache, rho=rho)[1].key != unit.key
    batch = Feed(unit, cache.cache, CPU).batch(1)
    unpaired = batch.others if len(batch.others) else batch.lr
    assert unpaired.shape == (round(2 * rho), 3, patch // 2, patch // 2)
    assert batch.size == 2
    assert batch.n_pairs == 2 - len(unpaired)


def test_the_schedule():
    stage = Stage("s", data=Data("x"), steps=100, lr=1e-3, lr_min=1e-5)
    assert learning_rate(stage, 0) == 1e-3
    assert learning_rate(stage, 50) == pytest.approx((1e-3 + 1e-5) / 2)
    assert learning_rate(stage, 99) == pytest.approx(1e-5, rel=0.03)
    assert learning_rate(stage.model_copy(update={"schedule": "constant"}), 99) == 1e-3
    assert validation_steps(stage.model_copy(update={"validations": 3})) == {34, 67, 100}
    assert validation_steps(stage.model_copy(update={"holdout": 0})) == set()


@pytest.mark.gpu
def test_on_a_gpu_it_resumes_bit_for_bit_too(cache, tmp_path):
    whole, parts = Store(tmp_path / "a"), Store(tmp_path / "b")
    gpu = torch.device("cuda")
    unit = units(cache)[0]
    for store, stops in ((whole, [False]), (parts, [True, False])):
        store.stage(unit.key).mkdir(parents=True)
        for stop in stops:
            train(unit, store, gpu, lambda message: None, lambda stop=stop: stop)
    assert same(outcome(whole, unit)[0], outcome(parts, unit)[0])


@pytest.mark.gpu
@pytest.mark.parametrize(
    "fields", [{"rho": 0.3, "steps": 12}, {"precision": "bf16", "channels_last": True, "steps": 12}]
)
def test_on_a_gpu_replayed_steps_have_the_bits_of_plain_ones(cache, tmp_path, monkeypatch, capsys, fields):
    unit = units(cache, **fields)[1]
    stored = []
    for name, is_used in (("plain", False), ("replayed", True)):
        monkeypatch.setattr(graphs, "GRAPHS", is_used)
        store = Store(tmp_path / name)
        for stage in units(cache, **fields):
            store.stage(stage.key).mkdir(parents=True)
            train(stage, store, torch.device("cuda"), lambda message: None, lambda: False)
        stored.append(outcome(store, unit))
    assert "no CUDA graph" not in capsys.readouterr().out
    assert same(stored[0][0], stored[1][0])
    assert stored[0][1].equals(stored[1][1])


@pytest.mark.gpu
@pytest.mark.parametrize("fields", [{}, {"deterministic": False}], ids=["deterministic", "not"])
def test_on_a_gpu_steps_are_replayed(cache, fields):
    unit = units(cache, **fields, augment=False)[1]  # all batches lie alike in memory
    scheme, feed = build(unit), Feed(unit, cache.cache, torch.device("cuda"))
    scheme.prepare(torch.device("cuda"))
    graphs.replay_steps(scheme)
    for step in range(6):
        scheme.step(feed.batch(step), 1e-3)
    feed.close()
    assert scheme.compute.reason is None
    assert scheme.compute.replays == 4
