"""D as an operator: one strided kernel, learned or known; a D of their own for unpaired images."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from drnbench import Data, Evaluate, Stage, Trial, models
from drnbench.degradations import parse
from drnbench.errors import ChangedError, UsageError
from drnbench.models import models as registry
from drnbench.models import operator
from drnbench.models.weights import dual_from_file, load_dual
from drnbench.planning.keys import Keys
from drnbench.schemes import schemes
from drnbench.schemes.base import Batch
from drnbench.store import Store
from drnbench.training.loop import train
from tests.helpers import same

LINEAR = [
    "bicubic", "nearest", "nearest:offset=zero", "bd", "gaussian:sigma=2.0", "gaussian:sigma=0.3", "bd:size=1",
    "anisotropic:sigma_x=2,sigma_y=0.7,angle=30", "gaussian:sigma=1,size=5,phase=zero",
]  # fmt: skip


def stage(scheme="unpaired", **fields):
    given = {"data": Data("photos/train"), "unpaired": Data("photos/unpaired", kernel="gaussian:sigma=2.0"), "rho": 0.5}
    return Stage("s", scheme=scheme, steps=20, patch=32, **{**given, **fields})


def build(declared, scale=2, method="drn"):
    torch.manual_seed(0)
    made = schemes.get(declared.scheme)(models.create(method, scale, n_blocks=1, n_feats=4), scale, declared)
    made.prepare(torch.device("cpu"))
    return made


def batch(pairs=2, unpaired=2, side=16, scale=2):
    hr = torch.rand(pairs + unpaired, 3, side * scale, side * scale, generator=torch.Generator().manual_seed(3)) * 255
    lr = torch.nn.functional.avg_pool2d(hr, scale)
    pyramid = {2**p: torch.nn.functional.avg_pool2d(hr[:pairs], 2**p) for p in reversed(range(scale.bit_length()))}
    return Batch(lr, pyramid, pairs)


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("spec", LINEAR)
def test_a_known_operator_is_the_degradation_before_rounding(spec, scale):
    hr = torch.randint(64, 192, (2, 3, 12 * scale, 14 * scale), generator=torch.Generator().manual_seed(0)).float()
    lr = operator.known(parse(spec), scale)(hr)
    assert lr.shape == (2, 3, 12, 14)
    inner = (..., slice(3, -3), slice(4, -4))  # bicubic mirrors at edges
    # Bicubic rounds after each of its passes.
    assert float((lr - parse(spec).degrade(hr, scale))[inner].abs().max()) <= (1.1 if spec == "bicubic" else 0.501)


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_a_learned_operator_begins_as_bicubic_and_keeps_levels(scale):
    network = operator.learned(scale)
    hr = torch.rand(1, 3, 12 * scale, 12 * scale) * 255
    assert torch.allclose(network(hr), operator.known(parse("bicubic"), scale)(hr), atol=1e-3)
    with torch.no_grad():
        network.weights.add_(torch.randn_like(network.weights))
    assert float(network.kernel().sum().detach()) == pytest.approx(1, abs=1e-5)
    assert torch.allclose(network(torch.full((1, 3, 8 * scale, 8 * scale), 90.0)), torch.tensor(90.0), atol=1e-2)


@pytest.mark.real
def test_a_learned_operator_recovers_the_kernel_of_true_pairs():
    network, kernel = operator.learned(2), operator.known(parse("gaussian:sigma=1.2"), 2)
    optimiser = torch.optim.Adam(network.parameters(), lr=2e-2)
    generator = torch.Generator().manual_seed(0)
    for _ in range(300):
        hr = torch.rand(4, 3, 32, 32, generator=generator) * 255
        loss = (network(hr) - kernel(hr)).abs().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert float(loss.detach()) < 0.5
    centre = slice(4 - 2, 4 + 2)
    assert float(network.kernel().detach()[centre, centre].min()) > 0.02


def test_the_gradient_reaches_the_network_through_a_known_operator_alone():
    made = build(stage(dual="known", lam=1.0))
    assert sorted(made.extra) == ["dual_known", "dual_known_unpaired"]
    assert sorted(made.optimisers) == ["model"]
    before = {name: value.clone() for name, value in made.extra.state_dict().items()}
    losses = [made.step(batch(), 1e-3)["total"].item() for _ in range(10)]
    assert losses[-1] < losses[0]
    assert same(made.extra.state_dict(), before)


def test_pairs_and_unpaired_images_have_the_operators_of_their_degradations():
    made = build(stage(dual="known", data=Data("photos/train", kernel="bicubic")))
    hr = torch.rand(1, 3, 32, 32) * 255
    for name, spec in (("dual_known", "bicubic"), ("dual_known_unpaired", "gaussian:sigma=2.0")):
        assert torch.equal(made.degrade(hr, name), operator.known(parse(spec), 2)(hr))
    given = build(stage(dual="known", dual_kernel="bd", unpaired_dual_kernel="nearest"))
    for name, spec in (("dual_known", "bd"), ("dual_known_unpaired", "nearest")):
        assert torch.equal(given.degrade(hr, name), operator.known(parse(spec), 2)(hr))


@pytest.mark.parametrize(
    ("scheme", "rho", "weights"),
    [("unpaired", 0.5, (None, 0.3)), ("unpaired", 0.0, (None, 3.0)), ("paired", 0.0, (None, 3.0))],
)
def test_stages_of_one_key_have_the_same_bits_at_any_weight_of_unpaired_images(scheme, rho, weights, tmp_path):
    keys, states = [], []
    for weight in weights:
        declared = stage(scheme, rho=rho, lam=0.3, unpaired_lam=weight, data=Data("photos/train", crop=32), holdout=0)
        trial = Trial(method="drn", model={"n_blocks": 1, "n_feats": 4}, scale=2, stages=[declared],
                      evaluate=[Evaluate("photos/test")])  # fmt: skip
        keys.append(Keys(tmp_path).stages(trial, "s")[0].key)
        made = build(declared)
        losses = [made.step(batch(3, 4 if rho else 0), 1e-3)["total"] for _ in range(3)]
        states.append({"loss": torch.stack(losses), **made.model.state_dict()})
    assert keys[0] == keys[1]
    assert same(*states)


def test_another_kind_of_d_for_unpaired_images():
    made = build(stage(dual="chain", unpaired_dual="linear"))
    assert sorted(made.extra) == ["dual", "dual_linear_unpaired"]
    assert sorted(made.optimisers) == ["dual", "dual_linear_unpaired", "model"]
    losses = [made.step(batch(), 1e-3)["total"].item() for _ in range(10)]
    assert losses[-1] < losses[0]


def test_a_known_operator_is_not_taken_from_the_stage_before():
    first = build(stage(dual="known", unpaired_dual_kernel="gaussian:sigma=1.0"))
    second = build(stage(dual="known", unpaired_dual_kernel="gaussian:sigma=1.05"))
    expected = {name: value.clone() for name, value in second.extra.state_dict().items()}
    assert second.load_networks(first.state_dict()) == []
    assert same(second.extra.state_dict(), expected)


def test_the_border_leaves_edge_pixels_out_of_the_dual_term():
    plain, cut = build(stage(dual="known")), build(stage(dual="known", dual_border=3))
    changed = batch()
    changed.lr[2:, :, :3] += 40  # targets of unpaired images near an edge
    with torch.no_grad():
        outputs = plain.run_model(batch().lr)
        for made, equal in ((plain, False), (cut, True)):
            terms = [float(made._dual_on_unpaired(outputs, images)) for images in (batch(), changed)]
            assert (terms[0] == terms[1]) is equal


@pytest.mark.parametrize("kind", ["linear", "single", "chain"])
def test_each_d_has_its_own_file(kind, tmp_path):
    files = {}
    for name, seed in (("pairs", 1), ("unpaired", 2)):
        torch.manual_seed(seed)
        made = schemes.get("unpaired")(
            models.create("drn", 2, n_blocks=1, n_feats=4), 2, stage(dual=kind, unpaired_dual=kind)
        )
        with torch.no_grad():
            for parameter in made.extra.parameters():
                parameter.add_(seed)
        files[name] = tmp_path / f"{name}.pt"
        torch.save(
            {"model": made.model.state_dict(), "extra": {made.dual_name: made.extra[made.dual_name].state_dict()}},
            files[name],
        )
    declared = stage(
        dual=kind, unpaired_dual=kind, dual_weights=str(files["pairs"]), unpaired_dual_weights=str(files["unpaired"]),
        unpaired_dual_frozen=True,
    )  # fmt: skip
    made = build(declared)
    for name, path in made.weight_files().items():
        load_dual(made.extra[name], path)
    hr = torch.rand(1, 3, 32, 32) * 255
    from drnbench.models.dual import Chain

    for name, file in ((made.dual_name, "pairs"), (made.unpaired_name, "unpaired")):
        expected = Chain(dual_from_file(files[file], 2))(hr)
        assert torch.allclose(made.degrade(hr, name), expected, atol=1e-3)
    assert all(not parameter.requires_grad for parameter in made.extra[made.unpaired_name].parameters())
    assert all(parameter.requires_grad for parameter in made.extra[made.dual_name].parameters())


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"dual": "known", "dual_kernel": "random"}, "s.dual_kernel: a known D needs a kernel that states its weights"),
        (
            {"unpaired_dual": "known", "unpaired": Data("frames", kernel="real")},
            "s.unpaired_dual_kernel: a known D needs",
        ),
        ({"dual": "known", "dual_kernel": "gauss"}, "s.dual_kernel: unknown kernel 'gauss'"),
        ({"dual_border": 8}, "s.dual_border: 8 LR pixels at each edge leave nothing of a patch of 16"),
        ({"unpaired_dual_frozen": True}, "no D of their own; set unpaired_dual"),
        ({"unpaired_dual": "linear", "unpaired_dual_frozen": True}, "the D of unpaired images would stay as it was"),
        ({"scheme": "dual-fit", "dual": "known"}, "s.dual: a known D has nothing to fit"),
    ],
)
def test_what_cannot_be_trained_is_refused(fields, message):
    declared = stage(**fields)
    scheme = schemes.get(declared.scheme)
    with pytest.raises(UsageError) as caught:
        scheme.check(declared, "s", model=registry.get("drn"), scale=2)
        scheme.check_start(declared, "s", None)
    assert message in str(caught.value)


def test_a_d_that_was_fitted_before_may_be_frozen():
    fitted = stage(scheme="dual-fit", dual="linear")
    frozen = stage(dual="chain", unpaired_dual="linear", unpaired_dual_frozen=True)
    schemes.get("unpaired").check_start(frozen, "s", fitted)
    made, before = build(frozen), build(fitted)
    with torch.no_grad():
        before.extra["dual_linear"].weights.mul_(2).add_(0.1)
    made.load_networks(before.state_dict())
    assert torch.equal(made.extra["dual_linear_unpaired"].weights, before.extra["dual_linear"].weights)


def test_the_file_of_a_known_d_that_changes_after_the_plan_stops_the_stage(tmp_path):
    path = tmp_path / "k.npy"
    np.save(path, np.ones((4, 4)))
    spec = f"file:path={path}"
    declared = stage(dual="known", unpaired_dual_kernel=spec, rho=0.5, data=Data("photos/train", crop=32), holdout=0,
                     unpaired=Data("photos/unpaired", kernel="bd", crop=32), batch=2, validations=0)  # fmt: skip
    trial = Trial(method="drn", model={"n_blocks": 1, "n_feats": 2}, scale=2, stages=[declared],
                  evaluate=[Evaluate("photos/test")])  # fmt: skip
    store = Store(tmp_path / "r")
    (unit,) = Keys(store.cache).stages(trial, "here")
    assert spec in unit.kernel_digests
    np.save(path, np.eye(4) + 1)
    with pytest.raises(ChangedError, match="changed since the plan was made"):
        train(unit, store, torch.device("cpu"), print, lambda: False)
