"""Unpaired adversarial schemes: losses by hand, the pool, who gets whose gradient, bit-exact resuming, refusals."""

import copy
import itertools

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from drnbench import models
from drnbench.config.trial import Data, Stage
from drnbench.data.sampling import uniforms
from drnbench.degradations.resize import downsample
from drnbench.errors import UsageError
from drnbench.models import models as registry
from drnbench.schemes import schemes
from drnbench.schemes.adversarial import DiscriminatorInput, ImagePool, total_variation
from drnbench.schemes.base import Batch, Mix

NAMES = ["cyclegan", "dualgan", "cincgan"]
TINY = {"d_feats": 2, "f_blocks": 1, "f_feats": 4}


@pytest.fixture(autouse=True)
def _as_in_a_stage():
    mode, threads = torch.get_deterministic_debug_mode(), torch.get_num_threads()
    torch.set_deterministic_debug_mode("error")
    torch.set_num_threads(1)  # tiny convolutions wait for each other where cores are shared
    yield
    torch.set_deterministic_debug_mode(mode)
    torch.set_num_threads(threads)


def make_stage(name, *, options=None, **fields):
    fields = {"unpaired": Data("photos/unpaired"), "patch": 16, "steps": 6, "batch": 3, **fields}
    return Stage("s", scheme=name, data=Data("photos/train"), options={**TINY, **(options or {})}, **fields)


def make_scheme(name, *, model=None, moved=True, **fields):
    torch.manual_seed(0)
    method = "cincgan" if name == "cincgan" else "cyclegan"
    model = model or models.create(method, 2, n_blocks=1, n_feats=4)
    scheme = schemes.get(name)(model, 2, make_stage(name, **fields))
    scheme.prepare(torch.device("cpu"))
    if moved:  # generators begin as a resize; by hand only what is not zero tells one loss from another
        for net in (scheme.model, *scheme.extra.values()):
            for p in net.parameters():
                p.data += 0.01 * torch.randn_like(p)
    return scheme


def make_batch(step=0, n=3):
    generator = torch.Generator().manual_seed(step)
    lr, hr = (torch.rand(n, 3, side, side, generator=generator) * 255 for side in (8, 16))
    return Batch(lr, {}, 0, hr, lambda purpose, shape: uniforms(0, purpose, step, shape))


def weights(scheme):
    nets = {"model": scheme.model, **scheme.extra}
    return {f"{k}.{n}": v.clone() for k, net in nets.items() for n, v in net.state_dict().items()}


def half(a, b):
    return F.l1_loss(a / 127.5, b / 127.5)


def lsgan(scores, target):
    return F.mse_loss(scores, torch.full_like(scores, target))


@pytest.mark.real
def test_cyclegan_equals_a_hand_written_one():
    scheme = make_scheme("cyclegan", options={"gan": 0.7, "cycle": 3.0, "identity": 2.0, "tv": 0.4})
    batch, x, y = make_batch(), make_batch().lr, make_batch().hr
    g, f = (lambda image: scheme.model(image)[0]), scheme.extra["f"]
    d_hr, d_lr = scheme.extra["d_hr"], scheme.extra["d_lr"]
    small = downsample(y, 2, quantize=True)
    expected = {
        "gan_g": lsgan(d_hr(g(x)), 1.0),
        "gan_f": lsgan(d_lr(f(y)), 1.0),
        "cycle_x": half(f(g(x)), x),
        "cycle_y": half(g(f(y)), y),
        "identity": half(g(small), y),
        "tv": total_variation(g(x)),
    }
    factors = (0.7, 0.7, 3.0, 3.0, 2.0, 0.4)
    expected["total"] = sum(factor * loss for factor, loss in zip(factors, expected.values(), strict=True))
    expected["primary"] = F.l1_loss(g(small), y)
    judged = {
        "d_hr": (lsgan(d_hr(y), 1.0) + lsgan(d_hr(g(x)), 0.0)) / 2,
        "d_lr": (lsgan(d_lr(x), 1.0) + lsgan(d_lr(f(y)), 0.0)) / 2,
    }
    losses = scheme.losses(batch)
    assert {k: v.item() for k, v in losses.items()} == pytest.approx({k: v.item() for k, v in expected.items()})
    stepped = scheme.step(batch, 1e-3)
    assert stepped["d_hr"].item() == pytest.approx(judged["d_hr"].item())
    assert stepped["d_lr"].item() == pytest.approx(judged["d_lr"].item())


def test_cyclegan_has_its_authors_weights_and_no_tv_of_its_own():
    losses = {k: v.item() for k, v in make_scheme("cyclegan").losses(make_batch()).items()}
    total = losses["gan_g"] + losses["gan_f"] + 10 * (losses["cycle_x"] + losses["cycle_y"]) + 5 * losses["identity"]
    assert losses["total"] == pytest.approx(total)
    assert "tv" not in losses


def test_dualgan_equals_a_hand_written_one():
    scheme = make_scheme("dualgan")
    x, y = make_batch().lr, make_batch().hr
    g, f = (lambda image: scheme.model(image)[0]), scheme.extra["f"]
    losses = {k: v.item() for k, v in scheme.losses(make_batch()).items()}
    gan_g, gan_f = (-scheme.extra[d](fake).mean().item() for d, fake in (("d_hr", g(x)), ("d_lr", f(y))))
    cycle = (half(f(g(x)), x) + half(g(f(y)), y)).item()
    assert losses["gan_g"] == pytest.approx(gan_g)
    assert losses["total"] == pytest.approx(gan_g + gan_f + 500 * cycle)
    assert losses["primary"] == pytest.approx(127.5 * cycle)


def test_cincgan_equals_a_hand_written_one():
    scheme = make_scheme("cincgan")
    x, y = make_batch().lr, make_batch().hr
    small = downsample(y, 2, quantize=True)
    clean, sr = scheme.model.clean(x)[0], scheme.model(x)[0]
    g2, g3 = scheme.extra["g2"], scheme.extra["g3"]
    expected = (
        lsgan(scheme.extra["d_lr"](clean), 1.0) + 10 * half(g2(clean), x)
        + 5 * half(scheme.model.clean(small)[0], small) + 0.5 * total_variation(clean)
        + lsgan(scheme.extra["d_hr"](sr), 1.0) + 10 * half(g3(sr), x)
        + 5 * half(scheme.model.enlarge(small)[0], y) + 2 * total_variation(sr)
    )  # fmt: skip
    losses, shown = scheme.generate(make_batch())
    assert losses["total"].item() == pytest.approx(expected.item())
    assert torch.equal(shown["lr"].real, small)  # clean LR images are those of the HR patches
    assert torch.equal(shown["hr"].real, y)


class Plane(nn.Module):
    """A critic with the same gradient everywhere, of the given length in half ranges."""

    def __init__(self, length):
        super().__init__()
        self.direction = nn.Parameter(length * F.normalize(torch.ones(3 * 16 * 16), dim=0).view(1, 3, 16, 16))

    def forward(self, image):
        return ((image / 127.5 - 1) * self.direction).sum((1, 2, 3), keepdim=True)


@pytest.mark.parametrize("length", [0.0, 1.0, 3.0])
def test_the_gradient_penalty_is_zero_at_length_one(length):
    scheme = make_scheme("dualgan")
    scheme.extra["d_hr"] = Plane(length)
    shown = DiscriminatorInput(make_batch(0).hr, make_batch(1).hr)
    penalty = scheme.penalty("hr", shown, torch.full((3, 1, 1, 1), 0.3))
    assert penalty.item() == pytest.approx((length - 1) ** 2, abs=1e-5)
    penalty.backward()
    assert torch.isfinite(scheme.extra["d_hr"].direction.grad).all()


def test_a_critic_makes_the_configured_number_of_steps():
    moved = []
    for critic in (1, 3):
        scheme = make_scheme("dualgan", options={"critic": critic})
        scheme.step(make_batch(), 1e-3)
        steps = scheme.optimisers["d_hr"].state_dict()["state"][0]["step"]
        moved.append((int(steps), int(scheme.optimisers["model"].state_dict()["state"][0]["step"])))
    assert moved == [(1, 1), (3, 1)]
    assert isinstance(scheme.optimisers["model"], torch.optim.RMSprop)


@pytest.mark.parametrize("name", NAMES)
def test_the_operations_of_a_step_can_be_counted(name):
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        counted = make_scheme(name).step(make_batch(), 1e-3)
    assert counter.get_total_flops() > 0
    assert counted == make_scheme(name).step(make_batch(), 1e-3)


def test_total_variation_by_hand():
    image = 127.5 * torch.tensor([[0.0, 1.0], [3.0, 3.0]]).view(1, 1, 2, 2)
    assert total_variation(image).item() == pytest.approx((9 + 4) / 2 + (1 + 0) / 2)


def images(*values):
    return torch.tensor(values, dtype=torch.float32).view(-1, 1, 1, 1)


def test_the_pool_fills_and_then_exchanges_half():
    pool = ImagePool(2)
    never, first, second = (0.5, 0.0), (0.49, 0.49), (0.0, 0.5)
    assert pool.exchange(images(1, 2, 3), np.array([first, first, never])).flatten().tolist() == [1, 2, 3]
    assert pool.exchange(images(4), np.array([second])).item() == 2
    assert pool.exchange(images(5, 6), np.array([first, second])).flatten().tolist() == [1, 4]
    assert [image.item() for image in pool.images] == [5, 6]


def test_a_pool_of_size_0_returns_the_new_images():
    pool = ImagePool(0)
    assert pool.exchange(images(1, 2), np.zeros((2, 2))).flatten().tolist() == [1, 2]
    assert pool.images == []


@pytest.mark.parametrize("name", NAMES)
def test_discriminators_get_no_gradient_from_the_generators_step(name):
    scheme = make_scheme(name)
    seen = {}

    def look(domain, shown, batch):
        network = scheme.extra[f"d_{domain}"]
        seen[domain] = [p.grad for p in network.parameters()]
        assert all(p.requires_grad for p in network.parameters())
        assert not shown.fake.requires_grad
        return torch.zeros(())

    scheme.train_discriminator = look
    before = weights(scheme)
    scheme.step(make_batch(), 1e-3)
    changed = {key.split(".")[0] for key, value in weights(scheme).items() if not torch.equal(value, before[key])}
    assert changed == {"model", *scheme.extra} - {"d_hr", "d_lr"}
    assert seen.keys() == {"hr", "lr"}
    assert all(g is None for grads in seen.values() for g in grads)


@pytest.mark.parametrize("name", NAMES)
def test_generators_get_no_gradient_from_the_discriminators(name):
    scheme = make_scheme(name)
    alone = copy.deepcopy(scheme)
    scheme.step(make_batch(), 1e-3)
    alone.losses(make_batch())["total"].backward()
    for parameter, expected in zip(scheme.model.parameters(), alone.model.parameters(), strict=True):
        assert torch.equal(parameter.grad, expected.grad)
    assert all(p.grad is not None for d in ("d_hr", "d_lr") for p in scheme.extra[d].parameters())


@pytest.mark.parametrize("name", NAMES)
def test_resumed_training_is_the_same_to_the_bit(name, tmp_path):
    options = {"pool": 4, **({"critic": 2} if name == "dualgan" else {})}
    whole, first, second = (make_scheme(name, options=options) for _ in range(3))
    losses = [whole.step(make_batch(k), 1e-3) for k in range(6)]
    for k in range(3):
        first.step(make_batch(k), 1e-3)
    torch.save(first.state_dict(), tmp_path / "s.pt")
    second.load_state_dict(torch.load(tmp_path / "s.pt", weights_only=True))
    again = [second.step(make_batch(k), 1e-3) for k in range(3, 6)]
    assert again == losses[3:]
    for a, b in itertools.zip_longest(weights(whole).items(), weights(second).items()):
        assert a[0] == b[0]
        assert torch.equal(a[1], b[1])
    for domain in ("hr", "lr"):
        pools = [torch.stack(scheme.pools[domain].images) for scheme in (whole, second)]
        assert torch.equal(*pools)


def test_without_its_pool_a_resumed_stage_would_differ(tmp_path):
    whole, second = (make_scheme("cyclegan", options={"pool": 4}) for _ in range(2))
    for k in range(3):
        whole.step(make_batch(k), 1e-3)
    second.load_state_dict({**copy.deepcopy(whole.state_dict()), "pools": {}})
    a, b = (scheme.step(make_batch(3), 1e-3) for scheme in (whole, second))
    assert (a["d_hr"], a["d_lr"]) != (b["d_hr"], b["d_lr"])
    assert a["total"] == b["total"]


@pytest.mark.parametrize("name", NAMES)
def test_twenty_steps_lower_the_reconstruction(name):
    scheme, batch = make_scheme(name, moved=False), make_batch(n=2)
    losses = [scheme.step(batch, 1e-3) for _ in range(20)]
    assert losses[-1]["primary"] < losses[0]["primary"]
    assert all(torch.isfinite(value) for step in losses for value in step.values())


@pytest.mark.parametrize("name", ["cyclegan", "dualgan"])
def test_any_model_can_be_the_generator(name):
    scheme = make_scheme(name, model=models.create("drn", 2, n_blocks=1, n_feats=4), moved=False)
    batch = make_batch(n=2)
    losses = [scheme.step(batch, 1e-3)["primary"].item() for _ in range(20)]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("name", NAMES)
def test_a_stage_starts_from_networks_of_another(name):
    scheme, fresh = make_scheme(name), make_scheme(name, options={"d_feats": 3})
    taken = fresh.load_networks(scheme.state_dict())
    assert sorted(taken) == ["d_hr", "d_lr"]  # of another width
    assert all(torch.equal(v, weights(scheme)[k]) for k, v in weights(fresh).items() if not k.startswith("d_"))
    pretrained = {"model": scheme.model.state_dict(), "extra": {"dual_single": {}}}  # as a paired stage leaves it
    assert sorted(fresh.load_networks(pretrained)) == sorted(fresh.extra)


def own_model(name):
    return registry.get("cincgan" if name == "cincgan" else "cyclegan")


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_has_no_pairs_and_the_key_has_the_unpaired_images(name):
    kind, stage = schemes.get(name), make_stage(name)
    assert kind.mix(stage, 5) == Mix(0, 3, 3)
    assert kind.uses(stage) == {"unpaired"}
    kind.check(stage, "here", model=own_model(name), scale=4)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"unpaired": None}, "needs unpaired=Data"),
        ({"options": {"gann": 1.0}}, "gann"),
        ({"options": {"cycle": -1.0}}, "cycle"),
        ({"options": {"pool": 2.5}}, "pool"),
        ({"options": {"d_feats": 0}}, "d_feats"),
        ({"patch": 12}, "leaves 3 LR pixels at scale 4"),
    ],
)
def test_wrong_stages_are_refused(name, fields, message):
    with pytest.raises(UsageError, match=message):
        schemes.get(name).check(make_stage(name, **fields), "here", model=own_model(name), scale=4)


def test_cincgan_trains_its_own_model_alone():
    with pytest.raises(UsageError, match="trains the two parts of method 'cincgan', and not 'edsr'"):
        schemes.get("cincgan").check(make_stage("cincgan"), "here", model=registry.get("edsr"), scale=4)


@pytest.mark.parametrize("name", NAMES)
def test_bf16_runs_and_stays_near_fp32(name):
    exact, rough = (make_scheme(name, precision=p).step(make_batch(), 1e-3)["total"] for p in ("fp32", "bf16"))
    assert rough.dtype == torch.float32
    assert rough.item() == pytest.approx(exact.item(), rel=0.05)
    assert rough.item() != exact.item()


@pytest.mark.parametrize("name", NAMES)
def test_the_sigmoid_loss_is_binary_cross_entropy(name):
    scheme = make_scheme(name, options={"sigmoid": True, "pool": 0})
    batch = make_batch()
    inputs = scheme.generate(batch)[1]
    domain, images = next(iter(inputs.items()))
    score, real = (scheme.judge(domain, image.detach()) for image in (images.fake, images.real))

    def entropy(scores, target):
        return F.binary_cross_entropy_with_logits(scores, torch.full_like(scores, target))

    assert torch.allclose(scheme.generator_loss(domain, images.fake), entropy(score, 1.0))
    trained = scheme.step(batch, 0.0)
    assert torch.allclose(trained[f"d_{domain}"], 0.5 * (entropy(real, 1.0) + entropy(score, 0.0)), atol=1e-6)


def test_two_generator_steps_are_two_on_the_same_images():
    once, twice = (make_scheme("cyclegan", options={"g_steps": n, "pool": 0}) for n in (1, 2))
    once.step(make_batch(), 1e-3)
    first = copy.deepcopy(once.model.state_dict())
    twice.step(make_batch(), 1e-3)
    assert [int(s["step"]) for s in twice.optimisers["model"].state_dict()["state"].values()] == [2] * len(
        list(twice.model.parameters())
    )
    assert {int(s["step"]) for s in twice.optimisers["d_hr"].state_dict()["state"].values()} == {1}
    assert not all(torch.equal(a, b) for a, b in zip(first.values(), twice.model.state_dict().values(), strict=True))


def test_normal_initialisation_is_that_of_the_authors():
    scheme = make_scheme("cyclegan", options={"init": "normal", "d_feats": 32}, moved=False)
    convolutions = [p for net in (scheme.model, scheme.extra) for p in net.parameters() if p.ndim > 1]
    values = torch.cat([p.detach().flatten() for p in convolutions])
    assert float(values.std()) == pytest.approx(0.02, rel=0.05)
    assert not any(p.any() for net in (scheme.model, scheme.extra) for p in net.parameters() if p.ndim == 1)


@pytest.mark.parametrize(("method", "frozen"), [("drn", False), ("edsr", True)])
def test_normal_initialisation_leaves_mean_shifts_slopes_and_frozen_weights(method, frozen):
    class Wrapped(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = models.create(method, 2, n_blocks=1, n_feats=4)
            self.up = nn.Sequential(nn.PReLU(), nn.ConvTranspose2d(3, 3, 1), nn.BatchNorm2d(3))
            self.held = nn.Conv2d(3, 3, 3).requires_grad_(not frozen)

        def forward(self, lr):
            return self.net(lr)

    torch.manual_seed(1)
    model = Wrapped()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    after = make_scheme("cyclegan", model=model, options={"init": "normal"}, moved=False).model.state_dict()
    same = {name for name, value in after.items() if torch.equal(value, before[name])}
    others = {name for name in before if name.startswith(("up.0.", "up.2.", "held." if frozen else "up.2."))}
    assert same == others | {name for name in before if "_mean." in name}
    assert not after["up.1.bias"].any()
    assert 0 < float(after["up.1.weight"].std()) < 0.1
