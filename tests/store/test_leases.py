"""One holder at a time, whatever dies when."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from drnbench.errors import DamageWarning
from drnbench.store import leases, processes
from drnbench.store.integrity import encode
from drnbench.store.leases import Leases, claim, ended_runs, holder, leased, needed_units


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


@pytest.mark.parametrize("age", [0.0, 10 * 24 * 3600.0, -10 * 24 * 3600.0])
def test_another_machines_holder_is_dead_when_its_lease_stays_the_same_under_observation(tmp_path, advance, age):
    """Whatever its date is: that machine's clock, or the file server's, may be days ahead or behind."""
    other_host(tmp_path, age=age)
    assert claim(tmp_path) is None
    advance(processes.DEAD_S / 2)
    assert claim(tmp_path) is None
    advance(processes.DEAD_S / 2)
    assert claim(tmp_path) is not None


def test_another_machines_holder_lives_while_its_lease_changes(tmp_path, advance):
    file = other_host(tmp_path, age=10 * 24 * 3600.0)
    for beat in range(10):
        assert claim(tmp_path) is None
        os.utime(file, (beat, beat))
        advance(processes.DEAD_S / 3)


def test_one_look_after_a_long_time_proves_nothing(tmp_path, advance):
    """The disk may have been away for both sides."""
    other_host(tmp_path)
    assert claim(tmp_path) is None
    advance(100 * processes.DEAD_S)
    assert claim(tmp_path) is None


def test_a_holder_is_named_with_its_silence(tmp_path, advance):
    other_host(tmp_path)
    assert holder(tmp_path).silence == 0
    advance(5)
    process = holder(tmp_path)
    assert (process.host, process.pid, process.silence) == ("elsewhere", 1, 5)
    assert "process 1 on elsewhere" in str(process)
    own = claim(tmp_path / "own")
    assert holder(own.folder).silence is None, "it is seen"
    assert f"process {os.getpid()}" in str(holder(own.folder))
    assert "since" in str(holder(own.folder))


def flipped(record):
    """A lease of this process in which one bit is another."""
    content = bytearray(encode(record), "utf-8")
    content[content.index(b"pid") + 6] ^= 1
    return content.decode()


UNREADABLE = {
    "empty": "", "null": "null", "list": "[]", "zeros": "\0" * 80, "flipped": flipped(processes.identity()),
    "cut": encode(processes.identity())[:40],
}  # fmt: skip
"""Leases that are not whole; their names are the same in every worker, while some texts hold the process."""
NO_PROCESS = {"number": '{"host": 3}', "words": '{"host": "a", "pid": "x", "since": 1e300}'}
"""Leases that are whole, and name no process."""


@pytest.mark.parametrize("name", [*UNREADABLE, *NO_PROCESS])
def test_a_lease_that_cannot_be_read_counts_until_it_was_observed(tmp_path, advance, name):
    (tmp_path / "lease.1").write_text({**UNREADABLE, **NO_PROCESS}[name])
    wait = leases.UNREADABLE_S if name in UNREADABLE else processes.DEAD_S
    for _ in range(2):
        assert claim(tmp_path) is None
        assert str(holder(tmp_path))
        advance(wait / 2)
    with pytest.warns(DamageWarning, match=r"lease\.1") if name in UNREADABLE else contextlib.nullcontext():
        assert claim(tmp_path) is not None


def test_a_folder_that_is_removed_while_it_is_made_is_made_again(tmp_path, monkeypatch):
    """`mkdir` finds the folder, and does not find it when it looks again."""
    folder, make, calls = tmp_path / "unit", os.mkdir, []

    def mkdir(path, *args, **kwargs):
        calls.append(path)
        if len(calls) < 12:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
        make(path, *args, **kwargs)

    monkeypatch.setattr(os, "mkdir", mkdir)
    assert claim(folder) is not None
    assert len(calls) == 12


def test_a_number_that_is_taken_again_meanwhile_stays_with_its_holder(tmp_path, monkeypatch):
    """The holder that was looked at is gone, and another one has its number by the time that the next number is claimed."""
    (tmp_path / "lease.1").write_text(json.dumps({"host": "elsewhere", "pid": 1, "pid_start": 0.0}))
    real, read, holders = os.open, leases._read, []

    def gone(file):
        monkeypatch.setattr(leases, "_read", read)
        file.unlink()

    def taken(path, *args, **kwargs):
        if Path(path).name == "lease.2" and not holders:
            monkeypatch.setattr(os, "open", real)
            holders.append(claim(tmp_path))
        return real(path, *args, **kwargs)

    monkeypatch.setattr(leases, "_read", gone)
    monkeypatch.setattr(os, "open", taken)
    assert claim(tmp_path) is None
    assert holders[0].held()
    assert [path.name for path in tmp_path.iterdir()] == ["lease.1"]


def test_a_file_in_the_place_of_a_folder_is_an_error(tmp_path):
    (tmp_path / "unit").write_text("")
    with pytest.raises(FileExistsError):
        claim(tmp_path / "unit")


def test_a_folder_that_is_removed_meanwhile_is_made_again(tmp_path, monkeypatch):
    removals, real = [], os.open

    def interrupted(path, flags, *args, **kwargs):
        if Path(path).name == "lease.1" and not removals:
            removals.append(path)
            Path(path).parent.rmdir()
        return real(path, flags, *args, **kwargs)

    monkeypatch.setattr(os, "open", interrupted)
    assert claim(tmp_path / "unit").held()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_lease_on_a_full_disk_is_empty_and_held(tmp_path, monkeypatch, number):
    """`clean`, which makes room, needs leases too."""

    def full(content):
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(leases, "encode", full)
        lease = claim(tmp_path)
    assert lease.held()
    assert claim(tmp_path) is None
    lease.release()
    assert claim(tmp_path) is not None


def test_a_lease_on_a_network_disk_that_was_removed_was_given_back(tmp_path, monkeypatch):
    other_host(tmp_path)

    def stale(*_, **__):
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    monkeypatch.setattr(Path, "read_bytes", stale)
    assert not leased(tmp_path)


def test_a_run_names_the_units_that_it_needs_until_it_ends(tmp_path):
    with Leases() as held, Leases() as other:
        held.need(tmp_path, ["a", "b"])
        other.need(tmp_path, ["c"])
        held.need(tmp_path, ["d"])
        assert set(needed_units(tmp_path)) == {"a", "b", "c", "d"}
    assert not needed_units(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_run_that_does_not_say_what_it_needs_needs_everything(tmp_path):
    with Leases() as held:
        held.need(tmp_path, ["a"])
        (units,) = tmp_path.glob(".runs/*/units.json")
        units.write_text("[")
        assert needed_units(tmp_path) is None


def test_a_run_that_was_killed_needs_nothing_and_the_next_one_removes_its_folder(tmp_path):
    code = f"""
import os
from pathlib import Path
from drnbench.store.leases import Leases
Leases().__enter__().need(Path({str(tmp_path)!r}), ["a"])
os._exit(1)
"""
    subprocess.run([sys.executable, "-c", code], check=False)
    assert len(ended_runs(tmp_path)) == 1
    assert not needed_units(tmp_path)
    with Leases() as held:
        held.need(tmp_path, ["b"])
        assert ended_runs(tmp_path) == []
        assert set(needed_units(tmp_path)) == {"b"}


def test_a_lease_that_is_being_written_counts(tmp_path):
    (tmp_path / "lease.1").write_text("")
    assert claim(tmp_path) is None


def test_of_many_that_want_it_one_gets_it(tmp_path):
    for attempt in range(20):
        folder = tmp_path / str(attempt)
        if attempt % 2:  # of a process that has ended
            other_host(folder).write_text(json.dumps({**processes.identity(), "pid": 2**22 + 1}))
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
