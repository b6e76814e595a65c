"""The GAN of KernelGAN (Bell-Kligler, Shocher and Irani, NeurIPS 2019), one step at a time.

A deep *linear* generator shrinks LR crops to half; a discriminator of 7 x 7 patches tells its output from LR crops. The kernel
that the generator comes to is the estimate of the degradation. The generator is evaluated as that kernel: its layers are
composed first, which gives the same numbers as running one after the other and takes a hundredth of the work.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from drnbench.degradations.blur import chained
from drnbench.degradations.kernel import Bicubic, Taps
from drnbench.errors import DivergedError
from drnbench.zeroshot.geometry import move

Optimisers = Mapping[str, torch.optim.Optimizer]

FACTOR = 2
"""The generator halves; the kernel of a factor of 4 is that of two halvings by it."""
LAYERS = (7, 5, 3, 1, 1, 1)
"""Sides of the generator's filters."""
SIDE = sum(LAYERS) - len(LAYERS) + 1
"""Side of its kernel, 13."""
MIDDLE = SIDE // 2
"""Row and column of the weight that lies on the first pixel of an LR pixel's cell."""
WINDOW, FIRST = 16, -7
"""Side of the window of an estimate about the middle of a cell, and its first row and column."""
PATCH = 7
"""Side of the discriminator's receptive field."""
LEAST = SIDE + FACTOR * (PATCH - 1) + 1
"""Side of the smallest crop, 26, even: the generator makes one patch of it."""
NOISE = 2 / 255
"""Standard deviation of the noise on the discriminator's inputs, in -1..1: a gray level."""

WEIGHTS_EVERY = 200
"""Steps between two reductions of the weight of the bicubic term."""
BICUBIC, BICUBIC_DECAY, BICUBIC_LEAST = 5.0, 100.0, 5e-6
"""Weight of the bicubic term, its divisor at each reduction, its least."""
BICUBIC_NEAR, NEAR_STEPS = 0.4, 3
"""The bicubic term below which an output counts as similar to bicubic, and the steps in a row before its weight may fall."""
SUM, BOUNDARY, SPARSE, CENTRE = 0.5, 0.5, 5.0, 1.0
"""Weights of the regularisers; the last two begin when that of the bicubic term is below `LATE`."""
LATE = 5e-3
RANK, SHARE = 41, 0.75
"""Of the finished kernel this share of its 41st largest weight is subtracted, and what is below it is zero."""


class Generator(nn.Module):
    """Six convolutions without bias and without anything between them, as the kernel that they make together."""

    def __init__(self, n_feats: int) -> None:
        super().__init__()
        widths = [1, *[n_feats] * (len(LAYERS) - 1), 1]
        pairs = zip(itertools.pairwise(widths), LAYERS, strict=True)
        self.layers = nn.Sequential(*(nn.Conv2d(*channels, side, bias=False) for channels, side in pairs))

    def kernel(self) -> Tensor:
        """Return the 13 x 13 weights, as they are correlated with an image."""
        composed = next(self.layers.parameters()).new_ones(1, 1, 1, 1)
        for weights in self.layers.parameters():
            composed = F.conv2d(composed, weights, padding=weights.shape[-1] - 1)
        return composed[0, 0].flip(0, 1)


class Discriminator(nn.Module):
    """A 7 x 7 convolution, then 1 x 1 convolutions with batch normalisation and ReLU; spectral norm in all of them."""

    def __init__(self, n_feats: int, n_layers: int = 7) -> None:
        super().__init__()
        layers: list[nn.Module] = [_normed(nn.Conv2d(3, n_feats, PATCH))]
        for _ in range(n_layers - 2):
            layers += [_normed(nn.Conv2d(n_feats, n_feats, 1)), nn.BatchNorm2d(n_feats), nn.ReLU(inplace=True)]
        self.layers = nn.Sequential(*layers, _normed(nn.Conv2d(n_feats, 1, 1)), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        """N x 3 x H x W in -1..1 -> N x 1 x (H-6) x (W-6) in 0..1: how much each patch looks like one of an LR image."""
        out: Tensor = self.layers(x)
        return out


class InternalGAN(nn.Module):
    """Both networks, and the weights of the regularisers, which change while the estimate moves away from bicubic.

    Args:
        n_feats: channels of both networks.
    """

    steps: Tensor
    weight: Tensor
    near: Tensor
    late: Tensor
    bicubic: Tensor
    penalty: Tensor

    def __init__(self, n_feats: int) -> None:
        super().__init__()
        self.generator, self.discriminator = Generator(n_feats), Discriminator(n_feats)
        for network in (self.generator, self.discriminator):
            for name, weights in network.named_parameters():
                if weights.ndim == 4:
                    nn.init.xavier_normal_(weights, 0.1)
                elif "bias" in name:
                    nn.init.zeros_(weights)
                else:
                    nn.init.normal_(weights, 1.0, 0.02)
        self.register_buffer("steps", torch.tensor(0))
        self.register_buffer("weight", torch.tensor(BICUBIC, dtype=torch.float64))
        self.register_buffer("near", torch.tensor(0))
        self.register_buffer("late", torch.tensor(False))
        self.register_buffer("bicubic", _bicubic(), persistent=False)
        self.register_buffer("penalty", _penalty(), persistent=False)

    def step(self, crops: Tensor, real: Tensor, optimisers: Optimisers, *, noise: float) -> dict[str, Tensor]:
        """Make a step of the generator, then one of the discriminator.

        Args:
            crops: N x 3 x S x S in -1..1, which the generator shrinks.
            real: N x 3 x T x T in -1..1 of LR images, T = `shrunk(S)`.
            optimisers: of both networks, by their names here.
            noise: a number in [0, 1) from which the noise on the discriminator's inputs follows.

        Returns:
            `total` of the generator before the step, with `bicubic`, `gan_g` and `gan_d`.
        """
        self._reduce()
        kernel = self.generator.kernel()
        fake = shrink(crops, kernel)
        gan = (1 - self.discriminator(fake)).abs().mean()
        difference = F.mse_loss(fake, shrink(crops, self.bicubic))
        if int(self.near) < NEAR_STEPS:
            self.near.copy_((self.near + 1) * (difference.detach() < BICUBIC_NEAR))
        total = gan + float(self.weight) * difference + self._regularisers(kernel)
        _descend(total, optimisers["generator"])
        with torch.no_grad():
            fake = shrink(crops, self.generator.kernel())
        source = torch.Generator().manual_seed(int(noise * 2**52))
        noisy = [x + NOISE * torch.randn(x.shape, generator=source).to(x.device) for x in (fake, real)]
        loss = 0.5 * (self.discriminator(noisy[0]).mean() + (1 - self.discriminator(noisy[1])).abs().mean())
        _descend(loss, optimisers["discriminator"])
        self.steps += 1
        return {"bicubic": difference, "gan_g": gan, "gan_d": loss, "total": total}

    def _reduce(self) -> None:
        """Lower the weight of the bicubic term where that is due after the steps so far."""
        due = int(self.steps) > 0 and int(self.steps) % WEIGHTS_EVERY == 0
        if due and int(self.near) >= NEAR_STEPS and float(self.weight) > BICUBIC_LEAST:
            self.weight.copy_((self.weight / BICUBIC_DECAY).clamp(min=BICUBIC_LEAST))
            self.late.copy_(self.late | (self.weight < LATE))

    def _regularisers(self, kernel: Tensor) -> Tensor:
        total = kernel.sum()
        loss = SUM * (1 - total).abs() + BOUNDARY * (kernel * self.penalty).abs().mean()
        if not bool(self.late):
            return loss
        indices = torch.arange(SIDE, dtype=kernel.dtype, device=kernel.device)
        centre = torch.stack([(kernel.sum(1) * indices).sum(), (kernel.sum(0) * indices).sum()]) / total
        loss = loss + SPARSE * (kernel.abs() + 1e-12).pow(0.2).mean()
        return loss + CENTRE * F.mse_loss(centre, torch.full_like(centre, MIDDLE + (FACTOR - 1) / 2))

    @torch.no_grad()
    def estimate(self, scale: int) -> Taps:
        """Return the kernel without its negligible weights, of sum 1, its centre of mass in the middle (s-1)/2 of the cell.

        Its window is that of `window` at every step.

        Raises:
            DivergedError: a weight of the kernel is not finite, or none is left above the negligible ones.
        """
        kernel = self.generator.kernel().double().cpu()
        least = SHARE * float(kernel.flatten().sort(descending=True).values[RANK - 1])
        kept = (kernel - least).clamp(min=0)
        if not (torch.isfinite(kernel).all() and kept.sum() > 0):
            raise DivergedError(
                f"kernelgan: the kernel is not finite, or empty, after step {int(self.steps)}; lower lr"
            )
        middle = (FACTOR - 1) / 2
        moved = move(Taps(kept / kept.sum(), (-MIDDLE, -MIDDLE)), (middle, middle))
        pads = [(first - FIRST, WINDOW - (first - FIRST) - SIDE - 3) for first in moved.first]
        weights = F.pad(moved.weights, [*pads[1], *pads[0]])  # what lies outside of the window is cut
        taps = Taps(weights / weights.sum(), (FIRST, FIRST))
        return taps if scale == FACTOR else doubled(taps)


def window(scale: int) -> Taps:
    """Return a kernel of one weight in the window of estimates."""
    weights = torch.zeros(WINDOW, WINDOW, dtype=torch.float64)
    weights[-FIRST, -FIRST] = 1
    taps = Taps(weights, (FIRST, FIRST))
    return taps if scale == FACTOR else doubled(taps)


def shrunk(side: int) -> int:
    """Return the side of the generator's output for crops of a side."""
    return (side - SIDE) // FACTOR + 1


def shrink(x: Tensor, kernel: Tensor) -> Tensor:
    """Return every second pixel of x correlated with a kernel, in each colour, without any border."""
    return F.conv2d(x, kernel.expand(3, 1, -1, -1), stride=FACTOR, groups=3)


def doubled(taps: Taps) -> Taps:
    """Return the kernel of shrinking twice by the same one: the kernel, spread by 2, after the kernel."""
    rows, columns = taps.weights.shape
    spread = taps.weights.new_zeros(FACTOR * rows - 1, FACTOR * columns - 1)
    spread[::FACTOR, ::FACTOR] = taps.weights
    full = chained(taps, Taps(spread, (FACTOR * taps.first[0], FACTOR * taps.first[1])))
    return full._replace(weights=full.weights / full.weights.sum())


def _descend(loss: Tensor, optimiser: torch.optim.Optimizer) -> None:
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    optimiser.step()


def _normed(layer: nn.Conv2d) -> nn.Module:
    normed: nn.Module = nn.utils.parametrizations.spectral_norm(layer)
    return normed


def _bicubic() -> Tensor:
    """Return bicubic's weights in the window of the generator's kernel."""
    taps, (first, _) = Bicubic().taps(FACTOR)
    window = torch.zeros(SIDE, SIDE)
    inner = slice(MIDDLE + first, MIDDLE + first + len(taps))
    window[inner, inner] = taps.float()
    return window


def _penalty() -> Tensor:
    """Return the penalty of each weight by its distance from the middle: none in the inner 9 x 9, then 30 (1 - a Gaussian)."""
    distances = torch.arange(SIDE, dtype=torch.float32) - MIDDLE
    line = torch.exp(-(distances**2) / (2 * SIDE**2))
    penalty = 30 * (1 - torch.outer(line, line))
    margin = (SIDE - (SIDE // 2 + SIDE % 2)) // 2 - 1
    penalty[margin:-margin, margin:-margin] = 0
    return penalty
