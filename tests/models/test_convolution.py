"""Convolutions with gradients of their own: those of PyTorch's, but for rounding."""

import copy

import pytest
import torch
from torch import nn

from drnbench import models
from drnbench.models.convolution import Convolution, use_fast_convolutions

LAST = torch.channels_last


def gradients(layer, x):
    x = x.clone().requires_grad_()
    y = layer(x)
    torch.manual_seed(1)
    y.backward(torch.randn_like(y))
    return y.detach(), x.grad, *(p.grad for p in layer.parameters())


@pytest.mark.parametrize("order", [torch.contiguous_format, LAST])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    ("ins", "outs", "side", "fields"),
    [
        (3, 3, 1, {}),
        (8, 3, (1, 3), {"padding": (0, 1)}),
        (8, 8, 3, {"padding": 1}),
        (6, 10, 3, {"padding": 1}),
        (8, 3, 3, {"padding": 1}),
        (3, 8, 3, {"padding": 1}),
        (3, 8, 3, {"padding": 1, "stride": 2}),
        (8, 3, 3, {"padding": 1, "stride": 2}),
        (8, 1, 3, {"padding": 0}),
        (3, 3, 3, {"padding": 2}),
        (8, 3, 1, {"padding": 1}),
        (8, 8, 3, {"padding": 1, "groups": 4}),
        (8, 3, 3, {"padding": 1, "padding_mode": "reflect"}),
        (8, 3, 3, {"padding": 2, "dilation": 2}),
        (8, 3, 3, {"padding": "same"}),
    ],
)
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_gradients_are_those_of_pytorch(kind, ins, outs, side, fields, bias, order):
    torch.manual_seed(0)
    plain = nn.Conv2d(ins, outs, side, bias=bias, **fields)
    with torch.no_grad():  # numbers that bf16 has, so that only sums are rounded
        for p in plain.parameters():
            p.copy_(p.bfloat16().float())
    fast = copy.deepcopy(plain)
    use_fast_convolutions(fast)
    assert type(fast) is Convolution
    assert fast.state_dict().keys() == plain.state_dict().keys()
    x = torch.randn(2, ins, 9, 12).to(memory_format=order).to(kind)
    with torch.autocast("cpu", kind, enabled=kind == torch.bfloat16):
        expected, results = gradients(plain, x), gradients(fast, x)
    for a, b in zip(expected, results, strict=True):
        assert a.dtype == b.dtype
        assert a.shape == b.shape
        torch.testing.assert_close(
            a, b, rtol=2e-5 if kind == torch.float32 else 2e-2, atol=1e-4 if kind == torch.float32 else 5e-2
        )


@pytest.mark.parametrize("order", [torch.contiguous_format, LAST])
@pytest.mark.parametrize(
    ("ins", "outs", "fields"), [(8, 8, {}), (8, 3, {}), (3, 8, {"stride": 2}), (8, 3, {"stride": 2}), (3, 3, {})]
)
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_a_batch_without_images_gives_gradients_of_zero(kind, ins, outs, fields, order):
    """As D sees in a step whose images all are unpaired."""
    plain = nn.Conv2d(ins, outs, 3, padding=1, **fields)
    fast, x = copy.deepcopy(plain), torch.zeros(0, ins, 8, 12, dtype=kind).to(memory_format=order)
    use_fast_convolutions(fast)
    with torch.autocast("cpu", kind, enabled=kind == torch.bfloat16):
        expected, results = gradients(plain, x), gradients(fast, x)
    for a, b in zip(expected, results, strict=True):
        assert a.dtype == b.dtype
        assert torch.equal(a, b)


@pytest.mark.parametrize("outs", [1, 3])
@pytest.mark.parametrize("side", [1, 3])
@pytest.mark.parametrize("order", [torch.contiguous_format, LAST])
def test_an_output_may_be_changed_in_place(outs, side, order):
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Conv2d(8, outs, side, bias=False), nn.ReLU(inplace=True))
    fast, x = copy.deepcopy(plain), torch.randn(2, 8, 6, 6).to(memory_format=order)
    use_fast_convolutions(fast)
    for a, b in zip(gradients(plain, x), gradients(fast, x), strict=True):
        torch.testing.assert_close(a, b)


def test_outputs_are_those_of_pytorch_but_for_rounding_and_a_network_keeps_its_names():
    torch.manual_seed(0)
    net = models.create("drn", 4, n_blocks=1, n_feats=4)
    fast, lr = copy.deepcopy(net), (torch.rand(1, 3, 8, 8) * 255).to(memory_format=LAST)
    use_fast_convolutions(fast)
    assert fast.state_dict().keys() == net.state_dict().keys()
    for a, b in zip(net(lr), fast(lr), strict=True):
        assert a.stride() == b.stride()
        torch.testing.assert_close(a, b, rtol=1e-6, atol=2e-4)  # gray levels of 0..255
    copy.deepcopy(fast)


def test_features_keep_their_bits():
    torch.manual_seed(0)
    plain = nn.Conv2d(8, 10, 3, padding=1)
    fast, x = copy.deepcopy(plain), torch.randn(2, 8, 9, 12)
    use_fast_convolutions(fast)
    assert torch.equal(plain(x), fast(x))


@pytest.mark.parametrize(("ins", "outs"), [(8, 8), (3, 8), (8, 3)])
def test_gradients_of_gradients_are_those_of_pytorch(ins, outs):
    """As gradient penalties take them."""
    torch.manual_seed(0)
    plain = nn.Conv2d(ins, outs, 3, padding=1, dtype=torch.bfloat16 if ins == outs else torch.float32)
    fast, x = copy.deepcopy(plain), torch.randn(2, ins, 6, 6, dtype=plain.weight.dtype)
    use_fast_convolutions(fast)
    results = []
    for layer in (plain, fast):
        image = x.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(layer(image).square().sum(), image, create_graph=True)
        gradient.square().mean().backward()
        results.append([image.grad, *(p.grad for p in layer.parameters())])
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, rtol=5e-2 if ins == outs else 1e-4, atol=1e-1 if ins == outs else 1e-4)
