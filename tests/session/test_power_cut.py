"""The power fails at any moment of a run: what was not synced is gone or half there, and the store ends with the same bits.

A run in this process is recorded: each sync (with the content it makes durable), rename and deletion in the store. A cut at a
random event leaves what was durable then, and a random part of everything that was not, as a disk does.
"""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from drnbench.outputs import compose
from drnbench.store import processes
from tests.session import inline
from tests.session.test_damage import STUDY, run, summary

pytestmark = [pytest.mark.filterwarnings("always::drnbench.errors.DamageWarning")]
CUTS = 200


class Disk:
    """The names and contents that a disk holds for certain, and the events that are on their way to it."""

    def __init__(self, root: Path) -> None:
        self.root, self.events = root, []

    def relative(self, path: object) -> str | None:
        absolute = Path(os.fspath(path)).absolute()
        return str(absolute.relative_to(self.root)) if self.root in absolute.parents else None

    def record(self, patch: pytest.MonkeyPatch) -> None:
        """Note what is renamed, deleted and synced from now on."""
        replace, rename, unlink, fsync = os.replace, os.rename, os.unlink, os.fsync

        def renamed(original):
            def call(source, target, **options):
                content = Path(source).read_bytes() if Path(source).is_file() else None
                original(source, target, **options)
                if content is not None and (name := self.relative(target)):
                    self.events.append(("name", name, self.relative(source), content))

            return call

        def deleted(path, **options):
            unlink(path, **options)
            if options.get("dir_fd") is None and (name := self.relative(path)):
                self.events.append(("gone", name, None, None))

        def synced(handle):
            fsync(handle)
            path = Path(f"/proc/self/fd/{handle}").readlink()
            if name := self.relative(path):
                content = path.read_bytes() if path.is_file() else None
                self.events.append(("sync", name, None, content))

        patch.setattr(os, "replace", renamed(replace))
        patch.setattr(os, "rename", renamed(rename))
        patch.setattr(os, "unlink", deleted)
        patch.setattr(os, "fsync", synced)

    def after(self, cut: int, draws: random.Random, folder: Path) -> None:
        """Write what the disk holds when the power fails before the event of a number."""
        durable: dict[str, bytes] = {}
        contents: dict[str, bool] = {}
        waiting: list[tuple[str, bytes | None, bool]] = []
        for kind, name, source, content in self.events[:cut]:
            if kind == "sync" and content is not None:
                contents[name] = True
                if name in durable:
                    durable[name] = content
                waiting = [(n, content if n == name and c is not None else c, s or n == name) for n, c, s in waiting]
            elif kind == "sync":  # a folder: its names are durable from now on
                done = [entry for entry in waiting if str(Path(entry[0]).parent) == name]
                waiting = [entry for entry in waiting if str(Path(entry[0]).parent) != name]
                for entry in done:
                    self._settle(durable, entry, draws)
            elif kind == "name":
                waiting.append((name, content, contents.get(str(source), False)))
            else:
                waiting.append((name, None, True))
        for entry in waiting:  # on their way: each arrives or not
            if draws.random() < 0.5:
                self._settle(durable, entry, draws)
        for name, content in durable.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)

    @staticmethod
    def _settle(durable: dict[str, bytes], entry: tuple[str, bytes | None, bool], draws: random.Random) -> None:
        name, content, is_synced = entry
        if content is None:
            durable.pop(name, None)
        elif is_synced:
            durable[name] = content
        else:  # the name arrived before the content: empty, cut, zeros, or whole
            cut = draws.randrange(len(content) + 1)
            durable[name] = draws.choice([b"", content[:cut], content[:cut] + bytes(len(content) - cut), content])


@pytest.fixture
def recorded(tmp_path):
    """A study, its whole store, and the record of the run that made it."""
    # Small PNG files: each reopened store decodes its images anew.
    for name, count in (("train", 3), ("test", 2)):
        (tmp_path / name).mkdir()
        for number in range(count):
            pixels = np.random.default_rng(number + 10 * count).integers(0, 256, (32, 32, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{number}.png")
    text = STUDY.replace("photos/train", f"{tmp_path}/train").replace("photos/test", f"{tmp_path}/test")
    (tmp_path / "m.py").write_text(text, encoding="utf-8")
    disk = Disk(tmp_path / "results")
    with inline.available(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(compose, "figures", lambda study, shown: [])
        with pytest.MonkeyPatch.context() as recording:
            disk.record(recording)
            assert run(tmp_path / "m.py", tmp_path / "results") == 0
        yield tmp_path / "m.py", tmp_path / "results", disk


@pytest.fixture
def restarted(recorded, monkeypatch):
    """What reads the store is another process than the one that wrote it, whose power is gone."""
    marks, start_ticks = processes.marks, processes.start_ticks
    monkeypatch.setattr(processes, "marks", lambda: {**marks(), "start": 2})
    monkeypatch.setattr(processes, "start_ticks", lambda pid: 2 if pid == os.getpid() else start_ticks(pid))
    return recorded


def reopened(recorded, folder, cuts, capsys):
    study, store, disk = recorded
    draws = random.Random(13)
    for number in range(cuts):
        cut = draws.randrange(len(disk.events) + 1)
        shutil.rmtree(folder / "cut", ignore_errors=True)
        (folder / "cut").mkdir()
        disk.after(cut, draws, folder / "cut")
        capsys.readouterr()
        assert run(study, folder / "cut") == 0, (number, cut)
        assert summary(folder / "cut") == summary(store), (number, cut)
        for path in store.glob("trials/*/per_image.parquet"):
            assert (folder / "cut" / path.relative_to(store)).read_bytes() == path.read_bytes(), (number, cut)
        assert "Traceback" not in capsys.readouterr().err


@pytest.mark.real
def test_the_store_opens_after_a_power_cut_and_ends_with_the_same_bits(restarted, tmp_path, capsys):
    reopened(restarted, tmp_path, 6, capsys)


@pytest.mark.real
def test_two_hundred_power_cuts(restarted, tmp_path, capsys):
    reopened(restarted, tmp_path, CUTS, capsys)


def test_what_a_status_vouches_for_is_on_the_disk_before_it(recorded):
    *_, disk = recorded
    synced: set[str] = set()
    names: dict[str, str] = {}
    statuses = 0
    for kind, name, source, content in disk.events:
        if kind == "sync" and content is not None:
            synced.add(name)
        elif kind == "name":
            if source in synced:
                synced.add(name)
            names[name] = str(source)
            if name.endswith("status.json") and b'"state": "done"' in content:
                statuses += 1
                unit = str(Path(name).parent)
                main = [
                    n
                    for n in names
                    if str(Path(n).parent) == unit and n.endswith((".parquet", ".pt", "stage.json", "scores.json"))
                ]
                assert [n for n in main if n not in synced] == []
    assert statuses == 5
