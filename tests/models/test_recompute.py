"""Activation checkpointing: the same gradients bit for bit from less memory, for every network that is trained."""

import contextlib

import pytest
import torch
from torch import nn

from drnbench import Data, Stage, models
from drnbench.errors import UsageError
from drnbench.models import methods
from drnbench.models import models as registry
from drnbench.models.recompute import blocks, recomputing
from drnbench.schemes import schemes

SIZES = {"n_blocks": 2, "n_feats": 4, "n_base": 4, "inner_blocks": 1}
TRAINED = ("drn", "edsr", "dbpn")


def network(name):
    scale = min(registry.get(name).scales or (2,))
    sizes = {k: v for k, v in SIZES.items() if k in methods.resolve(name, scale, {}).options}
    torch.manual_seed(0)
    return models.create(name, scale, **sizes)


def gradients(model, context):
    """Gradients of the mean of all outputs, and the bytes that the forward pass keeps for them."""
    lr, kept = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(1)) * 255, []
    model.zero_grad()
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.nbytes) or t, lambda t: t), context:
        total = sum(output.mean() for output in model(lr))
    total.backward()
    return [p.grad.clone() for p in model.parameters() if p.grad is not None], sum(kept)


@pytest.mark.parametrize("name", TRAINED)
def test_gradients_are_equal_bit_for_bit_and_less_is_kept(name):
    model = network(name)
    expected, whole = gradients(model, contextlib.nullcontext())
    actual, less = gradients(model, recomputing(model))
    assert len(expected) == len(actual) > 0
    assert all(map(torch.equal, expected, actual))
    assert less < whole
    assert all("forward" not in vars(block) for block in blocks(model))


def test_a_block_with_batch_normalisation_is_not_recomputed():
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), nn.Conv2d(3, 3, 1))

        def forward(self, x):
            return x + self.body(x)

    assert blocks(nn.Sequential(Block(), nn.ReLU())) == []


def test_a_compiled_network_is_not_recomputed():
    stage = Stage("s", data=Data("photos/train"), steps=1, compile=True, recompute=True)
    with pytest.raises(UsageError, match="compile or recompute"):
        schemes.get("paired").check(stage, "s", model=registry.get("drn"), scale=4)
