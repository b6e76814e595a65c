"""A store that an earlier commit wrote is read: nothing is trained again, and the numbers are equal to the last digit.

`tests/fixtures/store_0_1` was written before the packages were put into layers, by `run` of `tests/fixtures/mini.py`.
"""

import csv
import json
import re
import shutil

import pytest

from drnbench.store.environment import signature
from tests.conftest import REPOSITORY
from tests.helpers import call

FIXTURES = REPOSITORY / "tests" / "fixtures"


pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def rerun(tmp_path_factory):
    folder = tmp_path_factory.mktemp("frozen")
    store = shutil.copytree(FIXTURES / "store_0_1", folder / "results")
    study = shutil.copy(FIXTURES / "mini.py", folder / "mini.py")
    done = call("run", study, "--results", store, "--tracking-uri", "off")
    assert done.returncode == 0, done.stderr
    return store, done.stdout


def test_nothing_is_trained_again(rerun):
    store, output = rerun
    assert "nothing to train" in output
    for kind in ("stages", "trials"):
        before = sorted((FIXTURES / "store_0_1" / kind).rglob("*"))
        assert {p.relative_to(FIXTURES / "store_0_1") for p in before} == {
            p.relative_to(store) for p in (store / kind).rglob("*") if not p.name.startswith(".")
        }
        assert all(p.read_bytes() == (store / p.relative_to(FIXTURES / "store_0_1")).read_bytes()
                   for p in before if p.is_file())  # fmt: skip


def test_results_of_an_earlier_rule_are_not_said_to_come_from_other_code(rerun):
    _, output = rerun
    assert "recorded by an earlier version's rule" in output
    assert "come from other numeric code" not in output


def test_costs_are_equal_to_the_last_digit(rerun):
    store, _ = rerun
    rows, before = read(store / "mini" / "quick" / "costs.csv"), read(FIXTURES / "store_0_1" / "mini" / "costs.csv")
    assert [list(row)[:-1] for row in rows] == [list(old) for old in before]
    assert {row.pop("settings") for row in rows} == {"mini, profile quick"}
    assert rows == before


@pytest.mark.parametrize("name", ["summary.csv", "table_rho.csv"])
def test_numbers_are_equal_to_the_last_digit(rerun, name):
    """Intervals and p-values alone follow a newer rule (statistics 2): widest of three, over all cells of the table."""
    store, _ = rerun
    rows = read(store / "mini" / "quick" / name)
    before = read(FIXTURES / "store_0_1" / "mini" / name)
    assert len(rows) == len(before)
    for row, old in zip(rows, before, strict=True):
        assert list(row)[: len(old)] == list(old)
        assert {column: row[column] for column in old.keys() - MOVED} == {c: old[c] for c in old.keys() - MOVED}
        assert row["statistics"] == "2"
        if old["delta_low"]:
            assert float(row["delta_low"]) <= float(old["delta_low"]) + 1e-12
            assert float(row["delta_high"]) >= float(old["delta_high"]) - 1e-12
        if old["p_holm"]:
            assert float(row["p_holm"]) >= float(old["p_holm"]) - 1e-12


@pytest.mark.parametrize("stage", ["a5db4674fb5a", "2c3ef1282614"])  # ρ = 0.5, and true pairs
def test_training_gives_the_weights_that_the_earlier_commit_stored(rerun, stage):
    """Bit for bit on the kind of processor that the store was written on, where a change of memory layout shows, too."""
    store, _ = rerun
    (folder,) = (store / "stages").glob(f"{stage}*")
    recorded = json.loads((folder / "stage.json").read_text())["signature"]
    output = call("reproduce", stage, "--results", store).stdout
    differences = [float(size) for size in re.findall(r"largest difference ([-+.e\d]+)", output)]
    assert "weights of adapt" in output
    assert max(differences, default=0.0) < 1e-5
    if recorded == signature("cpu", 1, "fp32", deterministic=True):
        assert "IDENTICAL bit for bit" in output, output


MOVED = {"delta_low", "delta_high", "p_holm"}


def read(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
