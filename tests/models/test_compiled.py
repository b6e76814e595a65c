"""Networks in compiled parts: the numbers of plain ones, but for rounding."""

import copy
import itertools

import pytest
import torch
from torch import nn

from drnbench import models
from drnbench.models.compiled import FusedRCAB, compiled_parts, use_fused_blocks
from drnbench.models.drn import RCAB
from drnbench.models.recompute import blocks, running


def gradients(network, x):
    network.zero_grad()
    x = x.clone().requires_grad_()
    outputs = network(x)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    sum(out.float().square().mean() for out in outputs).backward()
    return [*(out.detach() for out in outputs), x.grad, *(p.grad for p in network.parameters())]


@pytest.mark.parametrize("mid", [None, 12])
def test_fused_blocks_are_plain_ones_in_bf16_but_for_rounding(mid):
    torch.manual_seed(0)
    plain = nn.Sequential(*(RCAB(16, mid) for _ in range(2)))
    fused, exact = copy.deepcopy(plain), copy.deepcopy(plain).double()
    use_fused_blocks(fused)
    assert {type(module) for module in fused} == {FusedRCAB}
    assert fused.state_dict().keys() == plain.state_dict().keys()
    x = torch.randn(3, 16, 10, 14).bfloat16().to(memory_format=torch.channels_last)
    expected = gradients(exact, x.double())
    with torch.autocast("cpu", torch.bfloat16):
        halves, results = gradients(plain, x), gradients(fused, x)
    for reference, half, result in zip(expected, halves, results, strict=True):
        assert result.dtype == half.dtype
        off = [float((value.double() - reference).norm()) for value in (half, result)]
        assert off[1] <= 2 * off[0] + 2e-3 * float(reference.norm())


def test_fused_blocks_take_a_batch_without_images():
    block = RCAB(8)
    use_fused_blocks(block)
    with torch.autocast("cpu", torch.bfloat16):
        y = block(torch.zeros(0, 8, 6, 6, dtype=torch.bfloat16))
    assert y.shape == (0, 8, 6, 6)
    y.float().sum().backward()
    assert all(not p.grad.any() for p in block.parameters())


def test_fused_blocks_are_plain_ones_bit_for_bit_in_fp32_and_where_nothing_is_trained():
    torch.manual_seed(0)
    plain = RCAB(8)
    fused, x = copy.deepcopy(plain), torch.randn(2, 8, 6, 6)
    use_fused_blocks(fused)
    for a, b in zip(gradients(plain, x), gradients(fused, x), strict=True):
        assert torch.equal(a, b)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(plain(x.bfloat16()), fused(x.bfloat16()))


@pytest.mark.real
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")
@pytest.mark.parametrize("fused", [False, True])
def test_a_network_in_parts_is_the_whole_and_blocks_alike_are_compiled_once(monkeypatch, fused):
    compile_part, graphs = torch.compile, []

    def backend(graph, _):
        graphs.append(graph)
        return graph.forward

    monkeypatch.setattr(torch, "compile", lambda part, **fixed: compile_part(part, backend=backend, **fixed))
    torch._dynamo.reset()
    torch.manual_seed(0)
    plain = models.create("drn", 4, n_blocks=3, n_feats=4)
    parted, x = copy.deepcopy(plain), torch.rand(2, 3, 8, 8) * 255
    parts = compiled_parts(parted, fused=fused)
    rows = [module for module in parts if isinstance(module, nn.Sequential)]
    assert [*rows] == [*parted.up_blocks]
    assert {*parts} == {*blocks(parted), *rows}
    assert {type(m) for m in parted.modules() if isinstance(m, RCAB)} == {FusedRCAB if fused else RCAB}
    with running(parts):
        results = gradients(parted, x)
    for a, b in zip(gradients(plain, x), results, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-3)
    # Two that halve, and for each level one RCAB and what comes after the last: all at a size of their own.
    assert len(graphs) == 2 + 2 * 2
    assert all("forward" not in vars(module) for module in parted.modules())


@pytest.mark.real
def test_layers_between_blocks_are_run_in_their_order():
    torch.manual_seed(0)
    row = nn.Sequential(
        nn.Conv2d(3, 4, 3), RCAB(4), nn.ReLU(), nn.Conv2d(4, 4, 3), RCAB(4), RCAB(4), nn.PixelShuffle(2)
    )
    x = torch.randn(1, 3, 12, 12)
    with torch.no_grad():
        expected = row(x)
        with running(compiled_parts(row, fused=False)):
            actual = row(x)
    torch.testing.assert_close(actual, expected)


class Skip(nn.Sequential):
    """A row with a forward pass of its own."""

    def forward(self, x):
        return x + super().forward(x)


def test_rows_in_rows_and_those_with_a_forward_pass_of_their_own_are_run_as_they_are(monkeypatch):
    compiled = []
    monkeypatch.setattr(torch, "compile", lambda forward, **_: compiled.append(forward.__self__) or forward)
    torch.manual_seed(0)
    inner, skip = nn.Sequential(RCAB(4), RCAB(4)), Skip(RCAB(4), nn.ReLU())
    net, x = nn.Sequential(RCAB(4), inner, nn.ReLU(), skip, nn.Conv2d(4, 4, 1)), torch.randn(1, 4, 6, 6)
    expected = net(x)
    parts = compiled_parts(net, fused=False)
    assert {*parts} == {*blocks(net), net, inner}
    with running(parts):
        assert torch.equal(net(x), expected)
    assert [[*part] for part in compiled if part not in blocks(net)] == [[net[2]], [net[4]]]


def test_a_network_without_blocks_has_no_parts():
    assert compiled_parts(nn.Sequential(*itertools.repeat(nn.Conv2d(3, 3, 1), 2)), fused=True) == {}
