"""Origin of a number: versions, hardware, git state, the numeric code, and the numerics signature."""

from __future__ import annotations

import functools
import importlib.metadata
import os
import platform
import re
import subprocess
from pathlib import Path
from typing import Any

from drnbench.store.code import PACKAGE, RULE, code_fingerprint


@functools.cache
def processor() -> str:
    """Return the processor's model name as the system reports it."""
    try:
        match = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    except OSError:
        match = None
    return match.group(1).strip() if match else platform.processor() or platform.machine()


def signature(device: str, threads: int, precision: str, deterministic: bool, split: int = 1) -> dict[str, Any]:
    """Return the numerics signature: results of one signature are equal bit for bit.

    Args:
        device: "cpu" or "cuda".
        threads, precision, deterministic: as the stage declares them.
        split: parts that a batch was taken in, of a `StageUnit`.

    """
    import torch

    cuda = device == "cuda"
    return {
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name() if cuda else f"{processor()}, {torch.backends.cpu.get_cpu_capability()}",
        "threads": threads,
        "precision": precision,
        "deterministic": deterministic,
        "compile": False,
        **({"split": split} if split > 1 else {}),
    }


def capture(kind: str) -> dict[str, Any]:
    """Return versions, hardware, git state and the code's fingerprint for a kind of unit."""
    packages = (
        "drnbench",
        "torch",
        "numpy",
        "scikit-image",
        "pillow",
        "pandas",
        "mlflow",
        "lpips",
        "spandrel",
        "torchvision",
    )
    return {
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in packages}},
        "hardware": {"processor": processor(), "cores": os.cpu_count(), "system": platform.system()},
        "git": _git(),
        "code": code_fingerprint(kind),
        "code_rule": RULE,
    }


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


@functools.cache
def _git() -> dict[str, Any] | None:
    def ask(*args: str) -> str:
        done = subprocess.run(["git", *args], cwd=PACKAGE, capture_output=True, text=True, timeout=10, check=True)
        return done.stdout.strip()

    try:
        return {"commit": ask("rev-parse", "HEAD"), "dirty": bool(ask("status", "--porcelain", "--untracked-files=no"))}
    except (OSError, subprocess.SubprocessError):
        return None
