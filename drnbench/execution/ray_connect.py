"""Connecting to a Ray cluster: within seconds or with one line, where Ray itself would try for minutes and print pages."""

from __future__ import annotations

import logging
import os
import socket
from typing import Any

from drnbench.errors import UsageError

CONNECT_S = 10.0
"""Seconds that the machine at an address has to answer."""
TRIES = 4
"""Attempts to connect as a client: while the head forks a server for it, gRPC may end that server (Ray's issue 63202)."""


def connect(ray: Any, address: str) -> None:
    """Make this process a driver of the cluster at an address.

    Args:
        ray: the module.
        address: "auto", "local", "HOST:PORT", or "ray://HOST:PORT".

    Raises:
        UsageError: the address is not one of these, or no cluster answers there.
    """
    logging.getLogger("ray").setLevel(logging.ERROR)
    remedy = "start one with `ray start --head`, or name it with --address"
    _check_answer(os.environ.get("RAY_ADDRESS", address) if address == "auto" else address, remedy)
    client = address.startswith("ray://")
    if client:
        remedy = "start its head with GRPC_ENABLE_FORK_SUPPORT=0, or name it HOST:6379 from one of its nodes"
    for attempts_left in reversed(range(TRIES if client else 1)):
        try:
            ray.init(address=address, log_to_driver=False, logging_level="ERROR")
        except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
            ray.shutdown()
            if attempts_left and not isinstance(error, ValueError):
                continue
            reason = " ".join(str(error).split()).rstrip(".")
            raise UsageError(f"no Ray cluster answers at {address}: {reason}; {remedy}") from error
        else:
            return


def _check_answer(address: str, remedy: str) -> None:
    """Check that a server listens there: Ray itself would try for minutes, and print a line every few seconds."""
    if address in {"auto", "local"}:
        return
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        raise UsageError(f"--address {address}: write auto, local, HOST:PORT or ray://HOST:PORT")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_S).close()
    except (OSError, OverflowError) as error:
        raise UsageError(f"no Ray cluster answers at {address}: {error}; {remedy}") from error
