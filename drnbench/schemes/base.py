"""The interface of a scheme, and the batch it is given."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, cast

import torch
from torch import Tensor, nn

from drnbench.errors import UsageError
from drnbench.trial import Stage


@dataclass(frozen=True)
class Batch:
    """One training batch.

    Attributes:
        lr: B x 3 x h x w; the first `n_pairs` have HR images, the others are unpaired.
        pyramid: targets of the pairs, coarse to fine: factor of HR size over target size -> n_pairs x 3 x H x W. Has
            `scale` (the LR images themselves) and 1 (HR), and every 2x level between where scale is a power of two.

    """

    lr: Tensor
    pyramid: dict[int, Tensor]
    n_pairs: int


def l1_sum(a: Tensor, b: Tensor) -> Tensor:
    """Sum over images of the mean absolute error of each image; 0 for an empty batch.

    Divided by the batch size it equals L1 over all pixels, and stays right when a part of the batch is empty (ρ = 1).
    """
    return (a - b).abs().mean((1, 2, 3)).sum()


class Scheme(ABC):
    """How a model is trained for one stage.

    A subclass builds its extra networks in `build_networks` and computes losses in `losses`; everything is optimised
    by one Adam a network, stepped together after one backward pass.
    """

    summary: ClassVar[str]
    unpaired_data: ClassVar[bool] = False

    @classmethod
    @abstractmethod
    def uses(cls, stage: Stage) -> frozenset[str]:
        """Which of a stage's scheme fields (lam, rho, dual, dual_feats, unpaired) reach the numbers.

        The others stay out of the stage's key, so that λ = 0.1 and λ = 1 are one result where λ means nothing.
        """

    @classmethod
    def check(cls, stage: Stage, where: str, *, multiscale: bool) -> None:  # noqa: ARG003
        """Refuse a stage that this scheme cannot train; `multiscale`: the model has an output at each 2x level.

        Raises:
            UsageError: with one line that begins with `where`.

        """
        if stage.rho > 0 and not cls.unpaired_data:
            raise UsageError(
                f"{where}.rho: scheme {stage.scheme!r} uses no unpaired images; set rho = 0 or scheme = 'unpaired'"
            )

    def __init__(self, model: nn.Module, scale: int, stage: Stage) -> None:
        self.model = model
        self.scale = scale
        self.stage = stage
        self.extra = nn.ModuleDict(self.build_networks())

    def build_networks(self) -> dict[str, nn.Module]:
        """Return the networks beside the model, by a name that the next stage finds them under."""
        return {}

    @abstractmethod
    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Return scalar losses; `total` is what is minimised, the others are logged."""

    def prepare(self, device: torch.device) -> None:
        """Move everything to the device and make the optimisers."""
        self.device = device
        self.model.to(device)
        self.extra.to(device)
        # fused and foreach variants round differently from release to release; the plain loop is the reference.
        self.optimisers = {
            name: torch.optim.Adam(
                network.parameters(),
                lr=self.stage.lr,
                betas=self.stage.betas,
                eps=self.stage.eps,
                foreach=device.type == "cuda",
            )
            for name, network in self._optimised()
        }

    def _optimised(self) -> list[tuple[str, nn.Module]]:
        groups: list[tuple[str, nn.Module]] = [("model", self.model)]
        for name, network in self.extra.items():
            # A list of networks (one dual a level) has an optimiser each, as in the authors' code.
            parts = list(network) if isinstance(network, nn.ModuleList) else [network]
            groups += [(f"{name}.{i}" if len(parts) > 1 else name, part) for i, part in enumerate(parts)]
        return groups

    @contextlib.contextmanager
    def autocast(self) -> Iterator[None]:
        """Networks inside run in the stage's precision; losses are computed outside, in fp32."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.stage.precision == "bf16"):
            yield

    def run_model(self, lr: Tensor) -> tuple[Tensor, ...]:
        """Outputs of the model in fp32, coarse to fine."""
        with self.autocast():
            outputs = self.model(lr)
        return tuple(out.float() for out in outputs)

    def step(self, batch: Batch, lr: float) -> dict[str, Tensor]:
        """One optimiser step at learning rate `lr`; returns the losses before it."""
        for optimiser in self.optimisers.values():
            for group in optimiser.param_groups:
                group["lr"] = lr
            optimiser.zero_grad(set_to_none=True)
        losses = self.losses(batch)
        losses["total"].backward()  # type: ignore[no-untyped-call]
        for optimiser in self.optimisers.values():
            optimiser.step()
        return {name: value.detach() for name, value in losses.items()}

    def state_dict(self) -> dict[str, object]:
        """Everything that training goes on from: networks and optimisers; plain tensors, numbers, lists and dicts."""
        return {
            "model": self.model.state_dict(),
            "extra": {name: network.state_dict() for name, network in self.extra.items()},
            "optimisers": {name: optimiser.state_dict() for name, optimiser in self.optimisers.items()},
        }

    def load_state_dict(self, state: dict[str, object]) -> None:
        """Go on from a state of the same stage."""
        self.load_networks(state)
        saved = cast("dict[str, dict[str, object]]", state["optimisers"])
        for name, optimiser in self.optimisers.items():
            optimiser.load_state_dict(saved[name])

    def load_networks(self, state: dict[str, object]) -> list[str]:
        """Start from the networks of an earlier stage; returns the extra networks that it did not have (kept fresh)."""
        self.model.load_state_dict(cast("dict[str, Tensor]", state["model"]))
        saved = cast("dict[str, dict[str, Tensor]]", state["extra"])
        fresh = []
        for name, network in self.extra.items():
            shapes = {k: v.shape for k, v in saved.get(name, {}).items()}
            if shapes == {k: v.shape for k, v in network.state_dict().items()}:
                network.load_state_dict(saved[name])
            else:
                fresh.append(name)
        return fresh
