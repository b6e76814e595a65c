"""Networks: LR batch (N x 3 x H x W, float32 RGB in 0..255) -> tuple of outputs from coarse to fine, the last is SR.

A model is a function `name(scale, **sizes) -> nn.Module` under `@models.register(...)`: in `builtin.py`, which imports
the network from a file of its own when one is built, or in another package through the entry-point group
`drnbench.models`.
"""

from drnbench.models._registry import Model, models
from drnbench.models.methods import create

__all__ = ["HALF_RANGE", "SMALLEST", "Model", "create", "models"]

# Constants of adversarial networks and their schemes: a plan reads them without importing the networks.
HALF_RANGE = 127.5
"""Half of the range of gray levels: networks see 0..255 as ±1, for which the weights of adversarial losses were chosen."""
SMALLEST = 4
"""Side in pixels of the smallest image with a discriminator."""
