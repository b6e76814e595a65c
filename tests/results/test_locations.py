"""Reports of one study under several settings, beside each other and beside that of an earlier version."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import drnbench
from drnbench.errors import UsageError
from drnbench.outputs import report
from drnbench.results.inventory import Inventory
from drnbench.results.locations import locate, matching, planned
from drnbench.session.declared import declare
from drnbench.session.recording import announce
from drnbench.store import Store, read_json, write_json
from tests.conftest import REPOSITORY

MINI = REPOSITORY / "tests" / "fixtures" / "mini.py"


@pytest.fixture
def earlier(tmp_path: Path) -> Store:
    """A store of an earlier version: its report stands in results/mini."""
    return Store(shutil.copytree(REPOSITORY / "tests" / "fixtures" / "store_0_1", tmp_path / "results"))


def run(store: Store, profile: str = "quick", **overrides: object) -> str:
    """Record a plan as a run does; return its location."""
    plan = declare(MINI, profile, overrides).plan(store)
    announce(plan, store)
    return plan.study.settings.location


def test_settings_stand_side_by_side(tmp_path: Path) -> None:
    store = Store(tmp_path)
    locations = [run(store), run(store, **{"adapt.steps": 90}), run(store, "tiny")]
    assert planned(store) == sorted(locations)
    assert len(set(locations)) == 3
    plans = [read_json(store.study(location) / "plan.json") for location in locations]
    assert [plan["overrides"] for plan in plans] == [{}, {"adapt.steps": 90}, {}]
    assert matching(store, "mini") == sorted(locations)
    with pytest.raises(UsageError, match=f"has 3 reports.*{locations[1]}"):
        locate(store, "mini")
    assert locate(store, locations[1]) == locations[1]
    with pytest.raises(UsageError, match=r"mini/paper.*there is .*mini/tiny"):
        locate(store, "mini/paper")


def test_a_plan_keeps_when_it_was_first_recorded(tmp_path: Path) -> None:
    store = Store(tmp_path)
    first = read_json(store.study(run(store)) / "plan.json")["begun"]
    assert read_json(store.study(run(store)) / "plan.json")["begun"] == first
    assert read_json(store.study(run(store, "tiny")) / "plan.json")["begun"] > first


@pytest.mark.real
def test_a_report_of_an_earlier_version_is_read_where_it_is(earlier: Store) -> None:
    assert planned(earlier) == ["mini"]
    assert locate(earlier, "mini") == "mini"
    for results in (
        drnbench.load(earlier.root / "mini"),
        drnbench.load(earlier.root),
        drnbench.load(earlier.root, "mini"),
    ):
        assert len(results.summary) == 20
    written = report.write(earlier, "mini")
    assert {path.parent for path in written.files} == {earlier.root / "mini"}


def test_a_link_to_itself_hides_no_report(tmp_path: Path) -> None:
    store = Store(tmp_path)
    location = run(store)
    for folder in (tmp_path, tmp_path / "mini"):
        (folder / "loop").symlink_to(folder / "loop")
    assert planned(store) == [location]


def test_a_new_run_leaves_the_earlier_report(earlier: Store, capsys: pytest.CaptureFixture[str]) -> None:
    before = (earlier.root / "mini" / "plan.json").read_bytes()
    assert run(earlier, "tiny") == "mini/tiny"
    assert planned(earlier) == ["mini", "mini/tiny"]
    assert run(earlier) == "mini/quick"
    assert planned(earlier) == ["mini/quick", "mini/tiny"]
    assert capsys.readouterr().out.count("stays there") == 2
    assert (earlier.root / "mini" / "plan.json").read_bytes() == before
    assert set(Inventory(earlier).plans) == {"mini", "mini/quick", "mini/tiny"}


def test_trials_of_every_setting_are_used(tmp_path: Path) -> None:
    store = Store(tmp_path)
    plans = [declare(MINI, overrides=overrides).plan(store) for overrides in ({}, {"adapt.steps": 90})]
    for plan in plans:
        announce(plan, store)
    assert {trial.unit.key for plan in plans for trial in plan.trials} <= set(Inventory(store).uses)
    assert not Inventory(store).unused


@pytest.mark.parametrize("name", ["mini/tiny", "mini"])
def test_load_takes_the_folder_of_a_report_or_of_its_study(tmp_path: Path, name: str) -> None:
    store = Store(tmp_path / "results")
    run(store, "tiny")
    assert drnbench.load(tmp_path / "results" / name).plan.location == "mini/tiny"
    run(store)
    if name == "mini":
        with pytest.raises(UsageError, match="mini/quick, mini/tiny"):
            drnbench.load(tmp_path / "results" / name)
    else:
        assert drnbench.load(tmp_path / "results" / name).plan.profile == "tiny"


@pytest.mark.parametrize("name", ["trials", "cache", "a/b", ".hidden"])
def test_a_study_that_would_share_a_folder_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="cannot be called"):
        declare(MINI, name=name)


def test_a_plan_that_changes_under_the_same_settings_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(tmp_path)
    run(store)
    path = store.study("mini/quick") / "plan.json"
    plan = read_json(path)
    plan["trials"] = plan["trials"][1:]
    write_json(path, plan)
    capsys.readouterr()
    run(store)
    assert "has other trials than before" in capsys.readouterr().out
