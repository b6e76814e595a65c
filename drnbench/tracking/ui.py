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

from drnbench.errors import UsageError
from drnbench.store import Store
from drnbench.tracking import place, record


def command(store: Store, uri: str, host: str, port: int) -> list[str]:
    """Return what starts the server.

    Our experiments hold `file:` locations, which the server reads itself; the two artifact options are for what
    users add to the same database, so that nothing is written into the folder that the command was started in.
    """
    artifacts = (store.root / place.FOLDER).as_uri()
    return [
        sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri, "--artifacts-destination", artifacts,
        "--default-artifact-root", artifacts, "--host", host, "--port", str(port), "--workers", "1",
    ]  # fmt: skip


def environment() -> dict[str, str]:
    """Return the server's environment: without eight idle job processes, without telemetry, without chatter."""
    ours = {
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_LOGGING_LEVEL": "WARNING",
    }
    return {**ours, **os.environ}


def serve(store: Store, uri: str | None = None, host: str = "127.0.0.1", port: int = 5000) -> int:
    """Serve the UI until Ctrl-C; returns the exit code.

    Raises:
        UsageError: nothing was mirrored yet, the port is taken, or the URI is a server's already.

    """
    where = uri or record.default_uri(store)
    path = record.database(where)
    if path is None and "://" in where and where.startswith("http"):
        raise UsageError(f"{where} is a server already: open it in a browser")
    if path is not None and not path.exists():
        raise UsageError(f"no MLflow database at {path} yet: `run` a study or `sync` first, or name --results DIR")
    _free(host, port)
    place.follow(store, where)
    studies = sorted(found.parent.name for found in store.root.glob("*/plan.json"))
    print(f"MLflow UI: http://{host}:{port}  (Ctrl-C ends it)", flush=True)
    print(f"studies: {', '.join(studies) or 'none'}", flush=True)
    # A session of its own: Ctrl-C must reach us alone, or server and workers each tell of it in their own way.
    server = subprocess.Popen(command(store, where, host, port), env=environment(), start_new_session=True)
    try:
        with _terminable():
            code = server.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        _end(server)
    if code:
        raise UsageError(f"the MLflow server ended with exit code {code}; what it said stands above")
    return 0


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


def _free(host: str, port: int) -> None:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, _, _, address = found[0]
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
