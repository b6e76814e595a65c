"""mirror.json beside plan.json: a digest of each mirror, so that a run with nothing to do need not import MLflow."""

from __future__ import annotations

import re
import shlex
import sqlite3
from contextlib import closing
from importlib.metadata import version
from pathlib import Path
from urllib.parse import quote, unquote

from drnbench.errors import redacted
from drnbench.results.locations import results_option
from drnbench.results.plan_record import read_plan
from drnbench.store import Fault, Store, read_json, renew_json, write_json
from drnbench.store.integrity import MISSING, report, set_aside
from drnbench.store.locks import has_locks
from drnbench.tracking import reading

SQLITE = re.compile(r"sqlite(\+pysqlite)?:///")
RESERVED = re.compile("[%?#]")
"""Characters that mean something in a URI, and that folders of build servers and worktrees have: `job_feature%2Fdual`."""


def default_uri(store: Store) -> str:
    """Return the tracking URI of a store's own mirror: its mlflow.db."""
    return sqlite_uri(store.root / "mlflow.db")


def sqlite_uri(path: Path) -> str:
    """Return the URI of an SQLite database, quoted where its path has characters that mean something there."""
    plain = path.as_posix()
    if not RESERVED.search(plain):
        return f"sqlite:///{plain}"
    # MLflow would make the folders of a quoted `sqlite:///`, as they read there.
    if _unquotes():
        return f"sqlite+pysqlite:///{RESERVED.sub(lambda reserved: quote(reserved[0]), plain)}"
    return _file_uri(path, "uri=true")


def _file_uri(path: Path, options: str) -> str:
    """Return the URI of an SQLite database that hands a quoted `file:` URI on to SQLite."""
    quoted = quote(path.as_posix())
    # No `sqlite:///`, of which MLflow would make a folder called `file:`.
    return f"sqlite+pysqlite:///file:{quote(quoted) if _unquotes() else quoted}?{options}"


def database(uri: str) -> Path | None:
    """Return the file behind an sqlite URI; None for any other."""
    begin = SQLITE.match(uri)
    if begin is None:
        return None
    path, _, options = uri[begin.end() :].partition("?")
    if "uri=true" in options:
        path = unquote(path.removeprefix("file:"))
    return Path(unquote(path) if _unquotes() else path)


def _unquotes() -> bool:
    """Return True if the SQLAlchemy that is installed unquotes the path of a database."""
    return tuple(map(int, version("sqlalchemy").split(".")[:2])) >= (2, 1)


def database_fault(path: Path) -> Fault | None:
    """Return in what way an SQLite database is not whole; None where it is, is missing, or cannot be opened now."""
    if not path.is_file():
        return None
    if not path.stat().st_size:
        return Fault(path, "is empty")
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as opened:
            (result,) = opened.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        # A lock of another process, or a disk that gives none, is no fault of the file.
        damaged = error.sqlite_errorcode & 0xFF in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
        result = str(error) if damaged else "ok"
    return None if result == "ok" else Fault(path, f"is not a whole database ({result})")


def set_damaged_database_aside(store: Store, uri: str) -> None:
    """Set the database of a store's own mirror aside where it is not whole, so that it is built again; under its lock."""
    path = database(uri)
    if path is None or uri != default_uri(store) or (fault := database_fault(path)) is None:
        return
    report(fault, "set aside; the mirror is built again")
    set_aside(path)
    for ending in ("-journal", "-wal", "-shm"):  # they belong to the pages that were set aside
        set_aside(path.with_name(path.name + ending))


def up_to_date(store: Store, name: str, uri: str | None = None) -> bool:
    """Return True if the mirror at a URI (None: the default) shows a study as the store has it; without MLflow."""
    uri = uri or default_uri(store)
    path, plan = database(uri), read_plan(store, name)
    mirrored = (read_json(_file(store, plan.location)) or {}).get(public(uri))
    if mirrored is None:
        return False
    if path is not None and not path.exists():
        report(Fault(path, MISSING), "the mirror is built again")
        return False
    if path is not None and uri == default_uri(store) and database_fault(path) is not None:
        return False
    return bool(mirrored == reading.study_stamp(store, plan, reading.trials(store, plan)))


def connection(uri: str) -> str:
    """Return the URI to open a mirror with: of a database on a disk without locks, one that asks for none.

    The mirror's own lock keeps writers apart.
    """
    path = database(uri)
    if path is None or not path.absolute().parent.is_dir() or has_locks(path.absolute().parent):
        return uri
    return _file_uri(path.absolute(), "nolock=1&uri=true")


def take_turn(store: Store, writer: str) -> bool:
    """Record a writer of the mirrors of a store, under their lock; return True if another one wrote since its last turn."""
    path = store.root / ".mlflow.json"
    if (read_json(path) or {}).get("writer") == writer:
        return False
    write_json(path, {"writer": writer})
    return True


def sync_command(store: Store, uri: str) -> str:
    """Return the command that brings a mirror up to date, quoted for a shell; without the password of a server."""
    tracking = "" if uri == default_uri(store) else f" --tracking-uri {shlex.quote(public(uri))}"
    return f"python -m drnbench sync{results_option(store)}{tracking}"


def remember(store: Store, location: str, uri: str, stamp: str) -> None:
    """Record that the study of a location was mirrored as it was when `stamp` was taken."""
    path = _file(store, location)
    renew_json(path, {**(read_json(path) or {}), public(uri): stamp})


def _file(store: Store, location: str) -> Path:
    return store.study(location) / "mirror.json"


def public(uri: str) -> str:
    """Return a URI without the name and password in it: the results folder, and what is printed, are shared."""
    return redacted(uri, "")
