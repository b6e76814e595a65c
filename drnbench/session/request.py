"""The options of a run."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

from drnbench.errors import UsageError, nearest, redacted
from drnbench.execution import executors
from drnbench.execution.base import Executor, Options

RERUNS = ("failed", "stale", "all")
TRACKING = ("databricks", "file", "http", "https", "mssql", "mysql", "postgresql", "sqlite", "uc")
"""Schemes of MLflow's own tracking stores; other packages add theirs by the entry points `mlflow.tracking_store`."""


@dataclass(frozen=True)
class Request(Options):
    """The options of a run, none of which moves a number; `drnbench.run` describes them."""

    executor: str = "local"
    time_limit: float | None = None
    rerun: str | None = None
    fail_fast: bool = False
    tracking_uri: str | None = None
    log_models: bool = False
    report: bool = True

    def check(self) -> None:
        """Refuse an impossible request before any work.

        Raises:
            UsageError: an option that is unknown, or of another executor, or a device that is not there, or models without a
                mirror.

        """
        executors.get(self.executor).check(self)
        if self.rerun is not None and self.rerun not in RERUNS:
            raise UsageError(f"--rerun {self.rerun!r}: {nearest(self.rerun, RERUNS)}")
        check_tracking(self.tracking_uri)
        if self.log_models and self.tracking_uri == "off":
            raise UsageError("--log-models logs models into MLflow, and --tracking-uri off turns it off: leave out one")

    def warm_up(self) -> None:
        """Begin what the executor takes time for; see `Executor.warm_up`."""
        executors.get(self.executor).warm_up(self)

    def open(self, root: Path, most: int | None = None) -> Executor:
        """Return the executor, ready for units; see `Executor.open`."""
        return executors.get(self.executor).open(root, self, most)


def check_tracking(uri: str | None) -> None:
    """Refuse a tracking URI that no store of MLflow can be at; MLflow is not imported.

    Raises:
        UsageError: its scheme is none that MLflow, or a plug-in of it, has a store for.

    """
    scheme, separator, _ = (uri or "").partition("://")
    scheme = scheme.partition("+")[0].lower()
    if (
        not separator
        or scheme in TRACKING
        or scheme in {entry.name for entry in entry_points(group="mlflow.tracking_store")}
    ):
        return
    raise UsageError(
        f"--tracking-uri {redacted(uri or '')}: MLflow has no store for {scheme}://: {nearest(scheme, TRACKING)}; "
        "`off` does without a mirror"
    )
