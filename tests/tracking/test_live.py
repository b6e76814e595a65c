from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

import pytest

from drnbench.session.mirroring import update_mirror
from drnbench.tracking import LiveMirror, Mirror, live
from tests.helpers import free_port
from tests.tracking.stores import StoredStudy, child, points, runs


@pytest.fixture
def closed_port() -> int:
    """A loopback port that nobody listens on."""
    return free_port()


@pytest.mark.real
def test_what_is_written_before_close_is_mirrored(tmp_path: Path) -> None:
    stored, warnings = StoredStudy(tmp_path, database=False), []
    mirror = LiveMirror(stored.store, warn=warnings.append)
    mirror.start("unpaired")
    stored.finish()
    mirror.notify()
    assert mirror.close()
    assert not warnings
    uri = mirror.mirror.uri
    assert {run.info.status for run in runs(uri)} == {"FINISHED"}
    before = points(uri)
    assert Mirror(stored.store).sync("unpaired").points == 0
    assert points(uri) == before


@pytest.mark.real
def test_a_running_trial_is_seen_while_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored, synced = StoredStudy(tmp_path), threading.Event()
    stored.train(stored.trials[0]["stages"][0], steps=20, state="running")
    mirror = LiveMirror(stored.store)
    original = mirror.mirror.sync

    def sync(name: str, final: bool = True) -> object:
        try:
            return original(name, final)
        finally:
            synced.set()

    monkeypatch.setattr(mirror.mirror, "sync", sync)
    mirror.start("unpaired")
    assert synced.wait(120)
    run = child(mirror.mirror.uri, "ρ=0, seed 0")
    assert run.info.status == "RUNNING"
    assert run.data.metrics["pretrain/loss"] == 0.25
    mirror.close()


def test_many_notices_are_one_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "PAUSE_S", 3600.0)
    stored, calls, first = StoredStudy(tmp_path), [], threading.Event()
    mirror = LiveMirror(stored.store)

    def sync(name: str, final: bool = True) -> None:
        calls.append(final)
        first.set()

    monkeypatch.setattr(mirror.mirror, "sync", sync)
    mirror.start("unpaired")
    assert first.wait(60)
    for _ in range(1000):
        mirror.notify()
    assert mirror.close()
    assert calls == [False, True]


def test_what_is_handed_over_is_left_for_the_end(tmp_path: Path) -> None:
    stored, warnings = StoredStudy(tmp_path), []
    mirror = LiveMirror(stored.store, warn=warnings.append)
    mirror.start("unpaired")
    stored.finish()
    mirror.notify()
    handed = mirror.hand_over()
    assert handed is mirror.mirror
    update_mirror(stored.store, "unpaired", None, log_models=False, mirror=handed)
    assert not warnings
    assert {run.info.status for run in runs(handed.uri)} == {"FINISHED"}
    assert Mirror(stored.store).sync("unpaired").points == 0


def test_nothing_is_handed_over_where_it_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored, warnings, failed = StoredStudy(tmp_path), [], threading.Event()
    mirror = LiveMirror(stored.store, warn=warnings.append)

    def sync(name: str, final: bool = True) -> None:
        failed.set()
        raise ConnectionError("no route to the server")

    monkeypatch.setattr(mirror.mirror, "sync", sync)
    mirror.start("unpaired")
    assert failed.wait(60)
    assert mirror.hand_over() is None
    (warning,) = warnings
    assert "no route to the server" in warning


def test_a_server_that_is_down_costs_one_warning(tmp_path: Path, closed_port: int) -> None:
    stored, warnings, before = StoredStudy(tmp_path), [], dict(os.environ)
    stored.finish()
    mirror = LiveMirror(stored.store, f"http://127.0.0.1:{closed_port}", warn=warnings.append)
    start = time.monotonic()
    mirror.start("unpaired")
    for _ in range(10):
        mirror.notify()
    assert time.monotonic() - start < 1
    assert not mirror.close()
    assert time.monotonic() - start < 30
    assert len(warnings) == 1
    assert "\n" not in warnings[0]
    command = f"drnbench sync --results {stored.store.root} --tracking-uri http://127.0.0.1:{closed_port}"
    assert f"{command}` catches up" in warnings[0]
    assert dict(os.environ) == before
    assert Mirror(stored.store).sync("unpaired").new_runs == 6


def test_mlflow_that_is_not_installed_costs_one_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "mlflow"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "mlflow", None)
    warnings: list[str] = []
    mirror = LiveMirror(StoredStudy(tmp_path).store, warn=warnings.append)
    mirror.start("unpaired")
    assert not mirror.close()
    assert len(warnings) == 1


def test_closing_what_was_never_started(tmp_path: Path) -> None:
    assert LiveMirror(StoredStudy(tmp_path).store).close()


def test_a_mirror_that_is_late_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored, warnings, end = StoredStudy(tmp_path, database=False), [], threading.Event()
    mirror = LiveMirror(stored.store, warn=warnings.append)
    monkeypatch.setattr(mirror.mirror, "sync", lambda *_, **__: end.wait(120))
    mirror.start("unpaired")
    assert not mirror.close(timeout=0.0)
    end.set()
    (warning,) = warnings
    assert "behind" in warning
    assert f"drnbench sync --results {stored.store.root}" in warning
