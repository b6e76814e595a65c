"""CUDA devices of this machine, counted without PyTorch where there plainly are none."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from drnbench.errors import UsageError, nearest
from drnbench.parallel import cores

KINDS = ("auto", "cpu", "cuda")
ROOT = Path("/")
"""Root of Linux's file system."""
TRACES = (
    "dev/nvidia*",
    "proc/driver/nvidia",  # the driver is there, its devices come with the first program that asks for them
    "dev/nvhost*",  # Jetson
    "dev/nvmap",
    "dev/kfd",  # AMD: PyTorch's ROCm builds call these devices CUDA too
    "dev/dxg",  # Linux under Windows
)
"""Patterns under `ROOT`: where none fits, no program can reach a GPU."""


def gpu_count() -> int:
    """Return the number of CUDA devices that PyTorch sees; it takes seconds to import, and is asked only in doubt."""
    if not _possible():
        return 0
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def check_device(device: str) -> None:
    """Refuse a device that is not auto, cpu or cuda.

    Raises:
        UsageError: it is none of these.

    """
    if device not in KINDS:
        raise UsageError(f"unknown device {device!r}: {nearest(device, KINDS)}")


def pick_devices(device: str, jobs: int | None, gpus: str | None = None, per_gpu: int = 1) -> tuple[list[str], int]:
    """Return the devices of this machine to give out in turn, and the number of units that run at once.

    Args:
        device: auto, cpu or cuda.
        jobs: units at once; None: one a core, or `per_gpu` a GPU.
        gpus: numbers of the GPUs to use, as in "0,1"; None: all.
        per_gpu: units that share a GPU.

    Raises:
        UsageError: CUDA was asked for and is not there, a GPU that is not there, or a share of one on a CPU.

    """
    check_device(device)
    count = gpu_count() if device != "cpu" else 0
    if device == "cuda" and not count:
        raise UsageError(
            "--device cuda: PyTorch sees no CUDA device here; use --device cpu, or install a CUDA build and driver"
        )
    if per_gpu != 1 and not count:
        raise UsageError(f"--per-gpu {per_gpu}: units run on the CPU here, where none shares a GPU; use --jobs")
    if gpus is None:
        return ([f"cuda:{i}" for i in range(count)], jobs or count * per_gpu) if count else (["cpu"], jobs or cores())
    if not count:
        raise UsageError(f"--gpus {gpus}: PyTorch sees no CUDA device here; leave --gpus out")
    numbers = gpus.split(",")
    for number in numbers:
        if not number.strip().isdecimal() or int(number) >= count:
            raise UsageError(f"--gpus {gpus}: there are GPUs 0 to {count - 1}; write them as 0,1")
    return [f"cuda:{int(number)}" for number in numbers], jobs or len(numbers) * per_gpu


def _possible() -> bool:
    if sys.platform == "darwin" or os.environ.get("CUDA_VISIBLE_DEVICES") in {"", "-1"}:
        return False
    return not sys.platform.startswith("linux") or any(next(ROOT.glob(trace), None) for trace in TRACES)
