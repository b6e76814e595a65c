"""Training schemes. A scheme owns the extra networks and every optimiser, and is independent of the model.

A scheme is a class under `@schemes.register(...)` in a file of its own, listed in `home` below, or in another package
through the entry-point group `drnbench.schemes`. A plan calls the class methods of schemes, so PyTorch is imported
inside the functions that compute.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from drnbench.registry import Registry

if TYPE_CHECKING:
    from drnbench.schemes.base import Scheme

schemes: Registry[type[Scheme]] = Registry(
    "scheme",
    home=(
        "drnbench.schemes.supervised",
        "drnbench.schemes.dual",
        "drnbench.schemes.synth",
        "drnbench.schemes.cyclegan",
        "drnbench.schemes.dualgan",
        "drnbench.schemes.cincgan",
        "drnbench.schemes.kernelgan",
    ),
    group="drnbench.schemes",
)
