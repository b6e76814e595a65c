"""Primary losses: values by hand, weighted sums, gradients of networks that are clipped, refusals before any work."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from drnbench import Data, Stage, models
from drnbench.config.loss import loss_terms, loss_text
from drnbench.config.protocol import Protocol
from drnbench.errors import UsageError
from drnbench.evaluation import metrics
from drnbench.schemes import schemes
from drnbench.schemes.losses import losses, parse, terms
from tests.conftest import REPOSITORY
from tests.schemes.test_adversarial import make_batch as make_adversarial_batch
from tests.schemes.test_adversarial import make_scheme as make_adversarial
from tests.schemes.test_dual import make_batch, make_scheme, make_stage
from tests.test_plugins import example

GENERATOR = torch.Generator().manual_seed(0)
SR, HR = (torch.rand(3, 3, 40, 33, generator=GENERATOR) * 255 for _ in range(2))


@pytest.fixture
def alexnet(monkeypatch):
    folder = Path(os.environ.get("TORCH_HOME") or REPOSITORY.parent / "shared" / "torch_home").resolve()
    if not list(folder.glob("hub/checkpoints/alexnet*")):
        pytest.skip(f"no AlexNet weights in {folder}")
    monkeypatch.setenv("TORCH_HOME", str(folder))


def test_values_by_hand():
    difference = (SR - HR).double()
    spectrum = torch.fft.fft2(difference)
    magnitude = (spectrum.real.abs() + spectrum.imag.abs()) / 2
    expected = {
        "l1": difference.abs(), "l2": difference**2, "charbonnier": (difference**2 + 0.255**2).sqrt(),
        "charbonnier:eps=7.5": (difference**2 + 7.5**2).sqrt(), "fft": magnitude, "fft:norm=ortho": magnitude / (40 * 33) ** 0.5,
    }  # fmt: skip
    for spec, value in expected.items():
        torch.testing.assert_close(parse(spec).by_image(SR, HR).double(), value.mean((1, 2, 3)), rtol=1e-5, atol=0)


def test_the_orthonormal_spectrum_does_not_depend_on_the_side_of_the_patch():
    large, small = (torch.randn(1, 3, side, side, generator=GENERATOR) * 20 for side in (128, 32))
    by_norm = [
        [parse(f"fft:norm={norm}").by_image(noise, 0 * noise).item() for noise in (large, small)]
        for norm in ("ortho", "backward")
    ]
    assert by_norm[0][0] == pytest.approx(by_norm[0][1], rel=0.1)
    assert by_norm[1][0] == pytest.approx(4 * by_norm[1][1], rel=0.1)


def test_lpips_is_the_metric_and_has_a_finite_gradient_everywhere(alexnet):
    images = torch.cat([SR[:2].round(), torch.zeros(1, 3, 40, 33)]).requires_grad_()
    values = parse("lpips").by_image(images, HR.round())
    for value, sr, hr in zip(values, images, HR.round(), strict=True):
        pixels = [x.detach().permute(1, 2, 0).numpy().astype(np.uint8) for x in (sr, hr)]
        assert value.item() == pytest.approx(metrics.get("lpips").score(*pixels, 1, Protocol()), rel=1e-5)
    values.sum().backward()
    assert torch.isfinite(images.grad).all()
    assert images.grad.abs().sum((1, 2, 3)).min() > 0


@pytest.mark.parametrize("name", ["supervised", "paired", "unpaired"])
def test_a_weighted_sum_is_trained_and_its_parts_are_returned(name):
    rho = {"rho": 0.5, "unpaired": Data("photos/unpaired")} if name == "unpaired" else {}
    scheme = make_scheme(name, make_stage(scheme=name, loss={"l2": 0.5, "fft": 2, "l1": 0}, aux=0.25, **rho))
    batch = make_batch(2, 1 if rho else 0)
    values = scheme.losses(batch)
    outputs = scheme.run_model(batch.lr)
    by_hand = {}
    for spec in ("l2", "fft"):
        per_output = [
            parse(spec).by_image(out[:2], batch.pyramid[f]).sum() for out, f in zip(outputs, (4, 2, 1), strict=True)
        ]
        by_hand[spec] = (0.25 * (per_output[0] + per_output[1]) + per_output[2]) / len(batch.lr)
        torch.testing.assert_close(values[f"primary/{spec}"], by_hand[spec])
    torch.testing.assert_close(values["primary"], 0.5 * by_hand["l2"] + 2 * by_hand["fft"])
    torch.testing.assert_close(
        values["total"], values["primary"] + (0.1 * values["dual"] if name != "supervised" else 0)
    )
    assert "primary/l1" not in values


@pytest.mark.parametrize("loss", ["l1", "l2", "charbonnier", "fft", "l1+0.1*fft"])
def test_a_batch_without_pairs_has_no_primary_loss(loss):
    stage = make_stage(scheme="unpaired", rho=1.0, unpaired=Data("photos/unpaired"), loss=loss)
    values = make_scheme("unpaired", stage).step(make_batch(0, 2), 1e-4)
    assert values["primary"] == 0 < values["dual"]


@pytest.mark.parametrize("fields", [{"clip_norm": 0.5}, {"clip_value": 1e-3}])
@pytest.mark.parametrize("name", ["paired", "cyclegan", "dualgan"])
def test_gradients_of_every_network_are_clipped(name, fields):
    scheme = make_adversarial(name, **fields) if name != "paired" else make_scheme(name, make_stage(**fields))
    scheme.step(make_adversarial_batch() if name != "paired" else make_batch(2, 0), 1e-4)
    for optimiser in scheme.optimisers.values():
        gradient = torch.cat([p.grad.flatten() for group in optimiser.param_groups for p in group["params"]])
        size = gradient.norm() if "clip_norm" in fields else gradient.abs().max()
        assert 0 < size <= next(iter(fields.values())) * 1.0001


def test_adamw_is_that_of_pytorch_and_without_decay_adam():
    states = []
    for fields in ({}, {"optimiser": "adamw", "weight_decay": 0.0}, {"optimiser": "adamw"}):
        scheme = make_scheme("supervised", make_stage(scheme="supervised", **fields))
        before = {name: p.detach().clone() for name, p in scheme.model.named_parameters()}
        scheme.step(make_batch(2, 0), 1e-2)
        states.append(dict(scheme.model.named_parameters()))
    for name, adam in states[0].items():
        assert torch.equal(adam, states[1][name])
        decayed = adam - 1e-2 * 0.01 * before[name] if adam.requires_grad else adam
        torch.testing.assert_close(states[2][name], decayed, rtol=1e-5, atol=1e-7)


WEIGHTS = st.floats(1e-6, 1e6)
NAMES = st.sampled_from(["l1", "l2", "charbonnier", "charbonnier:eps=1e+1", "fft", "fft:norm=ortho", "lpips"])


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(NAMES, WEIGHTS, min_size=1))
def test_a_loss_as_text_says_what_the_dictionary_says(weights):
    assert loss_terms(loss_text(weights)) == weights
    backwards = dict(reversed(weights.items()))
    assert terms(loss_text(backwards)) == terms(loss_text(weights))
    assert Stage("s", data=Data("x"), steps=1, loss=weights).loss == loss_text(weights)


def test_a_loss_of_another_package_as_documented():
    exec(example("Adding a loss"), {})
    scheme = make_scheme("supervised", make_stage(scheme="supervised", loss="l1+0.1*huber:delta=2.0"))
    batch = make_batch(2, 0)
    assert {"primary/l1", "primary/huber:delta=2.0"} <= scheme.step(batch, 1e-4).keys()
    assert "huber" in losses.list()
    expected = torch.nn.functional.huber_loss(SR, HR, delta=2.0)
    assert parse("huber:delta=2.0").by_image(SR, HR).mean() == pytest.approx(expected.item(), rel=1e-5)


def test_a_scheme_with_losses_or_an_optimiser_of_its_own_refuses_others():
    for name, fields, message in (
        ("cyclegan", {"loss": "l2"}, r"s\.loss: scheme 'cyclegan' has losses of its own"),
        ("dualgan", {"optimiser": "adamw"}, r"s\.optimiser: scheme 'dualgan' has one of its own"),
    ):
        stage = Stage("s", scheme=name, data=Data("x"), unpaired=Data("x"), steps=1, **fields)
        with pytest.raises(UsageError, match=message):
            schemes.get(name).check(stage, "s", model=models.models.get("drn"), scale=2)
