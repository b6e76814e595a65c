"""No training step uses an operation that PyTorch lists as non-deterministic on CUDA: every scheme with every model.

The operations are seen by a dispatch mode on the CPU, so no GPU is needed.
"""

import contextlib
import itertools

import pytest
import torch
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes

from drnbench import Data, Stage, models
from drnbench.data.sampling import uniforms
from drnbench.errors import UsageError
from drnbench.models import methods
from drnbench.models import models as registry
from drnbench.schemes import schemes
from drnbench.schemes.base import Batch

REFUSED = {
    "avg_pool3d_backward", "_adaptive_avg_pool2d_backward", "_adaptive_avg_pool3d_backward",
    "adaptive_max_pool2d_backward", "adaptive_max_pool3d_backward", "fractional_max_pool2d_backward",
    "fractional_max_pool3d_backward", "max_unpool2d", "max_unpool3d",
    "upsample_linear1d_backward", "upsample_bilinear2d_backward", "upsample_bicubic2d_backward",
    "upsample_trilinear3d_backward", "_upsample_bilinear2d_aa_backward", "_upsample_bicubic2d_aa_backward",
    "reflection_pad1d_backward", "reflection_pad2d_backward", "reflection_pad3d_backward",
    "nll_loss_forward", "nll_loss2d_forward", "nll_loss2d_backward", "_ctc_loss_backward", "_embedding_bag_backward",
    "put", "put_", "histc", "bincount", "median", "kthvalue", "grid_sampler_2d_backward", "grid_sampler_3d_backward",
    "scatter_reduce", "scatter_reduce_",
}  # fmt: skip
"""Operations that raise on CUDA: documentation of torch.use_deterministic_algorithms, second list, as names of aten."""
SWITCHED = {
    "cumsum", "cumsum_", "index_put", "index_put_", "_index_put_impl_", "scatter_add", "scatter_add_", "index_add",
    "index_add_", "index_copy", "index_copy_", "scatter", "scatter_", "gather", "max_pool3d_with_indices_backward",
    "embedding_dense_backward", "replication_pad1d_backward", "replication_pad3d_backward",
}  # fmt: skip
"""Its first list but convolutions, which have no other form, and the replicate pad of a known or linear D: operations
that are deterministic in the mode that a stage sets, and not without it."""
SYNCHRONISING = {"_local_scalar_dense", "nonzero", "masked_select", "equal", "unique", "_unique2"}
"""Operations whose result the host reads: a GPU would wait for it at every step."""
READS_ITS_LOSS = {"kernelgan"}
"""Schemes whose weights of the regularisers change when a loss passes a threshold, as in their source."""
SIZES = {"n_blocks": 1, "n_feats": 2, "n_base": 2, "inner_blocks": 1}
OPTIONS = {"n_feats": 2, "d_feats": 2, "f_blocks": 1, "f_feats": 2, "tv": 1.0}
TRAINED = [name for name in registry.list() if registry.get(name).scheme is not None]
# Every term of a loss at once; a scheme without unpaired images refuses the second half.
VARIANTS = [
    {"dual": dual, "hr_lam": 0.1, "rho": rho, "dual_of": "own" if rho else "shared"}
    for rho, dual in itertools.product((0.0, 0.5), ("level", "chain", "single", "linear", "known"))
]


def smallest_scale(model):
    return min(registry.get(model).scales or (2,))


class Operations(TorchDispatchMode):
    """Collects the names of the operations that run, without their overloads."""

    def __init__(self):
        super().__init__()
        self.names = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.add(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


def stages(scheme, model):
    """Stages of a scheme with this model that are not refused, each once by the fields that it uses."""
    kind, scale = schemes.get(scheme), smallest_scale(model)
    options = {k: v for k, v in OPTIONS.items() if k in kind.settings.model_fields}
    data = Data("photos/train", kernel="gaussian:sigma=2.0")
    different = {}
    patch = (26 if scheme == "kernelgan" else 4) * scale  # its smallest
    for fields in VARIANTS:
        stage = Stage(
            "s", data=data, unpaired=data, steps=1, patch=patch, batch=4, options=options, augment=False, **fields
        )
        with contextlib.suppress(UsageError):
            kind.check(stage, "s", model=registry.get(model), scale=scale)
            different[repr({name: fields.get(name) for name in sorted(kind.uses(stage))})] = stage
    return list(different.values())


PAIRS = [pair for pair in itertools.product(schemes.list(), TRAINED) if stages(*pair)]


def batch(scheme):
    scale, stage = scheme.scale, scheme.stage
    mix = max((scheme.mix(stage, step) for step in range(2)), key=lambda mix: mix.unpaired)
    hr = torch.rand(4, 3, stage.patch, stage.patch, generator=torch.Generator().manual_seed(0)) * 255
    pyramid = {2**p: F.avg_pool2d(hr[: mix.pairs], 2**p) for p in reversed(range(scale.bit_length()))}
    lr = F.avg_pool2d(hr[: mix.pairs + mix.unpaired], scale)
    return Batch(lr, pyramid, mix.pairs, hr[: mix.hr], lambda purpose, shape: uniforms(0, purpose, 0, shape))


def unseen(function):
    def call():
        with _disable_current_modes():
            function()

    return call


def operations(scheme, model, stage):
    scale = smallest_scale(model)
    sizes = {k: v for k, v in SIZES.items() if k in methods.resolve(model, scale, {}).options}
    trained = schemes.get(scheme)(models.create(model, scale, **sizes), scale, stage)
    trained.prepare(torch.device("cpu"))
    for optimiser in trained.optimisers.values():
        optimiser.step = unseen(optimiser.step)  # its counter of steps is a number of the host, on a GPU too
    with Operations() as mode:
        trained.step(batch(trained), 1e-4)
    return mode.names


@pytest.mark.parametrize(
    ("scheme", "model"),
    # The size of a compressed network is fixed.
    [pytest.param(*pair, marks=[pytest.mark.real] if "drn-compressed" in pair else []) for pair in PAIRS],
)
def test_a_training_step_is_deterministic_on_cuda(scheme, model):
    for stage in stages(scheme, model)[-1 if model == "drn-compressed" else 0 :]:
        names = operations(scheme, model, stage)
        assert "convolution_backward" in names  # backward operations are seen
        assert not names & (REFUSED | SWITCHED), stage
        assert scheme in READS_ITS_LOSS or not names & SYNCHRONISING, stage


def test_every_scheme_and_every_model_is_among_them():
    assert {scheme for scheme, _ in PAIRS} == set(schemes.list())
    assert {model for _, model in PAIRS} == set(TRAINED)
