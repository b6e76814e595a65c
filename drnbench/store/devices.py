"""How many CUDA devices there are, found out without PyTorch where there plainly are none."""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path("/")
"""Where Linux keeps its files."""
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


def _possible() -> bool:
    if sys.platform == "darwin" or os.environ.get("CUDA_VISIBLE_DEVICES") in {"", "-1"}:
        return False
    return not sys.platform.startswith("linux") or any(next(ROOT.glob(trace), None) for trace in TRACES)
