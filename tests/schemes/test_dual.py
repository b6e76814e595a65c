"""Dual regression against the authors' training steps, and the readings of Eq. 2 by hand."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from drnbench import models
from drnbench.config.trial import Data, Stage
from drnbench.schemes import schemes
from drnbench.schemes.base import Batch, parts


def make_stage(**fields):
    return Stage("s", data=Data("photos/train"), **{"steps": 1, "scheme": "paired", **fields})


def make_scheme(name, stage, scale=4, n_feats=4):
    torch.manual_seed(0)
    scheme = schemes.get(name)(models.create("drn", scale, n_blocks=1, n_feats=n_feats), scale, stage)
    scheme.prepare(torch.device("cpu"))
    return scheme


def make_batch(n_pairs, n_unpaired, scale=4, side=32):
    generator = torch.Generator().manual_seed(1)
    factors = [2**k for k in range(scale.bit_length() - 1, -1, -1)]
    pyramid = {f: torch.rand(n_pairs, 3, side // f, side // f, generator=generator) * 255 for f in factors}
    others = torch.rand(n_unpaired, 3, side // scale, side // scale, generator=generator) * 255
    return Batch(torch.cat([pyramid[scale], others]), pyramid, n_pairs)


def test_six_training_steps_equal_the_authors(golden):
    reference = torch.load(golden / "drn_x4_paired.pt", weights_only=True)
    config = reference["config"]
    stage = make_stage(lam=config["dual_weight"], lr=config["lr"], betas=tuple(config["betas"]), eps=config["eps"],
                       dual_feats=config["n_feats"])  # fmt: skip
    scheme = make_scheme("paired", stage, n_feats=config["n_feats"])
    scheme.model.load_state_dict(reference["state_dict"])
    for dual, state in zip(scheme.extra["dual"], reference["dual_state_dicts"], strict=True):
        dual.load_state_dict(state)
    for batch, losses in zip(reference["batches"], reference["losses"], strict=True):
        pyramid = {4: batch["lr"][0].float(), 2: batch["lr"][1].float(), 1: batch["hr"].float()}
        actual = scheme.step(Batch(pyramid[4], pyramid, len(pyramid[4])), config["lr"])
        for name, expected in losses.items():
            assert actual[name].item() == pytest.approx(expected, rel=1e-4)
    finals = [reference["final_state_dict"], *reference["final_dual_state_dicts"]]
    for actual, expected in zip([scheme.model, *scheme.extra["dual"]], finals, strict=True):
        for name, value in actual.state_dict().items():
            assert (value - expected[name]).abs().max() < 1e-5


def by_hand(scheme, batch, reading):
    """Eq. 2 written out with PyTorch's own losses."""
    n, x = batch.n_pairs, batch.lr
    sr1, sr2, sr4 = scheme.model(x)
    size = len(x)
    primary = dual = torch.zeros(())
    d = scheme.extra["dual_single"] if reading == "single" else scheme.extra["dual"]
    if n:
        primary = (
            sum(F.l1_loss(o[:n], batch.pyramid[f]) for o, f in zip((sr1, sr2, sr4), (4, 2, 1), strict=True)) * n / size
        )
        if reading == "single":
            dual = dual + F.l1_loss(d(sr4[:n]), x[:n]) * n / size
        else:
            dual = dual + (F.l1_loss(d[0](sr2[:n]), x[:n]) + F.l1_loss(d[1](sr4[:n]), batch.pyramid[2])) * n / size
    if n < size:
        back = {"level": lambda: d[0](sr2[n:]), "chain": lambda: d[0](d[1](sr4[n:])), "single": lambda: d(sr4[n:])}[
            reading
        ]()
        dual = dual + F.l1_loss(back, x[n:]) * (size - n) / size
    return primary, dual


@pytest.mark.parametrize("reading", ["level", "chain", "single"])
@pytest.mark.parametrize("pairs", [0, 1, 3])
def test_eq_2_equals_a_hand_written_one(reading, pairs):
    scheme = make_scheme(
        "unpaired", make_stage(scheme="unpaired", rho=0.5, lam=0.7, dual=reading, unpaired=Data("photos/unpaired"))
    )
    batch = make_batch(pairs, 3 - pairs)
    losses = scheme.losses(batch)
    primary, dual = (x.item() for x in by_hand(scheme, batch, reading))
    assert losses["primary"].item() == pytest.approx(primary, rel=1e-5)
    assert losses["dual"].item() == pytest.approx(dual, rel=1e-5)
    assert losses["total"].item() == pytest.approx(primary + 0.7 * dual, rel=1e-5)


@pytest.mark.parametrize("reading", ["level", "chain", "single", "linear"])
@pytest.mark.parametrize(("pairs", "count"), [(3, 1), (1, 2), (2, 4)])
def test_unpaired_patches_of_another_size_have_the_same_loss(reading, pairs, count):
    scheme = make_scheme("unpaired", make_stage(scheme="unpaired", rho=0.5, dual=reading))
    together = make_batch(pairs, 4 - pairs)
    # The same images beside the pairs: what a patch of another size changes is the size alone.
    apart = replace(together, lr=together.lr[:pairs], others=together.lr[pairs:])
    expected = scheme.losses(together)
    for name, value in scheme.losses(apart).items():
        assert value.item() == pytest.approx(expected[name].item(), rel=1e-5)
    larger = replace(apart, others=torch.rand(4 - pairs, 3, 12, 12) * 255)
    whole, sums = scheme.losses(larger), {}
    for part, share in parts(larger, count):
        for name, value in scheme.losses(part).items():
            sums[name] = sums.get(name, 0) + share * value.item()
    assert sums == pytest.approx({name: value.item() for name, value in whole.items()}, rel=1e-4)


def test_level_leaves_the_upper_layers_without_gradient_and_chain_does_not():
    for reading, touched in (("level", False), ("chain", True), ("single", True)):
        scheme = make_scheme(
            "unpaired", make_stage(scheme="unpaired", rho=1.0, dual=reading, unpaired=Data("photos/unpaired"))
        )
        scheme.losses(make_batch(0, 2))["total"].backward()
        gradient = scheme.model.tail[2].weight.grad
        assert bool(gradient is not None and gradient.abs().sum() > 0) is touched


def test_unpaired_with_rho_0_is_paired():
    batch = make_batch(3, 0)
    a = make_scheme("paired", make_stage(lam=0.3)).losses(batch)
    b = make_scheme("unpaired", make_stage(scheme="unpaired", lam=0.3)).losses(batch)
    assert {k: v.item() for k, v in a.items()} == {k: v.item() for k, v in b.items()}


def test_lambda_0_still_leaves_the_primal_gradient_of_supervised():
    batch = make_batch(2, 0)
    grads = []
    for name in ("supervised", "paired"):
        scheme = make_scheme(name, make_stage(scheme=name, lam=0.0))
        scheme.losses(batch)["total"].backward()
        grads.append(torch.cat([p.grad.flatten() for p in scheme.model.parameters()]))
    assert torch.allclose(grads[0], grads[1])


def test_twenty_steps_lower_the_loss_under_every_scheme():
    for name in ("supervised", "paired", "unpaired"):
        scheme = make_scheme(name, make_stage(scheme=name))
        batch = make_batch(2, 0)
        losses = [scheme.step(batch, 1e-3)["primary"].item() for _ in range(20)]
        assert losses[-1] < losses[0]


def test_state_round_trips_through_a_file(tmp_path):
    stage, batch = make_stage(), make_batch(2, 0)
    scheme = make_scheme("paired", stage)
    scheme.step(batch, 1e-3)
    torch.save(scheme.state_dict(), tmp_path / "s.pt")
    other = make_scheme("paired", stage)
    other.load_state_dict(torch.load(tmp_path / "s.pt", weights_only=True))
    assert scheme.step(batch, 1e-3)["total"] == other.step(batch, 1e-3)["total"]
    assert scheme.step(batch, 1e-3)["total"] == other.step(batch, 1e-3)["total"]


def test_bf16_runs_and_stays_near_fp32():
    batch = make_batch(2, 0)
    exact, rough = (make_scheme("paired", make_stage(precision=p)).losses(batch)["total"] for p in ("fp32", "bf16"))
    assert rough.dtype == torch.float32
    assert rough.item() == pytest.approx(exact.item(), rel=0.02)
    assert rough.item() != exact.item()


@pytest.mark.parametrize("dual", ["chain", "single"])
def test_d_is_computed_in_fp32_under_bf16(dual):
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 255
    exact, rough = (make_scheme("paired", make_stage(precision=p, dual=dual)).degrade(images) for p in ("fp32", "bf16"))
    assert torch.equal(exact, rough)


def test_hr_constraint_adds_its_term_and_trains_both_networks():
    batch = make_batch(2, 1)
    scheme = make_scheme("unpaired", make_stage(scheme="unpaired", rho=0.5, hr_lam=0.5))
    losses = scheme.losses(batch)
    y, d = batch.pyramid[1], scheme.extra["dual"]
    again = F.l1_loss(scheme.model(d[0](d[1](y)))[-1], y) * 2 / 3
    assert losses["hr_dual"].item() == pytest.approx(again.item(), rel=1e-5)
    expected = losses["primary"] + 0.1 * losses["dual"] + 0.5 * losses["hr_dual"]
    assert losses["total"].item() == pytest.approx(expected.item(), rel=1e-6)
    assert "hr_dual" not in make_scheme("paired", make_stage()).losses(batch)


def test_auxiliary_outputs_are_weighted_and_sr_is_not():
    batch = make_batch(2, 0)
    by_weight = {
        aux: make_scheme("supervised", make_stage(aux=aux)).losses(batch)["primary"].item() for aux in (0.0, 0.5, 1.0)
    }
    sr = make_scheme("supervised", make_stage()).model(batch.lr)[-1]
    assert by_weight[0.0] == pytest.approx(F.l1_loss(sr, batch.pyramid[1]).item(), rel=1e-5)
    assert by_weight[0.5] == pytest.approx((by_weight[0.0] + by_weight[1.0]) / 2, rel=1e-5)


def test_a_frozen_dual_stays_and_still_teaches_the_model():
    batch = make_batch(2, 0)
    scheme = make_scheme("paired", make_stage(dual_frozen=True, lam=10.0))
    before = [p.clone() for p in scheme.extra["dual"].parameters()]
    free = [p.clone() for p in scheme.model.parameters()]
    scheme.step(batch, 1e-3)
    assert all(torch.equal(a, b) for a, b in zip(before, scheme.extra["dual"].parameters(), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(free, scheme.model.parameters(), strict=True))
    assert set(scheme.optimisers) == {"model"}


def test_the_unpaired_domain_may_have_a_dual_of_its_own():
    stage = make_stage(scheme="unpaired", rho=0.5, dual_of="own")
    first = make_scheme("paired", make_stage())
    scheme = make_scheme("unpaired", stage)
    fresh = scheme.load_networks({**first.state_dict()})
    assert fresh == ["dual_unpaired"]
    for name in ("dual", "dual_unpaired"):  # both start from the one that is there
        assert all(
            torch.equal(a, b)
            for a, b in zip(first.extra["dual"].parameters(), scheme.extra[name].parameters(), strict=True)
        )
    only_unpaired = make_batch(0, 2)
    scheme.losses(only_unpaired)["total"].backward()
    assert all(p.grad is None or not p.grad.any() for p in scheme.extra["dual"].parameters())
    assert any(p.grad.any() for p in scheme.extra["dual_unpaired"].parameters())


def test_unpaired_counts_follow_rho_exactly():
    stage = make_stage(scheme="unpaired", rho=0.3, batch=4)
    mixes = [schemes.get("unpaired").mix(stage, step) for step in range(10)]
    assert sum(m.unpaired for m in mixes) == 12
    assert all(m.pairs + m.unpaired == 4 and m.hr == 0 for m in mixes)
