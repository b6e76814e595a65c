"""The place of the default mirror's artifacts, and experiments of a results folder that has moved.

MLflow keeps absolute locations. In a results folder that was moved or copied, the recorded ones are at the former place:
nothing to see there, and nothing may be written. The mirror is derived from the store, so such an experiment gives its
name away and is built again; it keeps the runs that users added. Back at its former place, it gets its name back.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from drnbench.store import Store
from drnbench.tracking import record

FOLDER = "mlartifacts"
SERVED = frozenset({"http", "https", "databricks", "databricks-uc", "uc"})
"""Schemes of tracking URIs of servers, which decide about artifacts themselves."""


def artifacts(store: Store, study: str, uri: str) -> str | None:
    """Return the artifact location of a study's experiment; None where a server decides.

    A database that is opened without a server would put them into the folder that the command was started in.
    """
    served = urlparse(uri).scheme in SERVED or uri == "databricks"
    return None if served else (store.root / FOLDER / study).as_uri()


def experiment(client: Any, store: Store, study: str, uri: str) -> Any:
    """Return the experiment of a study whose artifacts lie in this results folder; None where it is to be made.

    Args:
        client: an MlflowClient.
        store: the results folder.
        study: the study.
        uri: tracking URI; only of the store's own database is anything renamed.

    """
    named = client.get_experiment_by_name(study)
    if named is None or named.lifecycle_stage == "deleted" or not has_moved(named, store, study, uri):
        return named
    client.rename_experiment(named.experiment_id, _elsewhere(study, _path(named.artifact_location).parents[1]))
    former = client.get_experiment_by_name(_elsewhere(study, store.root))
    if former is None or former.lifecycle_stage == "deleted":
        return None
    client.rename_experiment(former.experiment_id, study)
    return client.get_experiment(former.experiment_id)


def has_moved(experiment: Any, store: Store, study: str, uri: str) -> bool:
    """Return True if an experiment of the store's own database has its artifacts in another results folder."""
    if uri != record.default_uri(store) or urlparse(experiment.artifact_location).scheme not in {"", "file"}:
        return False
    recorded, folder = _path(experiment.artifact_location), store.root / FOLDER / study
    # Only a location that `artifacts` gave; a link to the folder is as good as the folder.
    return recorded.parts[-2:] == folder.parts[-2:] and recorded.resolve() != folder.resolve()


def _path(location: str) -> Path:
    return Path(unquote(urlparse(location).path))


def _elsewhere(study: str, root: Path) -> str:
    return f"{study} in {root}"
