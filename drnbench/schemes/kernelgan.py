"""KernelGAN as a stage: the kernel of a whole set of unpaired LR images, for a D that the next stage holds still."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from pydantic import Field

from drnbench.config.trial import Stage
from drnbench.errors import UsageError
from drnbench.models import Model, on_demand
from drnbench.schemes import schemes
from drnbench.schemes.base import Batch, Estimator, Options
from drnbench.schemes.dual import NETWORKS
from drnbench.zeroshot import on_demand as zero_shot

if TYPE_CHECKING:
    from torch import Tensor, nn

    from drnbench.models.operator import Operator
    from drnbench.zeroshot.internal_gan import InternalGAN

State = dict[str, object]
SCALES = (2, 4)
LEAST = 26
"""LR pixels of the smallest patch: the generator takes 25, and halves."""


class KernelGANOptions(Options):
    """Settings of KernelGAN's networks."""

    n_feats: int = Field(64, ge=1, description="channels of the generator and of the discriminator")


@schemes.register("kernelgan")
class KernelGAN(Estimator):
    """KernelGAN (Bell-Kligler et al., NeurIPS 2019) on patches of all unpaired images, which share one degradation.

    P is not touched. The kernel is that of `drnbench.zeroshot.kernelgan`, for one image; here crops come from all images, and
    a stage after it takes the estimate as its D (`dual` or `unpaired_dual` = "estimated"). Flips and transposition would
    turn the kernel, so the stage needs augment = False.
    """

    summary: ClassVar[str] = "estimate the kernel of unpaired LR images (KernelGAN), for a D that is 'estimated'"
    settings: ClassVar[type[Options]] = KernelGANOptions
    options: KernelGANOptions

    @classmethod
    def check(cls, stage: Stage, where: str, *, model: Model, scale: int) -> None:
        """See `Scheme.check`."""
        super().check(stage, where, model=model, scale=scale)
        if scale not in SCALES:
            raise UsageError(f"{where}: KernelGAN estimates kernels of x2, and of x4 as two halvings, not of x{scale}")
        if stage.augment:
            raise UsageError(f"{where}.augment: flips of LR images turn their kernel; set augment = False")
        if (side := (stage.unpaired_patch or stage.patch) // scale) < LEAST or side % 2:
            raise UsageError(
                f"{where}.unpaired_patch: KernelGAN's crops have an even side of at least {LEAST} LR pixels, 64 in the paper, not "
                f"{side}; set unpaired_patch = {64 * scale}"
            )

    def build_networks(self) -> dict[str, nn.Module]:
        """Return both networks, and the estimate, whose weights follow them; P is frozen."""
        self.model.requires_grad_(False)
        self._others: State = {}
        gan = zero_shot.internal_gan.InternalGAN(self.options.n_feats)
        estimate = on_demand.operator.Operator(gan.estimate(self.scale), self.scale, learned=False)
        return {"kernelgan": gan, NETWORKS["estimated"]: estimate}

    @property
    def gan(self) -> InternalGAN:
        """The generator and the discriminator."""
        return cast("InternalGAN", self.extra["kernelgan"])

    def load_networks(self, state: dict[str, object]) -> list[str]:
        """See `Scheme.load_networks`; the other networks of the stage before are kept for the stage after."""
        self._others = {k: v for k, v in cast("State", state["extra"]).items() if k not in self.extra}
        return super().load_networks(state)

    def _optimised(self) -> list[tuple[str, nn.Module]]:
        """Return the generator and the discriminator, which have an optimiser each."""
        return list(self.gan.named_children())

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Not used: the networks step in turns."""
        raise NotImplementedError

    def step(self, batch: Batch, lr: float) -> dict[str, Tensor]:
        """Make a step of the generator and one of the discriminator, whose real crops are cut from the same patches."""
        import torch

        self.start_step(lr)
        images = batch.lr / 127.5 - 1
        side = zero_shot.internal_gan.shrunk(images.shape[-1])
        corners = (batch.chance("real", (len(images), 2)) * (images.shape[-1] - side + 1)).astype(int).tolist()
        real = [
            image[:, top : top + side, left : left + side] for image, (top, left) in zip(images, corners, strict=True)
        ]
        noise = float(batch.chance("noise", (1,))[0])
        losses = self.gan.step(images, torch.stack(real), self.optimisers, noise=noise)
        return {name: loss.detach() for name, loss in losses.items()}

    def state_dict(self) -> dict[str, object]:
        """See `Scheme.state_dict`; the estimate is that of the networks at this step."""
        import torch

        estimate, taps = cast("Operator", self.extra[NETWORKS["estimated"]]), self.gan.estimate(self.scale)
        with torch.no_grad():
            estimate.weights.copy_(estimate.gain * taps.weights)
        state = super().state_dict()
        return {**state, "extra": {**self._others, **cast("State", state["extra"])}}
