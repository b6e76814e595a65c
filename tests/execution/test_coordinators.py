"""Several `run`s on one results folder: in containers that share a host name, under clocks that are set, beside `clean`."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pandas as pd
import pytest

from drnbench.store import Store
from tests.helpers import STORE_ONLY, call, command, scores, until, write_study

pytestmark = pytest.mark.real

CONTAINER = ["unshare", "-r", "-p", "-f", "--mount-proc"]
CLOCK = """
import os, time
import psutil

real_time, real_utime, real_start = time.time, os.utime, psutil.Process.create_time

def shift():
    try:
        with open(os.environ["CLOCK"], encoding="ascii") as file:
            return float(file.read() or 0)
    except OSError:
        return 0.0

def utime(path, times=None, **options):
    if times is None and not options:
        times = (time.time(), time.time())
    real_utime(path, times, **options)

time.time = lambda: real_time() + shift()
os.utime = utime
psutil.Process.create_time = lambda self: real_start(self) + shift()
"""
"""A sitecustomize.py that shifts what a process sees of the clock by the seconds in a file, as setting the clock does: times,
dates that it gives to files, start times of processes."""
IMPATIENT = "from drnbench.store import processes; processes.DEAD_S = 2.0; from drnbench.cli import main; import sys; sys.exit(main())"


def start(args: list[str], **env: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        args, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, **env}
    )


def run(study: Path, results: Path, *args: object) -> list[str]:
    return command("run", study, "--results", results, "--jobs", 1, *args)


def assert_everything_once(results: Path) -> None:
    logs = sorted(results.glob("*/*/log.txt"))
    assert {log.parent.name: log.read_text().count("--- ") for log in logs} == dict.fromkeys(
        (log.parent.name for log in logs), 1
    )
    assert {Store(results).state(path.parent) for path in results.glob("*/*/status.json")} == {"done"}
    assert not list(results.glob("*/*/lease.*"))
    assert not (results / ".runs").exists()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pd.DataFrame]:
    folder = tmp_path_factory.mktemp("undisturbed")
    study = write_study(folder, steps=20, rhos=(0.0, 0.3, 0.6))
    done = call("run", study, "--results", folder / "r", *STORE_ONLY, "--jobs", 2)
    assert done.returncode == 0, done.stderr
    return study, scores(folder / "r")


def test_two_containers_with_one_host_name_do_each_unit_once(undisturbed, tmp_path):
    study, expected = undisturbed
    if (
        shutil.which("unshare") is None
        or subprocess.run([*CONTAINER, "true"], capture_output=True, check=False).returncode
    ):
        pytest.skip("no PID namespace can be made here (unshare -r -p -f --mount-proc)")
    both = [start([*CONTAINER, *run(study, tmp_path / "r", *STORE_ONLY)]) for _ in range(2)]
    outputs = [process.communicate(timeout=300)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert_everything_once(tmp_path / "r")
    trained = [int(number) for out in outputs for number in re.findall(r"trained (\d+) stages", out)]
    assert sum(trained) == len(list((tmp_path / "r").glob("stages/*")))
    pd.testing.assert_frame_equal(scores(tmp_path / "r"), expected, check_exact=True)


def test_clocks_that_are_set_by_an_hour_lose_and_double_nothing(undisturbed, tmp_path):
    study, expected = undisturbed
    (tmp_path / "sitecustomize.py").write_text(CLOCK)
    path = os.pathsep.join([str(tmp_path), *sys.path])
    clocks = [tmp_path / "clock0", tmp_path / "clock1"]
    both = [start(run(study, tmp_path / "r", *STORE_ONLY), CLOCK=str(clock), PYTHONPATH=path) for clock in clocks]
    steps = [(3600, 3600), (-3600, 3600), (0, -3600), (3, 0)]
    for n, shifts in enumerate(steps):
        # At another moment each: while the next units run.
        until(
            lambda n=n: (
                all(process.poll() is not None for process in both)
                or len(list((tmp_path / "r").glob("*/*/status.json"))) > n
            )
        )
        for clock, shift in zip(clocks, shifts, strict=True):
            clock.with_suffix(".new").write_text(str(shift))
            clock.with_suffix(".new").replace(clock)
    outputs = [process.communicate(timeout=300)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert_everything_once(tmp_path / "r")
    pd.testing.assert_frame_equal(scores(tmp_path / "r"), expected, check_exact=True)
    for status in (json.loads(path.read_text()) for path in (tmp_path / "r").glob("*/*/status.json")):
        assert 0 <= status["finished"] - status["started"] < 300


def test_a_lease_dated_ahead_is_waited_for_with_a_line_and_taken_over(undisturbed, tmp_path):
    study, expected = undisturbed
    results = tmp_path / "r"
    args = run(study, results, *STORE_ONLY)
    first = start(args)
    until(lambda: list(results.glob("stages/*/status.json")) or first.poll() is not None)
    first.kill()
    first.communicate()
    (unit,) = results.glob("stages/*/lease.1")  # of the stage that all others wait for
    unit.write_text('{"host": "node-42", "pid": 77, "pid_start": 1.0}')
    ahead = unit.stat().st_mtime + 10 * 24 * 3600
    os.utime(unit, (ahead, ahead))
    second, lines = start([sys.executable, "-c", IMPATIENT, *args[3:]]), list[str]()
    reader = threading.Thread(target=lambda: lines.extend(second.stdout))
    reader.start()

    def waits() -> bool:
        """The holder shows signs of life until somebody waits for it."""
        os.utime(unit, ns=(0, ahead_ns + len(beats)))
        beats.append(1)
        return "waiting for process 77 on node-42" in "".join(lines)

    beats, ahead_ns = list[int](), round(ahead * 1e9)
    until(waits)
    assert second.wait(timeout=300) == 0, lines
    reader.join()
    second.stdout.close()
    pd.testing.assert_frame_equal(scores(results), expected, check_exact=True)


def test_ten_coordinators_beside_clean_and_report(undisturbed, tmp_path):
    from mlflow import MlflowClient

    study, expected = undisturbed
    results, over, problems = tmp_path / "r", threading.Event(), []

    def loop(*args: object) -> None:
        while not over.is_set():
            done = call(*args, "--results", results)
            if "Traceback" in done.stdout + done.stderr or done.returncode not in {0, 1, 2}:
                problems.append(done.stdout + done.stderr)

    coordinators = [start(run(study, results)) for _ in range(10)]
    others = [threading.Thread(target=loop, args=args) for args in (("clean", "--all", "--yes"), ("report", "mini"))]
    for thread in others:
        thread.start()
    try:
        outputs = [process.communicate(timeout=900)[0] for process in coordinators]
    finally:
        over.set()
        for process in coordinators:
            process.kill()
        for thread in others:
            thread.join()
    assert [process.returncode for process in coordinators] == [0] * 10, outputs
    assert not problems
    pd.testing.assert_frame_equal(scores(results), expected, check_exact=True)
    again = call("run", study, "--results", results)
    assert again.returncode == 0, again.stderr
    assert "nothing to train" in again.stdout
    client = MlflowClient(f"sqlite:///{results}/mlflow.db")
    runs = client.search_runs([client.get_experiment_by_name("mini").experiment_id])
    trials = [run.data.tags["drnbench.key"] for run in runs if run.data.tags["drnbench.kind"] == "trial"]
    assert sorted(trials) == sorted(path.name for path in results.glob("trials/*"))
    assert {run.info.status for run in runs} == {"FINISHED"}
