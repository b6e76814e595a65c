"""Weights as trainers save them: under keys, with prefixes, beside other networks."""

from __future__ import annotations

import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from drnbench import models
from drnbench.errors import ChoiceWarning, UsageError
from drnbench.models.dual import DualSingle, dual_per_level
from drnbench.models.weights import dual_from_file, load_weights

SMALL = {"n_blocks": 1, "n_feats": 2}


def network(seed=0):
    torch.manual_seed(seed)
    return models.create("drn", 2, **SMALL)


def prefixed(state, prefix):
    return {prefix + name: value for name, value in state.items()}


def loaded(content, path):
    torch.save(content, path)
    model = network(9)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_weights(model, path)
    return model.state_dict()


def equal(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@settings(deadline=None, max_examples=40)
@given(
    prefixes=st.lists(st.sampled_from(["module.", "_orig_mod.", "net.", "model.", "net_g.", "generator."]), max_size=3),
    keys=st.lists(
        st.sampled_from(["params", "params_ema", "state_dict", "model", "ema", "generator", "net_g", "mine"]),
        max_size=3,
    ),
)
def test_keys_and_prefixes_in_any_combination(tmp_path_factory, prefixes, keys):
    state = network().state_dict()
    content = prefixed(state, "".join(prefixes))
    for key in keys:
        content = {
            key: content,
            "epoch": 3,
            "optimizer": {"state": {0: {"exp_avg": torch.ones(2)}}, "param_groups": []},
        }
    assert equal(loaded(content, tmp_path_factory.mktemp("w") / "x.pt"), state)


def test_a_compiled_part_and_other_networks_beside_it(tmp_path):
    state = network().state_dict()
    compiled = {name.replace(".", "._orig_mod.", 1): value for name, value in state.items()}
    assert equal(loaded(compiled, tmp_path / "x.pt"), state)
    lightning = {**prefixed(state, "net."), "loss.vgg.weight": torch.ones(3), "discriminator.0.weight": torch.ones(2)}
    assert equal(loaded({"state_dict": lightning, "epoch": 1}, tmp_path / "x.pt"), state)


@pytest.mark.parametrize("averaged", ["params_ema", "ema", "model_ema", "net_g_ema"])
@pytest.mark.parametrize("plain", ["params", "state_dict", "net_g"])
def test_averaged_weights_are_preferred_and_named(tmp_path, averaged, plain):
    states = {plain: network(1).state_dict(), averaged: network(2).state_dict()}
    torch.save(states, tmp_path / "x.pt")
    model = network(9)
    with pytest.warns(ChoiceWarning, match=f"under '{averaged}', not '{plain}'"):
        load_weights(model, tmp_path / "x.pt")
    assert equal(model.state_dict(), states[averaged])


def test_two_that_nothing_tells_apart_are_refused(tmp_path):
    torch.save({"a": network(1).state_dict(), "b": network(2).state_dict()}, tmp_path / "x.pt")
    with pytest.raises(UsageError, match=r"x\.pt holds several networks that fit \('a'; 'b'\)"):
        load_weights(network(), tmp_path / "x.pt")


@pytest.mark.parametrize(
    ("wrap", "names"),
    [(lambda state: {"params": prefixed(state, "module.")}, ["'params'", "'module.'"]),
     (lambda state: {"a": {"state_dict": state}}, ["'a.state_dict'"]), (lambda state: state, [])],
)  # fmt: skip
def test_another_network_is_refused_with_its_wrapping_and_a_parameter(tmp_path, wrap, names):
    torch.save(wrap(models.create("drn", 2, n_blocks=2, n_feats=2).state_dict()), tmp_path / "x.pt")
    with pytest.raises(UsageError, match=r"is of another network: it lacks 'up_blocks\.0") as caught:
        load_weights(network(), tmp_path / "x.pt")
    assert all(name in str(caught.value) for name in names)


@pytest.mark.parametrize("kind", ["level", "single"])
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.module.", "net.dual_models."])
@pytest.mark.parametrize("key", [None, "state_dict", "dual"])
def test_dual_networks_are_found_in_the_same_wrappings(tmp_path, kind, prefix, key):
    torch.manual_seed(3)
    duals = dual_per_level(4, 4) if kind == "level" else DualSingle(4, 4)
    content = prefixed(duals.state_dict(), prefix)
    torch.save(content if key is None else {key: content, "epoch": 1}, tmp_path / "d.pt")
    assert equal(dual_from_file(tmp_path / "d.pt", 4).state_dict(), duals.state_dict())
    if kind == "level":  # each network by itself, as the authors save them
        content = [prefixed(dual.state_dict(), prefix) for dual in duals]
        torch.save(content if key is None else {key: content, "epoch": 1}, tmp_path / "d.pt")
        assert equal(dual_from_file(tmp_path / "d.pt", 4).state_dict(), duals.state_dict())


@pytest.mark.real
@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "net_g.", "module.model.", "generator."])
@pytest.mark.parametrize("key", [None, "params_ema", "generator", "ema"])
def test_spandrel_gets_the_network_out_of_the_same_wrappings(tmp_path, prefix, key):
    pytest.importorskip("spandrel")
    from spandrel.architectures.Compact import Compact

    torch.manual_seed(0)
    state = Compact(num_in_ch=3, num_out_ch=3, num_feat=4, num_conv=1, upscale=2).state_dict()
    content = (
        {**prefixed(state, prefix), "loss.weight": torch.ones(2)} if prefix == "net_g." else prefixed(state, prefix)
    )
    torch.save(content if key is None else {key: content, "iter": 5}, tmp_path / "x.pth")
    assert equal(models.create("spandrel", 2, weights=str(tmp_path / "x.pth")).network.state_dict(), state)
