"""One contract for every method, presets and third parties' included, each under the scheme it is trained with."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from drnbench import Data, Stage, models
from drnbench.data.sampling import uniforms
from drnbench.models import methods
from drnbench.models import models as registry
from drnbench.models.costs import forward_bytes
from drnbench.models.counting import FlopCounter
from drnbench.schemes import schemes
from drnbench.schemes.base import Batch
from tests.helpers import same

SMALL = {"n_blocks": 1, "n_feats": 4, "inner_blocks": 1}
LARGE = {"drn-s", "drn-l", "drn-s30", "drn-s50", "drn-s70", "drn-compressed"}
"""Presets cannot be made small: they take the slower half of the tests."""
OPTIONS = {"d_feats": 4, "f_blocks": 1, "f_feats": 4}
# A model that reads its network from a file has tests of its own, where the file is.
BUILT = [name for name in methods.names() if not registry.get(methods.get(name).model).files]
NAMES = [pytest.param(name, marks=[pytest.mark.real] if name in LARGE else []) for name in BUILT]


def smallest_scale(name):
    return min(registry.get(methods.get(name).model).scales or (2,))


TRAINED = [p for p in NAMES if methods.resolve(p.values[0], smallest_scale(p.values[0]), {}).scheme is not None]


def sizes(name):
    sizes = methods.resolve(name, smallest_scale(name), {}).options
    return {} if name in LARGE else {k: v for k, v in SMALL.items() if k in sizes}


def make(name):
    scale = smallest_scale(name)
    resolved = methods.resolve(name, scale, sizes(name))
    kind = schemes.get(resolved.scheme)
    options = {k: v for k, v in OPTIONS.items() if k in kind.settings.model_fields}
    dual = "chain" if registry.get(resolved.model).multiscale else "single"
    stage = Stage("s", data=Data("photos/train"), steps=20, patch=16, dual=dual, options=options)
    torch.manual_seed(0)
    scheme = kind(models.create(name, scale, **sizes(name)), scale, stage)
    scheme.prepare(torch.device("cpu"))
    return scheme


def batch(scheme, step):
    """One fixed batch, with everything that the scheme asks for; chance alone moves with the step."""
    hr = torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(1)) * 255
    scale = scheme.scale
    lr = torch.nn.functional.avg_pool2d(hr, scale)
    mix = scheme.mix(scheme.stage.model_copy(update={"batch": 4}), step)
    pyramid = {2**p: torch.nn.functional.avg_pool2d(hr[: mix.pairs], 2**p) for p in reversed(range(scale.bit_length()))}
    return Batch(
        lr[: mix.pairs + mix.unpaired], pyramid, mix.pairs, hr=hr[: mix.hr],
        chance=lambda purpose, shape: uniforms(0, purpose, step, shape),
    )  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_it_is_built_at_every_scale_it_declares_and_sr_has_the_right_size(name):
    for scale in registry.get(methods.get(name).model).scales or (2, 3, 4, 8):
        with torch.no_grad():
            sr = models.create(name, scale, **sizes(name)).eval()(torch.rand(1, 3, 5, 7) * 255)[-1]
        assert sr.shape == (1, 3, 5 * scale, 7 * scale)


@pytest.mark.fast_variants(2)
@pytest.mark.parametrize("name", TRAINED)
def test_twenty_steps_lower_the_reconstruction_loss_and_resume_is_bit_exact(name, tmp_path):
    whole = make(name)
    losses = [whole.step(batch(whole, step), 1e-3)["primary"].item() for step in range(20)]
    assert losses[-1] < losses[0]

    first = make(name)
    for step in range(10):
        first.step(batch(first, step), 1e-3)
    torch.save(first.state_dict(), tmp_path / "half.pt")
    second = make(name)
    second.load_state_dict(torch.load(tmp_path / "half.pt", weights_only=True))
    again = [second.step(batch(second, step), 1e-3)["primary"].item() for step in range(10, 20)]
    assert again == losses[10:]
    assert same(second.state_dict(), whole.state_dict())


@pytest.mark.parametrize("name", NAMES)
def test_shapes_alone_tell_the_memory_of_a_network(name):
    """Without them costs are counted by a real pass, and no image is ever too large."""
    network = models.create(name, smallest_scale(name), **sizes(name))
    small, large = (forward_bytes(network, torch.zeros(1, 3, size, size)) for size in (16, 32))
    assert small is not None
    assert small < large


@pytest.mark.parametrize("param", [p.values[0] for p in TRAINED if p.values[0] not in LARGE])
def test_operations_of_a_step_are_counted_as_by_pytorch(param):
    counts = []
    for counter in (FlopCounter(), FlopCounterMode(display=False)):
        scheme = make(param)
        with counter:
            scheme.step(batch(scheme, 0), 1e-4)
        counts.append(counter.total if isinstance(counter, FlopCounter) else counter.get_total_flops())
    assert counts[0] == counts[1] > 0
