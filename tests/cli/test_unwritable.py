"""Any verb where nothing can be written: one line that names the place, the exit code that the README promises, no traceback."""

from __future__ import annotations

import errno
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from drnbench.cli import main
from drnbench.cli.app import VERBS
from drnbench.errors import FULL
from drnbench.store import Store
from tests.fake_store import finish
from tests.helpers import write_study

pytestmark = pytest.mark.filterwarnings("ignore::drnbench.errors.DamageWarning")

NUMBERS = (errno.EROFS, errno.EACCES, errno.ENOSPC, errno.EDQUOT)
WRITING = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.utime", "os.truncate", "os.link", "os.symlink"}
CALLS = {
    "run": ("run", "mini.py", "--results", "new", "--tracking-uri", "off"),
    "run again": ("run", "mini.py", "--results", "results", "--tracking-uri", "off", "--rerun", "all"),
    "plan": ("plan", "mini.py", "--results", "new"),
    "report": ("report", "mini.py", "--results", "results"),
    "measure": ("measure", "mini.py", "--results", "results", "--lr-size", "8x8"),
    "new": ("new", "mine"),
    "demo": ("demo", "--results", "new", "--no-open"),
    "doctor": ("doctor", "--results", "results"),
    "list": ("list", "methods"),
    "evaluate": ("evaluate", "bicubic", "--scale", "2", "--data", "hr", "--json", "e.json"),
    "save": ("evaluate", "bicubic", "--scale", "2", "--data", "hr", "--save", "sr"),
    "score": ("score", "hr", "hr", "--scale", "1", "--json", "s.json"),
    "degrade": ("degrade", "hr", "out", "--kernel", "bicubic", "--scale", "2"),
    "audit": ("audit", "hr", "lr", "--scale", "2", "--json", "a.json"),
    "export": ("export", "{stage}", "weights", "--results", "results"),
    "show": ("show", "{stage}", "--results", "results"),
    "clean": ("clean", "--checkpoints", "--yes", "--results", "results"),
    "clean all": ("clean", "--all", "--yes", "--results", "results"),
    "check": ("check", "--repair", "--results", "results"),
    "reproduce": ("reproduce", "{stage}", "--results", "results"),
    "data": ("data", "fetch", "Set5", "--to", "data"),
    "bench": ("bench", "--only", "score", "--json", "b.json"),
}
NOT_CALLED = {"ui": "a server", "sync": "below, as it takes seconds"}
READ_ONLY = {"list": {0}, "show": {0}, "doctor": {0, 1}}
"""Verbs that only read, and their exit codes."""
TAKES_NO_ROOM = {"os.rename", "os.remove", "os.rmdir", "os.utime"}
"""What a disk without room does, too."""


class Disk:
    """A folder in which every write of this process fails from the `after`-th on."""

    folder: Path | None = None
    number = 0
    after = 0

    def __call__(self, event: str, args: tuple[object, ...]) -> None:
        if self.folder is None or not (event in WRITING or (event == "open" and args[2] & (os.O_WRONLY | os.O_RDWR))):
            return
        if event in TAKES_NO_ROOM and self.number in FULL:
            return
        path = os.fspath(args[0]) if isinstance(args[0], (str, os.PathLike)) else ""
        if not path or not Path(path).absolute().is_relative_to(self.folder):
            return
        self.after -= 1
        if self.after < 0:
            raise OSError(self.number, os.strerror(self.number), path)


disk = Disk()


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A finished store, a folder of images, and a checkpoint that is damaged."""
    sys.addaudithook(disk)  # of all that opens files for writing, in C too; it does nothing while there is no folder
    folder = tmp_path_factory.mktemp("written")
    store, plan = finish(write_study(folder), folder / "results")
    for name, size in (("hr", 96), ("lr", 48)):
        (folder / name).mkdir()
        pixels = np.random.default_rng(0).integers(0, 255, (size, size, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / name / "a.png")
    damaged, key = list(plan.stages)[:2]
    (store.stage(damaged) / "status.json").write_text("")
    return folder, key


@pytest.fixture
def attempt(written, tmp_path, monkeypatch, capsys):
    """Call a verb in a copy of the folder whose disk fails; return exit code and standard error."""

    def call(name, number, after=0):
        folder = tmp_path / f"{name}-{number}-{after}"
        shutil.copytree(written[0], folder)
        monkeypatch.chdir(folder)
        capsys.readouterr()
        with monkeypatch.context() as patch:
            patch.setattr(disk, "number", number)
            patch.setattr(disk, "after", after)
            patch.setattr(disk, "folder", folder)
            code = main([word.format(stage=written[1]) for word in CALLS[name]])
        return code, capsys.readouterr().err

    return call


def test_every_verb_is_called():
    assert {words[0] for words in CALLS.values()} | NOT_CALLED.keys() == VERBS.keys()


@pytest.mark.parametrize("name", CALLS)
def test_a_disk_that_takes_nothing_is_said_in_one_line(attempt, name):
    for number in NUMBERS:
        code, err = attempt(name, number)
        last = err.splitlines()[-1] if err else ""
        assert "Traceback" not in err
        assert "a fault of drnbench" not in err
        assert code in READ_ONLY.get(name, {2}), (name, number, err)
        assert code != 2 or last.startswith("drnbench: "), err
        assert ".tmp" not in err, err
        assert "Errno" not in err, err
        assert code != 2 or os.strerror(number).lower() in last.lower() or "full" in last, last


@pytest.mark.real
@pytest.mark.parametrize("after", [1, 3, 8])
@pytest.mark.parametrize("name", [name for name in CALLS if name not in {*READ_ONLY, "bench", "measure", "data"}])
def test_a_disk_that_takes_no_more_is_said_in_one_line(attempt, name, after):
    code, err = attempt(name, NUMBERS[after % 4], after)
    assert "Traceback" not in err
    assert "a fault of drnbench" not in err
    assert code in ({0, 1, 2} if name == "check" else {0, 2}), (name, code, err)
    assert code != 2 or err.splitlines()[-1].startswith("drnbench: "), err
    assert ".tmp" not in err or name == "reproduce", err  # whose store of its own ends so
    assert "Errno" not in err, err


@pytest.mark.real
@pytest.mark.parametrize(("number", "after"), [(errno.ENOSPC, 1), (errno.EROFS, 8)])
def test_a_disk_that_takes_no_mirror_is_said_in_one_line(attempt, monkeypatch, number, after):
    monkeypatch.setitem(CALLS, "sync", ("sync", "mini", "--results", "results"))
    code, err = attempt("sync", number, after)
    assert "Traceback" not in err
    assert "Errno" not in err
    assert code == 2
    assert err.splitlines()[-1].startswith("drnbench: ")
    assert ("full" if number in FULL else os.strerror(number).lower()) in err.splitlines()[-1]


def test_images_go_from_a_full_disk(written, tmp_path, monkeypatch):
    """The status that no longer lists them is written when there is room."""
    shutil.copytree(written[0] / "results", tmp_path / "results")
    store = Store(tmp_path / "results")
    folder = next(path for path in (store.root / "trials").iterdir())
    image = folder / "images" / "set" / "a.png"
    image.parent.mkdir(parents=True)
    image.write_bytes(b"pixels")
    store.finish(folder, store.status(folder))
    assert "images/set/a.png" in store.status(folder).files
    write, room = Store.write_status, iter([False, True])

    def write_status(self, folder, status, **options):
        if not next(room):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(self, folder, status, **options)

    monkeypatch.setattr(Store, "write_status", write_status)
    assert main(["clean", "--images", "--yes", "--results", str(store.root)]) == 0
    assert not image.exists()
    assert "images/set/a.png" not in store.status(folder).files
