"""The coordinator with a fake executor, whose units end as a test wants."""

from __future__ import annotations

import torch

from drnbench.execution.base import Event, Executor
from drnbench.execution.worker import FULL
from drnbench.session.coordinator import Coordinator
from drnbench.session.declared import declare, read_overrides
from drnbench.store import Status, Store
from drnbench.store.leases import claim
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
                self.store.write_status(self.store.folder(unit), status)
                if unit.kind == "stage" and status.state == "done":
                    (self.store.folder(unit) / "checkpoint.pt").touch()
            out.append(Event(unit.key, "ended", {"exitcode": code}))
        self.running = []
        return out

    def stop(self, key=None):
        self.stopped.append(key)

    def kill(self, key):
        self.killed.append(key)

    def close(self):
        pass


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
                (store.stage(first.key) / "checkpoint.pt").touch()
                store.write_status(store.stage(first.key), done(first))
                lease.release()
            return super().events(timeout)

    executor = Watching(store, lambda unit, _: (done(unit), 0))
    outcome = Coordinator(plan, store, executor, []).run()
    assert first.key not in executor.tries
    assert (outcome.trained, outcome.scored) == (2, 3)


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
