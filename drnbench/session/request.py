"""The options of a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from drnbench.errors import UsageError, nearest
from drnbench.execution import executors
from drnbench.execution.base import Executor, Options

RERUNS = ("failed", "stale", "all")


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
        if self.log_models and self.tracking_uri == "off":
            raise UsageError("--log-models logs models into MLflow, and --tracking-uri off turns it off: leave out one")

    def warm_up(self) -> None:
        """Begin what the executor takes time for; see `Executor.warm_up`."""
        executors.get(self.executor).warm_up(self)

    def open(self, root: Path, most: int | None = None) -> Executor:
        """Return the executor, ready for units; see `Executor.open`."""
        return executors.get(self.executor).open(root, self, most)
