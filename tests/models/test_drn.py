"""The DRN network against the authors': parameter counts, names, outputs."""

import hashlib

import pytest
import torch
from torch.nn import functional as F

from drnbench import models
from drnbench.errors import UsageError


@pytest.mark.parametrize(
    ("method", "scale", "count"),
    [
        ("drn-s", 4, 4_804_065),
        ("drn-l", 4, 9_825_893),
        ("drn-s", 8, 5_403_000),
        ("drn-l", 8, 10_004_018),
        ("drn-s", 2, 606_378),
        ("drn-s30", 4, 3_116_637),
        ("drn-s50", 4, 2_267_417),
        ("drn-s70", 4, 1_427_545),
        ("drn-s30", 8, 3_490_832),
        ("drn-s50", 8, 2_548_420),
        ("drn-s70", 8, 1_572_288),
    ],
)
def test_parameter_counts_are_the_authors(method, scale, count):
    assert sum(p.numel() for p in models.create(method, scale).parameters()) == count


@pytest.mark.parametrize("name", ["drn", "edsr"])
def test_mean_shifts_and_last_layers_are_in_fp32_under_bf16(name):
    net = models.create(name, 4, n_blocks=1, n_feats=4)
    last = net.tail if name == "drn" else net.tail[1:]
    for layer in last:
        torch.nn.init.zeros_(layer.weight)
    lr = torch.full((1, 3, 8, 8), 100.3)
    with torch.no_grad():
        exact = net(lr)
        with torch.autocast("cpu", torch.bfloat16):
            rough, shifted = net(lr), []
            net.sub_mean.register_forward_hook(lambda *args: shifted.append(args[-1]))
            net(lr)
    assert all(map(torch.equal, exact, rough))
    assert shifted[0].dtype == torch.float32


def test_outputs_equal_the_authors(golden):
    reference = torch.load(golden / "drn_x4_paired.pt", weights_only=True)
    net = models.create("drn", 4, n_blocks=1, n_feats=16)
    net.load_state_dict(reference["state_dict"])
    with torch.no_grad():
        outputs = net(reference["lr"])
    assert [tuple(o.shape) for o in outputs] == [tuple(o.shape) for o in reference["outputs"]]
    for output, expected in zip(outputs, reference["outputs"], strict=True):
        assert (output - expected).abs().max() < 1e-3


def test_dual_outputs_equal_the_authors(golden):
    from drnbench.models.dual import dual_per_level

    reference = torch.load(golden / "drn_x4_paired.pt", weights_only=True)
    duals = dual_per_level(4, 16)
    for dual, state in zip(duals, reference["dual_state_dicts"], strict=True):
        dual.load_state_dict(state)
    with torch.no_grad():
        back = [d(out) for d, out in zip(duals, reference["outputs"][1:], strict=True)]
    for output, expected in zip(back, reference["dual_outputs"], strict=True):
        assert (output - expected).abs().max() < 1e-3


@pytest.mark.parametrize("scale", [2, 4, 8])
@pytest.mark.parametrize("size", [(5, 7), (8, 12)])
def test_one_output_for_each_level_at_odd_sizes(scale, size):
    net = models.create("drn", scale, n_blocks=1, n_feats=2)
    with torch.no_grad():
        outputs = net(torch.rand(1, 3, *size) * 255)
    factors = [2**k for k in range(scale.bit_length())]
    assert [tuple(o.shape[2:]) for o in outputs] == [(size[0] * f, size[1] * f) for f in factors]


def test_scale_3_is_refused_by_name():
    with pytest.raises(UsageError, match="drn-s cannot be built at scale 3: it exists at 2, 4, 8"):
        models.create("drn-s", 3)


def test_unknown_names_suggest_the_nearest():
    with pytest.raises(UsageError, match="did you mean 'drn-s'"):
        models.create("dnr-s", 4)
    with pytest.raises(UsageError, match=r"no size 'n_feat'.*did you mean 'n_feats'"):
        models.create("drn", 4, n_feat=8)
    with pytest.raises(UsageError, match="drn-s fixes 'n_blocks' at 30"):
        models.create("drn-s", 4, n_blocks=2)


def test_bicubic_is_integer_valued_at_any_scale():
    lr = torch.randint(0, 256, (1, 3, 6, 5)).float()
    (out,) = models.create("bicubic", 3)(lr)
    assert out.shape == (1, 3, 18, 15)
    assert torch.equal(out, out.round())


def test_another_rate_of_compression_is_refused():
    with pytest.raises(UsageError, match="size 'rate' must be 30, 50 or 70"):
        models.create("drn-compressed", 4, rate=40)


def test_initial_weights_are_drawn_in_the_order_of_stored_results():
    # A layer that is built earlier or later gets other random numbers, and every stored result with them.
    torch.manual_seed(0)
    state = models.create("drn", 4, n_blocks=2, n_feats=4).state_dict()
    digest = hashlib.sha256(b"".join(tensor.numpy().tobytes() for tensor in state.values())).hexdigest()
    assert digest.startswith("8cdf10fb")


@pytest.mark.parametrize("scale", [2, 4, 8])
@pytest.mark.parametrize("size", [(1, 1), (2, 5), (7, 4)])
def test_in_a_cycle_the_first_step_is_the_same_bicubic_and_so_is_its_gradient(scale, size):
    net = models.create("drn", scale, n_blocks=1, n_feats=2)
    lr = (torch.rand(2, 3, *size, dtype=torch.float64) * 255).requires_grad_()
    expected = F.interpolate(lr, scale_factor=float(scale), mode="bicubic", align_corners=False)
    enlarged = net.interpolation(lr)
    assert (enlarged - expected).abs().max() < 1e-12
    slope = torch.rand_like(expected)
    gradients = [torch.autograd.grad(image, lr, slope)[0] for image in (enlarged, expected)]
    assert (gradients[0] - gradients[1]).abs().max() < 1e-12 * scale**2
    assert not any(name.startswith("interpolation") for name in net.state_dict())  # names are the authors'


def test_a_gradient_of_the_input_moves_the_output_by_rounding_alone():
    net, lr = models.create("drn", 4, n_blocks=1, n_feats=2), torch.rand(1, 3, 6, 5) * 255
    for with_gradient, without in zip(net(lr.clone().requires_grad_()), net(lr), strict=True):
        assert torch.allclose(with_gradient, without, atol=1e-3)


@pytest.mark.parametrize("scale", [2, 4])
def test_enlarging_keeps_bits_and_memory_order_for_every_order_of_the_input(scale):
    lr = torch.rand(2, 3, 7, 5, generator=torch.Generator().manual_seed(0)) * 255
    network = models.create("drn", scale, n_blocks=1, n_feats=2)
    heads = []
    network.sub_mean.register_forward_pre_hook(lambda _, inputs: heads.append(inputs[0]))
    with torch.no_grad():
        for x in (lr, lr.contiguous(memory_format=torch.channels_last)):
            network(x)
            expected = F.interpolate(x, scale_factor=float(scale), mode="bicubic", align_corners=False)
            assert torch.equal(heads[-1], expected)
            assert heads[-1].stride() == expected.stride()
