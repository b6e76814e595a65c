"""Where artifacts of the default mirror lie, and what happens when the results folder moves.

MLflow writes absolute locations into its database. A results folder that was moved or copied would have its
database point at the old place: nothing to see there, and nothing may be written. So the locations that we gave are
moved along, before MLflow opens the database.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from urllib.parse import unquote, urlparse

from drnbench.store import Store
from drnbench.tracking import record

FOLDER = "mlartifacts"
COLUMNS = (("experiments", "artifact_location"), ("runs", "artifact_uri"))


def artifacts(store: Store, study: str, uri: str) -> str | None:
    """Return the artifact location of a study's experiment; None where a server decides.

    A database that is opened without a server would put them into the folder that the command was started in.
    """
    served = urlparse(uri).scheme in {"http", "https", "databricks", "databricks-uc", "uc"} or uri == "databricks"
    return None if served else (store.root / FOLDER / study).as_uri()


def follow(store: Store, uri: str) -> None:
    """Point the store's own mlflow.db at the artifacts beside it, should the results folder have moved."""
    path = record.database(uri)
    if path is None or uri != record.default_uri(store) or not path.exists():
        return
    here = (store.root / FOLDER).as_uri()
    with closing(sqlite3.connect(path, timeout=30)) as db, db:
        tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if not {table for table, _ in COLUMNS} <= tables:
            return
        for (location,) in db.execute("SELECT DISTINCT artifact_location FROM experiments").fetchall():
            there, found, _ = str(location or "").rpartition(f"/{FOLDER}/")
            old = f"{there}/{FOLDER}"
            # Only what `artifacts` gave: a folder of that name, the rest of which is one experiment's.
            if not found or urlparse(old).scheme not in {"", "file"} or unquote(old) == unquote(here):
                continue
            for table, column in COLUMNS:
                db.execute(
                    f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE substr({column}, 1, ?) = ?",  # noqa: S608
                    (here, len(old) + 1, len(old) + 1, old + "/"),
                )
