"""Studies on a Ray cluster: a head and two nodes on this machine, one of them killed in the middle."""

import os
import socket
import subprocess

import pandas as pd
import psutil
import pytest

from drnbench.errors import UsageError
from drnbench.execution.ray import RayExecutor
from drnbench.execution.staging import needed, pack, unpack
from drnbench.session.coordinator import Coordinator
from drnbench.session.declared import declare
from drnbench.session.recording import record
from drnbench.store import Store
from tests.execution.nodes import cluster_of
from tests.execution.test_contract import LONG, Recorder, stage, steps
from tests.execution.test_kill import in_stage, running
from tests.helpers import STORE_ONLY, call, command, histories, same, scores, until, weights, write_study

STEPS = 60


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    folder = tmp_path_factory.mktemp("local")
    study = write_study(folder, steps=STEPS, rhos=(0.0,))
    done = call("run", study, "--results", folder / "r", *STORE_ONLY, "--jobs", 2)
    assert done.returncode == 0, done.stderr
    return study, folder / "r"


@pytest.fixture(scope="module")
def cluster():
    pytest.importorskip("ray")
    with cluster_of([1, 1]) as cluster:
        yield cluster


def assert_equal(results, reference):
    assert same(weights(results), weights(reference))
    pd.testing.assert_frame_equal(scores(results), scores(reference), check_exact=True)
    pd.testing.assert_frame_equal(histories(results), histories(reference), check_exact=True)


def node_of(cluster, pid):
    """The node that a process belongs to."""
    raylet = psutil.Process(pid).ppid()
    return next(n for n in cluster.worker_nodes if n.all_processes["raylet"][0].process.pid == raylet)


@pytest.mark.real
def test_nodes_without_the_results_folder_are_sent_what_they_need(local, cluster, tmp_path, monkeypatch):
    study, reference = local
    monkeypatch.setenv("DRNBENCH_SEND_S", "0")
    monkeypatch.setenv("DRNBENCH_CHECKPOINT_S", "0")
    monkeypatch.setenv("DRNBENCH_SCRATCH", str(tmp_path / "scratch"))
    store = Store(tmp_path / "r")
    plan = declare(study, "quick").plan(store)
    record(plan, store)
    seen, sent = [], set()

    class Listener:
        def started(self, unit, label):
            seen.append(label)

        def message(self, unit, label, payload):
            if unit.kind == "stage" and (store.stage(unit.key) / "checkpoint.pt").exists():
                sent.add(unit.key)

        def ended(self, unit, label, status, tail=()):
            assert status.state == "done"

    executor = RayExecutor(store.root, None, "cpu", cluster.address)
    next(store.root.glob(".shared-*")).unlink()  # the nodes look for it
    assert executor.slots == 2
    outcome = Coordinator(plan, store, executor, [Listener()]).run()
    assert outcome.failed == []
    assert len(seen) == outcome.trained + outcome.scored
    assert sent  # checkpoints came while stages trained: a lost node does not take them along
    assert_equal(store.root, reference)
    assert {path.name for path in (tmp_path / "scratch").glob("*/*")} == {"cache"}


@pytest.mark.real
def test_a_lost_node_costs_nothing_but_time(local, cluster, tmp_path):
    study, reference = local
    results = tmp_path / "r"
    run = subprocess.Popen(
        command("run", study, "--results", results, *STORE_ONLY, "--executor", "ray", "--address", cluster.address),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "DRNBENCH_CHECKPOINT_S": "0"},
    )  # fmt: skip
    until(lambda: in_stage(results, depth=1, steps=1) or run.poll() is not None, seconds=300)
    assert run.poll() is None, run.communicate()
    pid = next(pid for folder, pid in running(results).items() if folder.parent.name == "stages")
    cluster.remove_node(node_of(cluster, pid), allow_graceful=False)
    out, err = run.communicate(timeout=600)
    assert run.returncode == 0, out + err
    assert err == ""
    assert "2 at once on cpu" in out
    assert "its node was lost" in out
    assert_equal(results, reference)
    assert not list(results.glob(".s*"))


@pytest.mark.real
def test_a_mailbox_that_is_killed_starts_again_beside_the_coordinator(cluster, tmp_path):
    store = Store(tmp_path)
    unit, recorder = stage(store, steps=LONG), Recorder(RayExecutor(tmp_path, None, "cpu", cluster.address))
    recorder.executor.submit(unit)
    recorder.until(lambda: steps(recorder, unit))
    for then in ("goes on", "stops"):
        head = psutil.Process(cluster.head_node.all_processes["raylet"][0].process.pid)
        (mailbox,) = [child for child in head.children() if "Mailbox" in child.cmdline()[0]]
        before = steps(recorder, unit)[-1]
        if then == "stops":
            recorder.executor.stop()
        mailbox.kill()
        recorder.until(lambda before=before: recorder.ended or steps(recorder, unit)[-1] > before)
    recorder.until(lambda: recorder.ended)
    recorder.executor.close()
    assert recorder.ended == {unit.key: 0}
    assert store.state(store.stage(unit.key)) == "interrupted"


@pytest.mark.real
def test_units_share_a_gpu_in_parts(cluster, tmp_path):
    node = cluster.add_node(num_cpus=4, num_gpus=1, object_store_memory=100 * 2**20)
    cluster.wait_for_nodes()
    executor = RayExecutor(tmp_path, None, "auto", cluster.address, gpus=0.25)
    assert (executor.device, executor.slots) == ("cuda", 4)
    executor.close()
    executor = RayExecutor(tmp_path, 3, "cpu", cluster.address)
    assert (executor.device, executor.slots) == ("cpu", 3)
    executor.close()
    cluster.remove_node(node)
    with pytest.raises(UsageError, match="the Ray cluster has no GPU"):
        RayExecutor(tmp_path, None, "cuda", cluster.address)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("127.0.0.1:1", "no Ray cluster answers at 127.0.0.1:1: .*ray start --head"),
        ("ray://127.0.0.1:1", "no Ray cluster answers at ray://127.0.0.1:1"),
        ("somewhere", "HOST:PORT"),
    ],
)
def test_an_address_without_a_cluster_is_refused(tmp_path, address, message):
    pytest.importorskip("ray")
    with pytest.raises(UsageError, match=message):
        RayExecutor(tmp_path, None, "cpu", address)


@pytest.mark.parametrize(("address", "tries"), [("ray://{}", 4), ("{}", 1)])
def test_a_client_server_that_dies_is_asked_for_again(tmp_path, monkeypatch, address, tries):
    ray, asked = pytest.importorskip("ray"), []

    def init(**options):
        asked.append(options["address"])
        raise RuntimeError("Starting Ray client server failed. See the log.")

    monkeypatch.setattr(ray, "init", init)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        where = address.format(f"127.0.0.1:{listening.getsockname()[1]}")
        with pytest.raises(UsageError, match="Starting Ray client server failed") as error:
            RayExecutor(tmp_path, None, "cpu", where)
    assert asked == [where] * tries
    assert ("GRPC_ENABLE_FORK_SUPPORT=0" in str(error.value)) == (tries > 1)


def test_without_ray_one_line_says_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(UsageError, match=r"pip install 'drnbench\[ray\]'") as error:
        RayExecutor(tmp_path, None, "cpu")
    assert "\n" not in str(error.value)


def fill(folder, **files):
    for name, text in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_a_parcel_holds_results_and_nothing_of_processes(tmp_path):
    fill(tmp_path / "a", status="1", log="2", samples__x="3")
    for private in ("lease.3", ".lock", ".status.json.12.tmp"):
        (tmp_path / "a" / private).write_text("")
    (tmp_path / "a" / ".worker").mkdir()
    (tmp_path / "a" / ".worker" / "lease.1").write_text("")
    unpack(pack(tmp_path / "a"), tmp_path / "b")
    assert {p.relative_to(tmp_path / "b").as_posix() for p in (tmp_path / "b").rglob("*") if p.is_file()} == {
        "status", "log", "samples/x"
    }  # fmt: skip
    assert (tmp_path / "b" / "samples" / "x").read_text() == "3"


def test_the_status_is_unpacked_last_and_may_stay(tmp_path, monkeypatch):
    for name in ("status.json", "checkpoint.pt", "history.parquet", "a.json", "z.json"):
        fill(tmp_path / "a", **{name: name})
    written = []
    replace = type(tmp_path).replace
    monkeypatch.setattr(
        type(tmp_path), "replace", lambda self, target: (written.append(target.name), replace(self, target))[1]
    )
    unpack(pack(tmp_path / "a"), tmp_path / "b")
    assert written[-3:] == ["history.parquet", "checkpoint.pt", "status.json"]
    unpack(pack(tmp_path / "a", status=False), tmp_path / "c")
    assert not (tmp_path / "c" / "status.json").exists()


def test_a_parcel_that_leads_elsewhere_is_refused(tmp_path):
    import io
    import zipfile

    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("../outside", "x")
    with pytest.raises(ValueError, match="leads out of"):
        unpack(out.getvalue(), tmp_path / "in")
    assert not (tmp_path / "outside").exists()


def test_a_unit_needs_its_own_folder_and_the_checkpoint_before(tmp_path):
    plan = declare(write_study(tmp_path), "quick").plan(Store(tmp_path / "r"))
    store = Store(tmp_path / "r")
    unit = next(node.unit for node in plan.stages.values() if node.unit.before)
    assert needed(store, unit) == []
    for key, name in ((unit.before, "checkpoint.pt"), (unit.before, "log.txt"), (unit.key, "log.txt")):
        fill(store.stage(key), **{name: "x"})
    assert {str(p) for p in needed(store, unit)} == {f"stages/{unit.key}", f"stages/{unit.before}/checkpoint.pt"}
