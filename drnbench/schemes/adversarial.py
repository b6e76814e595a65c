"""Common base of the unpaired adversarial schemes: the alternating step, discriminators with image pools, their state.

Weights follow papers whose images are in [-1, 1]. Images of this package are in 0..255, so every L1 term with such a
weight is computed of images / 127.5: mean absolute error in half ranges. Only `primary` is in gray levels.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, cast

from numpy.typing import NDArray
from pydantic import Field

from drnbench.config.trial import NonNegative, Stage
from drnbench.errors import UsageError
from drnbench.models import HALF_RANGE, SMALLEST, Model, on_demand
from drnbench.schemes.adam import adam_step
from drnbench.schemes.base import Batch, Mix, Options, Scheme

if TYPE_CHECKING:
    from torch import Tensor, nn


def l1(a: Tensor, b: Tensor) -> Tensor:
    """Mean absolute error of two batches of images in 0..255, in half ranges (gray levels / 127.5)."""
    return (a - b).abs().mean() / HALF_RANGE


def total_variation(image: Tensor) -> Tensor:
    """Mean squared difference of neighbours down plus across, in half ranges: CinCGAN's smoothness term."""
    x = image / HALF_RANGE
    return x.diff(dim=2).square().mean() + x.diff(dim=3).square().mean()


def initialise_normal(network: nn.Module) -> None:
    """Draw the weights of all convolutions, transposed ones too, from N(0, 0.02), and set their biases to 0.

    Parameters of other layers (slopes of PReLU, scales of normalisation), parameters without `requires_grad` and mean
    shifts stay as they are: their values have a meaning, and are no random initialisation.
    """
    from torch import nn

    kinds = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
    for layer in network.modules():
        if not isinstance(layer, kinds) or _is_mean_shift(layer):
            continue
        for name, weights in layer.named_parameters(recurse=False):
            if not weights.requires_grad:
                continue
            if name == "weight":
                nn.init.normal_(weights, 0.0, 0.02)
            elif name == "bias":
                nn.init.zeros_(weights)


def _is_mean_shift(layer: nn.Module) -> bool:
    """Return True for a 1x1 convolution that scales each channel by itself, such as subtraction of the RGB mean."""
    weights = cast("Tensor", layer.weight).detach().flatten(1)
    scales = weights.diagonal()
    return 1 < len(weights) == weights.shape[1] and bool(scales.all()) and bool((weights == scales.diag()).all())


class ImagePool:
    """Earlier images of a generator, shown to its discriminator in half of the cases (Shrivastava et al. 2017).

    A discriminator that sees only the latest images forgets earlier artefacts, and the two networks oscillate. `size`
    images are kept; 0 for no pool.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.images: list[Tensor] = []

    def exchange(self, fresh: Tensor, draws: NDArray[Any]) -> Tensor:
        """Return a batch for the discriminator, and keep some of the fresh images.

        Until the pool is full each image is kept and returned. After that, with probability 1/2, a kept image is
        returned and replaced by the fresh image; else the fresh image is returned and not kept.

        Args:
            fresh: N x 3 x H x W, without gradient.
            draws: N x 2 in [0, 1): of the exchange, and of the kept image.
        """
        import torch

        out = []
        for image, (exchange, position) in zip(fresh, draws, strict=True):
            selected = image
            # Copies: a slice would keep the whole batch in memory.
            if len(self.images) < self.size:
                self.images.append(image.clone())
            elif self.size and exchange < 0.5:
                slot = int(position * self.size)
                selected, self.images[slot] = self.images[slot], image.clone()
            out.append(selected)
        return torch.stack(out)


class AdversarialOptions(Options):
    """Settings of every adversarial scheme: the networks beside the model, and the pool."""

    later: ClassVar[frozenset[str]] = frozenset({"sigmoid", "init", "g_steps"})
    d_feats: int = Field(64, ge=1, description="channels of a discriminator's first layer")
    f_blocks: int = Field(6, ge=1, description="residual blocks of each network back to LR")
    f_feats: int = Field(64, ge=1, description="channels of each network back to LR")
    pool: int = Field(50, ge=0, description="images kept for each discriminator; 0: only the latest")
    tv: NonNegative = Field(0.0, description="weight of the smoothness of the SR image")
    sigmoid: bool = Field(
        False, description="sigmoid cross-entropy as the adversarial loss, in place of the scheme's own"
    )
    init: Literal["pytorch", "normal"] = Field(
        "pytorch",
        description="initial weights of all networks; normal: convolutions N(0, 0.02), their biases 0, as CycleGAN's authors "
        "have it (mean shifts, PReLU and what is frozen stay)",
    )
    g_steps: int = Field(
        1, ge=1, description="steps of the generators for one of the discriminators, on the same images"
    )


class DiscriminatorInput(NamedTuple):
    """Input of the discriminator of a domain: real images and a generator's, N x 3 x H x W each."""

    real: Tensor
    fake: Tensor


class Adversarial(Scheme):
    """Unpaired training: generators step together after one backward pass, then each discriminator separately.

    A subclass implements `generate`, and `build_networks` if it has other generators than G, the model, and F. HR patches
    and unpaired LR patches are drawn independently; a batch has no pairs. Of a model with several outputs the last is
    used.
    """

    unpaired_data: ClassVar[bool] = True
    settings: ClassVar[type[Options]] = AdversarialOptions
    options: AdversarialOptions

    @classmethod
    def uses(cls, stage: Stage) -> frozenset[str]:  # noqa: ARG003
        """The unpaired LR images; λ, ρ and D of dual regression mean nothing here."""
        return frozenset({"unpaired"})

    @classmethod
    def mix(cls, stage: Stage, step: int) -> Mix:  # noqa: ARG003
        """No pairs: `batch` LR images and `batch` unrelated HR images."""
        return Mix(0, stage.batch, stage.batch)

    @classmethod
    def check(cls, stage: Stage, where: str, *, model: Model, scale: int) -> None:
        """See `Scheme.check`."""
        super().check(stage, where, model=model, scale=scale)
        if stage.unpaired is None:
            raise UsageError(f"{where}.unpaired: scheme {stage.scheme!r} needs unpaired=Data(...), the LR images")
        if stage.unpaired_patch not in {None, stage.patch}:
            raise UsageError(
                f"{where}.unpaired_patch: the discriminators of scheme {stage.scheme!r} compare patches of one size; set patch = "
                f"{stage.unpaired_patch} for both domains"
            )
        if stage.patch // scale < SMALLEST:
            raise UsageError(
                f"{where}.patch: {stage.patch} leaves {stage.patch // scale} LR pixels at scale {scale}, and the LR "
                f"discriminator needs {SMALLEST}; set patch to at least {SMALLEST * scale}"
            )

    def __init__(self, model: nn.Module, scale: int, stage: Stage) -> None:
        super().__init__(model, scale, stage)
        if self.options.init == "normal":
            for network in (model, self.extra):
                initialise_normal(network)
        self.pools = {domain: ImagePool(self.options.pool) for domain in ("hr", "lr")}

    def build_networks(self) -> dict[str, nn.Module]:
        """Return the generator F, HR -> LR, as `f`, and the discriminators."""
        f = on_demand.gan.Shrinker(self.scale, self.options.f_blocks, self.options.f_feats)
        return {"f": f, **self.discriminators()}

    def discriminators(self) -> dict[str, nn.Module]:
        """Return `d_hr` and `d_lr`, as deep as the stage's patches allow."""
        sides = {"d_hr": self.stage.patch, "d_lr": self.stage.patch // self.scale}
        return {name: on_demand.gan.PatchGAN(side, self.options.d_feats) for name, side in sides.items()}

    @abstractmethod
    def generate(self, batch: Batch) -> tuple[dict[str, Tensor], dict[str, DiscriminatorInput]]:
        """Return the generators' losses, `total` and `primary` among them, and the input of each discriminator."""

    def cycle_losses(self, x: Tensor, y: Tensor) -> tuple[dict[str, Tensor], dict[str, DiscriminatorInput]]:
        """Return the losses of the cycle of G and F, before their weights, and the input of each discriminator.

        Returns:
            Of LR images x and HR images y `gan_g`, `gan_f`, `cycle_x`: L1(F(G x), x) and `cycle_y`: L1(G(F y), y); real
            and generated images by domain.
        """
        fake_y, fake_x = self.run_model(x)[-1], self.run("f", y)
        losses = {
            "gan_g": self.generator_loss("hr", fake_y),
            "gan_f": self.generator_loss("lr", fake_x),
            "cycle_x": l1(self.run("f", fake_y), x),
            "cycle_y": l1(self.run_model(fake_x)[-1], y),
        }
        return losses, {"hr": DiscriminatorInput(y, fake_y), "lr": DiscriminatorInput(x, fake_x)}

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Return the generators' losses."""
        return self.generate(batch)[0]

    def step(self, batch: Batch, lr: float) -> dict[str, Tensor]:
        """One step of the generators and then of the discriminators, which get no gradient from the former."""
        self._freeze_discriminators(frozen=True)
        for _ in range(self.options.g_steps):
            self.start_step(lr)
            losses, inputs = self.generate(batch)
            losses["total"].backward()  # type: ignore[no-untyped-call]
            for name, optimiser in self.optimisers.items():
                if not name.startswith("d_"):
                    adam_step(optimiser)
        self._freeze_discriminators(frozen=False)
        for domain, (real, fake) in inputs.items():
            pooled = self.pools[domain].exchange(fake.detach(), batch.chance(f"pool {domain}", (len(fake), 2)))
            losses[f"d_{domain}"] = self.train_discriminator(domain, DiscriminatorInput(real, pooled), batch)
        return {name: value.detach() for name, value in losses.items()}

    def train_discriminator(self, domain: str, images: DiscriminatorInput, batch: Batch) -> Tensor:  # noqa: ARG002
        """One step on the least-squares loss, half of which is for real images; returns the loss before it.

        1/4 is chance level, 0 a perfect discriminator; of the sigmoid cross-entropy log 2 is chance level.
        """
        from torch.nn.functional import softplus

        real, fake = self.judge(domain, images.real), self.judge(domain, images.fake)
        if self.options.sigmoid:
            loss = 0.5 * (softplus(-real).mean() + softplus(fake).mean())
        else:
            loss = 0.5 * ((real - 1).square().mean() + fake.square().mean())
        loss.backward()  # type: ignore[no-untyped-call]
        adam_step(self.optimisers[f"d_{domain}"])
        return loss

    def generator_loss(self, domain: str, fake: Tensor) -> Tensor:
        """Return the adversarial loss of a generator, least squares or cross-entropy: 0 where its images are scored as real."""
        from torch.nn.functional import softplus

        score = self.judge(domain, fake)
        return softplus(-score).mean() if self.options.sigmoid else (score - 1).square().mean()

    def judge(self, domain: str, image: Tensor) -> Tensor:
        """Scores of the patches of an image in fp32: N x 1 x H x W."""
        return self.run(f"d_{domain}", image)

    def run(self, name: str, image: Tensor) -> Tensor:
        """Output of an extra network in fp32."""
        with self.autocast():
            output = self.extra[name](image)
        return cast("Tensor", output.float())

    def _freeze_discriminators(self, *, frozen: bool) -> None:
        for name, network in self.extra.items():
            if name.startswith("d_"):
                network.requires_grad_(not frozen)

    def state_dict(self) -> dict[str, object]:
        """Networks, optimisers and the images of the pools: domain -> n x 3 x H x W."""
        import torch

        kept = {domain: torch.stack(pool.images) for domain, pool in self.pools.items() if pool.images}
        return {**super().state_dict(), "pools": kept}

    def load_state_dict(self, state: dict[str, object]) -> None:
        """Continue from a state of the same stage."""
        super().load_state_dict(state)
        kept = cast("dict[str, Tensor]", state["pools"])
        for domain, pool in self.pools.items():
            pool.images = list(kept[domain].to(self.device)) if domain in kept else []
