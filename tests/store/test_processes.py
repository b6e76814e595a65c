"""Processes are identified by their id and start time."""

import os
import subprocess
import sys

from drnbench.store.processes import is_alive, start_time


def test_this_process_is_alive_and_an_older_one_of_its_id_is_not():
    started = start_time(os.getpid())
    assert is_alive(os.getpid(), started)
    assert not is_alive(os.getpid(), started - 100)


def test_a_zombie_and_a_process_that_is_gone_are_not_alive():
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    started = start_time(child.pid)
    assert is_alive(child.pid, started)
    child.stdin.close()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and is not reaped yet
    assert start_time(child.pid) is None
    child.wait()
    assert not is_alive(child.pid, started)
