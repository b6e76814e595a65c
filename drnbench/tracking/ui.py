"""The MLflow UI on a store: a server of its own, in the foreground, until Ctrl-C."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

from drnbench.errors import UsageError
from drnbench.results.locations import planned
from drnbench.store import Store
from drnbench.tracking import place, record, study_view
from drnbench.tracking.mirror import Mirror
from drnbench.tracking.quiet import SILENCE, connect, settings

TRAINING = "?workflowType=machine_learning"
"""Without it MLflow 3 opens among prompts and chats, where runs are called evaluations."""
ANSWERS = 5
"""Profiles and overrides of a study whose answers are linked."""
VIEW = f"&viewStateShareKey={study_view.VIEW}&compareRunsMode=CHART"
"""The view of the runs that the mirror has prepared: readable columns, PSNR against parameters, images by run."""


def command(store: Store, uri: str, host: str, port: int) -> list[str]:
    """Return the command that starts the server.

    Our experiments hold `file:` locations, which the server reads itself; the two artifact options are for those that
    users add to the same database, so that nothing is written into the folder that the command was started in.
    """
    artifacts = (store.root / place.FOLDER).as_uri()
    return [
        sys.executable, "-m", "mlflow", "server", "--backend-store-uri", record.connection(uri), "--artifacts-destination", artifacts,
        "--default-artifact-root", artifacts, "--host", host, "--port", str(port), "--workers", "1",
        "--registry-store-uri", record.connection(uri), "--uvicorn-opts", "--log-level warning",
    ]  # fmt: skip


def environment() -> dict[str, str]:
    """Return the server's environment: without eight idle job processes, without telemetry, without chatter."""
    defaults = {
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_LOGGING_LEVEL": "WARNING",
        # The server's libraries warn each other of things that its users cannot change.
        "PYTHONWARNINGS": "ignore",
    }
    return {**defaults, **os.environ}


def serve(store: Store, uri: str | None = None, host: str = "127.0.0.1", port: int = 5000) -> int:
    """Serve the UI until Ctrl-C; return the exit code.

    Raises:
        UsageError: nothing was mirrored yet, the port is taken, or the URI is a server's already.

    """
    uri = uri or record.default_uri(store)
    path = record.database(uri)
    if path is None and uri.startswith(("http://", "https://")):
        raise UsageError(f"{uri} is a server already: open it in a browser")
    if path is not None and not path.exists():
        raise UsageError(f"no MLflow database at {path} yet: `run` a study or `sync` first, or name --results DIR")
    _check_port(host, port)
    base = f"http://{host}:{port}"
    print(f"MLflow UI: {base}/#/experiments{TRAINING}  (Ctrl-C ends it)", flush=True)
    for study, number, answers in experiments(store, uri):
        print(f"  {study}: {base}/#/experiments/{number}/runs{TRAINING}{VIEW}" if number else f"  {study}", flush=True)
        for name, run in answers.items():
            print(f"    answer of {name}: {base}/#/experiments/{number}/runs/{run}{TRAINING}", flush=True)
    # A session of its own: Ctrl-C must reach us alone, or server and workers each report it in their own way.
    server = subprocess.Popen(command(store, uri, host, port), env=environment(), start_new_session=True)
    try:
        with _terminable():
            code = server.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        _end(server)
    if code:
        raise UsageError(f"the MLflow server ended with exit code {code}; its output stands above")
    return 0


def experiments(store: Store, uri: str) -> list[tuple[str, str | None, dict[str, str]]]:
    """Return the store's studies with the ids of their experiments and, by name, of the runs whose description is the answer.

    The id of a study that was not mirrored is None.

    An experiment of a results folder that has moved is built again, so that its links lead to its files.
    """
    studies: dict[str, list[str]] = {}
    for location in planned(store):
        studies.setdefault(location.partition("/")[0], []).append(location)
    if record.database(uri) is None:
        return [(study, None, {}) for study in studies]
    with settings(**SILENCE):
        client = connect(uri)
        for study, reports in studies.items():
            stored = client.get_experiment_by_name(study)
            if (
                stored is not None
                and stored.lifecycle_stage != "deleted"
                and place.has_moved(stored, store, study, uri)
            ):
                mirror = Mirror(store, uri)
                for location in reports:
                    mirror.sync(location)
        mirrored = [client.get_experiment_by_name(study) for study in studies]
        return [
            (name, stored.experiment_id if stored else None, _answers(client, stored))
            for name, stored in zip(studies, mirrored, strict=True)
        ]


def _answers(client: Any, experiment: Any) -> dict[str, str]:
    """Return the ids of the latest parent runs of an experiment by name."""
    if experiment is None or experiment.lifecycle_stage == "deleted":
        return {}
    query = "tags.`drnbench.kind` = 'study'"
    runs = client.search_runs([experiment.experiment_id], query, max_results=ANSWERS)
    return {run.info.run_name: run.info.run_id for run in runs}


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """Treat SIGTERM as Ctrl-C for a while, so that it does not leave the server behind."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _check_port(host: str, port: int) -> None:
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, _, _, address = addresses[0]
        with socket.socket(family, kind) as probe:
            # As the server does it: a port that was just left is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise UsageError(f"{host}:{port} cannot be used ({error.strerror}); choose another with --port") from error


def _end(server: subprocess.Popen[bytes]) -> None:
    """End the server and the processes that it started."""
    import psutil

    if server.poll() is not None:
        return
    workers = psutil.Process(server.pid).children(recursive=True)
    server.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        server.wait(timeout=5)
    for process in psutil.wait_procs(workers, timeout=2)[1]:
        process.kill()
    if server.poll() is None:
        server.kill()
        server.wait()
