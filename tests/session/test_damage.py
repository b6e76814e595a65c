"""Files of a store that are not whole: each is named, made again, and no number moves; whole units are left alone."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest
import torch

from drnbench.cli import main
from drnbench.errors import DamagedError
from drnbench.evaluation.evaluator import load_model
from drnbench.models.weights import load_checkpoint
from drnbench.outputs import compose
from drnbench.results.inventory import Inventory
from drnbench.session.declared import declare
from drnbench.store import Store, read_rows
from drnbench.store.integrity import Damaged, decode
from tests.helpers import same
from tests.search import studyfile
from tests.session import inline
from tests.session.damages import DAMAGES, flipped, hurt, run, summary
from tests.session.inline import Inline

pytestmark = pytest.mark.filterwarnings("always::drnbench.errors.DamageWarning")

STUDY = '''"""Does it run?"""
from drnbench import Axis, Data, Evaluate, Stage, Study, Table, Trial
train = Stage("train", data=Data("photos/train", crop=32), steps=3, patch=16, lr=2e-3)
study = Study(
    base=Trial(method="drn", model={"n_blocks": 1, "n_feats": 2}, scale=2, stages=[train],
               evaluate=[Evaluate("photos/test", crop=32, count=2)]),
    axes=[Axis("train.batch", [1, 2])], seeds=1, baseline={"train.batch": 1}, outputs=[Table(rows="train.batch")])
'''
KINDS = {
    "stages/*/status.json": (), "stages/*/stage.json": (), "stages/*/unit.json": (), "stages/*/history.parquet": (),
    "stages/*/checkpoint.pt": (), "trials/*/status.json": (), "trials/*/per_image.parquet": (), "trials/*/scores.json": (),
    "trials/*/trial.json": (), "trials/*/samples/*/*/*_sr.png": (), "trials/*/images/*/*/*_sr.png": (), "*/quick/plan.json": (),
    "*/quick/report.json": (),
    "*/quick/summary.csv": (), "*/quick/table_*.tex": (), "*/quick/macros.tex": (),
    "cache/fingerprints.json": ("--rerun", "all"), "cache/lr/*/*.npy": ("--rerun", "all"),
    "cache/copies/results.json": ("--rerun", "all"), "cache/copies/keypoints-*/*/*": ("--rerun", "all"),
}  # fmt: skip
"""Kinds of files of a finished store, with what `run` is given so that it reads them."""
LATER = {"deleted": {"fingerprints.json", "results.json", "report.json"}}
"""Files that a store may lack without a fault: the cache, and the record of a report."""


@pytest.fixture(scope="module", autouse=True)
def _inline():
    with inline.available(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(compose, "figures", lambda study, shown: [])  # drawing takes longer than all of the rest
        yield


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    (folder / "m.py").write_text(STUDY, encoding="utf-8")
    assert run(folder / "m.py", folder / "results") == 0
    return folder / "m.py", folder / "results"


def _written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def is_equal(path: Path, before: bytes) -> bool:
    """Return True if a file says what it said before: a bit of white space, or between tensors, has flipped."""
    try:
        if path.name == "checkpoint.pt":
            return bool(load_checkpoint(path))
        if path.suffix == ".parquet":  # the footer has statistics, which nobody reads
            return read_rows(path).equals(read_rows(_written(path.with_suffix(".before"), before)))
        return path.exists() and decode(path.read_bytes()) == decode(before)
    except (Damaged, DamagedError, FileNotFoundError):
        return False


def check_case(whole, folder, capsys, pattern, damage):
    study, store = whole[0], shutil.copytree(whole[1], folder / "results")
    expected = summary(store)
    before = min(store.glob(pattern)).read_bytes()
    path = hurt(store, pattern, damage)
    is_same = is_equal(path, before)
    capsys.readouterr()
    checked = main(["check", "--results", str(store)])
    lines = capsys.readouterr().out
    assert main(["plan", str(study), "--results", str(store)]) == 0
    assert main(["report", str(study), "--results", str(store)]) in {0, 2}
    assert run(study, store, *KINDS.get(pattern, ())) == 0
    ran = list(Inline.ran)
    if summary(store) != expected:
        assert run(study, store) == 0
    assert summary(store) == expected
    output = capsys.readouterr()
    assert "Traceback" not in output.out + output.err
    if not is_same and path.name not in LATER.get(damage, ()) and not (damage == "deleted" and "cache" in pattern):
        assert str(path) in lines + output.err
        assert checked == 1 or damage == "deleted" or pattern.endswith((".json", ".png"))
    if not KINDS.get(pattern):
        assert len(ran) <= 1
        assert all(key == path.parent.name or "_sr" in pattern for _, key in ran)
    # Nothing is left of it: the store is whole again.
    assert run(study, store) == 0
    assert Inline.ran == []
    if (path.name, damage) != ("checkpoint.pt", "deleted"):  # its weights are made again where they are needed
        assert str(path) not in capsys.readouterr().err


@pytest.mark.fast_variants(8)
@pytest.mark.parametrize(("number", "pattern"), list(enumerate(KINDS)))
def test_a_file_that_is_not_whole_is_named_and_made_again(whole, tmp_path, capsys, number, pattern):
    check_case(whole, tmp_path, capsys, pattern, list(DAMAGES)[number % len(DAMAGES)])


@pytest.mark.real
@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("pattern", KINDS)
def test_every_kind_of_file_with_every_damage(whole, tmp_path, capsys, pattern, damage):
    check_case(whole, tmp_path, capsys, pattern, damage)


@pytest.fixture(scope="module")
def half_way(whole, tmp_path_factory):
    """A store whose first stage was left in the middle."""
    store = tmp_path_factory.mktemp("half") / "results"
    Inline.most_steps = 2
    try:
        run(whole[0], store)
    finally:
        Inline.most_steps = None
    assert list(store.glob("stages/*/checkpoint.pt"))
    return store


HALF = ("stages/*/status.json", "stages/*/checkpoint.pt", "stages/*/history.parquet", "stages/*/unit.json")


@pytest.mark.fast_variants(2)
@pytest.mark.parametrize("damage", ["halved", "flipped", pytest.param("zeroed", marks=pytest.mark.real)])
@pytest.mark.parametrize("pattern", HALF)
def test_a_run_that_was_left_half_way(whole, half_way, tmp_path, capsys, pattern, damage):
    store = shutil.copytree(half_way, tmp_path / "results")
    before = min(store.glob(pattern)).read_bytes()
    path = hurt(store, pattern, damage)
    capsys.readouterr()
    main(["check", "--results", str(store)])
    is_same = is_equal(path, before)
    assert run(whole[0], store) == 0
    assert summary(store) == summary(whole[1])
    output = capsys.readouterr()
    assert "Traceback" not in output.out + output.err
    assert is_same or str(path) in output.out + output.err


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    folder = tmp_path_factory.mktemp("searched")
    study = studyfile.write(folder)
    assert run(study, folder / "results") == 0
    return study, folder / "results"


@pytest.mark.real
@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("pattern", ["*/quick/search.journal", "*/quick/search.json"])
def test_a_search_takes_up_its_results(searched, tmp_path, capsys, pattern, damage):
    study, store = searched[0], shutil.copytree(searched[1], tmp_path / "results")
    path = hurt(store, pattern, damage)
    capsys.readouterr()
    assert run(study, store) == 0
    assert Inline.ran == []
    assert summary(store) == summary(searched[1])
    output = capsys.readouterr()
    assert "Traceback" not in output.out + output.err
    assert str(path) in output.err or pattern.endswith("json")
    assert main(["check", "--results", str(store)]) == 0


def test_check_repairs_and_says_what_is_made_again(whole, tmp_path, capsys):
    study, store = whole[0], shutil.copytree(whole[1], tmp_path / "results")
    paths = [hurt(store, pattern, "flipped") for pattern in ("stages/*/checkpoint.pt", "cache/lr/*/*.npy")]
    capsys.readouterr()
    assert main(["check", "--results", str(store), "--repair"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [sum(str(path) in line for line in lines) for path in paths] == [1, 1]
    assert paths[0].with_name("checkpoint.pt.damaged-1").exists()
    assert main(["check", "--results", str(store)]) == 0
    assert run(study, store) == 0
    assert summary(store) == summary(whole[1])
    assert main(["clean", "--leftovers", "--yes", "--results", str(store)]) == 0
    assert not list(store.rglob("*.damaged-*"))


@pytest.mark.parametrize("damage", ["deleted", "emptied"])
@pytest.mark.parametrize("pattern", ["stages/*/status.json", "trials/*/status.json"])
def test_check_repairs_a_unit_without_its_status(whole, tmp_path, capsys, pattern, damage):
    study, store = whole[0], shutil.copytree(whole[1], tmp_path / "results")
    path = hurt(store, pattern, damage)
    capsys.readouterr()
    assert main(["check", "--results", str(store), "--repair"]) == 1
    assert str(path) in capsys.readouterr().out
    assert main(["check", "--results", str(store)]) == 0
    assert run(study, store) == 0
    assert {key for _, key in Inline.ran} <= {path.parent.name}
    assert summary(store) == summary(whole[1])
    assert run(study, store) == 0
    assert Inline.ran == []


def test_nothing_is_unused_where_a_report_lacks_its_plan(whole, tmp_path):
    store = shutil.copytree(whole[1], tmp_path / "results")
    assert Inventory(Store(store)).unreadable == []
    path = hurt(store, "*/quick/plan.json", "deleted")
    assert Inventory(Store(store)).unreadable == [path]
    assert Inventory(Store(store)).unused == []


def test_weights_that_cannot_be_loaded_are_trained_again_first(whole, tmp_path, capsys):
    study, store = whole[0], shutil.copytree(whole[1], tmp_path / "results")
    hurt(store, "stages/*/checkpoint.pt", "zeroed")
    assert run(study, store, "--set", "evaluate.0.crop=24") == 0
    assert [kind for kind, _ in Inline.ran].count("stage") == 1
    assert "checkpoint.pt is not" in capsys.readouterr().out


def test_an_altered_image_of_the_cache_moves_no_score_and_reproduce_does_not_read_it(whole, tmp_path, capsys):
    store = shutil.copytree(whole[1], tmp_path / "results")
    for path in store.glob("cache/lr/*/*.npy"):
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 128
        path.write_bytes(content)
    trial = next(path.parent.name for path in store.glob("trials/*/trial.json"))
    assert main(["reproduce", trial[:12], "--results", str(store)]) == 0
    assert "IDENTICAL" in capsys.readouterr().out
    assert run(whole[0], store, "--rerun", "all") == 0
    assert summary(store) == summary(whole[1])


def summaries(store: Path) -> dict[str, bytes]:
    return {path.parent.name: path.read_bytes() for path in store.glob("*/*/summary.csv")}


@pytest.mark.real
def test_no_flipped_bit_of_a_checkpoint_reaches_a_number_of_a_run(whole, half_way, tmp_path, capsys):
    """A stage that goes on from it, and an evaluation that was added since."""
    draws, rescored = random.Random(13), ("--set", "evaluate.0.crop=24")
    assert run(whole[0], shutil.copytree(whole[1], tmp_path / "whole"), *rescored) == 0
    cases = [(half_way, (), summaries(whole[1])), (whole[1], rescored, summaries(tmp_path / "whole"))]
    for number in range(12):
        original, more, expected = cases[number % 2]
        store = shutil.copytree(original, tmp_path / f"{number}")
        path = min(store.glob("stages/*/checkpoint.pt"))
        path.write_bytes(flipped(path.read_bytes(), draws))
        is_same = is_equal(path, b"")
        capsys.readouterr()
        assert run(whole[0], store, *more) == 0
        assert summaries(store) == expected
        output = capsys.readouterr()
        assert is_same or str(path) in output.out + output.err


@pytest.mark.real
def test_no_flipped_bit_of_a_checkpoint_reaches_the_network_that_is_scored(whole, tmp_path):
    store = Store(shutil.copytree(whole[1], tmp_path / "results"))
    unit = next(trial.unit for trial in declare(whole[0]).plan(store).trials if trial.unit.stage is not None)
    path, draws, refused = store.stage(unit.stage) / "checkpoint.pt", random.Random(13), 0
    content, expected = path.read_bytes(), load_model(unit, store, torch.device("cpu")).state_dict()
    for _ in range(300):
        path.write_bytes(flipped(content, draws))
        try:
            assert same(load_model(unit, store, torch.device("cpu")).state_dict(), expected)
        except DamagedError:
            refused += 1
    assert refused > 30  # most other bits are padding between tensors
