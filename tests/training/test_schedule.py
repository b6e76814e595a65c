"""Schedules by step: what warm-up and milestones do at any settings, against PyTorch's own where it has the same."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from drnbench import Data, Stage
from drnbench.training.schedule import average_decay, in_steps, learning_rate

STEPS = st.integers(1, 60)
SHARES = st.decimals("0.01", "0.99", places=2).map(float)


def make_stage(**fields):
    return Stage("s", data=Data("x"), **{"steps": 100, "lr": 1e-3, "lr_min": 1e-6, **fields})


@settings(max_examples=40, deadline=None)
@given(steps=STEPS, share=SHARES, schedule=st.sampled_from(["cosine", "constant", "multistep"]))
def test_a_warm_up_rises_linearly_to_the_schedule_and_changes_nothing_after(steps, share, schedule):
    plain = make_stage(steps=steps, schedule=schedule, milestones=(0.5,) if schedule == "multistep" else ())
    warm = plain.model_copy(update={"warmup": share})
    end = in_steps(share, steps)
    for step in range(steps):
        rate = learning_rate(plain, step)
        assert learning_rate(warm, step) == pytest.approx(rate * min(1, (step + 1) / end) if end else rate, rel=1e-12)
        assert 0 < learning_rate(warm, step) <= rate
    assert learning_rate(warm, max(0, end - 1)) == learning_rate(plain, max(0, end - 1))


@settings(max_examples=20, deadline=None)
@given(data=st.data(), steps=STEPS, gamma=st.floats(0.1, 0.9))
def test_milestones_are_those_of_pytorch(data, steps, gamma):
    milestones = sorted(data.draw(st.sets(st.integers(1, steps), min_size=1, max_size=4)))
    stage = make_stage(steps=steps, schedule="multistep", milestones=milestones, gamma=gamma)
    optimiser = torch.optim.SGD([torch.zeros(1)], lr=stage.lr)
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimiser, milestones, gamma)
    for step in range(steps):
        assert learning_rate(stage, step) == pytest.approx(optimiser.param_groups[0]["lr"])
        optimiser.step()
        scheduler.step()


@given(steps=STEPS, hundredths=st.integers(1, 99))
def test_shares_of_a_stage_are_exact(steps, hundredths):
    assert in_steps(hundredths / 100, steps) == hundredths * steps // 100


@given(decay=st.floats(0, 0.99999), step=st.integers(1, 10**6))
def test_the_decay_of_an_average_rises_to_the_one_given(decay, step):
    stage = make_stage(ema=decay)
    assert 0 <= average_decay(stage, step) <= average_decay(stage, step + 1) <= decay
    assert average_decay(stage, 10**8) == decay
