"""mirror.json beside plan.json: a digest of each mirror, so that a run with nothing to do need not import MLflow."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import quote

from drnbench.results.plan_record import read_plan
from drnbench.store import Store, read_json, renew_json, write_json
from drnbench.store.locks import has_locks
from drnbench.tracking import reading


def default_uri(store: Store) -> str:
    """Return the tracking URI of a store's own mirror: its mlflow.db."""
    return f"sqlite:///{(store.root / 'mlflow.db').as_posix()}"


def database(uri: str) -> Path | None:
    """Return the file behind an sqlite URI; None for any other."""
    return Path(uri.removeprefix("sqlite:///")) if uri.startswith("sqlite:///") else None


def up_to_date(store: Store, name: str, uri: str | None = None) -> bool:
    """Return True if the mirror at a URI (None: the default) shows a study as the store has it; without MLflow."""
    uri = uri or default_uri(store)
    path = database(uri)
    if path is not None and not path.exists():
        return False
    plan = read_plan(store, name)
    mirrored = (read_json(_file(store, plan.location)) or {}).get(public(uri))
    if mirrored is None:
        return False
    return bool(mirrored == reading.study_stamp(store, plan, reading.trials(store, plan)))


def connection(uri: str) -> str:
    """Return the URI to open a mirror with: of a database on a disk without locks, one that asks for none.

    The mirror's own lock keeps writers apart.
    """
    path = database(uri)
    if path is None or not path.absolute().parent.is_dir() or has_locks(path.absolute().parent):
        return uri
    return f"sqlite:///file:{quote(str(path.absolute()))}?nolock=1&uri=true"


def take_turn(store: Store, writer: str) -> bool:
    """Record a writer of the mirrors of a store, under their lock; return True if another one wrote since its last turn."""
    path = store.root / ".mlflow.json"
    if (read_json(path) or {}).get("writer") == writer:
        return False
    write_json(path, {"writer": writer})
    return True


def remember(store: Store, location: str, uri: str, stamp: str) -> None:
    """Record that the study of a location was mirrored as it was when `stamp` was taken."""
    path = _file(store, location)
    renew_json(path, {**(read_json(path) or {}), public(uri): stamp})


def _file(store: Store, location: str) -> Path:
    return store.study(location) / "mirror.json"


def public(uri: str) -> str:
    """Return a URI without the name and password in it: the results folder, and what is printed, are shared."""
    return re.sub(r"//[^/@]*@", "//", uri)
