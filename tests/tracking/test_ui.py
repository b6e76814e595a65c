from __future__ import annotations

import json
import select
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import psutil
import pytest

from drnbench.errors import UsageError
from drnbench.tracking import Mirror, ui
from tests.helpers import free_port
from tests.tracking.stores import StoredStudy, child


@pytest.fixture
def port() -> int:
    """A loopback port that is free for now."""
    return free_port()


def test_without_a_database_there_is_nothing_to_serve(tmp_path: Path, port: int) -> None:
    with pytest.raises(UsageError, match=r"no MLflow database at .*mlflow\.db yet"):
        ui.serve(StoredStudy(tmp_path, database=False).store, port=port)


def test_a_server_needs_no_second_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a server already"):
        ui.serve(StoredStudy(tmp_path).store, "http://127.0.0.1:9")


def test_a_port_in_use_is_one_line(tmp_path: Path) -> None:
    stored = StoredStudy(tmp_path)
    (tmp_path / "mlflow.db").touch()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"127.0.0.1:{port} cannot be used"):
            ui.serve(stored.store, port=port)


def fetched(url: str, deadline: float) -> bytes:
    """The body of a page, once the server answers."""
    while True:
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return bytes(answer.read())
        except urllib.error.HTTPError:
            raise
        except OSError:
            assert time.monotonic() < deadline
            select.select([], [], [], 0.2)


@pytest.mark.real
def test_the_ui_lists_and_serves_artifacts(tmp_path: Path, port: int) -> None:
    stored = StoredStudy(tmp_path / "the results", seeds=1)
    stored.finish()
    mirror = Mirror(stored.store)
    mirror.sync("unpaired")
    run = child(mirror.uri, "ρ=0, seed 0").info.run_id
    code = (
        "import sys; from pathlib import Path; from drnbench.store import Store\n"
        "from drnbench.tracking.ui import serve\n"
        f"sys.exit(serve(Store(Path({str(stored.store.root)!r})), port={port}))"
    )
    folder = tmp_path / "here"
    folder.mkdir()
    with (tmp_path / "output").open("w+") as output, subprocess.Popen(
        [sys.executable, "-c", code], cwd=folder, stdout=output, stderr=subprocess.STDOUT
    ) as process:  # fmt: skip
        try:
            base, deadline = f"http://127.0.0.1:{port}", time.monotonic() + 90
            assert b"<html" in fetched(f"{base}/", deadline).lower()
            where = "samples/Set5/bicubic"
            listed: Any = json.loads(
                fetched(f"{base}/ajax-api/2.0/mlflow/artifacts/list?run_id={run}&path={where}", deadline)
            )
            assert {item["path"].rpartition("/")[2] for item in listed["files"]} == {
                "baby_hr.png", "baby_lr.png", "baby_sr.png",
            }  # fmt: skip
            picture = fetched(f"{base}/get-artifact?run_uuid={run}&path={where}/baby_sr.png", deadline)
            stored = stored.store.trial(stored.trials[0]["key"]) / where / "baby_sr.png"
            assert picture == stored.read_bytes()
            family = psutil.Process(process.pid).children(recursive=True)
            assert len(family) <= 4  # no job processes
        finally:
            process.terminate()
            process.wait(120)
        assert process.returncode == 0
        assert not psutil.wait_procs(family, timeout=60)[1]
        output.seek(0)
        text = output.read()
    assert text.startswith(f"MLflow UI: {base}")
    assert f"  unpaired: {base}/#/experiments/1/runs?workflowType=machine_learning&viewStateShareKey=drnbench" in text
    assert f"    answer of unpaired, tiny: {base}/#/experiments/1/runs/" in text
    assert "Traceback" not in text
    assert not list(folder.iterdir())
