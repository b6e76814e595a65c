"""Environment of a number: versions, hardware, git state, and the numerics signature."""

from __future__ import annotations

import functools
import importlib.metadata
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from drnbench.store.code import PACKAGE

RECORDED = (
    "drnbench", "torch", "numpy", "scikit-image", "pillow", "pandas", "mlflow", "lpips", "spandrel", "torchvision", "scipy",
)  # fmt: skip
"""Distributions whose versions every result records."""
ALWAYS = ("torch", "numpy")
"""Those that every unit uses."""
SIGNATURE = "torch version, processor or GPU, threads, precision, versions of packages and plug-ins"
"""Parts of a numerics signature, in words."""


@functools.cache
def processor() -> str:
    """Return the processor's model name as the system reports it."""
    try:
        match = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    except OSError:
        match = None
    return match.group(1).strip() if match else platform.processor() or platform.machine()


@functools.cache
def computes_bf16() -> bool:
    """Return True if the processor has instructions for bfloat16, without which it is emulated; True where nobody says."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8").split()
    except OSError:
        return True
    return not {"avx512_bf16", "amx_bf16", "bf16"}.isdisjoint(flags)  # the last is ARM's


def signature(
    device: str, threads: int, precision: str, deterministic: bool, split: int = 1, *, compiled: bool = False
) -> dict[str, Any]:  # fmt: skip
    """Return the numerics signature: results of one signature are equal bit for bit.

    Args:
        device: "cpu" or "cuda".
        threads, precision, deterministic: as the stage declares them.
        split: parts that a batch was taken in, of a `StageUnit`.
        compiled: the network was compiled, by the compiler that stands in the signature then.

    """
    import torch

    cuda = device == "cuda"
    return {
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name() if cuda else f"{processor()}, {torch.backends.cpu.get_cpu_capability()}",
        "threads": threads,
        "precision": precision,
        "deterministic": deterministic,
        "compile": compiler() if compiled else False,
        **({"split": split} if split > 1 else {}),
    }


def find_compiler() -> str | None:
    """Return the C++ compiler that torch.compile calls: $CXX, or g++ (clang++ on macOS); None: it is not installed."""
    return shutil.which(os.environ.get("CXX") or ("clang++" if platform.system() == "Darwin" else "g++"))


@functools.cache
def compiler() -> str | None:
    """Return the first line of what the C++ compiler states as its version."""
    path = find_compiler()
    try:
        done = subprocess.run([path or "", "--version"], capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.partition("\n")[0].strip()


def count_signatures(records: Sequence[Mapping[str, Any]]) -> int:
    """Return the number of numerics signatures in stage.json records, with the versions of packages and plug-ins.

    What one record says and another does not, because it has no use for that package or is older, makes no difference.
    """
    signatures = [record.get("signature") for record in records]
    used: list[dict[str, Any]] = []
    for record in records:
        packages = record.get("packages") or {name: (record.get("versions") or {}).get(name) for name in ALWAYS}
        used.append({**{name: public(v) for name, v in packages.items() if v}, **(record.get("plug_ins") or {})})
    common = {name: value for parts in reversed(used) for name, value in parts.items()}
    return len({repr((signature, {**common, **parts})) for signature, parts in zip(signatures, used, strict=True)})


def capture() -> dict[str, Any]:
    """Return versions, hardware and git state."""
    return {
        "versions": versions(),
        "hardware": {"processor": processor(), "cores": os.cpu_count(), "system": platform.system()},
        "git": _git(),
    }


def versions() -> dict[str, str | None]:
    """Return the versions of Python and of the packages that every result records."""
    return {"python": platform.python_version(), **{name: version(name) for name in RECORDED}}


@functools.cache
def version(name: str) -> str | None:
    """Return the version of a distribution when it was first asked for; None: it is not installed."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def public(version: str | None) -> str | None:
    """Return a version without its local part, which names a build: "2.11.0" of "2.11.0+cu128"."""
    return version.partition("+")[0] if version else None


@functools.cache
def _git() -> dict[str, Any] | None:
    def ask(*args: str) -> str:
        done = subprocess.run(["git", *args], cwd=PACKAGE, capture_output=True, text=True, timeout=10, check=True)
        return done.stdout.strip()

    try:
        return {"commit": ask("rev-parse", "HEAD"), "dirty": bool(ask("status", "--porcelain", "--untracked-files=no"))}
    except (OSError, subprocess.SubprocessError):
        return None
