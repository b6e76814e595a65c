"""The step of Adam on lists of tensors equals PyTorch's plain loop bit for bit."""

import copy

import pytest
import torch
from torch import nn

from drnbench.schemes.adam import adam, adam_step

DECOUPLED = {"weight_decay": 0.1, "decoupled_weight_decay": True}


@pytest.mark.parametrize("fields", [{}, {"weight_decay": 0.1}, DECOUPLED, {"betas": (0.5, 0.99), "eps": 1e-6}])
@pytest.mark.parametrize("missing", [False, True])
def test_weights_and_moments_equal_those_of_the_plain_loop(fields, missing):
    draw = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 7, 3), nn.Conv2d(7, 5, 3, bias=False), nn.Conv2d(5, 1, 1))
    networks = network, copy.deepcopy(network)
    make = adam, torch.optim.Adam
    fast, plain = (
        kind(net.parameters(), lr=1e-3, foreach=False, **fields) for kind, net in zip(make, networks, strict=True)
    )
    for optimiser in (fast, plain):
        optimiser.register_step_pre_hook(
            lambda this, *_: nn.utils.clip_grad_norm_(this.param_groups[0]["params"], 5.0) and None
        )
    for step in range(6):
        for optimiser in (fast, plain):
            optimiser.param_groups[0]["lr"] = 1e-3 / (step + 1)
        for index, pair in enumerate(zip(*(net.parameters() for net in networks), strict=True)):
            gradient = torch.randn(pair[0].shape, generator=draw) * 10 ** torch.randn(1, generator=draw)
            for parameter in pair:
                parameter.grad = None if missing and step == 2 and index == 1 else gradient.clone()
        adam_step(fast)
        plain.step()
        if step == 3:
            fast.load_state_dict(copy.deepcopy(plain.state_dict()))
        for a, b in zip(*(net.parameters() for net in networks), strict=True):
            assert torch.equal(a, b)
    states = (optimiser.state_dict()["state"] for optimiser in (fast, plain))
    for a, b in zip(*(state.values() for state in states), strict=True):
        assert all(torch.equal(a[name], b[name]) for name in ("step", "exp_avg", "exp_avg_sq"))


@pytest.mark.parametrize("fields", [{"maximize": True}, {"groups": 2}, {"hook": True}])
def test_what_the_plain_loop_does_beside_a_step_is_done(fields):
    """A second group of parameters, the sign of `maximize`, hooks after a step."""
    weights = [[nn.Parameter(torch.ones(3)) for _ in range(2)] for _ in range(2)]
    calls = []
    for pair in weights:
        groups = [{"params": [p]} for p in pair] if fields.get("groups") else pair
        optimiser = torch.optim.Adam(groups, lr=0.1, foreach=False, maximize=fields.get("maximize", False))
        if fields.get("hook"):
            optimiser.register_step_post_hook(lambda *_: calls.append(1))
        for _ in range(3):
            for p in pair:
                p.grad = torch.ones(3)
            adam_step(optimiser) if pair is weights[0] else optimiser.step()
    assert all(map(torch.equal, *weights))
    assert not torch.equal(weights[0][1], torch.ones(3))
    assert len(calls) == (6 if fields.get("hook") else 0)
