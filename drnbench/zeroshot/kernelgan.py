"""KernelGAN (Bell-Kligler, Shocher and Irani, NeurIPS 2019): the kernel that shrinks an image to patches like its own."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from drnbench.data.sampling import derived_seed, uniforms
from drnbench.degradations.kernel import Taps
from drnbench.errors import DivergedError, UsageError
from drnbench.zeroshot.base import Fit, FitInput, Report, ZeroShot
from drnbench.zeroshot.geometry import centre_of_mass, enlarge, project_back
from drnbench.zeroshot.internal_gan import LEAST, InternalGAN, shrunk

CROP = 64
"""Side of the generator's input, less in smaller images; its output, and the discriminator's input, has 26."""
RATE_EVERY = 750
"""Steps after which both learning rates are divided by 10, each time."""
LR, N_FEATS = 2e-4, 64
"""The learning rate and the channels of the paper."""

Chances = np.ndarray[tuple[int], np.dtype[np.float64]]


class KernelGAN(ZeroShot):
    """The estimate of the kernel of one LR image; SR is the enlarged image, corrected by back-projection with that kernel.

    Args:
        scale: 2, or 4 as two halvings.
        steps: of both networks.
        lr: first learning rate of both (Adam, β1 = 0.5).
        n_feats: channels of both.
    """

    def __init__(self, scale: int, *, steps: int, lr: float, n_feats: int) -> None:
        super().__init__()
        self.scale, self.steps, self.lr, self.n_feats = scale, steps, lr, n_feats

    def forward(self, lr: Tensor) -> tuple[Tensor]:
        """N x 3 x H x W in 0..255 -> N x 3 x sH x sW, the interpolation that the estimate is used on."""
        middle = (self.scale - 1) / 2
        return (enlarge(lr, self.scale, (middle, middle)),)

    def fit(self, image: FitInput, report: Report) -> Fit:
        """Estimate the kernel of an image, and super-resolve it with that kernel."""
        taps = estimate(image, self.scale, self.steps, report, lr=self.lr, n_feats=self.n_feats)
        sr = project_back(enlarge(image.lr, self.scale, centre_of_mass(taps)), image.lr, taps, self.scale, 10)
        return Fit(sr, self.steps, taps)


@torch.enable_grad()
def estimate(
    image: FitInput, scale: int, steps: int, report: Report, *, lr: float = LR, n_feats: int = N_FEATS
) -> Taps:
    """Return the estimated kernel of an LR image, whose centre of mass lies in the middle (s-1)/2 of an LR pixel's cell.

    Raises:
        UsageError: the image is smaller than the smallest crop.
        DivergedError: a loss is not finite, or the kernel at the end.
    """
    seed, crops = derived_seed(image.seed, "kernelgan"), Crops.of(image.lr)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derived_seed(seed, "networks"))
        gan = InternalGAN(n_feats).to(image.lr.device)
    optimisers = {
        name: torch.optim.Adam(network.parameters(), lr, betas=(0.5, 0.999)) for name, network in gan.named_children()
    }
    for step in range(steps):
        for optimiser in optimisers.values():
            optimiser.param_groups[0]["lr"] = lr / 10 ** (step // RATE_EVERY)
        first, second, noise = (float(draw) for draw in uniforms(seed, "crops", step, (3,)))
        losses = gan.step(crops.input(first), crops.real(second), optimisers, noise=noise)
        if (step + 1) % RATE_EVERY == 0 and not torch.isfinite(losses["total"]):
            raise DivergedError(f"kernelgan: the loss is not finite at step {step + 1}; lower lr = {lr:g}")
        report(step + 1)
    return gan.estimate(scale)


class Crops(NamedTuple):
    """The LR image in -1..1, and the cumulative probabilities of the corners of its crops.

    A crop is drawn in proportion to the sum of the image's gradient within it.
    """

    image: Tensor
    sides: tuple[int, int]
    chances: tuple[Chances, Chances]

    @classmethod
    def of(cls, lr: Tensor) -> Crops:
        """Return the crops of an LR image, 1 x 3 x H x W in 0..255.

        Raises:
            UsageError: the image is smaller than the smallest crop.
        """
        side = min(CROP, *(size // 2 * 2 for size in lr.shape[-2:]))
        if side < LEAST:
            raise UsageError(
                f"kernelgan: an LR image of {lr.shape[-1]} x {lr.shape[-2]} pixels is smaller than the {LEAST} x {LEAST} that "
                "its networks need; leave it out, or name the kernel yourself"
            )
        rows, columns = np.gradient(lr[0].double().mean(0).cpu().numpy())
        strength, sides = np.hypot(rows, columns), (side, shrunk(side))
        return cls(lr.float() / 127.5 - 1, sides, (_chances(strength, sides[0]), _chances(strength, sides[1])))

    def input(self, draw: float) -> Tensor:
        """Return a crop for the generator by a number in [0, 1): 1 x 3 x S x S."""
        return self._cut(0, draw)

    def real(self, draw: float) -> Tensor:
        """Return a crop for the discriminator by a number in [0, 1), of the size of the generator's output."""
        return self._cut(1, draw)

    def _cut(self, kind: int, draw: float) -> Tensor:
        side, chances = self.sides[kind], self.chances[kind]
        number = min(int(np.searchsorted(chances, draw, side="right")), len(chances) - 1)
        top, left = divmod(number, self.image.shape[-1] - side + 1)
        return self.image[..., top : top + side, left : left + side]


def _chances(strength: np.ndarray[tuple[int, ...], np.dtype[np.float64]], side: int) -> Chances:
    """Return the cumulative probabilities of the corners of crops, row by row."""
    sums = np.pad(strength.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    within = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    weights = np.maximum(within, 0).ravel() + 1e-9
    cumulative: Chances = np.cumsum(weights / weights.sum())
    return cumulative
