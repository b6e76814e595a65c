"""Losses of the steps, read from the device when they are needed."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from drnbench.config.trial import Stage
from drnbench.errors import DivergedError
from drnbench.training.history import History


class Losses:
    """Losses on the device that are not in the history yet: reading them makes the host wait for the device.

    Args:
        history: receives them, in the order of their steps.
        stage: for the message of a loss that is not finite.
        every: number of steps whose losses are read together; `read` takes what there is.
    """

    def __init__(self, history: History, stage: Stage, every: int = 1) -> None:
        self._history, self._stage, self._every = history, stage, every
        self._waiting: list[tuple[int, list[str], Tensor]] = []

    def add(self, step: int, losses: dict[str, Tensor]) -> None:
        """Take the losses of a step (steps done).

        Raises:
            DivergedError: as `read`.
        """
        self._waiting.append((step, [*losses], torch.stack([*losses.values()])))
        if len(self._waiting) >= self._every:
            self.read()

    def read(self) -> None:
        """Put everything that waits into the history, after it is seen to be finite.

        Raises:
            DivergedError: the loss of a step is not finite; nothing after that step may be saved.
        """
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        # One transfer for all: each would be a synchronisation with the GPU.
        numbers = torch.cat([values for _, _, values in waiting]).tolist()
        for step, names, _ in waiting:
            values = dict(zip(names, numbers, strict=False))
            del numbers[: len(names)]
            if not all(math.isfinite(value) for value in values.values()):
                text = ", ".join(f"{name} {value:g}" for name, value in values.items())
                raise DivergedError(
                    f"the loss is not finite at step {step} of {self._stage.steps} ({text}); "
                    f"lower lr = {self._stage.lr:g} or lam"
                )
            self._history.add(values)
