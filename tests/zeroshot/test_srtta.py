"""SRTTA on one image: what an adaptation starts from, keeps and changes, for every network that is trained."""

import numpy as np
import pytest
import torch
from PIL import Image

from drnbench import models
from drnbench.degradations import parse
from drnbench.errors import DivergedError, UsageError
from drnbench.evaluation.zero_shot import adapted
from drnbench.models import methods
from drnbench.models import models as registry
from drnbench.zeroshot import adaptation
from drnbench.zeroshot.base import FitInput
from tests.schemes.test_deterministic import REFUSED, Operations

SIZES = {"n_blocks": 1, "n_feats": 4, "n_base": 2, "inner_blocks": 1}
SPEC = "srtta:steps=2,batch=2,patch=8,lr=0.001"
NOISY = "bicubic:noise=10"
# The sizes of a compressed network are fixed.
TRAINED = [n for n in registry.list() if registry.get(n).scheme is not None and n != "drn-compressed"]


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    """A folder of two clean images."""
    folder = tmp_path_factory.mktemp("clean")
    for name in "ab":
        pixels = np.random.default_rng(ord(name)).integers(0, 256, (12, 14, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{name}.png")
    return folder


def lr_image(seed, side=10):
    return (torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(seed)) * 255).round()


def network(name="edsr"):
    torch.manual_seed(0)
    scale = min(registry.get(name).scales or (2,))
    sizes = {k: v for k, v in SIZES.items() if k in methods.resolve(name, scale, {}).options}
    made = models.create(name, scale, **sizes).eval()
    for parameter in made.parameters():
        if not parameter.any():  # the last layer of a correction that begins as none
            torch.nn.init.normal_(parameter, std=0.1)
    return made, scale


def method(folder, spec=SPEC, name="edsr"):
    made, scale = network(name)
    return adapted(made, f"{spec},clean={folder}", scale, folder)


def fit(made, lr, seed=0, kernel=NOISY, report=lambda step: None):
    with torch.no_grad():
        return made.fit(FitInput(lr, parse(kernel), seed), report)


def test_every_image_starts_from_the_trained_weights(clean):
    made = method(clean)
    first, other = fit(made, lr_image(1)).sr, fit(made, lr_image(2)).sr
    assert torch.equal(fit(made, lr_image(1)).sr, first)
    assert torch.equal(fit(method(clean), lr_image(2)).sr, other)
    assert not torch.equal(fit(made, lr_image(1), seed=1).sr, first)
    assert not torch.equal(network()[0](lr_image(1))[-1], first)


def test_a_clean_image_is_super_resolved_by_the_trained_network(clean):
    result = fit(method(clean), lr_image(1), kernel="bicubic")
    assert result.steps == 0
    assert torch.equal(result.sr, network()[0](lr_image(1))[-1])


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_share_of_each_layer_of_the_body_and_everything_else_is_preserved(clean, share):
    made, before = method(clean, f"{SPEC},preserve={share}"), network()[0].state_dict()
    fit(made, lr_image(1))
    for name, after in made.network.state_dict().items():
        kept = float((after == before[name]).float().mean())
        assert kept >= (share if name.startswith("body") else 1.0), name
        if name.startswith("body") and name.endswith("weight"):
            assert kept <= share + 0.3, name


def test_nothing_clean_is_read_where_nothing_is_preserved(tmp_path):
    fit(method(tmp_path / "missing", f"{SPEC},preserve=0"), lr_image(1))


def test_the_network_learns_to_change_less_by_the_degradation(clean):
    made, lr = (
        method(clean, "srtta:types=noise,steps=12,batch=2,patch=16,lr=0.006,preserve=0"),
        torch.full((1, 3, 16, 16), 128.0),
    )
    noise = 20 * torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    trained = network()[0]
    fit(made, lr)
    with torch.no_grad():
        before, after = ((x(lr + noise)[-1] - x(lr)[-1]).abs().mean() for x in (trained, made.network))
    assert after < 0.8 * before


@pytest.mark.parametrize(
    ("kernel", "types"),
    [
        ("bicubic", ()),
        ("nearest", ()),
        ("gaussian:sigma=1", ("blur",)),
        ("bicubic:noise=5,jpeg=40", ("noise", "jpeg")),
        ("bd:noise=5", ("blur", "noise")),
        ("random", ("blur",)),
        ("second-order", ("blur", "noise", "jpeg")),
    ],
)
def test_given_types_are_those_of_the_kernel_of_the_test_set(kernel, types):
    assert adaptation.parse("srtta").types_of(parse(kernel)) == types
    assert adaptation.parse("srtta:types=jpeg+blur").types_of(parse(kernel)) == ("blur", "jpeg")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("srta", "did you mean 'srtta'"),
        ("srtta:typ=blur", "types"),
        ("srtta:types=blurr", "did you mean 'blur'"),
        ("srtta:steps=0", "steps"),
        ("srtta:preserve=2", "preserve"),
    ],
)
def test_specs_that_are_wrong_are_refused_with_what_is_meant(spec, message):
    with pytest.raises(UsageError, match=message):
        adaptation.parse(spec)


def test_real_images_need_types_that_are_named():
    with pytest.raises(UsageError, match="types=blur"):
        adaptation.parse("srtta").check(parse("real"))
    adaptation.parse("srtta:types=noise").check(parse("real"))


def test_a_loss_that_is_not_finite_ends_the_fit(clean):
    with pytest.raises(DivergedError, match="lower lr"):
        fit(method(clean, "srtta:steps=5,batch=2,patch=8,lr=1e30,preserve=0"), lr_image(1))


@pytest.mark.fast_variants(1)
@pytest.mark.parametrize("name", TRAINED)
def test_every_trained_network_is_adapted_by_operations_that_are_deterministic_on_cuda(name, clean):
    made, reported = method(clean, "srtta:steps=1,batch=2,patch=8,types=blur+noise+jpeg", name), []
    with Operations() as mode:
        result = fit(made, lr_image(0), report=reported.append)
    scale = made.scale
    assert result.sr.shape == (1, 3, 10 * scale, 10 * scale)
    assert reported == [1]
    assert torch.isfinite(result.sr).all()
    assert not torch.equal(result.sr, network(name)[0](lr_image(0))[-1])
    assert "convolution_backward" in mode.names
    assert not mode.names & REFUSED
