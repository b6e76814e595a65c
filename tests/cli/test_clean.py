"""The verb `clean`: what it offers, what it never touches, and that nothing is trained again for want of what went."""

import json
import os
import shutil

import pytest

from drnbench.cli import main
from drnbench.execution.base import Event, Executor
from drnbench.results.inventory import Inventory
from drnbench.session.coordinator import Coordinator
from drnbench.session.declared import declare, read_overrides
from drnbench.session.items import todo
from drnbench.store import STALE_S, Status, Store, leases, processes, write_json
from drnbench.store.leases import Leases, claim, leased
from tests.fake_store import finish, write_stage
from tests.helpers import write_study


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    folder = tmp_path_factory.mktemp("original")
    finish(write_study(folder), folder / "r")
    return folder


@pytest.fixture
def store(original, tmp_path):
    shutil.copytree(original / "r", tmp_path / "r")
    return Store(tmp_path / "r")


def clean(store, *args, code=0):
    assert main(["clean", "--results", str(store.root), *args]) == code


def listing(root):
    return {str(p.relative_to(root)) for p in root.rglob("*")}


def forget_plan(store):
    (store.study("mini/quick") / "plan.json").unlink()


def checkpoints(store):
    return sorted(p.parent.name for p in store.root.glob("stages/*/checkpoint.pt"))


def planned_again(store, original, *sets):
    return declare(original / "mini.py", overrides=read_overrides(sets)).plan(store)


def test_without_a_choice_it_only_shows(store, capsys):
    before = listing(store.root)
    clean(store)
    clean(store, "--yes")
    out = capsys.readouterr().out
    rows = [line.split() for line in out.splitlines()]
    assert listing(store.root) == before
    assert any(row[:2] == ["stages", "4"] for row in rows)
    assert any(row[:4] == ["their", "sample", "images", "4"] for row in rows)
    assert any(row[:6] == ["no", "study", "needs", "(--unused)", "0", "0"] for row in rows)
    assert any(
        row[:5] == ["checkpoints", "nobody", "waits", "for", "(--checkpoints)"] and row[5] == "4" for row in rows
    )
    assert "will then need training again" in out


def test_nothing_goes_without_a_yes(store, capsys):
    before = listing(store.root)
    forget_plan(store)
    clean(store, "--all", code=2)
    line = capsys.readouterr().err
    assert "give --yes" in line
    assert line.count("\n") == 1
    assert listing(store.root) == before - {"mini/quick/plan.json"}


@pytest.mark.parametrize(("answer", "gone"), [("y", True), ("n", False), ("", False)])
def test_a_terminal_is_asked(store, monkeypatch, answer, gone):
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("typer.confirm", lambda *_, **__: answer == "y")
    clean(store, "--checkpoints")
    assert (not checkpoints(store)) is gone


def test_checkpoints_go_and_nothing_is_trained_again(store, original, capsys):
    clean(store, "--checkpoints", "--yes")
    assert "will then need training again" in capsys.readouterr().out
    assert not checkpoints(store)
    plan = planned_again(store, original)
    assert todo(plan, None) == []
    assert main(["plan", str(original / "mini.py"), "--results", str(store.root)]) == 0
    out = capsys.readouterr().out
    assert "4 trials: 4 done, 0 to run; 4 stages, 0 to train" in out
    assert "not needed" in out
    assert "to run:" not in out
    # Another arm needs the pretraining again, and nothing else.
    more = planned_again(store, original, "adapt.lr=0.5")
    wanted = [item.unit for item in todo(more, None)]
    assert [unit.stage.name for unit in wanted if unit.kind == "stage"] == ["pretrain", "adapt", "adapt", "adapt"]
    # And there is nothing left to clean.
    clean(store, "--checkpoints", "--yes")
    assert "nothing of what was chosen is there" in capsys.readouterr().out


class Instant(Executor):
    """Says of every unit that it is done, and remembers it."""

    slots = 1

    def __init__(self, store):
        self.store, self.units, self.ended = store, [], []

    def submit(self, unit):
        self.units.append(unit)
        folder = self.store.stage(unit.key) if unit.kind == "stage" else self.store.trial(unit.key)
        have = [] if unit.kind == "stage" else [e.key for e in unit.wanted]
        self.store.write_status(folder, Status("done", evaluations=have))
        if unit.kind == "stage":
            (folder / "checkpoint.pt").write_bytes(b"")
        self.ended.append(Event(unit.key, "ended", {"exitcode": 0}))

    def events(self, timeout):
        ended, self.ended = self.ended, []
        return ended

    def stop(self, key=None):
        raise AssertionError

    def kill(self, key):
        raise AssertionError

    def close(self):
        return


def test_a_pretraining_that_was_cleaned_is_trained_again_for_a_new_arm(store, original):
    clean(store, "--checkpoints", "--yes")
    executor = Instant(store)
    outcome = Coordinator(planned_again(store, original, "adapt.lr=0.5"), store, executor, []).run()
    assert (outcome.trained, outcome.scored, outcome.failed) == (4, 3, [])
    assert executor.units[0].stage.name == "pretrain"


def test_weights_that_somebody_waits_for_stay(store, original):
    plan = planned_again(store, original)
    unscored = next(t for t in plan.trials if t.arm.name == "ρ=0.5")
    status = store.status(store.trial(unscored.unit.key))
    status.evaluations = status.evaluations[1:]
    store.write_status(store.trial(unscored.unit.key), status)
    clean(store, "--checkpoints", "--yes")
    assert checkpoints(store) == sorted(unscored.stages)


def test_weights_that_an_unfinished_stage_starts_from_stay(store, original):
    plan = planned_again(store, original, "adapt.steps=7")
    child = next(n for n in plan.stages.values() if n.unit.before)
    write_stage(store, plan, child.unit.key)
    store.write_status(store.stage(child.unit.key), Status("interrupted"))
    clean(store, "--checkpoints", "--yes")
    assert checkpoints(store) == sorted([child.unit.before, child.unit.key])


def test_what_no_plan_refers_to_goes(store, original, capsys):
    plan = planned_again(store, original, "adapt.steps=7")
    old = next(n.unit.key for n in plan.stages.values() if n.unit.before)
    write_stage(store, plan, old)
    write_json(store.trial("e" * 64) / "trial.json", {"stages": [old]})
    clean(store, "--unused", "--yes")
    assert "1 stages and 1 trials that no plan.json refers to" in capsys.readouterr().out
    assert not store.stage(old).exists()
    assert not store.trial("e" * 64).exists()
    assert len(checkpoints(store)) == 4
    assert todo(planned_again(store, original), None) == []


def test_candidates_of_a_search_are_used(store):
    forget_plan(store)
    keys = [unit.key for unit in Inventory(store).units]
    history = {"searches": {"one": {"uses": {"stages": keys[:2], "trials": keys[2:3]}}, "two": {}}}
    write_json(store.study("mini/quick") / "search.json", history)
    assert sorted(unit.key for unit in Inventory(store).unused) == sorted(keys[3:])


def test_what_is_worked_on_stays(store, capsys):
    forget_plan(store)
    running, leased, idle = (folder.name for folder in sorted((store.root / "stages").iterdir())[:3])
    store.write_status(store.stage(running), Status("running"))
    lease = claim(store.stage(leased))
    clean(store, "--unused", "--cache", "--yes", code=1)
    err = capsys.readouterr().err
    assert f"left alone: stage {running[:12]} is being worked on" in err
    assert f"left alone: stage {leased[:12]} is being worked on" in err
    assert "the cache, while 2 units" in err
    assert checkpoints(store) == sorted([running, leased])
    assert not store.stage(idle).exists()
    assert (store.cache / "fingerprints.json").exists()
    lease.release()


def test_a_unit_that_a_run_takes_at_the_last_moment_stays(store, monkeypatch):
    """Between the look and the deletion, a run claims a unit and finishes another."""
    forget_plan(store)
    taken, changed = (store.stage(folder.name) for folder in sorted((store.root / "stages").iterdir())[:2])

    def confirm(*_, **__):
        held.append(claim(taken))
        store.write_status(changed, Status("interrupted"))
        return True

    held = []
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("typer.confirm", confirm)
    clean(store, "--unused", code=1)
    assert checkpoints(store) == sorted([taken.name, changed.name])
    held[0].release()
    assert [p.name for p in changed.glob("lease.*")] == []


def test_a_study_that_is_planned_while_the_question_stands_keeps_its_own(store, monkeypatch):
    text = (store.study("mini/quick") / "plan.json").read_text(encoding="utf-8")
    forget_plan(store)

    def confirm(*_, **__):
        (store.study("mini/quick") / "plan.json").write_text(text, encoding="utf-8")
        return True

    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("typer.confirm", confirm)
    clean(store, "--unused")
    assert len(checkpoints(store)) == 4


def test_a_clean_that_is_killed_leaves_units_that_count_as_missing(store, monkeypatch):
    forget_plan(store)

    def killed(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("drnbench.session.cleaning._remove", killed)
    clean(store, "--unused", "--yes", code=130)
    states = [store.state(unit.folder) for unit in Inventory(store).units]
    assert sorted(set(states)) == ["done", "missing"]
    assert states.count("missing") == 1
    monkeypatch.undo()
    clean(store, "--unused", "--yes")
    assert Inventory(store).units == []


def test_links_are_never_followed(store, tmp_path):
    forget_plan(store)
    outside = tmp_path / "outside"
    (outside / "precious").mkdir(parents=True)
    (outside / "precious" / "status.json").write_text(json.dumps({"state": "done"}))
    (outside / "weights.pt").write_bytes(b"mine")
    unit = min((store.root / "stages").iterdir())
    (unit / "linked").symlink_to(outside, target_is_directory=True)
    (unit / "weights.pt").symlink_to(outside / "weights.pt")
    (store.root / "stages" / ("a" * 64)).symlink_to(outside / "precious", target_is_directory=True)
    (store.cache / "pixels").symlink_to(outside, target_is_directory=True)
    before = listing(outside)
    clean(store, "--all", "--yes")
    assert listing(outside) == before
    assert (outside / "weights.pt").read_bytes() == b"mine"
    assert not unit.exists()


def test_the_cache_goes_whole(store, original):
    (store.cache / "lr" / "ab").mkdir(parents=True)
    (store.cache / "lr" / "ab" / "abcd.npy").write_bytes(b"x" * 5000)
    clean(store, "--cache", "--yes")
    assert not (store.cache / "lr").exists()
    assert not (store.cache / "fingerprints.json").exists()
    assert todo(planned_again(store, original), None) == []


@pytest.mark.filterwarnings("always::drnbench.errors.DamageWarning")
def test_leftovers_go_and_what_lives_stays(store, monkeypatch, capsys):
    monkeypatch.setattr(leases, "UNREADABLE_S", 0.0)  # of the lease that is not whole
    unit = min((store.root / "stages").iterdir())
    gone, here = 2**22 + 1, os.getpid()  # no process has an id as large
    dead = [
        unit / f".checkpoint.pt.{gone}.tmp",
        store.root / f".reproduce-abc.{gone}.tmp",
        store.study("mini/quick") / f".a.{gone}.tmp",
    ]
    dead += [store.cache / "parts" / "x" / ".abc.tmp", store.cache / "locks" / "old.lock", unit / "lease.3"]
    alive = [
        unit / f".checkpoint.pt.{here}.tmp",
        store.root / f".reproduce-abc.{here}.tmp",
        unit / f".young.{gone}.tmp",
    ]
    for path in [*dead, *alive]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"half")
    long_ago = unit.stat().st_mtime - 2 * STALE_S
    for path in [*dead, *alive[:2]]:
        os.utime(path, (long_ago, long_ago))
    clean(store, "--leftovers", "--yes")
    assert "lease.3 is not whole" in capsys.readouterr().err
    assert [path for path in dead if path.exists()] == []
    assert all(path.exists() for path in alive)
    assert len(checkpoints(store)) == 4


def elsewhere(folder, age):
    """A lease of a process on another machine, whose clock is ahead or behind."""
    file = folder / "lease.1"
    file.write_text(json.dumps({"host": "node-42", "pid": 77, "pid_start": 1.0}))
    os.utime(file, (file.stat().st_atime - age, file.stat().st_mtime - age))


@pytest.mark.parametrize("age", [86400.0, -86400.0])
def test_a_process_elsewhere_is_watched_before_its_unit_goes(store, monkeypatch, capsys, age):
    forget_plan(store)
    unit = min((store.root / "stages").iterdir())
    elsewhere(unit, age)
    clean(store)
    assert "counts as worked on, by process 77 on node-42, as last seen 20" in capsys.readouterr().out
    monkeypatch.setattr(processes, "DEAD_S", 0.0)
    clean(store, "--unused", "--yes")
    assert not unit.exists()


def test_a_process_elsewhere_that_has_just_been_seen_is_left_its_unit_at_once(store):
    forget_plan(store)
    unit = min((store.root / "stages").iterdir())
    elsewhere(unit, 0.0)
    clean(store, "--unused", "--yes", code=1)
    assert checkpoints(store) == [unit.name]


def test_what_a_run_needs_stays_until_it_ends(store, original, capsys):
    needed = min((store.root / "stages").iterdir()).name
    with Leases() as held:
        held.need(store.root, [needed])
        clean(store, "--checkpoints", "--yes")
        assert checkpoints(store) == [needed]
        forget_plan(store)
        clean(store, "--unused", "--cache", "--yes", code=1)
        assert f"stage {needed[:12]} is needed by a run" in (err := capsys.readouterr().err)
        assert "the cache, while 1 runs that may read it go on" in err
        assert [unit.key for unit in Inventory(store).units] == [needed]
    clean(store, "--unused", "--cache", "--yes")
    assert Inventory(store).units == []


def test_a_run_that_begins_at_the_last_moment_keeps_what_it_needs(store, monkeypatch):
    """After the last look at the store, before the unit is taken."""
    keys = checkpoints(store)
    with Leases() as held:

        def claim_later(folder):
            held.need(store.root, keys)
            return claim(folder)

        monkeypatch.setattr("drnbench.session.cleaning.claim", claim_later)
        clean(store, "--checkpoints", "--yes", code=1)
    assert checkpoints(store) == keys


def test_a_lease_that_is_taken_at_the_last_moment_is_no_leftover(store, monkeypatch):
    unit = min((store.root / "stages").iterdir())
    (unit / "lease.1").write_text(json.dumps({**processes.identity(), "pid": 2**22 + 1}))
    real, held = Inventory.leftovers, []

    def leftovers(self):
        paths = real(self)
        held.append(claim(unit) or held[0])
        return paths

    monkeypatch.setattr(Inventory, "leftovers", leftovers)
    clean(store, "--leftovers", "--yes")
    assert held[0].held()
    assert leased(unit)


def test_a_lock_that_is_held_stays(store):
    from filelock import FileLock

    path = store.cache / "locks" / "held.lock"
    with FileLock(path):
        clean(store, "--leftovers", "--yes")
        assert path.exists()
    clean(store, "--leftovers", "--yes")
    assert not path.exists()


def test_no_store_is_one_line(tmp_path, capsys):
    assert main(["clean", "--results", str(tmp_path / "none")]) == 2
    assert "no store at" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()
