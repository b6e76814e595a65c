"""Studies as SLURM jobs: submitit's stand-in for a cluster, and SLURM's commands where only their answers matter."""

import os
import signal
import subprocess

import pandas as pd
import psutil
import pytest

from drnbench.errors import UsageError
from drnbench.execution.slurm import SlurmExecutor
from drnbench.store import Store
from tests.execution.test_contract import LONG, Recorder, stage, steps
from tests.helpers import STORE_ONLY, call, command, histories, same, scores, until, weights, write_study

pytest.importorskip("submitit")
LOCALLY = ("--executor", "slurm", "--slurm", "cluster=local", *STORE_ONLY, "--jobs", 2)


def assert_equal(results, reference):
    assert same(weights(results), weights(reference))
    pd.testing.assert_frame_equal(scores(results), scores(reference), check_exact=True)
    pd.testing.assert_frame_equal(histories(results), histories(reference), check_exact=True)


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    folder = tmp_path_factory.mktemp("local")
    study = write_study(folder, rhos=(0.0,))
    done = call("run", study, "--results", folder / "r", *STORE_ONLY, "--jobs", 2)
    assert done.returncode == 0, done.stderr
    return study, folder / "r"


@pytest.fixture
def locally(tmp_path):
    executor = SlurmExecutor(tmp_path, 1, "cpu", parameters={"cluster": "local"})
    yield executor
    executor.close()


@pytest.mark.real
def test_a_study_as_jobs_has_the_scores_of_a_local_one(local, tmp_path):
    study, reference = local
    done = call("run", study, "--results", tmp_path / "r", *LOCALLY)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "2 at once on cpu" in done.stdout
    assert_equal(tmp_path / "r", reference)
    assert not list(tmp_path.glob("r/.slurm*"))
    assert not list(tmp_path.glob("r/**/lease.*"))
    again = call("run", study, "--results", tmp_path / "r", *LOCALLY)
    assert "nothing to train" in again.stdout


@pytest.mark.real
def test_jobs_that_outlive_their_run_are_found_by_the_next(local, tmp_path):
    study, reference = local
    results = tmp_path / "r"
    run = subprocess.Popen(command("run", study, "--results", results, *LOCALLY), stdout=subprocess.DEVNULL)
    until(lambda: list(results.glob("stages/*/unit.json")) or run.poll() is not None, seconds=300)
    jobs = psutil.Process(run.pid).children(recursive=True)
    run.send_signal(signal.SIGKILL)
    run.wait()
    done = call("run", study, "--results", results, *LOCALLY)
    assert done.returncode == 0, done.stderr
    assert_equal(results, reference)
    _, alive = psutil.wait_procs(jobs, timeout=120)
    assert not alive


@pytest.mark.real
def test_a_job_at_its_time_limit_saves_and_goes_on_as_another(locally, tmp_path):
    store = Store(tmp_path)
    unit, recorder = stage(store, steps=LONG), Recorder(locally)
    locally.submit(unit)
    recorder.until(lambda: steps(recorder, unit))
    first = [m["pid"] for m in recorder.messages[unit.key] if "pid" in m]
    os.kill(first[0], signal.SIGUSR2)  # what SLURM sends shortly before it kills
    recorder.until(lambda: len([m for m in recorder.messages[unit.key] if "pid" in m]) == 2)
    recorder.messages.clear()
    recorder.until(lambda: steps(recorder, unit))
    assert recorder.ended == {}
    assert f"of {LONG}" in (store.stage(unit.key) / "log.txt").read_text()  # resumed
    os.kill(store.status(store.stage(unit.key)).pid, signal.SIGTERM)  # preempted, or cancelled by somebody
    recorder.until(lambda: recorder.ended)
    status = store.status(store.stage(unit.key))
    assert (status.state, status.kind) == ("failed", "killed")


@pytest.mark.real
def test_a_name_that_the_node_does_not_know_is_told(locally, tmp_path):
    store = Store(tmp_path)
    unit, recorder = stage(store).model_copy(update={"model": "of-a-plug-in"}), Recorder(locally)
    locally.submit(unit)
    recorder.until(lambda: recorder.ended)
    assert recorder.ended == {unit.key: 1}
    message = store.status(store.stage(unit.key)).message
    assert "unknown model 'of-a-plug-in'" in message
    assert "must be installed on every node" in message


def refused(*args, tmp_path, **env):
    done = call("run", write_study(tmp_path), "--results", tmp_path / "r", *args, **env)
    assert done.returncode == 2
    assert done.stderr.startswith("drnbench: ")
    assert done.stderr.count("\n") == 1
    return done.stderr


def test_without_slurm_one_line_says_where_to_run(tmp_path):
    with pytest.raises(UsageError, match="srun is not on this machine"):
        SlurmExecutor(tmp_path, 1, "cpu")


def test_an_unknown_parameter_is_refused(tmp_path):
    with pytest.raises(UsageError, match="partitio"):
        SlurmExecutor(tmp_path, 1, "cpu", parameters={"cluster": "local", "partitio": "gpu"})
    assert not list(tmp_path.glob(".slurm/*"))


def test_without_submitit_one_line_says_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "submitit", None)
    with pytest.raises(UsageError, match=r"pip install 'drnbench\[slurm\]'"):
        SlurmExecutor(tmp_path, 1, "cpu")


@pytest.mark.real
def test_options_of_another_executor_are_refused(tmp_path):
    assert "--partition is for --executor slurm" in refused("--partition", "gpu", tmp_path=tmp_path)
    assert "KEY=VALUE" in refused("--executor", "slurm", "--slurm", "timeout_min", tmp_path=tmp_path)
    assert "did you mean 'slurm'" in refused("--executor", "slrum", tmp_path=tmp_path)


FAKE = {
    "srun": "exit 0",
    "sbatch": 'cp "$1" "$LOG/sent.sh"; echo "Submitted batch job 17"',
    "sacct": "printf 'JobID|State|NodeList\\n17|OUT_OF_MEMORY|node3\\n'",
    "scancel": 'echo "$@" >> "$LOG/cancelled"',
}


@pytest.fixture
def commands(tmp_path, monkeypatch):
    """SLURM's commands, as a cluster that takes jobs and never runs one."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, body in FAKE.items():
        path = folder / name
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("LOG", str(tmp_path))
    return folder


def test_a_job_asks_for_what_its_unit_needs(commands, tmp_path):
    store = Store(tmp_path / "r")
    executor = SlurmExecutor(store.root, 1, "cuda", "long", {"timeout_min": 600, "mem_gb": 16, "account": "sr"})
    executor.submit(stage(store, threads=4))
    executor.close()
    sent = (tmp_path / "sent.sh").read_text()
    for line in (
        "cpus-per-task=4",
        "gpus-per-node=1",
        "partition=long",
        "time=600",
        "mem=16GB",
        "account=sr",
        "no-requeue",
    ):
        assert f"#SBATCH --{line}\n" in sent
    assert "--signal=USR2@" in sent
    assert (tmp_path / "cancelled").read_text() == "17\n"


def test_a_job_that_ends_before_it_began_was_killed(commands, tmp_path):
    store = Store(tmp_path / "r")
    executor = SlurmExecutor(store.root, 1, "cpu")
    unit, recorder = stage(store), Recorder(executor)
    executor.submit(unit)
    recorder.until(lambda: recorder.ended)
    assert recorder.ended == {unit.key: -9}
    status = store.status(store.stage(unit.key))
    assert status.kind == "killed"
    assert "job 17 ended by itself (OUT_OF_MEMORY) before it began" in status.message
    executor.close()


def test_a_job_in_the_queue_is_cancelled_by_stop(commands, tmp_path):
    store = Store(tmp_path / "r")
    executor = SlurmExecutor(store.root, 1, "cpu")
    unit = stage(store)
    executor.submit(unit)
    executor.stop()
    assert [(event.kind, event.payload) for event in executor.events(0)] == [("ended", {"exitcode": 0})]
    assert store.state(store.stage(unit.key)) == "interrupted"
    assert (tmp_path / "cancelled").read_text() == "17\n"
    executor.close()


def test_a_refused_job_is_told(commands, tmp_path):
    (commands / "sbatch").write_text("#!/bin/sh\necho 'sbatch: error: invalid partition specified: lnog' >&2\nexit 1\n")
    store = Store(tmp_path / "r")
    executor = SlurmExecutor(store.root, 1, "cpu", "lnog")
    with pytest.raises(UsageError, match=r"sbatch refused the first job: .*invalid partition specified: lnog"):
        executor.submit(stage(store))
    executor.close()
