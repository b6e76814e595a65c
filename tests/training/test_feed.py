"""Batches that a thread prepares as bytes equal those of the processor bit for bit; losses are read late and none is lost."""

import threading

import pytest
import torch

from drnbench import Data, Evaluate, Stage, Trial
from drnbench.errors import DivergedError
from drnbench.planning.keys import Keys
from drnbench.store import Store
from drnbench.training.ahead import Ahead
from drnbench.training.feed import Feed
from drnbench.training.history import History
from drnbench.training.losses import Losses

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return Store(tmp_path_factory.mktemp("store")).cache


def unit(cache, **fields):
    common = {"data": Data("photos/train", crop=64), "batch": 3, "patch": 16, "steps": 4, "validations": 0}
    stage = Stage("s", **{**common, **fields})
    trial = Trial(model={"n_blocks": 1, "n_feats": 2}, scale=4, stages=[stage], evaluate=[Evaluate("photos/test")])
    return Keys(cache).stages(trial, "test")[0]


UNPAIRED = Data("photos/unpaired", kernel="bd", crop=64)


def order(images):
    """Return the axes of more than one entry in their order in memory, the outermost first: convolutions round by it."""
    axes = [axis for axis in range(4) if images.shape[axis] > 1]
    return sorted(axes, key=images.stride, reverse=True)


@pytest.mark.parametrize(
    "fields",
    [
        {"scheme": "paired"},
        {"scheme": "paired", "augment": False},
        {"scheme": "supervised", "batch": 1},
        {"scheme": "unpaired", "rho": 0.5, "unpaired": UNPAIRED},
        {"scheme": "unpaired", "rho": 1.0, "unpaired": UNPAIRED},
        {"scheme": "unpaired", "rho": 0.5, "unpaired": UNPAIRED, "unpaired_patch": 32},
        {"scheme": "cyclegan", "unpaired": UNPAIRED},
    ],
)
def test_batches_that_are_prepared_ahead_are_equal_bit_for_bit(cache, fields):
    stage = unit(cache, **fields)
    plain, ahead = Feed(stage, cache, CPU), Feed(stage, cache, CPU, ahead=True)
    for step in (0, 1, 2, 3, 1):  # any step may follow: a stage that resumes begins in the middle
        expected, batch = plain.batch(step), ahead.batch(step)
        assert batch.n_pairs == expected.n_pairs
        for name in ("lr", "hr", "others"):
            torch.testing.assert_close(getattr(batch, name), getattr(expected, name), rtol=0, atol=0)
            assert order(getattr(batch, name)) == order(getattr(expected, name))
        assert batch.pyramid.keys() == expected.pyramid.keys()
        for factor, stack in expected.pyramid.items():
            assert order(batch.pyramid[factor]) == order(stack)
            torch.testing.assert_close(batch.pyramid[factor], stack, rtol=0, atol=0)
    ahead.close()


@pytest.mark.parametrize("ahead", [False, True])
@pytest.mark.parametrize("fields", [{}, {"scheme": "unpaired", "rho": 0.5, "unpaired": UNPAIRED}])
def test_channels_are_last_in_memory_as_in_all_versions_before(cache, fields, ahead):
    feed = Feed(unit(cache, **{"scheme": "paired", "batch": 8, **fields}), cache, CPU, ahead=ahead)
    batch = feed.batch(0)
    feed.close()
    assert [order(images) for images in (batch.lr, *batch.pyramid.values())] == [[0, 2, 3, 1]] * (
        1 + len(batch.pyramid)
    )


def test_steps_are_made_ahead_in_one_thread_and_once():
    made, threads = [], set()

    def make(step):
        made.append(step)
        threads.add(threading.get_ident())
        return step * 10

    ahead = Ahead(make, end=5, depth=2)
    assert [ahead.get(step) for step in range(5)] == [0, 10, 20, 30, 40]
    ahead.close()
    assert made == [0, 1, 2, 3, 4]
    assert len(threads) == 1
    assert threading.get_ident() not in threads


def test_an_error_is_raised_at_its_step():
    def make(step):
        if step == 2:
            raise OSError("gone")
        return step

    ahead = Ahead(make, end=9)
    assert [ahead.get(0), ahead.get(1)] == [0, 1]
    with pytest.raises(OSError, match="gone"):
        ahead.get(2)
    ahead.close()


@pytest.mark.parametrize("every", [1, 4])
def test_losses_that_are_read_late_are_the_same(every):
    stage, history = Stage("s", data=Data("photos/train"), steps=9), History()
    losses = Losses(history, stage, every)
    for step in range(1, 8):
        names = {"total": step / 3, **({"dual": step / 7} if step % 2 else {})}
        losses.add(step, {name: torch.tensor(value) for name, value in names.items()})
    losses.read()
    losses.read()
    assert history.sums["total"][1] == 7
    assert history.sums["dual"][1] == 4
    assert history.sums["total"][0] == sum(torch.tensor(step / 3).item() for step in range(1, 8))


def test_a_loss_that_is_not_finite_is_named_by_its_own_step():
    losses = Losses(History(), Stage("s", data=Data("photos/train"), steps=9, lr=0.5), every=5)
    for step, value in enumerate([1.0, float("nan"), 2.0], 1):
        losses.add(step, {"total": torch.tensor(value)})
    with pytest.raises(DivergedError, match=r"step 2 of 9 \(total nan\); lower lr = 0.5"):
        losses.read()
