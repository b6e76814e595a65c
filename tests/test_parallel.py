"""The same work on many items: in order, an error stops no other item, a killed process is an error, no process is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import types

import psutil
import pytest

import drnbench
from drnbench import Evaluate, Study, Trial
from drnbench.errors import DataError, UnitError, UsageError
from drnbench.parallel import Failed, Work, each
from tests.helpers import until


class Square(Work[int, tuple[int, int]]):
    def start(self):
        self.added = 1

    def __call__(self, item):
        if item == 3:
            raise DataError("three.png is broken")
        if item == 99:
            os.kill(os.getpid(), signal.SIGKILL)
        return item**2 + self.added, os.getpid()


@pytest.mark.parametrize("jobs", [1, 2])
def test_results_come_in_order_and_an_error_stops_no_other_item(jobs):
    results = list(each(Square(), range(8), jobs, "squaring"))
    assert results[3] == Failed("three.png is broken")
    values, pids = zip(*(result for result in results if not isinstance(result, Failed)), strict=True)
    assert values == (1, 2, 5, 17, 26, 37, 50)
    assert (os.getpid() in pids) == (jobs == 1)


def test_a_script_on_standard_input_is_refused_before_any_process_is_started(monkeypatch, tmp_path):
    script = types.ModuleType("__main__")
    script.__file__, script.__spec__ = "<stdin>", None
    monkeypatch.setitem(sys.modules, "__main__", script)
    monkeypatch.chdir(tmp_path)
    study = Study(base=Trial(method="ibp", scale=2, evaluate=[Evaluate("photos/test", count=1)]), seeds=1)
    with pytest.raises(UsageError, match=r"standard input.*python FILE"):
        drnbench.run(study, name="s", results=tmp_path / "r", device="cpu", tracking_uri="off")
    assert not list(tmp_path.rglob("*"))
    with pytest.raises(UsageError, match="standard input"):
        list(each(Square(), range(8), 2, "squaring"))
    assert len(list(each(Square(), range(3), 1, "squaring"))) == 3


def test_nothing_to_do():
    assert list(each(Square(), [], None, "squaring")) == []


def test_a_killed_process_is_an_error():
    with pytest.raises(UnitError, match="killed"):
        list(each(Square(), [1, 99, 2, 4], 2, "squaring"))


@pytest.mark.real
def test_processes_end_with_their_parent(tmp_path):
    script = tmp_path / "main.py"
    script.write_text(
        "import pathlib, threading\n"
        "from drnbench.parallel import Work, each\n"
        "class Wait(Work):\n"
        "    def __call__(self, item):\n"
        f"        (pathlib.Path({str(tmp_path)!r}) / f'{{__import__(\"os\").getpid()}}.pid').touch()\n"
        "        threading.Event().wait()\n"
        "if __name__ == '__main__':\n"
        "    list(each(Wait(), range(4), 2, 'waiting'))\n"
    )
    parent = subprocess.Popen([sys.executable, str(script)])
    try:
        until(lambda: len(list(tmp_path.glob("*.pid"))) == 2 or parent.poll() is not None)
        assert parent.poll() is None
        children = [psutil.Process(int(path.stem)) for path in tmp_path.glob("*.pid")]
    finally:
        parent.kill()
        parent.wait()
    until(lambda: not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children))
