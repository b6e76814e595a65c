"""The verb `export`: files in the authors' names, whole or not at all."""

import warnings

import pytest
import torch

from drnbench import Data, Stage, models
from drnbench.cli import main
from drnbench.config.units import StageUnit
from drnbench.errors import DamageWarning
from drnbench.models.dual import dual_per_level
from drnbench.models.weights import load_dual, load_weights
from drnbench.schemes import schemes
from drnbench.store import Status, Store, write_json

SIZES = {"n_blocks": 1, "n_feats": 2, "train_mean": True}
NAME = "drn_x4_abcd00000000"


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "r")


def stage(store, key="abcd" + 60 * "0", scheme="paired", dual="chain", state="done"):
    """A stage in the store as training leaves it."""
    declared = Stage("pretrain", scheme=scheme, data=Data("photos/train"), steps=1, dual=dual, dual_feats=4)
    unit = StageUnit(
        key=key, model="drn", options=SIZES, scale=4, seed=0, depth=0, before=None, stage=declared, data_digest=""
    )
    made = schemes.get(scheme)(models.create("drn", 4, **SIZES), 4, declared)
    made.prepare(torch.device("cpu"))
    folder = store.stage(key)
    write_json(folder / "unit.json", unit.model_dump(mode="json"))
    store.write_status(folder, Status(state))
    torch.save({**made.state_dict(), "step": 1, "sums": {}}, folder / "checkpoint.pt")
    return made


def export(store, key, out, *more):
    return main(["export", key, str(out), "--results", str(store.root), *more])


def refused(capsys, store, key, out, *more):
    assert export(store, key, out, *more) == 2
    line = capsys.readouterr().err
    assert line.startswith("drnbench: ")
    assert line.count("\n") == 1
    return line


def test_both_networks_in_the_authors_form(store, tmp_path, capsys):
    made = stage(store)
    assert export(store, "abcd", tmp_path / "out") == 0
    out = capsys.readouterr().out
    assert "model drn (n_blocks = 1, n_feats = 2, train_mean = True), scale 4, stage pretrain" in out
    assert {p.name for p in (tmp_path / "out").iterdir()} == {f"{NAME}.pt", f"{NAME}_dual_model.pt"}

    state = torch.load(tmp_path / "out" / f"{NAME}.pt", weights_only=True)
    model = models.create("drn", 4, **SIZES)
    model.load_state_dict(state)
    lr = torch.rand(1, 3, 4, 4) * 255
    assert torch.equal(model(lr)[-1], made.model(lr)[-1])
    load_weights(model, tmp_path / "out" / f"{NAME}.pt")

    states = torch.load(tmp_path / "out" / f"{NAME}_dual_model.pt", weights_only=True)
    assert [set(s) for s in states] == 2 * [{"dual_module.0.0.weight", "dual_module.1.weight"}]
    duals = dual_per_level(4, 4)
    load_dual(duals, tmp_path / "out" / f"{NAME}_dual_model.pt")
    for ours, theirs, trained in zip(duals, states, made.extra["dual"], strict=True):
        assert torch.equal(ours(lr), trained(lr))
        assert torch.equal(theirs["dual_module.1.weight"], trained.dual_module[1].weight)


def test_a_trial_means_its_last_stage(store, tmp_path):
    stage(store)
    stage(store, key="bbbb" + 60 * "0")
    write_json(store.trial("cccc" + 60 * "0") / "trial.json", {"stages": ["bbbb" + 60 * "0", "abcd" + 60 * "0"]})
    assert export(store, "cccc", tmp_path / "out") == 0
    assert (tmp_path / "out" / f"{NAME}.pt").exists()


@pytest.mark.parametrize(
    ("scheme", "dual", "omitted"), [("supervised", "chain", ""), ("paired", "single", "dual_single")]
)
def test_without_a_dual_for_each_level_there_is_one_file(store, tmp_path, capsys, scheme, dual, omitted):
    stage(store, scheme=scheme, dual=dual)
    assert export(store, "abcd", tmp_path / "out") == 0
    assert [p.name for p in (tmp_path / "out").iterdir()] == [f"{NAME}.pt"]
    out = capsys.readouterr().out
    assert ("not exported" in out) is bool(omitted)
    assert omitted in out


def test_nothing_is_overwritten_unless_forced(store, tmp_path, capsys):
    stage(store)
    there = tmp_path / f"{NAME}_dual_model.pt"
    there.write_bytes(b"mine")
    assert f"{there} is there already; give --force" in refused(capsys, store, "abcd", tmp_path)
    assert there.read_bytes() == b"mine"
    assert not (tmp_path / f"{NAME}.pt").exists()
    assert export(store, "abcd", tmp_path, "--force") == 0
    assert there.stat().st_size > 100
    assert not list(tmp_path.glob(".*tmp"))


def test_wrong_keys_are_one_line(store, tmp_path, capsys):
    stage(store)
    stage(store, key="abcdef" + 58 * "0")
    stage(store, key="ffff" + 60 * "0", state="failed")
    write_json(store.trial("eeee" + 60 * "0") / "trial.json", {"stages": []})
    (tmp_path / "file").write_text("")
    out = tmp_path / "out"
    assert "is not a key: give at least 4" in refused(capsys, store, "abc", out)
    assert "no stage and no trial" in refused(capsys, store, "1234", out)
    assert "'abcd' begins 2 keys (stage abcd" in refused(capsys, store, "abcd", out)
    assert "stage ffff00000000 cannot be exported: it is failed" in refused(capsys, store, "ffff", out)
    assert "its method is not trained" in refused(capsys, store, "eeee", out)
    assert not out.exists()
    assert "cannot be written" in refused(capsys, store, "abcde", tmp_path / "file")
    (store.stage("abcdef" + 58 * "0") / "checkpoint.pt").write_bytes(b"broken")
    with warnings.catch_warnings(action="ignore", category=DamageWarning):
        assert "cannot be exported: it is damaged" in refused(capsys, store, "abcde", out)
    (store.stage("abcdef" + 58 * "0") / "checkpoint.pt").unlink()
    assert "were cleaned away; train it with --rerun all" in refused(capsys, store, "abcde", out)
    write_json(store.trial("dddd" + 60 * "0") / "trial.json", {"stages": ["abcdef" + 58 * "0"]})
    assert "`reproduce dddd00000000 --keep DIR` trains them again" in refused(capsys, store, "abcde", out)
