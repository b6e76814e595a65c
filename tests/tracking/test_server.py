"""A tracking server that goes away in the middle of a sweep, and studies that write into one store at once."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from mlflow import MlflowClient

from drnbench.tracking import ui
from tests.helpers import call, command, free_port, histories, scores, until, write_study

pytestmark = pytest.mark.real


@pytest.fixture
def port() -> int:
    return free_port()


@contextlib.contextmanager
def server(folder: Path, port: int):
    """Serve MLflow from a folder until the block ends, then end the whole process group at once."""
    process = subprocess.Popen(
        [
            sys.executable, "-m", "mlflow", "server", "--backend-store-uri", f"sqlite:///{folder}/server.db",
            "--artifacts-destination", str(folder / "artifacts"), "--host", "127.0.0.1", "--port", str(port),
            "--workers", "1",
        ],
        env=ui.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip

    def answers() -> bool:
        assert process.poll() is None
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False

    try:
        until(answers)
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_a_server_that_stops_and_comes_back_has_everything_once(tmp_path: Path, port: int) -> None:
    study, results, uri = write_study(tmp_path, steps=60), tmp_path / "r", f"http://127.0.0.1:{port}"
    args = ("--results", results, "--tracking-uri", uri)
    with server(tmp_path, port):
        run = subprocess.Popen(
            command("run", study, *args, "--jobs", 1), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env={**os.environ, "DRNBENCH_CHECKPOINT_S": "0.2", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"},
        )  # fmt: skip
        client = MlflowClient(uri)
        until(lambda: run.poll() is not None or client.search_experiments(filter_string="name = 'mini'"))
        until(lambda: run.poll() is not None or (results / "mini" / "quick" / "plan.json").exists())
        assert run.poll() is None
    output, _ = run.communicate(timeout=300)
    assert run.returncode == 0, output
    assert "warning: " in output
    assert "drnbench sync" in output
    assert "` catches up" in output
    down = call("sync", *args, MLFLOW_HTTP_REQUEST_MAX_RETRIES="1", MLFLOW_HTTP_REQUEST_TIMEOUT="5")
    assert (down.returncode, down.stderr.count("\n")) == (2, 1), down.stderr
    with server(tmp_path, port):
        assert call("sync", *args).returncode == 0
        again = call("sync", *args)
        assert ", 0 new, 0 new points" in again.stdout
        client = MlflowClient(uri)
        (experiment,) = client.search_experiments(filter_string="name = 'mini'")
        runs = {run.data.tags["drnbench.key"]: run for run in client.search_runs([experiment.experiment_id])
                if run.data.tags.get("drnbench.kind") == "trial"}  # fmt: skip
        frame = scores(results)
        assert set(runs) == set(frame["trial"])
        assert len(client.search_runs([experiment.experiment_id])) == len(runs) + 1
        for key, run_ in runs.items():
            scored = frame[(frame["trial"] == key) & (frame["metric"] == "psnr_y")]
            for (dataset, kernel), rows in scored.groupby(["dataset", "kernel"]):
                assert run_.data.metrics[f"psnr_y/{dataset}/{kernel}"] == pytest.approx(rows["value"].mean())
        points = [
            client.get_metric_history(run_.info.run_id, name) for run_ in runs.values() for name in run_.data.metrics
        ]
        assert all(len({point.step for point in history}) == len(history) for history in points), "every point once"
        assert sum(map(len, points)) > len(histories(results)), "shared stages stand in the run of each of their trials"


def test_studies_that_run_at_once_share_a_store_and_its_mirror(tmp_path: Path) -> None:
    results, names = tmp_path / "r", ("one", "two")
    studies = [
        write_study(tmp_path, name=name, steps=20, rhos=(0.0, rho)) for name, rho in zip(names, (0.5, 1.0), strict=True)
    ]
    runs = [
        subprocess.Popen(command("run", study, "--results", results, "--jobs", 1), stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, text=True)
        for study in studies
    ]  # fmt: skip
    outputs = [run.communicate(timeout=300)[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], outputs
    assert "warning" not in "".join(outputs)
    assert call("sync", "--results", results).stdout.count(", 0 new, 0 new points") == 2
    client = MlflowClient(f"sqlite:///{results}/mlflow.db")
    for name in names:
        (experiment,) = client.search_experiments(filter_string=f"name = '{name}'")
        mirrored = client.search_runs([experiment.experiment_id])
        trials = [run.data.tags["drnbench.key"] for run in mirrored if run.data.tags["drnbench.kind"] == "trial"]
        planned = json.loads((results / name / "quick" / "plan.json").read_text(encoding="utf-8"))["trials"]
        assert sorted(trials) == sorted(trial["key"] for trial in planned)
        assert len(mirrored) == len(trials) + 1
        assert all(run.info.status == "FINISHED" for run in mirrored)
    # What both plan was trained once: each unit's log tells of one process.
    logs = [path.read_text(encoding="utf-8") for path in results.glob("stages/*/log.txt")]
    assert logs
    assert all(log.count("--- ") == 1 for log in logs)
