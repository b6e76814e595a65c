"""What every executor promises, whatever engine is behind it."""

import os
import signal

import psutil
import pytest

from drnbench import Data, Evaluate, Stage, Trial
from drnbench.execution import local as local_module
from drnbench.execution import remote
from drnbench.execution.local import LocalExecutor
from drnbench.planning.keys import Keys
from drnbench.store import Store
from drnbench.training.origin import origin
from tests.helpers import free_port, until

pytestmark = pytest.mark.real
LONG = 20_000


def local(root, request):
    return LocalExecutor(root, 2, ["cpu"])


def slurm(root, request):
    pytest.importorskip("submitit")
    from drnbench.execution.slurm import SlurmExecutor

    return SlurmExecutor(root, 2, "cpu", parameters={"cluster": "local"})


def ray(root, request):
    from drnbench.execution.ray import RayExecutor

    return RayExecutor(root, 2, "cpu", address=request.getfixturevalue("cluster").address)


def ray_apart(root, request):
    made = ray(root, request)
    for path in root.glob(".shared-*"):  # as if the nodes had no such folder
        path.unlink()
    return made


def ray_client(root, request):
    from drnbench.execution.ray import RayExecutor

    request.getfixturevalue("cluster")
    return RayExecutor(root, 2, "cpu", address=f"ray://127.0.0.1:{request.getfixturevalue('client_port')}")


@pytest.fixture(scope="module")
def client_port():
    return free_port()


@pytest.fixture(scope="module")
def cluster(client_port):
    pytest.importorskip("ray")
    from tests.execution.nodes import cluster_of

    with cluster_of(cpus=[2], client_port=client_port) as cluster:
        yield cluster


@pytest.fixture(params=[local, slurm, ray, ray_apart, ray_client], ids=lambda make: make.__name__.replace("_", "-"))
def executor(request, tmp_path):
    made = request.param(tmp_path, request)
    yield made
    made.close()


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


def stage(store, *, seed=0, **fields):
    """A unit that trains a tiny network."""
    common = {"scheme": "paired", "data": Data("photos/train", crop=64), "batch": 2, "patch": 16, "validations": 0}
    stages = [Stage("pretrain", **{"steps": 100, **common, **fields})]
    trial = Trial(
        model={"n_blocks": 1, "n_feats": 2}, scale=2, stages=stages, evaluate=[Evaluate("photos/test")], seed=seed
    )
    return Keys(store.cache).stages(trial, "test")[0]


class Recorder:
    """The events of an executor so far."""

    def __init__(self, executor):
        self.executor, self.messages, self.ended = executor, {}, {}

    def listen(self):
        for event in self.executor.events(0.1):
            if event.kind == "ended":
                assert event.key not in self.ended
                self.ended[event.key] = event.payload["exitcode"]
            else:
                assert event.key not in self.ended, "a message after the end"
                self.messages.setdefault(event.key, []).append(event.payload)

    def until(self, condition):
        def held():
            self.listen()
            return condition()

        until(held, seconds=300)


def steps(recorder, unit):
    return [m["step"] for m in recorder.messages.get(unit.key, []) if "step" in m]


def test_units_are_run_and_tell_how_far_they_are(executor, store):
    good, bad, recorder = stage(store), stage(store, lr=1e30), Recorder(executor)
    executor.submit(good)
    executor.submit(bad)
    recorder.until(lambda: len(recorder.ended) == 2)
    assert recorder.ended == {good.key: 0, bad.key: 1}
    assert store.state(store.stage(good.key)) == "done"
    assert (store.stage(good.key) / "checkpoint.pt").exists()
    assert steps(recorder, good)[-1] == 100
    assert {"saved": 100} in recorder.messages[good.key]
    status = store.status(store.stage(bad.key))
    assert (status.state, status.kind) == ("failed", "diverged")
    assert executor.events(0) == []


def pid_of(recorder, store, unit):
    """The process of a unit, once it trains."""
    recorder.until(lambda: steps(recorder, unit))
    pids = [m["pid"] for m in recorder.messages[unit.key] if "pid" in m]
    return pids[0] if pids else store.status(store.stage(unit.key)).pid


def test_a_killed_process_costs_its_unit_alone(executor, store):
    doomed, other, recorder = stage(store, steps=LONG), stage(store, seed=1), Recorder(executor)
    executor.submit(doomed)
    executor.submit(other)
    os.kill(pid_of(recorder, store, doomed), signal.SIGKILL)
    recorder.until(lambda: len(recorder.ended) == 2)
    assert recorder.ended[doomed.key] != 0
    assert recorder.ended[other.key] == 0
    status = store.status(store.stage(doomed.key))
    assert status is None or store.state(store.stage(doomed.key)) == "lost" or status.kind == "killed"


def test_a_stopped_unit_saves_and_leaves_and_goes_on_later(executor, store):
    unit, other, recorder = stage(store, steps=LONG), stage(store, seed=1, steps=LONG), Recorder(executor)
    executor.submit(unit)
    executor.submit(other)
    recorder.until(lambda: steps(recorder, unit) and steps(recorder, other))
    executor.stop(unit.key)
    recorder.until(lambda: recorder.ended)
    assert recorder.ended == {unit.key: 0}
    assert store.state(store.stage(unit.key)) == "interrupted"
    assert (store.stage(unit.key) / "checkpoint.pt").exists()
    reached = max(steps(recorder, unit))
    executor.stop()
    recorder.until(lambda: len(recorder.ended) == 2)
    assert store.state(store.stage(other.key)) == "interrupted"

    recorder = Recorder(executor)
    executor.submit(unit)
    recorder.until(lambda: steps(recorder, unit))
    assert steps(recorder, unit)[0] >= reached
    assert f"of {LONG}" in (store.stage(unit.key) / "log.txt").read_text()


def test_kill_ends_one_unit_and_close_all(executor, store):
    units, recorder = [stage(store, seed=seed, steps=LONG) for seed in (0, 1)], Recorder(executor)
    for unit in units:
        executor.submit(unit)
    processes = [psutil.Process(pid_of(recorder, store, unit)) for unit in units]
    executor.kill(units[0].key)
    recorder.until(lambda: recorder.ended)
    assert list(recorder.ended) == [units[0].key]
    executor.close()
    _, alive = psutil.wait_procs(processes, timeout=120)
    assert not alive
    assert not list(store.root.glob(".s*"))
    executor.close()  # twice is once


def test_a_worker_that_has_other_code_than_the_coordinator_refuses_its_unit(executor, store, monkeypatch):
    for module in (local_module, remote):
        monkeypatch.setattr(module, "origin", lambda unit: {**origin(unit), "code": "0" * 64})
    unit, recorder = stage(store), Recorder(executor)
    executor.submit(unit)
    recorder.until(lambda: recorder.ended)
    assert recorder.ended == {unit.key: 1}
    status = store.status(store.stage(unit.key))
    assert (status.state, status.kind) == ("failed", "changed")
    assert "other numeric code of drnbench" in status.message
    assert not (store.stage(unit.key) / "checkpoint.pt").exists()
