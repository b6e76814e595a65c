"""The dual as an estimator: fitting D with P held still, and training P on the pairs that D makes."""

import pytest
import torch
from torch.nn import functional as F

from drnbench import models
from drnbench.config.trial import Data, Stage
from drnbench.errors import UsageError
from drnbench.models import models as registry
from drnbench.schemes import schemes
from drnbench.schemes.base import Batch


def make(name, dual="chain", scale=4, **fields):
    torch.manual_seed(0)
    stage = Stage(
        "s", data=Data("photos/train"), unpaired=Data("photos/unpaired"), steps=1, scheme=name, dual=dual, **fields
    )
    scheme = schemes.get(name)(models.create("drn", scale, n_blocks=1, n_feats=4), scale, stage)
    scheme.prepare(torch.device("cpu"))
    return scheme


def hr_batch(side=32):
    hr = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(1)) * 255
    return Batch(torch.zeros(0, 3, side // 4, side // 4), {}, 0, hr=hr)


@pytest.mark.parametrize("dual", ["chain", "single"])
def test_fitting_moves_the_dual_alone_and_towards_the_images(dual):
    scheme = make("dual-fit", dual)
    lr = F.avg_pool2d(torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(2)) * 255, 4)
    batch = Batch(lr, {}, 0)
    before = [p.clone() for p in scheme.model.parameters()]
    losses = [scheme.step(batch, 1e-2)["dual"].item() for _ in range(20)]
    assert losses[-1] < losses[0]
    assert all(torch.equal(a, b) for a, b in zip(before, scheme.model.parameters(), strict=True))
    assert schemes.get("dual-fit").mix(scheme.stage, 3) == (0, 8, 0)


@pytest.mark.parametrize("dual", ["chain", "single"])
def test_pairs_come_from_the_dual_as_8_bit_images(dual):
    scheme = make("dual-synth", dual)
    hr = hr_batch().hr
    pyramid = scheme.make_pairs(hr)
    assert list(pyramid) == [4, 2, 1]
    assert pyramid[1] is hr
    for factor, stack in pyramid.items():
        assert stack.shape == (2, 3, 32 // factor, 32 // factor)
        assert factor == 1 or torch.equal(stack, stack.round().clamp(0, 255))
    # Inside, where no padding reaches, LR is what D makes of HR.
    inside = scheme.degrade(hr)[..., 3:-3, 3:-3]
    assert (pyramid[4][..., 3:-3, 3:-3] - inside.clamp(0, 255)).abs().max() <= 0.5 + 1e-3


def test_pairs_have_no_border_of_the_duals_zero_padding():
    scheme = make("dual-synth")
    flat = scheme.make_pairs(torch.full((1, 3, 32, 32), 128.0))
    for factor in (4, 2):
        assert flat[factor].flatten(2).std(2).max() == 0


def test_training_on_made_pairs_moves_the_model_alone():
    scheme, batch = make("dual-synth"), hr_batch()
    before = [p.clone() for p in scheme.extra["dual"].parameters()]
    losses = [scheme.step(batch, 1e-3)["primary"].item() for _ in range(20)]
    assert losses[-1] < losses[0]
    assert all(torch.equal(a, b) for a, b in zip(before, scheme.extra["dual"].parameters(), strict=True))
    assert schemes.get("dual-synth").mix(scheme.stage, 3) == (0, 0, 8)


def test_untrained_networks_are_refused():
    fit, synth = schemes.get("dual-fit"), schemes.get("dual-synth")
    stage = Stage("s", data=Data("photos/train"), steps=1, scheme="dual-fit")
    with pytest.raises(UsageError, match="needs a trained P"):
        fit.check_start(stage, "here", None)
    with pytest.raises(UsageError, match="needs unpaired=Data"):
        fit.check(stage, "here", model=registry.get("drn"), scale=4)
    paired = stage.model_copy(update={"scheme": "paired"})
    synth.check_start(stage, "here", paired)
    with pytest.raises(UsageError, match="needs a fitted D"):
        synth.check_start(stage, "here", paired.model_copy(update={"scheme": "supervised"}))
    with pytest.raises(UsageError, match="needs a fitted D"):
        synth.check_start(stage, "here", paired.model_copy(update={"dual_feats": 8}))
    with pytest.raises(UsageError, match="D would stay as it was initialised"):
        schemes.get("paired").check_start(paired.model_copy(update={"dual_frozen": True}), "here", None)
