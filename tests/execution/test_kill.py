"""Processes are killed for real; what comes out equals an undisturbed run bit for bit."""

import json
import os
import signal
import subprocess

import pandas as pd
import psutil
import pytest

from drnbench.store import Store
from tests.helpers import STORE_ONLY, call, command, histories, same, scores, until, weights, write_study

pytestmark = pytest.mark.real
STEPS = 150


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    study = write_study(folder, steps=STEPS)
    done = call("run", study, "--results", folder / "r", *STORE_ONLY, "--jobs", 2)
    assert done.returncode == 0, done.stderr
    return study, folder / "r"


def running(results):
    """Pids of the workers that statuses name as running."""
    pids = {}
    for path in results.glob("*/*/status.json"):
        status = json.loads(path.read_text())
        if status["state"] == "running":
            pids[path.parent] = status["pid"]
    return pids


def in_stage(results, *, depth, steps):
    """A stage of this depth is running and has a checkpoint."""
    for folder in running(results):
        unit = folder / "unit.json"
        if (
            unit.exists()
            and json.loads(unit.read_text())["depth"] == depth
            and (steps == 0 or (folder / "checkpoint.pt").exists())
        ):
            return True
    return False


MOMENTS = {
    "just started": lambda r: (r / "mini" / "quick" / "plan.json").exists(),
    "first steps of the pretraining": lambda r: in_stage(r, depth=0, steps=0),
    "pretraining checkpointed": lambda r: in_stage(r, depth=0, steps=1),
    "adaptation checkpointed": lambda r: in_stage(r, depth=1, steps=1),
    "scoring": lambda r: any(path.parent.name == "trials" for path in running(r)),
}


def assert_equal(results, reference):
    assert same(weights(results), weights(reference))
    pd.testing.assert_frame_equal(scores(results), scores(reference), check_exact=True)
    pd.testing.assert_frame_equal(histories(results), histories(reference), check_exact=True)


def test_run_killed_at_every_moment_ends_like_an_undisturbed_one(undisturbed, tmp_path):
    study, reference = undisturbed
    results = tmp_path / "r"
    args = command("run", study, "--results", results, *STORE_ONLY, "--jobs", 2)
    for moment, reached in MOMENTS.items():
        run = subprocess.Popen(args, stdout=subprocess.DEVNULL, env={**os.environ, "DRNBENCH_CHECKPOINT_S": "0.05"})
        until(lambda reached=reached, run=run: reached(results) or run.poll() is not None)
        assert run.poll() is None, f"the run ended before the moment {moment!r}"
        family = psutil.Process(run.pid).children(recursive=True)
        run.send_signal(signal.SIGKILL)
        run.wait()
        # No orphan: every process of the killed run leaves by itself.
        _, alive = psutil.wait_procs(family, timeout=120)
        assert not alive, f"{alive} outlived the run killed at {moment!r}"
    done = call("run", study, "--results", results, *STORE_ONLY, "--jobs", 1)
    assert done.returncode == 0, done.stderr
    assert_equal(results, reference)
    assert not list(results.rglob(".*.tmp"))


def test_a_killed_worker_is_retried_and_costs_nobody_else(undisturbed, tmp_path):
    study, reference = undisturbed
    results = tmp_path / "r"
    run = subprocess.Popen(
        command("run", study, "--results", results, *STORE_ONLY, "--jobs", 2), stdout=subprocess.PIPE, text=True,
        env={**os.environ, "DRNBENCH_CHECKPOINT_S": "0.05"},
    )  # fmt: skip
    until(lambda: in_stage(results, depth=1, steps=1) or run.poll() is not None)
    for folder, pid in running(results).items():
        if folder.parent.name == "stages":
            os.kill(pid, signal.SIGKILL)
    out, _ = run.communicate(timeout=300)
    assert run.returncode == 0, out
    assert "killed: the process was ended by signal 9; it runs again" in out
    assert "FAILED" not in out
    assert_equal(results, reference)


def test_ctrl_c_checkpoints_and_says_how_to_go_on(undisturbed, tmp_path):
    study, reference = undisturbed
    results = tmp_path / "r"
    run = subprocess.Popen(
        command("run", study, "--results", results, *STORE_ONLY, "--jobs", 1),
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    until(lambda: in_stage(results, depth=0, steps=0) or run.poll() is not None)
    run.send_signal(signal.SIGINT)
    _, err = run.communicate(timeout=120)
    assert run.returncode == 130
    assert err.splitlines() == [
        "stopping: what runs is saved first; Ctrl-C again ends it at once",
        "interrupted; run the same command again to go on",
    ]
    states = {Store(results).state(path.parent) for path in results.glob("stages/*/status.json")}
    assert states == {"interrupted"}
    assert call("run", study, "--results", results, *STORE_ONLY).returncode == 0
    assert_equal(results, reference)


def test_a_second_run_trains_nothing(undisturbed):
    study, results = undisturbed
    before = {p: p.stat().st_mtime_ns for p in results.glob("*/*/*.p*t*") if "mini" not in p.parts}
    again = call("run", study, "--results", results, *STORE_ONLY)
    assert again.returncode == 0
    assert "nothing to train" in again.stdout
    assert before == {p: p.stat().st_mtime_ns for p in before}


def test_jobs_do_not_move_a_bit(undisturbed, tmp_path):
    study, reference = undisturbed
    assert call("run", study, "--results", tmp_path / "r", *STORE_ONLY, "--jobs", 1).returncode == 0
    assert_equal(tmp_path / "r", reference)


def test_two_coordinators_share_the_work_and_do_nothing_twice(tmp_path, undisturbed):
    study, reference = undisturbed
    both = [
        subprocess.Popen(
            command("run", study, "--results", tmp_path / "r", *STORE_ONLY, "--jobs", 1),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for _ in range(2)
    ]  # fmt: skip
    outputs = [process.communicate(timeout=300) for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert_equal(tmp_path / "r", reference)
    for log in (tmp_path / "r").glob("stages/*/log.txt"):
        assert log.read_text().count("--- ") == 1, log
    assert not list((tmp_path / "r").glob("*/*/lease.*"))
    trained = [int(out.split("trained ")[1].split()[0]) for out, _ in outputs if "trained " in out]
    assert sum(trained) == len(list((tmp_path / "r").glob("stages/*")))


FILL = """
set -e
mount -t tmpfs -o size=600k tmpfs {folder}
{run} || true
cp -r {folder} {out}/full
mount -o remount,size=1300k {folder}
{run} || true
mount -o remount,size=200m {folder}
{run}
cp -r {folder} {out}/done
"""
"""600 kB hold a part of the sweep, 1300 kB all of it but not the report."""


def test_a_full_disk_breaks_nothing_and_what_is_missing_goes_on(tmp_path, undisturbed):
    study, reference = undisturbed
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here (unshare -rm)")
    folder, out = tmp_path / "small", tmp_path / "out"
    folder.mkdir()
    out.mkdir()
    run = " ".join(command("run", study, "--results", folder, "--tracking-uri", "off", "--jobs", 2))
    script = FILL.format(folder=folder, out=out, run=f"{run} >> {out}/stdout 2>> {out}/stderr")
    done = subprocess.run(
        ["unshare", "-rm", "bash", "-c", script], capture_output=True, text=True, timeout=300, check=False
    )
    errors = (out / "stderr").read_text()
    assert done.returncode == 0, done.stderr + errors
    assert [
        line.endswith("nothing is broken; make room and run the same command again") for line in errors.splitlines()
    ] == [
        True,
        True,
    ]
    states = {p.parent.name: json.loads(p.read_text())["state"] for p in (out / "full").glob("*/*/status.json")}
    assert "failed" not in states.values()
    assert len([s for s in states.values() if s == "done"]) < len(list(reference.glob("*/*/status.json")))
    assert_equal(out / "done", reference)
