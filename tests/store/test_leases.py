"""One holder at a time, whatever dies when."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from drnbench.store import leases
from drnbench.store.leases import Leases, claim, leased


def other_host(folder, number=1, age=0.0):
    """A lease as a process of another machine leaves it."""
    folder.mkdir(exist_ok=True)
    file = folder / f"lease.{number}"
    file.write_text(json.dumps({"host": "elsewhere", "pid": 1, "pid_start": 0.0}))
    os.utime(file, (file.stat().st_atime - age, file.stat().st_mtime - age))
    return file


def test_a_lease_is_held_by_one_and_can_be_given_back(tmp_path):
    first = claim(tmp_path / "unit")
    assert first is not None
    assert first.held()
    assert leased(tmp_path / "unit")
    assert claim(tmp_path / "unit") is None
    first.release()
    assert not leased(tmp_path / "unit")
    assert claim(tmp_path / "unit") is not None


def test_a_process_of_this_machine_that_is_gone_is_dead_at_once(tmp_path):
    code = f"from drnbench.store.leases import claim; from pathlib import Path; assert claim(Path({str(tmp_path)!r}))"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert (tmp_path / "lease.1").exists()
    assert not leased(tmp_path)
    assert claim(tmp_path) is not None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lease.2"]


def test_another_machines_holder_is_dead_when_it_has_not_touched_its_lease(tmp_path):
    other_host(tmp_path / "fresh")
    assert claim(tmp_path / "fresh") is None
    other_host(tmp_path / "old", age=leases.DEAD_S + 5)
    assert claim(tmp_path / "old") is not None


def test_a_lease_that_is_being_written_counts(tmp_path):
    (tmp_path / "lease.1").write_text("")
    assert claim(tmp_path) is None


def test_of_many_that_want_it_one_gets_it(tmp_path):
    for attempt in range(20):
        folder = tmp_path / str(attempt)
        if attempt % 2:
            other_host(folder, age=leases.DEAD_S + 5)
        start = threading.Barrier(8)

        def take(_, folder=folder, start=start):
            start.wait()
            return claim(folder)

        with ThreadPoolExecutor(8) as pool:
            won = [lease for lease in pool.map(take, range(8)) if lease is not None]
        assert len(won) <= 1
        assert len(won) == 1 or not leased(folder)


def test_who_slept_too_long_notices(tmp_path):
    with Leases() as held:
        assert held.claim(tmp_path / "a")
        assert held.claim(tmp_path / "a"), "a lease that is held may be claimed again"
        assert held.lost() == []
        other_host(tmp_path / "a", number=2)
        assert held.lost() == [tmp_path / "a"]
    assert (tmp_path / "a" / "lease.2").exists()
    assert not (tmp_path / "a" / "lease.1").exists()


def test_leases_are_touched_and_given_back_at_the_end(tmp_path, monkeypatch):
    monkeypatch.setattr(leases, "BEAT_S", 0.01)
    touched = threading.Event()
    real = leases.Lease.touch

    def touch(self):
        real(self)
        touched.set()

    monkeypatch.setattr(leases.Lease, "touch", touch)
    with Leases() as held:
        held.claim(tmp_path / "a")
        assert touched.wait(60)
    assert not leased(tmp_path / "a")


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        claim(tmp_path / "file" / "unit")
