"""ONNX files of networks: sizes are free, the output is the network's, and what cannot be one is refused."""

import sys

import numpy as np
import pytest
import torch
from torch import nn

from drnbench import models
from drnbench.cli import main
from drnbench.errors import UsageError
from drnbench.models import methods
from drnbench.models import models as registry
from drnbench.session.onnx_file import TOLERANCE, write_onnx
from drnbench.store import Status, Store, write_json
from tests.cli.test_export import NAME, export, refused, stage
from tests.models.test_spandrel import NETWORKS, save

SMALL = {"n_blocks": 1, "n_feats": 4, "inner_blocks": 1}
SIZES = ((1, 3, 9, 31), (3, 3, 20, 8))
# A compressed network is a DRN whose size is fixed: its export takes a minute.
TRAINED = [name for name in registry.list() if registry.get(name).scheme is not None and name != "drn-compressed"]


def outputs(path, lr):
    from onnxruntime import InferenceSession

    session = InferenceSession(path, providers=["CPUExecutionProvider"])
    assert session.get_modelmeta().custom_metadata_map["input"].endswith("N, H and W are free")
    return session.run(["sr"], {"lr": lr.numpy()})[0]


def check(network, path):
    for size in SIZES:
        lr = torch.rand(*size) * 255
        with torch.no_grad():
            expected = network(lr)[-1].numpy()
        assert np.abs(outputs(path, lr) - expected).max() < TOLERANCE


@pytest.mark.real
@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.real] if n != "edsr" else []) for n in TRAINED])
def test_every_trained_network_is_the_same_through_onnxruntime(tmp_path, name):
    scale = min(registry.get(name).scales or (2,))
    sizes = methods.resolve(name, scale, {}).options
    network = models.create(name, scale, **{k: v for k, v in SMALL.items() if k in sizes}).eval()
    assert write_onnx(network, tmp_path / "net.onnx", {}) < TOLERANCE
    check(network, tmp_path / "net.onnx")


@pytest.mark.real
@pytest.mark.parametrize(("make", "scale"), [(make, scale) for make, scale, _ in NETWORKS if make.__name__ == "rcan"])
def test_a_published_network_is_the_same_through_onnxruntime(tmp_path, make, scale):
    network = models.create("spandrel", scale, weights=save(make().state_dict(), tmp_path / "net.pth")).eval()
    write_onnx(network, tmp_path / "net.onnx", {})
    check(network, tmp_path / "net.onnx")


@pytest.mark.real
def test_the_verb_writes_it_beside_the_weights_with_what_it_is(tmp_path, capsys):
    from onnxruntime import InferenceSession

    store = Store(tmp_path / "r")
    made = stage(store)
    assert export(store, "abcd", tmp_path / "out", "--onnx") == 0
    assert f"{NAME}.onnx: differs from the network by at most" in capsys.readouterr().out
    assert {p.name for p in (tmp_path / "out").iterdir()} == {f"{NAME}.pt", f"{NAME}_dual_model.pt", f"{NAME}.onnx"}
    check(made.model, tmp_path / "out" / f"{NAME}.onnx")
    facts = InferenceSession(tmp_path / "out" / f"{NAME}.onnx").get_modelmeta().custom_metadata_map
    assert facts["model"] == "drn"
    assert facts["scale"] == "4"
    assert facts["key"].startswith("abcd")
    assert "RGB" in facts["input"]
    assert "0..255" in facts["input"]
    assert "is there already" in refused(capsys, store, "abcd", tmp_path / "out", "--onnx")


class _Noisy(nn.Module):
    """Draws noise, so that no two passes agree."""

    def forward(self, lr):
        return (lr + torch.rand_like(lr),)


@pytest.mark.real
def test_what_has_no_onnx_form_is_refused_and_leaves_no_file(tmp_path, capsys):
    with pytest.raises(UsageError, match="no ONNX file is written: its output differs"):
        write_onnx(_Noisy(), tmp_path / "net.onnx", {})
    store = Store(tmp_path / "r")
    trial = store.trial("cccc" + 60 * "0")
    write_json(trial / "trial.json", {"stages": [], "config": {"method": "bicubic", "scale": 2, "model": {}}})
    store.write_status(trial, Status("done"))
    assert "PyTorch's exporter cannot write this network" in refused(capsys, store, "cccc", tmp_path, "--onnx")
    assert not list(tmp_path.rglob("*.onnx*"))


def test_without_the_packages_a_line_says_what_to_install(tmp_path, capsys, monkeypatch):
    store = Store(tmp_path / "r")
    stage(store)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert main(["export", "abcd", str(tmp_path / "out"), "--results", str(store.root), "--onnx"]) == 2
    error = capsys.readouterr().err
    assert error == "drnbench: onnxruntime is not installed: pip install 'drnbench[onnx]'\n"
    assert not (tmp_path / "out").exists()
