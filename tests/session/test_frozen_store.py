"""A store that an earlier commit wrote is read: nothing is trained again, and the numbers are equal to the last digit.

`tests/fixtures/store_0_1` was written before the packages were put into layers, by `run` of `tests/fixtures/mini.py`.
"""

import shutil

import pytest

from tests.conftest import REPOSITORY
from tests.helpers import call

FIXTURES = REPOSITORY / "tests" / "fixtures"


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


@pytest.mark.parametrize("name", ["summary.csv", "costs.csv", "table_rho.csv"])
def test_numbers_are_equal_to_the_last_digit(rerun, name):
    store, _ = rerun
    assert (store / "mini" / name).read_bytes() == (FIXTURES / "store_0_1" / "mini" / name).read_bytes()
