"""DBPN: sizes, the projections' shapes, what an output pixel can see."""

import pytest
import torch

from drnbench import models
from drnbench.models.dbpn import PROJECTION, Projection


@pytest.mark.parametrize("scale", [2, 4, 8])
@pytest.mark.parametrize("size", [(1, 1), (5, 7), (8, 12)])
def test_one_output_of_scale_x_the_size(scale, size):
    net = models.create("dbpn", scale, n_blocks=3, n_feats=4, n_base=4)
    with torch.no_grad():
        (sr,) = net(torch.rand(2, 3, *size) * 255)
    assert sr.shape == (2, 3, size[0] * scale, size[1] * scale)


def test_the_default_size_is_that_of_the_list():
    assert sum(p.numel() for p in models.create("dbpn", 4).parameters()) == 998_006


@pytest.mark.parametrize("scale", [2, 4, 8])
def test_projections_are_the_papers(scale):
    up, down = Projection(4, scale, up=True), Projection(4, scale, up=False)
    x = torch.rand(1, 4, 3, 5)
    with torch.no_grad():
        assert up(x).shape == (1, 4, 3 * scale, 5 * scale)
        assert down(up(x)).shape == x.shape
        # H0 + up(e): with the way back at zero the error is -x.
        for p in up.back.parameters():
            p.zero_()
        assert torch.allclose(up(x), up.over(x) + up.error(-x), atol=1e-6)
    kernel, stride, padding = PROJECTION[scale]
    layers = [up.over[0], up.error[0], down.back[0], up.back[0], down.over[0], down.error[0]]
    assert {(p.kernel_size[0], p.stride[0], p.padding[0]) for p in layers} == {(kernel, stride, padding)}


def seen(scale, n_blocks, side):
    """Side of the square of LR pixels that a central output pixel depends on."""
    torch.manual_seed(0)
    net = models.create("dbpn", scale, n_blocks=n_blocks, n_feats=4, n_base=4).double()
    lr = (torch.rand(1, 3, side, side, dtype=torch.float64) * 255).requires_grad_()
    middle = side * scale // 2
    net(lr)[0][0, :, middle, middle].sum().backward()
    rows = lr.grad.abs().sum((0, 1, 3)).nonzero().flatten()
    assert side // 2 in range(rows.min(), rows.max() + 1)
    return int(rows.max() - rows.min() + 1)


@pytest.mark.parametrize("scale", [2, 4])
def test_more_stages_see_more_of_the_image(scale):
    side = 41 if scale == 2 else 25
    sides = [seen(scale, n_blocks, side) for n_blocks in (1, 2, 3)]
    assert 5 <= sides[0] < sides[1] < sides[2] < side


def test_a_fresh_network_starts_near_the_middle_of_the_range():
    torch.manual_seed(0)
    with torch.no_grad():
        (sr,) = models.create("dbpn", 4)(torch.rand(1, 3, 12, 12) * 255)
    assert 64 < sr.mean() < 192
    assert sr.abs().max() < 2000


@pytest.mark.parametrize("name", ["drn", "edsr"])
def test_a_frozen_mean_shift_keeps_names_and_counts(name):
    networks = [models.create(name, 2, n_blocks=1, n_feats=4, **kw) for kw in ({}, {"train_mean": False})]
    free, frozen = ({k: p.requires_grad for k, p in m.named_parameters()} for m in networks)
    assert list(free) == list(frozen)
    assert all(free.values())
    assert {k for k, trained in frozen.items() if not trained} == {
        f"{layer}.{kind}" for layer in ("sub_mean", "add_mean") for kind in ("weight", "bias")
    }
    networks[1].load_state_dict(networks[0].state_dict())
