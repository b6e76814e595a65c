"""How a study is run: nothing in here moves a number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from drnbench.errors import UsageError, nearest
from drnbench.execution.engine import Engine
from drnbench.session.devices import pick_devices

RERUNS = ("failed", "stale", "all")


@dataclass(frozen=True)
class Request:
    """The options of a run, none of which moves a number; `drnbench.run` describes them."""

    jobs: int | None = None
    executor: str = "local"
    device: str = "auto"
    gpus: str | None = None
    per_gpu: int = 1
    time_limit: float | None = None
    address: str | None = None
    partition: str | None = None
    slurm: Sequence[str] = ()
    rerun: str | None = None
    fail_fast: bool = False
    tracking_uri: str | None = None

    def engine(self) -> Engine:
        """Return where units run.

        Raises:
            UsageError: an option that is unknown, or of another executor, or a device that is not there.

        """
        engine = Engine(self.executor, self.device, self.jobs, self.per_gpu, self.address, self.partition, self.slurm)
        engine.check()
        if self.gpus is not None and self.executor != "local":
            raise UsageError(f"--gpus is for --executor local: with {self.executor} the cluster gives out its GPUs")
        if self.rerun is not None and self.rerun not in RERUNS:
            raise UsageError(f"--rerun {self.rerun!r}: {nearest(self.rerun, RERUNS)}")
        if self.executor != "local":  # units run elsewhere: the devices of this machine do not count
            return replace(engine, local=pick_devices("cpu", self.jobs))
        return replace(engine, local=pick_devices(self.device, self.jobs, self.gpus, self.per_gpu))
