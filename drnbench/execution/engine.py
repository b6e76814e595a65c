"""From the options of the command line to an executor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drnbench.config.overrides import parse_value
from drnbench.errors import UsageError, nearest
from drnbench.execution.base import Executor

EXECUTORS = ("local", "ray", "slurm")
JOBS = 64
"""SLURM jobs queued or running at once, where nobody says how many."""


@dataclass(frozen=True)
class Engine:
    """Where units run, as the options say.

    Attributes:
        name: local, ray or slurm.
        device: auto, cpu or cuda; auto means the GPUs of a Ray cluster that has some, and none on SLURM.
        jobs: units at once; None: as many as there is room for.
        per_gpu: units that share a GPU.
        address: of the Ray cluster; None: auto.
        partition: of SLURM; None: the cluster's default.
        slurm: further parameters of submitit, as KEY=VALUE.
        local: devices to give out and units at once, of the local executor.

    """

    name: str = "local"
    device: str = "auto"
    jobs: int | None = None
    per_gpu: int = 1
    address: str | None = None
    partition: str | None = None
    slurm: Sequence[str] = ()
    local: tuple[list[str], int] = (["cpu"], 1)

    def check(self) -> None:
        """Refuse what cannot be meant, before any work.

        Raises:
            UsageError: an unknown executor or device, or an option that belongs to another executor.

        """
        if self.name not in EXECUTORS:
            raise UsageError(f"unknown executor {self.name!r}: {nearest(self.name, EXECUTORS)}")
        if self.device not in {"auto", "cpu", "cuda"}:
            raise UsageError(f"unknown device {self.device!r}: {nearest(self.device, ['auto', 'cpu', 'cuda'])}")
        for option, given, owner in (
            ("--address", self.address, "ray"), ("--partition", self.partition, "slurm"), ("--slurm", self.slurm, "slurm")
        ):  # fmt: skip
            if given and self.name != owner:
                raise UsageError(f"{option} is for --executor {owner}, and this is --executor {self.name}")
        if self.name == "slurm" and self.per_gpu != 1:
            raise UsageError(
                "--per-gpu: SLURM gives whole GPUs; where the cluster has shards, use --slurm gres=shard:1"
            )
        self.parameters()

    def parameters(self) -> dict[str, Any]:
        """Return the parameters of submitit.

        Raises:
            UsageError: one is not KEY=VALUE.

        """
        out = {}
        for item in self.slurm:
            key, eq, value = item.partition("=")
            if not eq or not key.strip():
                raise UsageError(f"--slurm {item!r}: write it as KEY=VALUE, such as timeout_min=600")
            out[key.strip()] = parse_value(value.strip())
        return out

    def open(self, root: Path, most: int | None = None) -> tuple[Executor, str]:
        """Return the executor, and the kind of device that its units run on.

        Args:
            root: the results folder.
            most: units that there are; None: not known yet.

        Raises:
            UsageError: the engine is not installed, or does not answer.

        """
        if self.name == "ray":
            from drnbench.execution.ray import RayExecutor

            ray = RayExecutor(root, self.jobs, self.device, self.address or "auto", 1 / self.per_gpu)
            return ray, ray.device
        if self.name == "slurm":
            from drnbench.execution.slurm import SlurmExecutor

            given = self.parameters()
            slots = self.jobs or (self.local[1] if given.get("cluster") == "local" else JOBS)
            wants_gpu = {"gpus_per_node", "gpus_per_task", "gres"} & set(given)
            device = "cuda" if self.device == "cuda" or (self.device == "auto" and wants_gpu) else "cpu"
            return SlurmExecutor(root, slots, device, self.partition, given), device
        from drnbench.execution.local import LocalExecutor

        devices, slots = self.local
        return LocalExecutor(root, min(slots, most or slots), devices), devices[0].partition(":")[0]
