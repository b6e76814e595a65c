"""DualGAN for super-resolution (Yi et al., ICCV 2017): CycleGAN's parts under Wasserstein losses, no identity."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from drnbench.config.trial import NonNegative
from drnbench.models import HALF_RANGE
from drnbench.schemes import schemes
from drnbench.schemes.adversarial import Adversarial, AdversarialOptions, DiscriminatorInput, total_variation
from drnbench.schemes.base import Batch, Options

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


class DualGANOptions(AdversarialOptions):
    """Weights of DualGAN's losses."""

    pool: int = Field(0, ge=0, description="images kept for each critic; DualGAN keeps none")
    gan: NonNegative = Field(1.0, description="weight of the Wasserstein adversarial loss, each way")
    cycle: NonNegative = Field(500.0, description="weight of the reconstruction, each way: L1 in half ranges")
    penalty: NonNegative = Field(10.0, description="weight of the critics' gradient penalty (WGAN-GP)")
    critic: int = Field(1, ge=1, description="critic steps after each generator step, on the same images")
    decay: float = Field(0.9, ge=0, lt=1, description="RMSProp's decay of the mean square")


@schemes.register("dualgan")
class DualGAN(Adversarial):
    """Scores of the critics are means over their maps; WGAN-GP (Gulrajani et al. 2017) keeps them 1-Lipschitz.

    total = -gan (D_hr(G x) + D_lr(F y)) + cycle (L1(F(G x), x) + L1(G(F y), y)) + tv TV(G x). DualGAN's rate is 5e-5;
    rate and `eps` are fields of the stage, and RMSProp has no betas. The paper makes 2 to 4 critic steps on new images
    each; here a step has one batch, and further critic steps (`critic`) use the same images at other mixtures.
    """

    summary: ClassVar[str] = "DualGAN: WGAN-GP both ways + 500 reconstruction both ways, RMSProp, no pairs"
    settings: ClassVar[type[Options]] = DualGANOptions
    options: DualGANOptions

    def optimiser(self, network: nn.Module) -> torch.optim.Optimizer:
        """RMSProp with the stage's epsilon."""
        import torch

        return torch.optim.RMSprop(
            [p for p in network.parameters() if p.requires_grad],
            lr=self.stage.lr, alpha=self.options.decay, eps=self.stage.eps, foreach=self.device.type == "cuda",
        )  # fmt: skip

    def generate(self, batch: Batch) -> tuple[dict[str, Tensor], dict[str, DiscriminatorInput]]:
        """Return `gan_g`, `gan_f`, `cycle_x`, `cycle_y`, `tv` where it has a weight, `total`; `primary`.

        All but `total` are before their weights; `primary` is the sum of both cycles' L1 in gray levels.
        """
        weight = self.options
        losses, inputs = self.cycle_losses(batch.lr, batch.hr)
        cycle = losses["cycle_x"] + losses["cycle_y"]
        total = weight.gan * (losses["gan_g"] + losses["gan_f"]) + weight.cycle * cycle
        if weight.tv:
            losses["tv"] = total_variation(inputs["hr"].fake)
            total = total + weight.tv * losses["tv"]
        losses |= {"primary": HALF_RANGE * cycle.detach(), "total": total}
        return losses, inputs

    def generator_loss(self, domain: str, fake: Tensor) -> Tensor:
        """Wasserstein loss of a generator: minus the critic's mean score; or the cross-entropy."""
        if self.options.sigmoid:
            return super().generator_loss(domain, fake)
        return -self.judge(domain, fake).mean()

    def train_discriminator(self, domain: str, images: DiscriminatorInput, batch: Batch) -> Tensor:
        """Make the critic's steps; returns its loss before the last: fake - real + penalty, usually negative.

        The cross-entropy has one step and no penalty.
        """
        import torch

        if self.options.sigmoid:
            return super().train_discriminator(domain, images, batch)

        loss = torch.zeros(())
        optimiser = self.optimisers[f"d_{domain}"]
        for mixture in batch.chance(f"penalty {domain}", (self.options.critic, len(images.real))):
            optimiser.zero_grad(set_to_none=True)
            loss = self.judge(domain, images.fake).mean() - self.judge(domain, images.real).mean()
            share = torch.from_numpy(mixture).to(images.real).view(-1, 1, 1, 1)
            loss = loss + self.options.penalty * self.penalty(domain, images, share)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        return loss

    def penalty(self, domain: str, images: DiscriminatorInput, share: Tensor) -> Tensor:
        """Mean over images of (|gradient of the score| - 1)^2 at share * real + (1 - share) * fake.

        The gradient is with respect to the image in [-1, 1], the critic's own range.
        """
        import torch

        mixed = (share * images.real + (1 - share) * images.fake).requires_grad_()
        # The critic gets a copy: PyTorch's counter of operations hooks the inputs of networks, and a leaf of
        # autograd.grad() cannot be hooked.
        scores = self.judge(domain, mixed.clone()).mean((1, 2, 3)).sum()
        slope: Tensor = torch.autograd.grad(scores, mixed, create_graph=True)[0]
        # The root has no finite slope at 0, the value for a critic of constant score.
        return ((HALF_RANGE * slope).flatten(1).square().sum(1).add(1e-12).sqrt() - 1).square().mean()
