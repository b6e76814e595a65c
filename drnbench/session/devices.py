"""The devices that units are given in turn, and how many run at once."""

from __future__ import annotations

from drnbench.errors import UsageError, nearest
from drnbench.parallel import cores
from drnbench.store.devices import gpu_count

KINDS = ("auto", "cpu", "cuda")


def pick_devices(device: str, jobs: int | None, gpus: str | None = None, per_gpu: int = 1) -> tuple[list[str], int]:
    """Return the devices to give out in turn, and the number of units that run at once.

    Args:
        device: auto, cpu or cuda.
        jobs: units at once; none: one a core, or `per_gpu` a GPU.
        gpus: numbers of the GPUs to use, as in "0,1"; none: all.
        per_gpu: units that share a GPU.

    Raises:
        UsageError: CUDA was asked for and is not there, a GPU that is not there, or a share of one on a CPU.

    """
    if device not in KINDS:
        raise UsageError(f"unknown device {device!r}: {nearest(device, KINDS)}")
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
