"""KernelGAN (Bell-Kligler, Shocher and Irani, NeurIPS 2019): the kernel that shrinks an image to patches like its own.

A deep *linear* generator shrinks crops of the LR image; a discriminator of 7 x 7 patches tells its output from crops of the LR
image itself. The kernel that the generator comes to is the estimate of the degradation. It is evaluated as that kernel: the
layers are composed first, which gives the same numbers as running one after the other and takes a hundredth of the work.
"""

from __future__ import annotations

import itertools
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from drnbench.data.sampling import derived_seed, uniforms
from drnbench.degradations.blur import Filter
from drnbench.degradations.kernel import Bicubic, Taps
from drnbench.errors import DivergedError, UsageError
from drnbench.zeroshot.base import Fit, FitInput, Report, ZeroShot
from drnbench.zeroshot.geometry import centre_of_mass, enlarge, move, project_back

FACTOR = 2
"""The generator halves; the kernel of a factor of 4 is that of two halvings by it."""
LAYERS = (7, 5, 3, 1, 1, 1)
"""Sides of the generator's filters."""
SIDE = sum(LAYERS) - len(LAYERS) + 1
"""Side of its kernel, 13."""
MIDDLE = SIDE // 2
"""Row and column of the weight that lies on the first pixel of an LR pixel's cell."""
CROP = 64
"""Side of the generator's input; its output, and the discriminator's input, has 26."""
PATCH = 7
"""Side of the discriminator's receptive field."""
NOISE = 2 / 255
"""Standard deviation of the noise on the discriminator's inputs, in -1..1: a gray level."""

RATE_EVERY = 750
"""Steps after which both learning rates are divided by 10, each time."""
WEIGHTS_EVERY = 200
"""Steps between two reductions of the weight of the bicubic term."""
BICUBIC, BICUBIC_DECAY, BICUBIC_LEAST, BICUBIC_NEAR = 5.0, 100.0, 5e-6, 0.4
"""Weight of the bicubic term, its divisor, its least; and the loss that counts as similar to bicubic, after which it falls."""
SUM, BOUNDARY, SPARSE, CENTRE = 0.5, 0.5, 5.0, 1.0
"""Weights of the regularisers; the last two begin when that of the bicubic term is below `LATE`."""
LATE = 5e-3
KEPT, KEPT_SHARE = 40, 0.75
"""Weights of the finished kernel below this share of the 40th largest are zero."""


class Estimated(Filter):
    """The degradation by an estimated kernel: correlated, sampled, rounded."""

    name: ClassVar[str] = "estimated"
    summary: ClassVar[str] = "a kernel that a zero-shot method estimated"
    rows: tuple[tuple[float, ...], ...]
    first: tuple[int, int]

    @classmethod
    def of(cls, taps: Taps) -> Estimated:
        """Return the degradation of some weights."""
        return cls(rows=tuple(map(tuple, taps.weights.tolist())), first=taps.first, border="symmetric")

    def weights(self, scale: int) -> Taps:  # noqa: ARG002 - an estimate belongs to one scale
        """Return the weights."""
        return Taps(torch.tensor(self.rows, dtype=torch.float64), self.first)


class Generator(nn.Module):
    """Six convolutions without bias and without anything between them, as the kernel that they make together."""

    def __init__(self, n_feats: int) -> None:
        super().__init__()
        widths = [1, *[n_feats] * (len(LAYERS) - 1), 1]
        pairs = zip(itertools.pairwise(widths), LAYERS, strict=True)
        self.layers = nn.Sequential(*(nn.Conv2d(*channels, side, bias=False) for channels, side in pairs))

    def kernel(self) -> Tensor:
        """Return the 13 x 13 weights, as they are correlated with an image."""
        weights = list(self.layers.parameters())
        impulse = F.pad(weights[0].new_ones(1, 1, 1, 1), [SIDE - 1] * 4)
        composed: Tensor = self.layers(impulse)
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
        """N x 3 x H x W in -1..1 -> N x 1 x (H-6) x (W-6): how much each patch looks like one of the image."""
        out: Tensor = self.layers(x)
        return out


class Regularisers:
    """The constraints on the kernel and their weights, which change while the estimate moves away from bicubic."""

    def __init__(self, device: torch.device) -> None:
        self.bicubic, self.late, self._near = BICUBIC, False, 0
        self.target = _bicubic(device)
        self.penalty = _penalty().to(device)
        self.indices = torch.arange(SIDE, dtype=torch.float32, device=device)

    def loss(self, kernel: Tensor, crop: Tensor, output: Tensor) -> Tensor:
        """Return their weighted sum; looks whether the output is similar to bicubic by now."""
        difference = F.mse_loss(output, shrink(crop, self.target))
        if self._near < 3:
            self._near = self._near + 1 if float(difference.detach()) < BICUBIC_NEAR else 0
        total = kernel.sum()
        loss = self.bicubic * difference + SUM * (1 - total).abs() + BOUNDARY * (kernel * self.penalty).abs().mean()
        if self.late:
            centre = torch.stack([(kernel.sum(1) * self.indices).sum(), (kernel.sum(0) * self.indices).sum()]) / total
            loss = loss + SPARSE * (kernel.abs() + 1e-12).pow(0.2).mean()
            loss = loss + CENTRE * F.mse_loss(centre, torch.full_like(centre, MIDDLE + (FACTOR - 1) / 2))
        return loss

    def update(self, step: int) -> None:
        """Lower the weight of the bicubic term where that is due after a number of steps."""
        if self._near >= 3 and step % WEIGHTS_EVERY == 0 and self.bicubic > BICUBIC_LEAST:
            self.bicubic = max(self.bicubic / BICUBIC_DECAY, BICUBIC_LEAST)
            self.late = self.late or self.bicubic < LATE


class Crops(NamedTuple):
    """The LR image in -1..1, and the cumulative probabilities of the corners of crops of both networks."""

    image: Tensor
    generator: np.ndarray[tuple[int], np.dtype[np.float64]]
    discriminator: np.ndarray[tuple[int], np.dtype[np.float64]]

    def cut(self, draw: float, *, for_generator: bool) -> Tensor:
        """Return a crop, 1 x 3 x n x n, whose probability is the gradient within it; `draw` in [0, 1)."""
        side = CROP if for_generator else OUTPUT
        chances = self.generator if for_generator else self.discriminator
        number = min(int(np.searchsorted(chances, draw, side="right")), len(chances) - 1)
        top, left = divmod(number, self.image.shape[-1] - side + 1)
        return self.image[..., top : top + side, left : left + side]


OUTPUT = (CROP - SIDE) // FACTOR + 1


class KernelGAN(ZeroShot):
    """The estimate of the kernel of one LR image; SR is the enlarged image, corrected by back-projection with that kernel.

    Args:
        scale: 2, or 4 as two halvings.
        steps: of both networks.
        lr: learning rate of both (Adam, β1 = 0.5).
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
        taps = estimate(image, self.scale, self.steps, self.lr, self.n_feats, report)
        sr = project_back(enlarge(image.lr, self.scale, centre_of_mass(taps)), image.lr, taps, self.scale, 10)
        return Fit(sr, self.steps, taps)


@torch.enable_grad()
def estimate(image: FitInput, scale: int, steps: int, lr: float, n_feats: int, report: Report) -> Taps:
    """Return the estimated kernel of an LR image, whose centre of mass lies in the middle (s-1)/2 of an LR pixel's cell.

    Raises:
        UsageError: the image is smaller than a crop.
        DivergedError: a loss is not finite.
    """
    crops, seed = _crops(image.lr), derived_seed(image.seed, "kernelgan")
    generator, discriminator = _networks(n_feats, seed, image.lr.device)
    optimizers = [torch.optim.Adam(net.parameters(), lr, betas=(0.5, 0.999)) for net in (generator, discriminator)]
    regularisers = Regularisers(image.lr.device)
    noise = torch.Generator().manual_seed(derived_seed(seed, "noise"))
    for step in range(steps):
        if step:
            regularisers.update(step)
        for optimizer in optimizers:
            optimizer.param_groups[0]["lr"] = lr / 10 ** (step // RATE_EVERY)
        draws = [float(draw) for draw in uniforms(seed, "crops", step, (2,))]
        crop, real = crops.cut(draws[0], for_generator=True), crops.cut(draws[1], for_generator=False)
        kernel = generator.kernel()
        fake = shrink(crop, kernel)
        loss = (1 - discriminator(fake)).abs().mean() + regularisers.loss(kernel, crop, fake)
        _descend(loss, optimizers[0])
        with torch.no_grad():
            fake = shrink(crop, generator.kernel())
        noisy = [x + NOISE * torch.randn(x.shape, generator=noise).to(x.device) for x in (fake, real)]
        _descend(0.5 * (discriminator(noisy[0]).mean() + (1 - discriminator(noisy[1])).abs().mean()), optimizers[1])
        if (step + 1) % RATE_EVERY == 0 and not torch.isfinite(loss):
            raise DivergedError(f"kernelgan: the loss is not finite at step {step + 1}; lower lr = {lr:g}")
        report(step + 1)
    with torch.no_grad():
        return _finished(generator.kernel(), scale)


def shrink(x: Tensor, kernel: Tensor) -> Tensor:
    """Return every second pixel of x correlated with a kernel, in each colour, without any border."""
    return F.conv2d(x, kernel.expand(3, 1, -1, -1), stride=FACTOR, groups=3)


def _descend(loss: Tensor, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()


def _normed(layer: nn.Conv2d) -> nn.Module:
    normed: nn.Module = nn.utils.parametrizations.spectral_norm(layer)
    return normed


def _networks(n_feats: int, seed: int, device: torch.device) -> tuple[Generator, Discriminator]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derived_seed(seed, "networks"))
        generator, discriminator = Generator(n_feats), Discriminator(n_feats)
        for network in (generator, discriminator):
            for name, weights in network.named_parameters():
                if weights.ndim == 4:
                    nn.init.xavier_normal_(weights, 0.1)
                elif "bias" in name:
                    nn.init.zeros_(weights)
                else:
                    nn.init.normal_(weights, 1.0, 0.02)
    return generator.to(device), discriminator.to(device)


def _crops(lr: Tensor) -> Crops:
    height, width = lr.shape[-2:]
    if min(height, width) < CROP:
        raise UsageError(
            f"kernelgan: an LR image of {width} x {height} pixels is smaller than the {CROP} x {CROP} that its generator "
            "takes; leave it out, or name the kernel yourself"
        )
    gray = lr[0].double().mean(0).cpu().numpy()
    rows, columns = np.gradient(gray)
    strength = np.hypot(rows, columns)

    def chances(side: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """Return the cumulative probabilities of the corners of crops, by the sum of the gradient within each."""
        sums = np.pad(strength.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
        within = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
        within = np.maximum(within, 0).ravel() + 1e-9
        return np.cumsum(within / within.sum())

    return Crops(lr.float() / 127.5 - 1, chances(CROP), chances(OUTPUT))


def _bicubic(device: torch.device) -> Tensor:
    """Return bicubic's weights in the window of the generator's kernel."""
    taps, (first, _) = Bicubic().taps(FACTOR)
    window = torch.zeros(SIDE, SIDE)
    inner = slice(MIDDLE + first, MIDDLE + first + len(taps))
    window[inner, inner] = taps.float()
    return window.to(device)


def _penalty() -> Tensor:
    """Return the penalty of each weight by its distance from the middle: none within half of the kernel, then 30 (1 - a Gaussian)."""
    distances = torch.arange(SIDE, dtype=torch.float32) - MIDDLE
    line = torch.exp(-(distances**2) / (2 * SIDE**2))
    penalty = 30 * (1 - torch.outer(line, line))
    margin = (SIDE - (SIDE // 2 + SIDE % 2)) // 2 - 1
    penalty[margin:-margin, margin:-margin] = 0
    return penalty


def _finished(kernel: Tensor, scale: int) -> Taps:
    """Return a kernel without its negligible weights, of sum 1, moved to the middle of the cell; two halvings for 4."""
    kernel = kernel.double().cpu()
    least = KEPT_SHARE * float(kernel.flatten().sort(descending=True).values[KEPT])
    kept = (kernel - least).clamp(min=0)
    middle = (FACTOR - 1) / 2
    taps = move(Taps(kept / kept.sum(), (-MIDDLE, -MIDDLE)), (middle, middle))
    return taps if scale == FACTOR else doubled(taps)


def doubled(taps: Taps) -> Taps:
    """Return the kernel of shrinking twice by the same one: k * (k spread by 2)."""
    rows, columns = taps.weights.shape
    spread = taps.weights.new_zeros(FACTOR * rows - 1, FACTOR * columns - 1)
    spread[::FACTOR, ::FACTOR] = taps.weights
    full = F.conv2d(spread[None, None], taps.weights.flip(0, 1)[None, None], padding=(rows - 1, columns - 1))[0, 0]
    first = (taps.first[0] * (FACTOR + 1), taps.first[1] * (FACTOR + 1))
    return Taps(full / full.sum(), first)
