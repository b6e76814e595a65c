"""The verb `ui`."""

from __future__ import annotations

from typing import Annotated

from typer import Option

from drnbench.cli.options import RESULTS, ResultsOpt
from drnbench.store import Store
from drnbench.tracking.ui import serve


def command(
    results: ResultsOpt = RESULTS,
    port: Annotated[int, Option(min=1, max=65535, help="port on this machine")] = 5000,
    host: Annotated[str, Option(help="address to listen on")] = "127.0.0.1",
) -> int:
    """Open the MLflow UI on the project's store."""
    return serve(Store(results), None, host=host, port=port)
