"""Exponential moving average (EMA) of the weights of P, beside those that are trained."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from drnbench.config.trial import Stage
from drnbench.training.schedule import average_decay


class Average:
    """Averaged weights of a model, or nothing where the stage has no `ema`; buffers are copied.

    A checkpoint has the weights that count as its `model`, which is what is scored, exported and continued: averaged ones,
    or with `score_ema` = False those of the last step. The others stand beside it, as `last_step` or `average`.

    Args:
        model: on its device; its weights are the first average.
        stage: of the training.
        state: of a checkpoint to continue from.
    """

    def __init__(self, model: nn.Module, stage: Stage, state: Mapping[str, Any] | None = None) -> None:
        self._model, self._stage = model, stage
        self._mean = copy.deepcopy(model).requires_grad_(False) if stage.ema else None
        if self._mean is not None and state is not None:
            self._mean.load_state_dict(state.get("average", state["model"]))

    @property
    def counted(self) -> nn.Module:
        """The network whose weights count."""
        return self._model if self._mean is None or not self._stage.score_ema else self._mean

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Move the average towards the weights after `step` steps (from 1)."""
        if self._mean is None:
            return
        share = 1 - average_decay(self._stage, step)
        for mean, weight in zip(self._mean.parameters(), self._model.parameters(), strict=True):
            mean.lerp_(weight, share)  # exact where a weight is not trained
        for copied, buffer in zip(self._mean.buffers(), self._model.buffers(), strict=True):
            copied.copy_(buffer)

    def state(self) -> dict[str, Any]:
        """Return the entries of a checkpoint in place of the scheme's `model`."""
        if self._mean is None:
            return {}
        trained, mean = self._model.state_dict(), self._mean.state_dict()
        return {"model": mean, "last_step": trained} if self._stage.score_ema else {"model": trained, "average": mean}
