"""Processes are identified by host, boot, PID namespace, id and the time since boot of their start."""

import json
import os
import shutil
import subprocess
import sys
import time

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drnbench.store import processes
from drnbench.store.processes import identity, is_visible_alive, start_ticks, start_time


def other(**process):
    return {**identity(), "process": {**identity()["process"], **process}}


def test_this_process_is_alive_and_an_older_one_of_its_id_is_not():
    assert is_visible_alive(identity())
    assert is_visible_alive(other(start=start_ticks(os.getpid()) - 100)) is False


def test_a_zombie_and_a_process_that_is_gone_are_not_alive():
    code = (
        "import json; from drnbench.store.processes import identity; print(json.dumps(identity()), flush=True); input()"
    )
    child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    record = json.loads(child.stdout.readline())
    assert is_visible_alive(record)
    child.stdin.close()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and is not reaped yet
    assert start_time(child.pid) is None
    assert is_visible_alive(record) is False
    child.wait()
    child.stdout.close()
    assert is_visible_alive(record) is False


def test_no_step_of_the_clock_moves_it(monkeypatch):
    record = identity()
    monkeypatch.setattr(psutil.Process, "create_time", lambda _: time.time() + 3600)
    assert is_visible_alive(record)
    processes._marks.cache_clear()
    assert identity()["process"] == record["process"]


@pytest.mark.parametrize(
    "place",
    [
        {"namespace": "4026532179-4026531834"},
        {"namespace": ""},
        {"boot": "another", "machine": "another"},
        {"boot": "another", "machine": ""},
        {"boot": "another", "namespace": "4026532179-4026531834"},
    ],
)
def test_a_process_of_another_container_or_machine_of_the_same_name_is_not_judged_by_its_id(place):
    """Nor by a new boot id alone: two machines may carry one name."""
    assert is_visible_alive(other(**place)) is None


def test_a_process_from_before_the_machine_was_started_again_has_ended(monkeypatch):
    own = {**identity()["process"], "namespace": f"{processes.INITIAL_NAMESPACE}-1", "machine": "cards"}
    monkeypatch.setattr(processes, "marks", lambda: own)
    assert is_visible_alive({**identity(), "process": {**own, "boot": "the one before"}}) is False


def test_a_process_of_another_host_is_not_seen():
    assert is_visible_alive({**identity(), "host": "elsewhere"}) is None


def test_records_of_earlier_versions_are_read():
    own = {"host": identity()["host"], "pid": os.getpid(), "pid_start": start_time(os.getpid())}
    assert is_visible_alive(own)
    assert is_visible_alive({**own, "pid": 2**22 + 1}) is False
    assert is_visible_alive({**own, "pid_start": 1.0}) is None, "the clock may have been set"
    assert is_visible_alive({**own, "host": "elsewhere"}) is None


def test_another_users_process_that_is_hidden_is_not_taken_for_gone(monkeypatch):
    def hidden(*_, **__):
        raise PermissionError

    monkeypatch.setattr(os, "kill", hidden)
    assert start_ticks(2**22 + 1) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(
    field=st.sampled_from(["host", "pid", "pid_start", "process", "boot", "machine", "namespace", "start"]), value=JSON
)
def test_a_damaged_record_is_no_error(field, value):
    record = other(**{field: value}) if field in identity()["process"] else {**identity(), field: value}
    assert is_visible_alive(record) in {True, False, None}


def test_a_container_with_the_same_host_name_is_told_apart():
    code = "import json; from drnbench.store.processes import identity; print(json.dumps(identity()))"
    unshare = ["unshare", "-r", "-p", "-f", "--mount-proc"]
    if (
        shutil.which("unshare") is None
        or subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode
    ):
        pytest.skip("no PID namespace can be made here (unshare -r -p -f --mount-proc)")
    done = subprocess.run([*unshare, sys.executable, "-c", code], capture_output=True, text=True, check=True)
    record = json.loads(done.stdout)
    assert record["host"] == identity()["host"]
    assert record["process"]["boot"] == identity()["process"]["boot"]
    assert is_visible_alive(record) is None
