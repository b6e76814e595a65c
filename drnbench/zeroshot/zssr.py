"""ZSSR (Shocher, Cohen and Irani, CVPR 2018): a small network that learns from the test image alone.

The LR image and smaller versions of it are *fathers*; the degradation makes a *son* of each. A network of 3 x 3 convolutions
learns the residual between the son, enlarged by interpolation, and its father, and is then applied to the enlarged LR image.
"""

from __future__ import annotations

import itertools
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from drnbench.data.sampling import uniforms
from drnbench.degradations import parse
from drnbench.degradations.blur import Filter
from drnbench.degradations.kernel import Bicubic, Kernel, Taps
from drnbench.degradations.resize import round_half_up
from drnbench.errors import DivergedError, UsageError
from drnbench.zeroshot import kernelgan
from drnbench.zeroshot.base import Fit, FitInput, Report, ZeroShot
from drnbench.zeroshot.geometry import Transform, centre_of_mass, enlarge, project_back, symmetries
from drnbench.zeroshot.oracle import GIVEN, check_given

ESTIMATED = "estimated"
RATIOS = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)
"""Sizes of the fathers over that of the LR image."""
WHOLE_SHARE = 0.5
"""Share of steps whose father has the size of the LR image; among the others the probability is proportional to the size."""
INIT_VARIANCE = 0.1
"""Variance of the initial weights of a layer times its number of inputs: small, as the network learns a residual."""

TEST_EVERY, POLICY_EVERY, SLOPE_STEPS, SLOPE_RATIO = 50, 60, 256, 1.5
"""The rule of the learning rate: steps between measurements of the reconstruction, between checks, that the line is fitted
over and that a rate lasts at least; and the ratio of the slope to its standard error below which the rate is divided by 10."""
LAST_RATE = 9e-3
"""Share of the first learning rate below which the fit ends: after three reductions."""


class Pair(NamedTuple):
    """A father and its son enlarged to the same size, 1 x 3 x H x W in 0..1."""

    son: Tensor
    father: Tensor


class Estimated(Filter):
    """The degradation by an estimated kernel: correlated, sampled, rounded."""

    name: ClassVar[str] = "estimated"
    summary: ClassVar[str] = "a kernel that was estimated from an LR image"
    rows: tuple[tuple[float, ...], ...]
    first: tuple[int, int]

    @classmethod
    def of(cls, taps: Taps) -> Estimated:
        """Return the degradation of some weights."""
        return cls(rows=tuple(map(tuple, taps.weights.tolist())), first=taps.first)

    def weights(self, scale: int) -> Taps:  # noqa: ARG002 - an estimate belongs to one scale
        """Return the weights."""
        return Taps(torch.tensor(self.rows, dtype=torch.float64), self.first)


class ZSSR(ZeroShot):
    """The network, and its fit to one image.

    Args:
        scale: HR size over LR size.
        steps: the most optimiser steps; the rule of the learning rate ends most fits earlier.
        lr: first learning rate (Adam).
        kernel: given: the degradation of the test set, an oracle; bicubic: MATLAB's, whatever made the LR image; estimated:
            KernelGAN's estimate, fitted with as many steps before.
        n_layers, n_feats: convolutions and their channels.
        patch: side of a father's crop in pixels.
    """

    def __init__(
        self, scale: int, *, steps: int, lr: float, kernel: str, n_layers: int, n_feats: int, patch: int
    ) -> None:
        super().__init__()
        self.scale, self.lr, self.kernel, self.patch = scale, lr, kernel, patch
        self.own_steps = steps
        self.steps = 2 * steps if kernel == ESTIMATED else steps
        widths = [3, *[n_feats] * (n_layers - 1), 3]
        layers: list[nn.Module] = []
        for inputs, outputs in itertools.pairwise(widths):
            layers += [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.ReLU(inplace=True)]
        self.body = nn.Sequential(*layers[:-1])

    def forward(self, lr: Tensor) -> tuple[Tensor]:
        """N x 3 x H x W in 0..255 -> N x 3 x sH x sW by the weights as they are, in MATLAB's phase; not clamped."""
        middle = (self.scale - 1) / 2
        return (self._refine(enlarge(lr, self.scale, (middle, middle)) / 255) * 255,)

    def fit(self, image: FitInput, report: Report) -> Fit:
        """Learn from an LR image and super-resolve it; the kernel as in the class."""
        if self.kernel == GIVEN:
            check_given("zssr", image.kernel)
        if self.kernel == ESTIMATED:
            taps = kernelgan.estimate(image, self.scale, self.own_steps, report)
            kernel: Kernel = Estimated.of(taps)
            fit = self._fit_with(image, kernel, taps, lambda step: report(self.own_steps + step))
            return fit._replace(steps=self.own_steps + fit.steps)
        kernel = image.kernel if self.kernel == GIVEN else parse("bicubic")
        return self._fit_with(image, kernel, kernel.taps(self.scale), report)

    def _fit_with(self, image: FitInput, kernel: Kernel, taps: Taps, report: Report) -> Fit:
        """Learn with a degradation and its weights."""
        self._initialise(image.seed)
        transforms = symmetries(taps)
        steps = self._learn(_sources(image, kernel, taps, self.scale), transforms, image.seed, report)
        times = 10 if isinstance(kernel, Bicubic) else 2
        return Fit(self._super_resolve(image.lr, taps, transforms, times), steps, taps)

    def _refine(self, x: Tensor) -> Tensor:
        residual: Tensor = self.body(x)
        return x + residual

    def _initialise(self, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        for layer in self.body:
            if isinstance(layer, nn.Conv2d):
                deviation = (INIT_VARIANCE / layer.weight[0].numel()) ** 0.5
                initial = torch.randn(layer.weight.shape, generator=generator) * deviation
                layer.weight.data = initial.to(layer.weight.device).contiguous(memory_format=torch.channels_last)

    @torch.enable_grad()
    def _learn(self, sources: list[list[Pair]], transforms: tuple[Transform, ...], seed: int, report: Report) -> int:
        """Train on crops of the fathers until the last step or the last learning rate; return the number of steps."""
        self.train()
        optimizer, rate = torch.optim.Adam(self.body.parameters(), self.lr), self.lr
        whole, errors, changed = sources[0][0], list[float](), 0
        for step in range(self.own_steps):
            son, father = _crop(sources, transforms, self.patch, uniforms(seed, "zssr", step, (5,)))
            loss = F.l1_loss(self._refine(son), father)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            if step % TEST_EVERY == 0:
                with torch.no_grad():
                    errors.append(float(F.mse_loss(self._refine(whole.son).clamp(0, 1), whole.father)))
                if not np.isfinite(errors[-1]):
                    raise DivergedError(f"zssr: the loss is not finite at step {step + 1}; lower lr = {self.lr:g}")
            report(step + 1)
            if (step + 1) % POLICY_EVERY == 0 and step - changed > SLOPE_STEPS and _level(errors):
                rate, changed = rate / 10, step
                if rate < LAST_RATE * self.lr:
                    return step + 1
                for group in optimizer.param_groups:
                    group["lr"] = rate
        return self.own_steps

    @torch.no_grad()
    def _super_resolve(self, lr: Tensor, taps: Taps, transforms: tuple[Transform, ...], times: int) -> Tensor:
        """Return the median over the transforms, back-projected before and after it."""
        self.eval()
        start = enlarge(lr, self.scale, centre_of_mass(taps)) / 255
        outputs = [
            project_back(transform.invert(self._refine(transform.apply(start))) * 255, lr, taps, self.scale, times)
            for transform in transforms
        ]
        return project_back(_median(torch.stack(outputs)), lr, taps, self.scale, times)


def _sources(image: FitInput, kernel: Kernel, taps: Taps, scale: int) -> list[list[Pair]]:
    """Return the pairs of each size: the LR image at the first, at every position of the kernel's grid."""
    centre, lr = centre_of_mass(taps), image.lr
    sources: list[list[Pair]] = []
    for number, ratio in enumerate(RATIOS):
        size = [round(side * ratio) for side in lr.shape[-2:]]
        if sources and min(size) < 4 * scale:
            break
        father = lr if ratio == 1 else F.interpolate(lr, size=size, mode="bicubic", antialias=True, align_corners=False)
        father = round_half_up(father)
        pairs = []
        for offset in range(scale**2):
            top, left = divmod(offset, scale)
            rows, columns = ((side - start) // scale * scale for side, start in zip(size, (top, left), strict=True))
            if min(rows, columns) < scale:
                continue
            cut = father[..., top : top + rows, left : left + columns]
            # Noise of the degradation differs from son to son.
            son = kernel.degrade(cut, scale, seed=image.seed + number * scale**2 + offset)
            pairs.append(Pair(enlarge(son, scale, centre) / 255, cut / 255))
        sources.append(pairs)
    if not sources[0]:
        raise UsageError(f"zssr: an LR image of {lr.shape[-1]} x {lr.shape[-2]} pixels is too small for scale {scale}")
    return sources


def _crop(
    sources: list[list[Pair]],
    transforms: tuple[Transform, ...],
    patch: int,
    draws: np.ndarray[tuple[int], np.dtype[np.float64]],
) -> Pair:
    """Cut the pair of a step; draws: five numbers in [0, 1) for size, position of the grid, row, column, transform."""
    chosen, place, row, column, turn = (float(draw) for draw in draws)
    ratios = np.array(RATIOS[1 : len(sources)])
    shares = [WHOLE_SHARE, *((1 - WHOLE_SHARE) * ratios / ratios.sum())] if len(sources) > 1 else [1.0]
    pairs = sources[min(int(np.searchsorted(np.cumsum(shares), chosen, side="right")), len(sources) - 1)]
    pair = pairs[int(place * len(pairs))]
    height, width = pair.father.shape[-2:]
    rows, columns = min(patch, height), min(patch, width)
    top, left = int(row * (height - rows + 1)), int(column * (width - columns + 1))
    transform = transforms[int(turn * len(transforms))]
    son, father = (transform.apply(x[..., top : top + rows, left : left + columns]) for x in pair)
    return Pair(son.contiguous(memory_format=torch.channels_last), father)


def _level(errors: list[float]) -> bool:
    """Return True if the reconstruction error falls too slowly for its noise: the slope of a line, by its standard error."""
    values = np.array(errors[-(SLOPE_STEPS // TEST_EVERY) :])
    if len(values) < 3:
        return False
    x = np.arange(len(values), dtype=np.float64) * TEST_EVERY
    x -= x.mean()
    slope = float((x * values).sum() / (x * x).sum())
    residual = values - values.mean() - slope * x
    error = float(((residual**2).sum() / (len(values) - 2) / (x * x).sum()) ** 0.5)
    return -SLOPE_RATIO * slope < error


def _median(outputs: Tensor) -> Tensor:
    """Return the median over the first axis; of an even number, the mean of the two in the middle."""
    count = len(outputs)
    ordered = outputs.sort(dim=0).values
    return (ordered[(count - 1) // 2] + ordered[count // 2]) / 2
