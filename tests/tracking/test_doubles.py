"""One run a trial, whoever mirrors a study at the same time."""

from __future__ import annotations

from pathlib import Path

import pytest

from drnbench.store.locks import Lock
from drnbench.tracking import Mirror, up_to_date
from tests.tracking.stores import StoredStudy, child, runs


@pytest.mark.real
def test_two_processes_that_mirror_one_study_make_one_run_a_trial(tmp_path: Path) -> None:
    stored = StoredStudy(tmp_path)
    first, second = Mirror(stored.store), Mirror(stored.store)
    first.sync("unpaired", final=False)
    second.sync("unpaired", final=False)
    stored.finish()
    assert second.sync("unpaired").new_runs == 5
    assert first.sync("unpaired").new_runs == 0
    assert len(runs(first.uri)) == 6
    assert {run.info.status for run in runs(first.uri)} == {"FINISHED"}


@pytest.mark.real
def test_sync_merges_doubles(tmp_path: Path) -> None:
    """Earlier versions made each run twice where two processes mirrored one study."""
    from mlflow import MlflowClient

    stored = StoredStudy(tmp_path)
    stored.finish()
    mirror = Mirror(stored.store)
    mirror.sync("unpaired")
    client, originals = MlflowClient(mirror.uri), runs(mirror.uri)
    doubles = []
    for run in originals:
        tags = {name: text for name, text in run.data.tags.items() if name != "drnbench.mirrored"}
        doubles.append(client.create_run(run.info.experiment_id, tags=tags, run_name=run.info.run_name).info.run_id)
    own = next(n for n, run in zip(doubles, originals, strict=True) if run.info.run_name == "ρ=0, seed 0")
    client.set_tag(own, "mine", "keep")
    assert len(runs(mirror.uri)) == 12
    result = Mirror(stored.store).sync("unpaired")
    assert (result.runs, result.new_runs, result.points, result.merged) == (6, 0, 0, 6)
    assert {run.info.run_id for run in runs(mirror.uri)} == {run.info.run_id for run in originals}
    assert {client.get_run(run_id).info.lifecycle_stage for run_id in doubles} == {"deleted"}
    assert child(mirror.uri, "ρ=0, seed 0").data.tags["mine"] == "keep"
    assert Mirror(stored.store).sync("unpaired").merged == 0


def test_trials_under_a_second_parent_move_to_the_one_that_stays(tmp_path: Path) -> None:
    from mlflow import MlflowClient

    stored = StoredStudy(tmp_path)
    stored.finish()
    mirror = Mirror(stored.store)
    mirror.sync("unpaired")
    client, parent = MlflowClient(mirror.uri), child(mirror.uri, "unpaired, tiny")
    tags = {name: text for name, text in parent.data.tags.items() if name != "drnbench.mirrored"}
    second = client.create_run(parent.info.experiment_id, tags=tags).info.run_id
    for run in runs(mirror.uri):
        if run.data.tags["drnbench.kind"] == "trial":
            client.set_tag(run.info.run_id, "mlflow.parentRunId", second)
    assert Mirror(stored.store).sync("unpaired").merged == 1
    children = [run for run in runs(mirror.uri) if run.data.tags["drnbench.kind"] == "trial"]
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}


def test_while_another_process_mirrors_a_running_study_does_not_wait(tmp_path: Path) -> None:
    stored = StoredStudy(tmp_path)
    stored.finish()
    with Lock(stored.store.root / ".mlflow.lock"):
        assert Mirror(stored.store).sync("unpaired", final=False).runs == 0
    assert Mirror(stored.store).sync("unpaired").new_runs == 6


def test_a_disk_without_locks_has_a_mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno
    import fcntl

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    monkeypatch.setattr(fcntl, "lockf", refuse)
    stored = StoredStudy(tmp_path / "a disk without locks")
    stored.finish()
    assert Mirror(stored.store).sync("unpaired").new_runs == 6
    assert up_to_date(stored.store, "unpaired")
    monkeypatch.undo()
    assert Mirror(stored.store).sync("unpaired").new_runs == 0
