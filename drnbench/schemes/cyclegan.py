"""CycleGAN for super-resolution (Zhu et al., ICCV 2017): two generators, two discriminators, no pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from drnbench.config.trial import NonNegative
from drnbench.degradations.resize import downsample
from drnbench.models import HALF_RANGE
from drnbench.schemes import schemes
from drnbench.schemes.adversarial import Adversarial, AdversarialOptions, DiscriminatorInput, l1, total_variation
from drnbench.schemes.base import Batch, Options

if TYPE_CHECKING:
    from torch import Tensor


class CycleGANOptions(AdversarialOptions):
    """Weights of CycleGAN's losses; the defaults are those of its authors' code."""

    gan: NonNegative = Field(1.0, description="weight of the least-squares adversarial loss, each way")
    cycle: NonNegative = Field(10.0, description="weight of the cycle, each way: L1 in half ranges")
    identity: NonNegative = Field(5.0, description="weight of L1(G(bicubic down y), y), in half ranges")


@schemes.register("cyclegan")
class CycleGAN(Adversarial):
    """G is the model, LR -> HR; F: HR -> LR; D_hr and D_lr judge their images.

    total = gan (LSGAN(D_hr(G x)) + LSGAN(D_lr(F y))) + cycle (L1(F(G x), x) + L1(G(F y), y)) + identity L1(G(down y), y)
    + tv TV(G x). The domains differ in size, so G's identity loss is the reconstruction of an HR image from its bicubic
    LR image, which constrains G's colours; F has none. CycleGAN's Adam is lr = 2e-4, betas = (0.5, 0.999): fields of the
    stage.
    """

    summary: ClassVar[str] = "CycleGAN: LSGAN both ways + 10 cycle both ways + 5 identity, no pairs"
    settings: ClassVar[type[Options]] = CycleGANOptions
    options: CycleGANOptions

    def generate(self, batch: Batch) -> tuple[dict[str, Tensor], dict[str, DiscriminatorInput]]:
        """Return `gan_g`, `gan_f`, `cycle_x`, `cycle_y`, `identity`, `tv` where it has a weight, `total`; `primary`.

        All but `total` are before their weights; `primary` is the identity's L1 in gray levels.
        """
        weight = self.options
        losses, inputs = self.cycle_losses(batch.lr, batch.hr)
        small = downsample(batch.hr, self.scale, border="symmetric", quantize=True)
        losses["identity"] = l1(self.run_model(small)[-1], batch.hr)
        total = (
            weight.gan * (losses["gan_g"] + losses["gan_f"])
            + weight.cycle * (losses["cycle_x"] + losses["cycle_y"])
            + weight.identity * losses["identity"]
        )
        if weight.tv:
            losses["tv"] = total_variation(inputs["hr"].fake)
            total = total + weight.tv * losses["tv"]
        primary = HALF_RANGE * losses["identity"].detach()
        return {"primary": primary, **losses, "total": total}, inputs
