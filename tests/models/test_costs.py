"""Parameters and multiply-adds: counted by running the network, equal to the authors' numbers."""

import pytest
import torch
from torch import nn

from drnbench import models
from drnbench.cli import list as list_verb
from drnbench.cli import main
from drnbench.models import methods
from drnbench.models.costs import Costs, costs, module_costs
from drnbench.models.dual import dual_per_level

PRESETS = [
    ("drn-s", 4, 4_804_065, 109.7),
    ("drn-l", 4, 9_825_893, 224.4),
    ("drn-s", 8, 5_403_000, 197.4),
    ("drn-l", 8, 10_004_018, 365.6),
]


@pytest.mark.fast_variants(1)
@pytest.mark.parametrize(("method", "scale", "parameters", "gmacs"), PRESETS)
def test_costs_of_the_presets_equal_the_authors_numbers(method, scale, parameters, gmacs):
    counted = costs(method, scale, {})
    assert counted.parameters == parameters
    assert counted.macs / 1e9 == pytest.approx(gmacs, rel=0.005)
    assert costs(method, scale, {"train_mean": False}) == counted


def shuffled(n):
    return nn.Sequential(nn.Conv2d(n, 4 * n, 3, padding=1), nn.PixelShuffle(2))


def test_activations_are_those_of_the_challenges_on_efficient_sr():
    """MSRResNet, the baseline of NTIRE 2020, x4 at 256 x 256: 1.517 M parameters, 292.55 M activations."""
    body = [nn.Conv2d(64, 64, 3, padding=1) for _ in range(32)]
    tail = [shuffled(64), shuffled(64), nn.Conv2d(64, 64, 3, padding=1), nn.Conv2d(64, 3, 3, padding=1)]
    counted = module_costs(nn.Sequential(nn.Conv2d(3, 64, 3, padding=1), *body, *tail), torch.zeros(1, 3, 256, 256))
    assert counted.parameters == 1_517_571
    assert counted.activations / 1e6 == pytest.approx(292.55, abs=0.01)


def test_activations_of_edsr_are_those_of_its_layers():
    # Two mean shifts, the head, 16 blocks of two layers, the body's last, two upsamplers, the tail: in channels an LR pixel.
    channels = 3 + 64 + 33 * 64 + 256 + 4 * 256 + 16 * 3 + 16 * 3
    assert costs("edsr", 4).activations == channels * 96 * 96


def test_multiply_adds_grow_with_the_image():
    sizes = {"n_blocks": 1, "n_feats": 4}
    assert costs("edsr", 2, sizes, (20, 30)).macs == 600 * costs("edsr", 2, sizes, (1, 1)).macs


def test_methods_without_a_network_have_no_multiply_adds():
    assert costs("bicubic", 4, {}) == costs("ibp", 4, {}) == Costs(0, None, None)


def test_counting_costs_no_random_numbers():
    before = torch.get_rng_state()
    costs("edsr", 2, {"n_blocks": 1, "n_feats": 4})
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("layer", "macs", "activations"),
    [
        (nn.Conv2d(8, 4, 3, padding=1), 8 * 4 * 9 * 10 * 12, 4 * 10 * 12),
        (nn.Conv2d(8, 4, 6, 2, 2), 8 * 4 * 36 * 5 * 6, 4 * 5 * 6),
        # Every input pixel meets every weight once: the size of the output does not enter.
        (nn.ConvTranspose2d(8, 4, 6, 2, 2), 8 * 4 * 36 * 10 * 12, 4 * 20 * 24),
        (nn.ConvTranspose2d(8, 4, 12, 8, 2), 8 * 4 * 144 * 10 * 12, 4 * 80 * 96),
        (nn.Linear(12, 5), 12 * 5 * 8 * 10, 0),
    ],
)
def test_layers_are_counted_as_by_hand(layer, macs, activations):
    counted = module_costs(layer, torch.rand(1, 8, 10, 12))
    assert counted == Costs(sum(p.numel() for p in layer.parameters()), macs, activations)


@pytest.mark.parametrize(("method", "scale"), [("drn", 4), ("bicubic", 2), ("edsr", 2), ("dbpn", 2)])
def test_the_meta_device_counts_what_a_real_pass_counts(method, scale, monkeypatch):
    """Shapes alone are computed there, those of bicubic as those of nearest."""
    sizes = {"drn": {"n_blocks": 1, "n_feats": 2}, "edsr": {"n_blocks": 1, "n_feats": 2}}.get(method, {})
    counted = costs(method, scale, sizes, (8, 6))
    network = models.create(method, scale, **sizes)
    with monkeypatch.context() as patch:
        patch.setattr(nn.Module, "to", lambda module, device: module)
        assert module_costs(network, torch.rand(1, 3, 8, 6)) == counted


def test_weights_of_the_enlargement_are_numbers_where_the_network_has_none():
    with torch.device("meta"):
        built = models.create("drn", 2, n_blocks=1, n_feats=2)
    assert torch.equal(built.interpolation.weight, models.create("drn", 2, n_blocks=1, n_feats=2).interpolation.weight)


def test_a_module_stays_as_it_was():
    dual = dual_per_level(2, 16)[0]
    assert module_costs(dual, torch.rand(1, 3, 8, 8)) == Costs(54 * 16, 2 * 27 * 16 * 16, (16 + 3) * 4 * 4)
    assert dual.training
    assert next(dual.parameters()).device.type == "cpu"


class Reads(nn.Module):
    """A network that looks at a value, which the meta device does not have."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(3, 3, 1)

    def forward(self, x):
        return (self.layer(x) if x.sum().item() >= 0 else x,)


def test_a_network_that_reads_values_is_run_for_real(monkeypatch):
    reads = Reads()
    assert module_costs(reads, torch.rand(1, 3, 4, 4)) == Costs(12, 9 * 16, 3 * 16)
    assert reads.training
    monkeypatch.setattr(models, "create", lambda name, scale, **sizes: Reads())
    assert costs("any", 2, {}, (4, 4)) == Costs(12, 9 * 16, 3 * 16)


@pytest.mark.real
def test_costs_are_listed_on_request(capsys, monkeypatch):
    monkeypatch.setattr(methods, "names", lambda: ["bicubic", "drn-s"])
    assert main(["list", "costs"]) == 0
    out = capsys.readouterr().out
    assert "drn-s x4    4,804,065 parameters, 109.7 GMACs, 198.9 M activations at 96x96 LR pixels\n" in out
    assert "bicubic x4  0 parameters, not a network\n" in out
    assert out.count("\n") == 1 + 3
    monkeypatch.setattr(list_verb, "KINDS", {kind: list_verb.KINDS[kind] for kind in ("metrics", "costs")})
    assert main(["list"]) == 0
    out = capsys.readouterr().out
    assert "psnr_y" in out
    assert "costs" not in out


def test_a_model_that_needs_a_file_is_left_out_of_the_list(capsys, monkeypatch):
    monkeypatch.setattr(methods, "names", lambda: ["bicubic", "spandrel"])
    assert main(["list", "costs"]) == 0
    assert capsys.readouterr().out == "bicubic x4  0 parameters, not a network\n"


@pytest.mark.parametrize("second", [nn.Conv2d(5, 3, 3), nn.ConvTranspose2d(5, 3, 3)])
def test_layers_that_do_not_fit_are_refused_on_shapes_alone(second):
    """Whatever is counted could be run."""
    with pytest.raises(RuntimeError):
        module_costs(nn.Sequential(nn.Conv2d(3, 4, 3), second), torch.zeros(1, 3, 8, 8))


class Added(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(3, 3, 3)

    def forward(self, x):
        return x + self.layer(x)


def test_images_of_two_sizes_are_not_added_on_shapes_alone():
    with pytest.raises(RuntimeError):
        module_costs(Added(), torch.zeros(1, 3, 8, 8))
