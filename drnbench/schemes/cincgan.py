"""CinCGAN (Yuan et al., CVPRW 2018): a cycle among LR images inside a cycle from LR to HR, no pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from pydantic import Field

from drnbench.config.trial import NonNegative, Stage
from drnbench.degradations.resize import downsample
from drnbench.errors import UsageError
from drnbench.models import HALF_RANGE, Model, on_demand
from drnbench.schemes import schemes
from drnbench.schemes.adversarial import Adversarial, AdversarialOptions, DiscriminatorInput, l1, total_variation
from drnbench.schemes.base import Batch, Options

if TYPE_CHECKING:
    from torch import Tensor, nn

    from drnbench.models.gan import CinC


class CinCGANOptions(AdversarialOptions):
    """Weights of the inner and the outer cycle; the defaults are the paper's."""

    inner_gan: NonNegative = Field(1.0, description="weight of the adversarial loss of clean LR images")
    inner_cycle: NonNegative = Field(10.0, description="weight of L1(G2(G1 x), x), in half ranges")
    inner_identity: NonNegative = Field(5.0, description="weight of L1(G1(bicubic down y), bicubic down y)")
    inner_tv: NonNegative = Field(0.5, description="weight of the smoothness of G1(x)")
    gan: NonNegative = Field(1.0, description="weight of the adversarial loss of SR images")
    cycle: NonNegative = Field(10.0, description="weight of L1(G3(SR(G1 x)), x), in half ranges")
    identity: NonNegative = Field(5.0, description="weight of L1(SR(bicubic down y), y), in half ranges")
    tv: NonNegative = Field(2.0, description="weight of the smoothness of the SR image")


@schemes.register("cincgan")
class CinCGAN(Adversarial):
    """G1 (`model.clean`) maps LR images to clean LR images, SR (`model.enlarge`) to HR; G2 and G3 map both back to LR.

    The real images of D_lr are the bicubic LR images of the HR patches. Both cycles are trained jointly, by one sum; the
    paper trains the inner cycle first, as does a preceding stage with outer weights of 0. All terms are L1.
    """

    summary: ClassVar[str] = "CinCGAN: a cycle LR -> clean LR in a cycle LR -> HR, jointly, no pairs"
    settings: ClassVar[type[Options]] = CinCGANOptions
    options: CinCGANOptions

    @classmethod
    def check(cls, stage: Stage, where: str, *, model: Model, scale: int) -> None:
        """See `Scheme.check`."""
        super().check(stage, where, model=model, scale=scale)
        if model.scheme != "cincgan":
            raise UsageError(
                f"{where}.scheme: 'cincgan' trains the two parts of method 'cincgan', and not {model.name!r}"
            )

    def build_networks(self) -> dict[str, nn.Module]:
        """`g2` (clean LR -> LR), `g3` (HR -> LR), and the discriminators."""
        sizes = (self.options.f_blocks, self.options.f_feats)
        return {
            "g2": on_demand.gan.Shrinker(1, *sizes),
            "g3": on_demand.gan.Shrinker(self.scale, *sizes),
            **self.discriminators(),
        }

    def generate(self, batch: Batch) -> tuple[dict[str, Tensor], dict[str, DiscriminatorInput]]:
        """Return `gan`, `cycle`, `identity`, `tv` of both cycles (`_lr`: inner, `_hr`: outer), `total`; `primary`.

        All but `total` are before their weights; `primary` is the outer identity's L1 in gray levels.
        """
        x, y, weight = batch.lr, batch.hr, self.options
        small = downsample(y, self.scale, border="symmetric", quantize=True)
        clean = self.part("clean", x)
        sr = self.part("enlarge", clean)
        losses = {
            "gan_lr": self.generator_loss("lr", clean),
            "cycle_lr": l1(self.run("g2", clean), x),
            "identity_lr": l1(self.part("clean", small), small),
            "tv_lr": total_variation(clean),
            "gan_hr": self.generator_loss("hr", sr),
            "cycle_hr": l1(self.run("g3", sr), x),
            "identity_hr": l1(self.part("enlarge", small), y),
            "tv_hr": total_variation(sr),
        }
        weights = (weight.inner_gan, weight.inner_cycle, weight.inner_identity, weight.inner_tv,
                   weight.gan, weight.cycle, weight.identity, weight.tv)  # fmt: skip
        total = sum((w * loss for w, loss in zip(weights, losses.values(), strict=True)), x.new_zeros(()))
        losses |= {"primary": HALF_RANGE * losses["identity_hr"].detach(), "total": total}
        return losses, {"hr": DiscriminatorInput(y, sr), "lr": DiscriminatorInput(small, clean)}

    def part(self, name: str, image: Tensor) -> Tensor:
        """Output of a part of the model in fp32."""
        with self.autocast():
            (output,) = getattr(cast("CinC", self.model), name)(image)
        return cast("Tensor", output.float())
