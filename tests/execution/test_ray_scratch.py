"""The folder of a Ray node without the results folder: nobody else's, whatever lies in its place."""

from __future__ import annotations

import os
import stat

import pytest

from drnbench.errors import UnitError
from drnbench.execution import ray_task
from drnbench.execution.remote import pack_job
from drnbench.session.declared import declare
from drnbench.store import Store
from tests.helpers import write_study


@pytest.fixture
def run_task(tmp_path, monkeypatch):
    """Run a task of a unit, whose work is recorded instead of done; returns the modes of its folders."""
    pytest.importorskip("ray")
    scratch, modes = tmp_path / "scratch", {}

    def work(text, exchange, root):
        modes.update({folder: stat.S_IMODE(folder.lstat().st_mode) for folder in (root.parent, root.parent / "cache")})
        root.joinpath("stages").mkdir()
        return 0

    monkeypatch.setenv("DRNBENCH_SCRATCH", str(scratch))
    monkeypatch.setattr(ray_task, "run_job", work)
    monkeypatch.setattr(ray_task, "apply_environment", lambda job: None)
    monkeypatch.setattr(ray_task.signal, "signal", lambda *args: None)
    store = Store(tmp_path / "r")
    unit = next(iter(declare(write_study(tmp_path), "tiny").plan(store).stages.values())).unit
    scratch.mkdir(mode=0o777)

    def run():
        assert ray_task.task(pack_job(unit, tmp_path / "elsewhere", "cpu"), None, "task", "token", [])["code"] == 0
        return modes

    return run


def test_it_is_made_for_this_user_alone(run_task, tmp_path):
    umask = os.umask(0)
    try:
        modes = run_task()
    finally:
        os.umask(umask)
    (folder,) = (tmp_path / "scratch").iterdir()
    assert modes[folder] == 0o700
    assert [path.name for path in folder.iterdir()] == ["cache"]
    run_task()  # it is there already


def test_a_link_a_file_and_a_folder_that_others_write_to_are_refused(run_task, tmp_path):
    run_task()
    (folder,) = (tmp_path / "scratch").iterdir()
    (folder / "cache").rmdir()
    folder.rmdir()
    (tmp_path / "trap").mkdir(mode=0o700)
    folder.symlink_to(tmp_path / "trap")
    with pytest.raises(UnitError, match="not a folder of this user alone"):
        run_task()
    assert list((tmp_path / "trap").iterdir()) == []
    folder.unlink()
    folder.touch()
    with pytest.raises(UnitError, match="DRNBENCH_SCRATCH"):
        run_task()
    folder.unlink()
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(UnitError, match="mode 0700"):
        run_task()
