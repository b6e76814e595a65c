"""Base class of zero-shot methods: the test image, the fit to it, and what a fit returns."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor, nn

from drnbench.degradations.kernel import Kernel, Taps

Report = Callable[[int], None]
"""Called with the number of steps done after each of them; it may raise to end the fit."""


class FitInput(NamedTuple):
    """The LR image that a method is fitted to.

    Attributes:
        lr: 1 x 3 x H x W float32 in 0..255, on the device of the fit.
        kernel: the degradation that made it; `real` where it is not known.
        seed: of the random numbers: a function of the trial's seed and of the pixels, so that neither the order of the
            images nor the number of processes moves a bit.
    """

    lr: Tensor
    kernel: Kernel
    seed: int


class Fit(NamedTuple):
    """The result of a fit.

    Attributes:
        sr: 1 x 3 x sH x sW in 0..255, neither rounded nor necessarily clamped.
        steps: optimiser steps that were made; a rule may end a fit early.
        kernel: the degradation that the method took or estimated; None where it uses none.
    """

    sr: Tensor
    steps: int
    kernel: Taps | None = None


class ZeroShot(nn.Module, ABC):
    """A network that is fitted to one LR image; every fit starts afresh.

    Attributes:
        scale: HR size over LR size.
        steps: the most optimiser steps of a fit.
        identity: digest of the weights that a fit starts from; empty for a method that has none.
    """

    scale: int
    steps: int
    identity: str = ""

    @abstractmethod
    def fit(self, image: FitInput, report: Report) -> Fit:
        """Fit the network to an image and super-resolve that image."""
