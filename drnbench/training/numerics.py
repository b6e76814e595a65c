"""Settings of PyTorch for a process that computes: threads, deterministic algorithms, and what moves no bit."""

from __future__ import annotations

import contextlib
import ctypes
import os
from pathlib import Path

import torch

from drnbench.store.locks import Lock

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3
"""Parameters of glibc's `mallopt`."""
MIB = 2**20


def set_numerics(threads: int, *, deterministic: bool, tf32: bool) -> None:
    """Set the threads and the arithmetic of this process.

    Args:
        threads: CPU threads of PyTorch.
        deterministic: an operation without a deterministic algorithm raises an error.
        tf32: CUDA rounds the factors of fp32 products to TF32.
    """
    torch.set_num_threads(threads)
    # cuBLAS is deterministic only with a workspace of its own; it reads this when CUDA starts.
    os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"
    # Not use_deterministic_algorithms(), which does the same and imports the compiler: three seconds a unit.
    torch.set_deterministic_debug_mode("error" if deterministic else "default")
    # Deterministic mode writes NaN into all memory before it is used, which takes 4 % of a step; nothing reads it.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = False
    # TF32 changes fp32 numbers with the GPU's generation: only where a stage asks for it.
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
    _keep_memory()


def compiling(cache: Path) -> contextlib.AbstractContextManager[object]:
    """Let one process at a time compile, into a folder that all processes of a store read.

    The first trial compiles, which takes a minute on a processor; the others find its code, in two or three seconds.

    Args:
        cache: folder of the store for what can be made again.
    """
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(cache / "compiled")
    torch._inductor.config.compile_threads = 1  # noqa: SLF001 - processes of a pool would outlive a worker that is killed
    cache.mkdir(parents=True, exist_ok=True)
    return Lock(cache / "compiled.lock")


def _keep_memory() -> None:
    """Let glibc keep freed memory: each step frees what the next asks for, which would be cleared page by page."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if mallopt is not None:  # glibc; larger thresholds than 32 MiB are not taken
        mallopt(M_MMAP_THRESHOLD, 32 * MIB)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
        mallopt(M_TOP_PAD, 64 * MIB)
