"""The dual as an estimator of an unknown degradation: fit D on real LR images, then make training pairs with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from drnbench.config.trial import Stage
from drnbench.degradations.resize import downsample, round_half_up
from drnbench.errors import UsageError
from drnbench.models import Model
from drnbench.schemes import schemes
from drnbench.schemes.base import Batch, Estimator, Mix
from drnbench.schemes.dual import SHAPE, Paired, has_trained_dual
from drnbench.schemes.supervised import primary_losses

if TYPE_CHECKING:
    from torch import Tensor, nn

MARGIN = 4
"""LR pixels by which a patch is extended before D is applied, so that D's zero padding affects no pixel that is kept."""


@schemes.register("dual-fit")
class DualFit(Estimator, Paired):
    """Fit D to unpaired LR images x with P frozen: L1(D(P(x)), x). No HR image is used.

    D learns the degradation of P's outputs: a P that was trained on another kernel makes SR images with that kernel's
    artefacts, and D learns the mapping from them to x. Studies measure how far that is from the true degradation.
    """

    summary: ClassVar[str] = "fit the dual D to unpaired LR images with P held still: L1(D(P(x)), x)"
    replayed: ClassVar[bool] = True

    @classmethod
    def uses(cls, stage: Stage) -> frozenset[str]:
        """The shape of D and the unpaired images."""
        return (SHAPE - {"dual_frozen"}) | super().uses(stage)

    @classmethod
    def check(cls, stage: Stage, where: str, *, model: Model, scale: int) -> None:
        """See `Scheme.check`."""
        if stage.dual == "known":
            raise UsageError(f"{where}.dual: a known D has nothing to fit; use 'linear', 'chain' or 'single'")
        super().check(stage, where, model=model, scale=scale)

    @classmethod
    def check_start(cls, stage: Stage, where: str, before: Stage | None) -> None:
        """Refuse to fit D to the images of an untrained P."""
        if before is None and stage.weights is None:
            raise UsageError(f"{where}: scheme 'dual-fit' needs a trained P: a stage before, or weights = FILE")

    def build_networks(self) -> dict[str, nn.Module]:
        """Return D; P is frozen."""
        self.model.requires_grad_(False)
        return {self.dual_name: self.make_dual()}

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """`dual` and `total`: L1(D(P(x)), x) in gray levels."""
        import torch

        with torch.no_grad():
            sr = self.run_model(batch.lr)[-1]
        dual = self._distance(self.degrade(sr), batch.lr) / len(batch.lr)
        return {"dual": dual, "total": dual}


@schemes.register("dual-synth")
class DualSynth(Paired):
    """Supervised training of P on pairs that D makes: (D(y), y) for HR images y, D frozen, its output as 8 bit."""

    summary: ClassVar[str] = "supervised training on pairs that a fitted dual D makes of HR images: (D(y), y)"
    replayed: ClassVar[bool] = True

    @classmethod
    def uses(cls, stage: Stage) -> frozenset[str]:  # noqa: ARG003
        """The shape of D, the primary loss."""
        return (SHAPE - {"dual_frozen", "dual_border"}) | {"aux", "loss"}

    @classmethod
    def mix(cls, stage: Stage, step: int) -> Mix:  # noqa: ARG003
        """HR images alone."""
        return Mix(0, 0, stage.batch)

    @classmethod
    def check_start(cls, stage: Stage, where: str, before: Stage | None) -> None:
        """Refuse a D that was never trained."""
        if stage.dual != "known" and not has_trained_dual(stage, before):
            raise UsageError(
                f"{where}: scheme 'dual-synth' needs a fitted D of its shape: a stage before with scheme 'dual-fit' "
                "(or 'paired'), or dual_weights = FILE"
            )

    def build_networks(self) -> dict[str, nn.Module]:
        """Return D, frozen."""
        network = self.make_dual()
        network.requires_grad_(False)
        return {self.dual_name: network}

    def make_pairs(self, hr: Tensor) -> dict[int, Tensor]:
        """Return the image pyramid of HR patches: N x 3 x H x W -> factor -> N x 3 x H/f x W/f, integers in 0..255.

        D makes LR, and a per-level D every level between too; with a single D the levels between are bicubic.
        """
        import torch

        with torch.no_grad():
            return self._pairs(hr)

    def _pairs(self, hr: Tensor) -> dict[int, Tensor]:
        from torch import nn
        from torch.nn import functional as F  # noqa: N812

        pad = MARGIN * self.scale
        x, pyramid, factor = F.pad(hr, (pad, pad, pad, pad), mode="replicate"), {1: hr}, 1
        network = self.extra[self.dual_name]
        if isinstance(network, nn.ModuleList):
            for d in reversed(list(network)):
                x = d(x)
                factor, pad = factor * 2, pad // 2
                pyramid[factor] = round_half_up(x[..., pad:-pad, pad:-pad])
        else:
            lr = self.degrade(x)[..., MARGIN:-MARGIN, MARGIN:-MARGIN]
            while factor * 2 < self.scale:
                factor *= 2
                pyramid[factor] = downsample(hr, factor, border="symmetric", quantize=True)
            pyramid[self.scale] = round_half_up(lr)
        return dict(sorted(pyramid.items(), reverse=True))

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """`primary` with its parts, and `total`, the same, on the pairs that D makes."""
        pyramid = self.make_pairs(batch.hr)
        pairs = Batch(pyramid[self.scale], pyramid, len(batch.hr))
        primary = primary_losses(self.run_model(pairs.lr), pairs, self.scale, self.stage)
        return {**primary, "total": primary["primary"]}
