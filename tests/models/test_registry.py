"""One contract for every registered model: what the harness relies on, third parties' models included."""

import pytest
import torch

from drnbench import Data, Stage, models
from drnbench.errors import UsageError
from drnbench.models import Model
from drnbench.models import models as registry
from drnbench.schemes import schemes
from drnbench.schemes.base import Batch

SMALL = {"n_blocks": 1, "n_feats": 4}
# The compressed network has its authors' sizes alone: slow.
TRAINED = [
    pytest.param(name, marks=[pytest.mark.real] if name == "drn-compressed" else [])
    for name in registry.list()
    if registry.get(name).scheme
]
# A model that reads its network from a file has tests of its own, where the file is.
BUILT = [name for name in registry.list() if not registry.get(name).files]
CASES = [(name, scale) for name in BUILT for scale in registry.get(name).scales or (1, 2, 3, 4)]


def small(name, scale):
    sizes = registry.get(name).options(scale, {})
    torch.manual_seed(0)
    return models.create(name, scale, **{k: v for k, v in SMALL.items() if k in sizes})


@pytest.mark.parametrize(("name", "scale"), CASES)
def test_the_last_output_is_sr_at_odd_sizes(name, scale):
    with torch.no_grad():
        outputs = small(name, scale).eval()(torch.rand(2, 3, 7, 5) * 255)
    assert isinstance(outputs, tuple)
    assert outputs[-1].shape == (2, 3, 7 * scale, 5 * scale)
    assert outputs[-1].dtype == torch.float32
    assert (len(outputs) > 1) is registry.get(name).multiscale


@pytest.mark.parametrize("name", TRAINED)
@pytest.mark.parametrize("scheme", ["supervised", "paired"])
def test_twenty_steps_lower_the_loss_and_the_state_round_trips(name, scheme, tmp_path):
    dual = "chain" if registry.get(name).multiscale else "single"
    stage = Stage("s", scheme=scheme, data=Data("photos/train"), steps=20, dual=dual)
    scale = min(registry.get(name).scales or (2,))
    trained = schemes.get(scheme)(small(name, scale), scale, stage)
    trained.prepare(torch.device("cpu"))
    hr = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(1)) * 255
    factors = [2**p for p in reversed(range(scale.bit_length()))]
    pyramid = {factor: torch.nn.functional.avg_pool2d(hr, factor) for factor in factors}
    batch = Batch(pyramid[scale], pyramid, 2)
    losses = [trained.step(batch, 1e-3)["primary"].item() for _ in range(20)]
    assert losses[-1] < losses[0]
    torch.save(trained.state_dict(), tmp_path / "s.pt")
    other = schemes.get(scheme)(small(name, scale), scale, stage)
    other.prepare(torch.device("cpu"))
    other.load_state_dict(torch.load(tmp_path / "s.pt", weights_only=True))
    assert trained.step(batch, 1e-3)["total"] == other.step(batch, 1e-3)["total"]


@pytest.mark.parametrize("checked", [False, True])
def test_sizes_have_types_also_where_only_a_type_checker_knows_the_network(checked):
    def make(scale: "int", n_feats: "int | None" = None):
        raise AssertionError("built")

    if checked:
        make.__annotations__["return"] = "nn.NotImported"
    model = Model("lazy", make, "a factory that imports its network when it builds one")
    assert model.options(2, {"n_feats": 8}) == {"n_feats": 8}
    with pytest.raises(UsageError, match="size 'n_feats' must be a valid integer"):
        model.options(2, {"n_feats": "8"})


def test_edsr_has_its_authors_size():
    assert sum(p.numel() for p in models.create("edsr", 4).parameters()) == 1_517_571 + 24


def test_back_projection_agrees_better_with_the_lr_image():
    from drnbench.degradations.resize import downsample

    lr = torch.rand(1, 3, 12, 12) * 255
    gaps = []
    for iterations in (1, 5, 20):
        (sr,) = models.create("ibp", 4, iterations=iterations)(lr)
        gaps.append((downsample(sr, 4, border="symmetric") - lr).abs().mean().item())
    assert gaps[0] > gaps[1] > gaps[2]
    assert gaps[2] < 1.0
