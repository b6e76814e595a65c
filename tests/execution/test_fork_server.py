"""The fork server is killed, as the system does to what holds much memory: it is started again, and then told."""

import signal
import subprocess

import psutil
import pytest

from drnbench.errors import UnitError
from drnbench.execution.local import STARTS, LocalExecutor
from drnbench.store import Store
from tests.execution.test_contract import stage
from tests.helpers import STORE_ONLY, command, until, write_study


@pytest.mark.parametrize("error", [EOFError, ConnectionResetError, ConnectionRefusedError, BrokenPipeError])
def test_one_that_dies_at_every_start_is_told_as_what_it_is(tmp_path, monkeypatch, error):
    starts = []

    def start(process):
        starts.append(process)
        raise error

    monkeypatch.setattr("drnbench.execution.local.start_fork_server", lambda **_: None)
    monkeypatch.setattr("multiprocessing.process.BaseProcess.start", start)
    executor = LocalExecutor(tmp_path, 1, ["cpu"])
    with pytest.raises(UnitError, match=r"killed \d times, for want of memory"):
        executor.submit(stage(Store(tmp_path)))
    assert len(starts) == STARTS
    assert executor.events(0) == []


@pytest.mark.real
def test_one_that_is_killed_while_it_imports_costs_nothing(tmp_path):
    study = write_study(tmp_path)
    run = subprocess.Popen(
        command("run", study, *STORE_ONLY, "--jobs", 1), cwd=tmp_path, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip

    def servers():
        children = psutil.Process(run.pid).children(recursive=True)
        return [child for child in children if any("multiprocessing.forkserver" in word for word in child.cmdline())]

    until(lambda: run.poll() is not None or servers())
    servers()[0].send_signal(signal.SIGKILL)
    out, _ = run.communicate(timeout=300)
    assert run.returncode == 0, out
    assert "Traceback" not in out
