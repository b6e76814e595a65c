"""Mirrors of a results folder that was moved, or is reached through a link."""

from __future__ import annotations

import shutil
from pathlib import Path
from urllib.parse import unquote, urlparse

import pytest

from drnbench.store import Store
from drnbench.tracking import Mirror, ui, up_to_date
from tests.tracking.stores import StoredStudy, child


@pytest.fixture
def stored(tmp_path: Path) -> StoredStudy:
    stored = StoredStudy(tmp_path / "the results")
    stored.finish()
    return stored


def located(mirror: Mirror) -> Path:
    """Return where the samples of a trial are, once MLflow lists them."""
    from mlflow import MlflowClient

    run = child(mirror.uri, "ρ=0, seed 0")
    assert MlflowClient(mirror.uri).list_artifacts(run.info.run_id, "samples/Set5/bicubic")
    return Path(unquote(urlparse(run.info.artifact_uri).path))


@pytest.mark.real
def test_artifacts_of_a_results_folder_that_moved_are_in_it(stored: StoredStudy, tmp_path: Path) -> None:
    Mirror(stored.store).sync("unpaired")
    moved = Store(tmp_path / "elsewhere")
    shutil.move(stored.store.root, moved.root)
    assert not up_to_date(moved, "unpaired")
    mirror = Mirror(moved)
    assert mirror.sync("unpaired").runs == 6
    assert located(mirror).is_relative_to(moved.root)
    assert up_to_date(moved, "unpaired")
    assert mirror.sync("unpaired").new_runs == Mirror(moved).sync("unpaired").new_runs == 0
    assert not stored.store.root.exists()


@pytest.mark.real
def test_a_results_folder_at_its_former_place_has_its_former_experiment(stored: StoredStudy, tmp_path: Path) -> None:
    from mlflow import MlflowClient

    Mirror(stored.store).sync("unpaired")
    first = MlflowClient(Mirror(stored.store).uri).get_experiment_by_name("unpaired").experiment_id
    moved = Store(tmp_path / "elsewhere")
    for _ in range(2):
        shutil.move(stored.store.root, moved.root)
        assert Mirror(moved).sync("unpaired").runs == 6
        shutil.move(moved.root, stored.store.root)
        assert Mirror(stored.store).sync("unpaired").new_runs == 0
    client = MlflowClient(Mirror(stored.store).uri)
    names = {experiment.name: experiment.experiment_id for experiment in client.search_experiments()}
    assert names.pop("unpaired") == first
    assert names.keys() == {"Default", f"unpaired in {moved.root}"}


def test_a_link_to_a_results_folder_changes_nothing(stored: StoredStudy, tmp_path: Path) -> None:
    Mirror(stored.store).sync("unpaired")
    (tmp_path / "link").symlink_to(stored.store.root)
    assert Mirror(Store(tmp_path / "link")).sync("unpaired").new_runs == 0
    assert located(Mirror(stored.store)).is_relative_to(stored.store.root)


@pytest.mark.real
def test_the_ui_builds_experiments_again_that_moved(stored: StoredStudy, tmp_path: Path) -> None:
    Mirror(stored.store).sync("unpaired")
    moved = Store(tmp_path / "elsewhere")
    shutil.move(stored.store.root, moved.root)
    mirror = Mirror(moved)
    ((study, number, answers),) = ui.experiments(moved, mirror.uri)
    assert study == "unpaired"
    assert len(answers) == 1
    assert child(mirror.uri, "ρ=0, seed 0").info.experiment_id == number
    assert located(mirror).is_relative_to(moved.root)
