"""The store: whole files, honest states."""

import os
import subprocess
import sys

import pytest

from drnbench.errors import UsageError
from drnbench.store import STALE_S, Status, Store, atomic, read_json, write_json
from drnbench.store.processes import marks


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "deep" / "a.json"
    write_json(path, {"a": 1})
    with pytest.raises(RuntimeError), atomic(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert read_json(path) == {"a": 1}
    assert [p.name for p in path.parent.iterdir()] == ["a.json"]


def test_two_processes_with_one_id_write_one_file(tmp_path):
    """The first process of every container has the id 1."""
    path = tmp_path / "a.json"
    with atomic(path) as first:
        first.write_text("first")
        with atomic(path) as second:
            assert second != first
            second.write_text("second")
        assert path.read_text() == "second"
    assert path.read_text() == "first"
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_a_folder_that_another_process_tries_at_the_same_moment_can_be_written(tmp_path, monkeypatch):
    real = type(tmp_path).unlink

    def unlink(path, missing_ok=False):
        real(path, missing_ok=True)
        if path.name == ".write-test" and not missing_ok:
            raise FileNotFoundError(path)

    monkeypatch.setattr(type(tmp_path), "unlink", unlink)
    Store(tmp_path / "r").prepare()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "stages" / "abc"


def put(store, folder, **fields):
    store.write_status(folder, Status(**{"state": "running", **fields}))
    return store.state(folder)


def test_states(tmp_path, folder):
    store = Store(tmp_path)
    assert store.state(folder) == "missing"
    assert put(store, folder) == "running"
    assert put(store, folder, state="done") == "done"
    assert put(store, folder, state="failed", kind="oom") == "failed"
    assert store.status(folder).kind == "oom"


def test_a_running_unit_whose_process_is_gone_is_lost(tmp_path, folder):
    store = Store(tmp_path)
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert put(store, folder, pid=gone.pid) == "lost"
    # The same pid, used again by a younger process.
    assert put(store, folder, process={**marks(), "start": 1}) == "lost"


@pytest.mark.parametrize("age", [0.0, 10 * 24 * 3600.0, -10 * 24 * 3600.0])
def test_another_hosts_unit_lives_by_its_heartbeat(tmp_path, folder, advance, age):
    store = Store(tmp_path)
    assert put(store, folder, host="elsewhere", pid=1) == "running"
    date = (folder / "status.json").stat().st_mtime - age
    os.utime(folder / "status.json", (date, date))
    for _ in range(2):
        assert store.state(folder) == "running"
        advance(STALE_S / 2)
    assert store.state(folder) == "lost"


def test_keys_are_found_by_their_beginning(tmp_path, folder):
    store = Store(tmp_path)
    put(store, tmp_path / "stages" / "abcd1234")
    assert [p.name for p in store.find("abcd")] == ["abcd1234"]
    with pytest.raises(UsageError, match="is not a key"):
        store.find("xyz")


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="choose another with --results DIR"):
        Store(tmp_path / "file" / "r").prepare()


def test_a_unit_that_is_worked_on_elsewhere_is_shown_with_its_last_sign_of_life(tmp_path, folder):
    store = Store(tmp_path)
    assert store.last_seen(folder) == ("", 0.0)
    put(store, folder)
    assert store.worker(folder).pid == os.getpid()
    assert store.last_seen(folder) == ("", 0.0), "it is seen"
    put(store, folder, host="node-42", pid=77)
    os.utime(folder / "status.json", (1e9, 1e9))
    text, date = store.last_seen(folder)
    assert "process 77 on node-42" in text
    assert "as last seen 2001-09-" in text
    assert date == 1e9
