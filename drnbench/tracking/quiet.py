"""MLflow's client, without its output, its telemetry and its minutes of waiting for a server that is down."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from typing import Any

from drnbench.tracking import record

PATIENCE = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "30", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2"}
"""For a server that has answered once. MLflow's own are 120 s and 7 retries with doubling pauses: many minutes."""
FIRST_CALL = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "4", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
"""For the first request, which asks for one row: a server that does not answer it soon is not there."""
SILENCE = {
    "MLFLOW_LOGGING_LEVEL": "CRITICAL",  # what it logs as an error, with a traceback, it raises as well
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}


@contextlib.contextmanager
def settings(**values: str) -> Iterator[None]:
    """Set environment variables of this process for a while; those that the user set stay.

    MLflow reads them at each call and takes these settings in no other way.
    """
    added = {name: value for name, value in values.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


def connect(uri: str) -> Any:
    """Return an MlflowClient of a tracking URI; call it, and everything on the client, within `settings(**SILENCE)`."""
    from mlflow import MlflowClient

    # Creating a store migrates an empty database through dozens of versions, each with a line of its own.
    if os.environ.get("MLFLOW_LOGGING_LEVEL") == SILENCE["MLFLOW_LOGGING_LEVEL"]:
        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
    # Retries of a connection are reported once by our own warning, not three times by the library.
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
    return MlflowClient(tracking_uri=record.connection(uri))


@contextlib.contextmanager
def unsynced() -> Iterator[None]:
    """Let SQLite databases that are opened meanwhile not wait for the disk: of a file that is synced as a whole afterwards."""
    from sqlalchemy import Engine, event

    def opened(connection: Any, _: Any) -> None:
        connection.execute("PRAGMA synchronous = OFF")

    event.listen(Engine, "connect", opened)
    try:
        yield
    finally:
        event.remove(Engine, "connect", opened)
