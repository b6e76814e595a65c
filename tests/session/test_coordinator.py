"""The coordinator with a fake executor, whose units end as a test wants."""

from __future__ import annotations

import os
import socket

import pandas as pd
import pytest
import torch

from drnbench.execution.base import Event, Executor
from drnbench.execution.worker import FULL
from drnbench.session.coordinator import Coordinator
from drnbench.session.declared import declare, read_overrides
from drnbench.session.items import todo
from drnbench.store import Status, Store
from drnbench.store.leases import claim, needed_units
from tests.helpers import write_study


class FakeExecutor(Executor):
    """Ends every unit as `fate(unit, try)` says: a status and an exit code."""

    def __init__(self, store, fate, slots=2):
        self.store, self.fate, self.slots = store, fate, slots
        self.tries, self.running, self.stopped, self.killed = {}, [], [], []

    def submit(self, unit):
        assert claim(self.store.folder(unit)) is None, "a unit runs under a lease"
        self.tries[unit.key] = self.tries.get(unit.key, 0) + 1
        self.running.append(unit)

    def events(self, timeout):
        out = []
        for unit in self.running:
            status, code = self.fate(unit, self.tries[unit.key])
            if status is not None:
                if status.state == "done":
                    write_result(self.store.folder(unit), unit)
                self.store.write_status(self.store.folder(unit), status)
            out.append(Event(unit.key, "ended", {"exitcode": code}))
        self.running = []
        return out

    def stop(self, key=None):
        self.stopped.append(key)

    def kill(self, key):
        self.killed.append(key)

    def close(self):
        pass


def write_result(folder, unit):
    """The files without which a unit is not done."""
    if unit.kind == "stage":
        torch.save({}, folder / "checkpoint.pt")
        return
    row = {"image": "a", "dataset": "d", "kernel": "k", "scale": 2, "metric": "psnr_y", "value": 30.0}
    frame = pd.DataFrame([{**row, "evaluation": evaluation.key} for evaluation in unit.wanted])
    frame.to_parquet(folder / "per_image.parquet", index=False)


class Recorder:
    def __init__(self):
        self.ends = []

    def started(self, unit, label):
        pass

    def message(self, unit, label, payload):
        pass

    def ended(self, unit, label, status, tail=()):
        self.ends.append((unit, status, list(tail)))


def done(unit):
    return Status("done", evaluations=[e.key for e in unit.wanted] if unit.kind == "evaluate" else [])


def run(tmp_path, fate, *sets, **options):
    store = Store(tmp_path / "r")
    plan = declare(write_study(tmp_path, rhos=(0.0,)), overrides=read_overrides(sets)).plan(store)
    executor, recorder = FakeExecutor(store, fate), Recorder()
    outcome = Coordinator(plan, store, executor, [recorder], **options).run()
    return outcome, executor, recorder, store


def test_everything_is_done_once(tmp_path):
    outcome, executor, _, store = run(tmp_path, lambda unit, _: (done(unit), 0))
    assert (outcome.trained, outcome.scored, outcome.failed) == (3, 3, [])
    assert set(executor.tries.values()) == {1}
    assert not list(store.root.glob("*/*/lease.*"))


def test_what_is_killed_is_tried_again_and_what_fails_is_not(tmp_path):
    outcome, executor, recorder, _ = run(tmp_path, lambda unit, n: (done(unit), 0) if n == 3 else (None, -9))
    assert outcome.failed == []
    assert set(executor.tries.values()) == {3}
    again = "the process was ended by signal 9; it runs again"
    ends = [(status.state, status.kind, status.message) for _, status, _ in recorder.ends]
    assert ends.count(("interrupted", "killed", again)) == 2 * len(executor.tries), "nothing has failed yet"
    assert ends.count(("done", None, None)) == len(executor.tries) == len(ends) / 3

    def fails(unit, _):
        if unit.kind == "stage" and unit.depth == 1:
            return Status("failed", kind="error", message="no"), 1
        return done(unit), 0

    (tmp_path / "b").mkdir()
    outcome, executor, recorder, _ = run(tmp_path / "b", fails)
    assert len(outcome.failed) == 2
    assert set(executor.tries.values()) == {1}
    assert [status.kind for _, status, _ in recorder.ends if status.state == "failed"] == ["error", "error"]


def test_too_often_killed_is_failed(tmp_path):
    outcome, executor, _, _ = run(tmp_path, lambda unit, _: (None, -9) if unit.kind == "stage" else (done(unit), 0))
    assert sorted(executor.tries.values()) == [1, 3]  # bicubic's scores, and the stage that all others wait for
    assert "killed: the process was ended by signal 9" in outcome.failed[0]


def oom(unit, _):
    if unit.kind == "stage" and unit.stage.batch // unit.split > 2:
        return Status("failed", kind="oom", message="out of memory"), 1
    return done(unit), 0


def test_out_of_memory_is_tried_in_smaller_parts_where_the_stage_says_so(tmp_path):
    outcome, executor, recorder, _ = run(tmp_path, oom, "*.batch=16", "*.accumulate=auto")
    assert outcome.failed == []
    assert {executor.tries[unit.key] for unit, _, _ in recorder.ends if unit.kind == "stage"} == {4}
    assert {unit.split for unit, status, _ in recorder.ends if unit.kind == "stage" and status.state == "done"} == {8}
    (tmp_path / "b").mkdir()
    outcome, executor, _, _ = run(tmp_path / "b", oom, "*.batch=16")
    assert [line.split(": ")[1] for line in outcome.failed] == ["oom"]


def test_a_full_disk_ends_the_run_and_is_no_failure(tmp_path):
    outcome, executor, _, _ = run(tmp_path, lambda unit, _: (Status("interrupted", message="the disk is full"), FULL))
    assert outcome.full
    assert outcome.failed == []
    assert len(executor.tries) == 2, "those that ran, and no other"
    assert executor.stopped == [None, None]


def test_a_failure_shows_the_end_of_its_log(tmp_path):
    store = Store(tmp_path / "r")

    def fate(unit, _):
        if unit.kind != "stage":
            return done(unit), 0
        folder = store.stage(unit.key)
        (folder / "log.txt").write_text("\n".join(f"line {i}" for i in range(50)) + "\nValueError: no\n\n")
        return Status("failed", kind="error", message="no"), 1

    _, _, recorder, _ = run(tmp_path, fate)
    (tail,) = [tail for _, status, tail in recorder.ends if status.state == "failed"]
    assert tail[-2:] == ["line 49", "ValueError: no"]
    assert len(tail) == 8


def test_what_another_coordinator_has_is_left_to_it(tmp_path):
    store = Store(tmp_path / "r")
    plan = declare(write_study(tmp_path, rhos=(0.0,)), "quick").plan(store)
    first = next(node.unit for node in plan.stages.values() if node.unit.depth == 0)
    lease = claim(store.stage(first.key))

    class Watching(FakeExecutor):
        def events(self, timeout):
            if lease.file.exists() and not self.running:  # nothing can go on without the first stage
                write_result(store.stage(first.key), first)
                store.write_status(store.stage(first.key), done(first))
                lease.release()
            return super().events(timeout)

    executor = Watching(store, lambda unit, _: (done(unit), 0))
    outcome = Coordinator(plan, store, executor, []).run()
    assert first.key not in executor.tries
    assert (outcome.trained, outcome.scored) == (2, 3)


@pytest.mark.real
def test_a_batch_in_parts_is_the_same_step(tmp_path):
    from drnbench.training.feed import Feed
    from drnbench.training.loop import build

    store = Store(tmp_path / "r")
    plan = declare(write_study(tmp_path, rhos=(0.0, 0.5)), overrides={"*.batch": 6}).plan(store)
    for node in plan.stages.values():
        weights = []
        for split in (1, 3, 6):
            scheme, feed = build(node.unit), Feed(node.unit, store.cache, torch.device("cpu"))
            scheme.split = split
            scheme.prepare(torch.device("cpu"))
            losses = [scheme.step(feed.batch(step), 1e-3) for step in range(2)]
            weights.append((losses, [p.detach().clone() for p in scheme.model.parameters()]))
        for losses, parameters in weights[1:]:
            for split_losses, whole in zip(losses, weights[0][0], strict=True):
                assert split_losses.keys() == whole.keys()
                assert all(torch.allclose(split_losses[k], whole[k], rtol=1e-4) for k in whole)
            pairs = zip(parameters, weights[0][1], strict=True)
            assert all(torch.allclose(a, b, atol=2e-5) for a, b in pairs)


def test_ctrl_c_while_the_first_process_starts_ends_the_run(tmp_path):
    class Interrupted(FakeExecutor):
        def submit(self, unit):
            super().submit(unit)
            self.running = []
            raise KeyboardInterrupt

        def events(self, timeout):
            assert not self.tries, "nothing was started, so nothing ends"
            return []

    store = Store(tmp_path / "r")
    store.prepare()
    plan = declare(write_study(tmp_path), "quick").plan(store)
    executor = Interrupted(store, lambda *_: (None, 0))
    assert Coordinator(plan, store, executor, []).run().interrupted
    (key,) = executor.tries
    assert claim(store.stage(key)) is not None, "its lease is given back"


def begin(tmp_path, *, finished=False, rerun=None, **options):
    """A coordinator that has planned a study, and its parts; the study was run to its end before, where `finished`."""
    store = Store(tmp_path / "r")
    declared = declare(write_study(tmp_path, rhos=(0.0,)), "quick")
    if finished:
        everything = FakeExecutor(store, lambda unit, _: (done(unit), 0))
        Coordinator(declared.plan(store), store, everything, []).run()
    plan = declared.plan(store)
    executor = FakeExecutor(store, lambda unit, _: (done(unit), 0))
    return Coordinator(plan, store, executor, [], rerun, **options), executor, store, declared


def clean_weights(store):
    for path in store.root.glob("stages/*/checkpoint.pt"):
        path.unlink()


def test_weights_that_are_cleaned_between_plan_and_start_are_made_again(tmp_path):
    coordinator, _, store, declared = begin(tmp_path, finished=True)
    for path in store.root.glob("trials/*/status.json"):
        path.unlink()
    plan = declared.plan(store)
    executor = FakeExecutor(store, lambda unit, _: (done(unit), 0))
    coordinator = Coordinator(plan, store, executor, [])
    clean_weights(store)
    outcome = coordinator.run()
    assert (outcome.trained, outcome.scored, outcome.failed) == (len(plan.stages), 3, [])
    assert set(executor.tries.values()) == {1}


def test_weights_that_are_cleaned_under_a_unit_that_runs_are_made_again(tmp_path):
    store = Store(tmp_path / "r")
    removed = []

    def fate(unit, _):
        if unit.kind == "stage" and unit.depth == 1 and not removed:
            removed.append(store.stage(unit.before) / "checkpoint.pt")
            removed[0].unlink()
            return Status("failed", kind="error", message=f"FileNotFoundError: '{removed[0]}'"), 1
        return done(unit), 0

    outcome, executor, _, _ = run(tmp_path, fate)
    assert outcome.failed == []
    assert sorted(executor.tries.values()) == [1, 1, 1, 1, 2, 2], (
        "the stage that was cleaned, and the one that needs it"
    )
    assert removed[0].exists()


def test_a_stage_that_another_coordinator_needed_no_more_is_not_trained_again(tmp_path):
    """It trained the stage and scored its trials, and `clean` took the weights."""
    coordinator, executor, store, declared = begin(tmp_path)
    other = FakeExecutor(store, lambda unit, _: (done(unit), 0))
    Coordinator(declared.plan(store), store, other, []).run()
    clean_weights(store)
    outcome = coordinator.run()
    assert (outcome.trained, outcome.scored, outcome.failed) == (0, 0, [])
    assert executor.tries == {}


def test_a_rerun_of_two_coordinators_makes_each_unit_again_once(tmp_path):
    coordinator, executor, store, declared = begin(tmp_path, finished=True, rerun="all")
    other = FakeExecutor(store, lambda unit, _: (done(unit), 0))
    Coordinator(declared.plan(store), store, other, [], "all").run()
    assert set(other.tries.values()) == {1}
    outcome = coordinator.run()
    assert executor.tries == {}
    assert outcome.failed == []


def test_a_failure_of_another_coordinator_is_not_tried_twice(tmp_path):
    coordinator, executor, store, declared = begin(tmp_path)

    def fate(unit, _):
        broken = unit.kind == "stage" and unit.depth == 0
        return (Status("failed", kind="error", message="no") if broken else done(unit)), int(broken)

    Coordinator(declared.plan(store), store, FakeExecutor(store, fate), []).run()
    outcome = coordinator.run()
    assert [line.split(": ", 1)[1] for line in outcome.failed] == ["error: no"]
    assert executor.tries == {}
    again = Coordinator(declared.plan(store), store, executor, [], "failed").run()
    assert again.failed == []
    assert set(executor.tries.values()) == {1}


def test_a_scored_trial_whose_stage_lacked_cleaned_weights_is_not_failed_for_ever(tmp_path):
    """As an earlier version left it: the stage was to be made again without need, and its start was gone."""
    _, executor, store, declared = begin(tmp_path, finished=True)
    stage = next(node.unit for node in declared.plan(store).stages.values() if node.unit.depth == 1)
    clean_weights(store)
    message = f"FileNotFoundError: [Errno 2] No such file or directory: '{store.stage(stage.before)}/checkpoint.pt'"
    store.write_status(store.stage(stage.key), Status("failed", kind="error", message=message))
    assert "failed" in {trial.state for trial in declared.plan(store).trials}
    outcome = Coordinator(declared.plan(store), store, executor, []).run()
    assert outcome.failed == []
    assert {trial.state for trial in declared.plan(store).trials} == {"done"}


def test_a_run_announces_the_units_that_it_needs(tmp_path):
    store, announced = Store(tmp_path / "r"), set()

    def fate(unit, _):
        announced.update(needed_units(store.root))
        return done(unit), 0

    _, executor, _, _ = run(tmp_path, fate)
    assert announced >= set(executor.tries)
    assert not needed_units(store.root)


def test_a_run_with_nothing_to_do_but_wait_names_whom_it_waits_for(tmp_path):
    lines = []

    def waiting(line):
        lines.append(line)
        if line:
            lease.release()

    coordinator, _, store, _ = begin(tmp_path, waiting=waiting)
    first = next(item.unit for item in todo(declare(tmp_path / "mini.py", "quick").plan(store), None) if not item.needs)
    lease = claim(store.folder(first))
    coordinator.run()
    (line,) = {line for line in lines if line}
    assert f"process {os.getpid()} on {socket.gethostname()}" in line
    assert "since" in line
    assert first.key[:12] in line
