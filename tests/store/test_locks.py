"""One holder at a time, on every file system."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from drnbench.store import cache_files
from drnbench.store.locks import UNSUPPORTED, Lock, has_locks


@pytest.fixture(params=[None, *sorted(UNSUPPORTED)], ids=lambda number: errno.errorcode.get(number, "with locks"))
def file_system(request, monkeypatch):
    """A file system with locks, or one that refuses them with a certain error."""
    if request.param is not None:

        def refuse(*_):
            raise OSError(request.param, os.strerror(request.param))

        monkeypatch.setattr(fcntl, "flock", refuse)
        monkeypatch.setattr(fcntl, "lockf", refuse)
    return request.param


def test_a_lock_is_held_by_one_and_can_be_given_back(tmp_path, file_system):
    with Lock(tmp_path / "a.lock"):
        with pytest.raises(TimeoutError), Lock(tmp_path / "a.lock", 0):
            raise AssertionError
        with Lock(tmp_path / "b.lock", 0):
            pass
    with Lock(tmp_path / "a.lock", 0):
        pass
    assert {path.name for path in tmp_path.iterdir()} == {"a.lock", "b.lock"}


def test_many_count_one_by_one(tmp_path, file_system):
    counter, start = tmp_path / "counter", threading.Barrier(4)
    counter.write_text("0")

    def count(_):
        start.wait()
        for _ in range(3):
            with Lock(tmp_path / "a.lock"):
                counter.write_text(str(int(counter.read_text()) + 1))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(count, range(4)))
    assert counter.read_text() == "12"


def test_the_lock_of_a_process_that_died_is_free(tmp_path, file_system):
    refuse = (
        ""
        if file_system is None
        else f"""
def refuse(*_):
    raise OSError({file_system}, "no locks")
fcntl.flock = refuse
"""
    )
    code = f"""
import fcntl, os
from pathlib import Path
from drnbench.store.locks import Lock
{refuse}
Lock(Path({str(tmp_path / "a.lock")!r})).acquire()
os._exit(1)
"""
    subprocess.run([sys.executable, "-c", code], check=False)
    with Lock(tmp_path / "a.lock", 0):
        pass


def test_a_lock_file_that_is_removed_meanwhile_is_not_held_by_two(tmp_path, monkeypatch):
    real, removals = fcntl.flock, []

    def removed(handle, operation):
        if not removals:
            removals.append((tmp_path / "a.lock").unlink())
        return real(handle, operation)

    monkeypatch.setattr(fcntl, "flock", removed)
    with Lock(tmp_path / "a.lock"):
        assert (tmp_path / "a.lock").exists()
        with pytest.raises(TimeoutError), Lock(tmp_path / "a.lock", 0):
            raise AssertionError


def test_the_cache_is_built_by_one_at_a_time(tmp_path, file_system):
    with cache_files.building(tmp_path, "set", "LR images") as parts:
        parts.mkdir(parents=True)
        with pytest.raises(TimeoutError):
            cache_files.lock(tmp_path, "set").acquire(0)
    cache_files.lock(tmp_path, "set").acquire(0)


def test_has_locks(tmp_path, file_system):
    assert has_locks(tmp_path) == (file_system is None)
    assert not list(tmp_path.iterdir())


def test_another_error_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        Lock(Path(tmp_path / "none" / "a.lock")).acquire(0)
