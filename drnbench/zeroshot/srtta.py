"""SRTTA (Deng et al., NeurIPS 2023): a trained network learns to undo a second degradation of the test image.

Patches of the LR image are degraded once more by the image's own types of degradation. The features of a degraded patch are
drawn to those of the patch itself, as the network and as its unadapted copy compute them. Weights that matter for clean
images, by Fisher information, are kept.
"""

from __future__ import annotations

import copy
import functools
import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from drnbench.data.images import to_uint8
from drnbench.data.sampling import derived_seed, patches, uniforms
from drnbench.degradations.blur import Anisotropic, sample
from drnbench.degradations.camera import through_jpeg
from drnbench.degradations.resize import round_half_up
from drnbench.errors import DivergedError
from drnbench.zeroshot.base import Fit, FitInput, Report, ZeroShot
from drnbench.zeroshot.geometry import TRANSFORMS

if TYPE_CHECKING:
    from drnbench.zeroshot import adaptation

EPS = 1e-3
"""Under the root of the Charbonnier loss, gray levels squared."""
SIDES, SIGMA = range(7, 22, 2), (0.2, 3.0)
"""Sides of a blur and standard deviations in pixels; the isotropic ones are half of all."""
NOISE, GRAY = (1.0, 30.0), 0.4
"""Standard deviations of the noise in gray levels, and the share of patches whose noise is the same in all channels."""
QUALITY = (30, 95)
"""Qualities of JPEG."""


class SRTTA(ZeroShot):
    """A trained network, and its adaptation to one image after another, each from the trained weights.

    Args:
        network: LR batch -> outputs, the last is SR. The weights under its `body` are adapted, those of a network without
            one all.
        scale: HR size over LR size.
        settings: `drnbench.zeroshot.adaptation.SRTTA`.
        clean: returns clean LR images, 1 x 3 x H x W in 0..255.
    """

    def __init__(
        self, network: nn.Module, scale: int, settings: adaptation.SRTTA, clean: Callable[[], Sequence[Tensor]]
    ) -> None:
        super().__init__()
        self.scale, self.steps, self.settings = scale, settings.steps, settings
        self.network, self.teacher = network, copy.deepcopy(network).requires_grad_(False)
        self.identity = _digest(network)
        self._clean = clean
        network.requires_grad_(False)
        body = getattr(network, "body", network)
        self._adapted = {name: p for name, p in body.named_parameters() if isinstance(p, nn.Parameter)}
        for parameter in self._adapted.values():
            parameter.requires_grad_(True)

    def forward(self, lr: Tensor) -> tuple[Tensor]:
        """N x 3 x H x W in 0..255 -> N x 3 x sH x sW by the weights as they are."""
        return (self.network(lr)[-1],)

    def fit(self, image: FitInput, report: Report) -> Fit:
        """Adapt the network to an image, unless it is clean, and super-resolve the image."""
        types = self.settings.types_of(image.kernel)
        self.network.load_state_dict(self.teacher.state_dict())
        if types:
            self._adapt(image, types, report)
        with torch.no_grad():
            return Fit(self(image.lr)[0], self.steps if types else 0)

    @torch.enable_grad()
    def _adapt(self, image: FitInput, types: Sequence[str], report: Report) -> None:
        free = self._free  # computed here, with the trained weights
        optimiser = torch.optim.Adam(self._adapted.values(), self.settings.lr)
        for step in range(self.steps):
            clean = self._patches(image, step)
            degraded = torch.stack([_degraded(patch, types, image.seed, (step, i)) for i, patch in enumerate(clean)])
            with torch.no_grad():
                targets = [_features(network, clean) for network in (self.network, self.teacher)]
            features = _features(self.network, degraded)
            loss = _distance(features, targets[0]) + self.settings.teacher * _distance(features, targets[1])
            if not torch.isfinite(loss):
                raise DivergedError(
                    f"srtta: the loss is not finite at step {step + 1}; lower lr = {self.settings.lr:g}"
                )
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            for name, mask in free.items():
                # Without a gradient Adam leaves a weight where it is: the same as restoring it after the step.
                if (gradient := self._adapted[name].grad) is not None:
                    gradient.mul_(mask)
            optimiser.step()
            report(step + 1)

    @functools.cached_property
    def _free(self) -> Mapping[str, Tensor]:
        """1 where a weight is adapted, 0 where it is preserved, of each adapted tensor; empty where all are adapted."""
        if not self.settings.preserve:
            return {}
        squares = [[gradient**2 for gradient in self._gradients(lr)] for lr in self._clean()]
        importance = zip(
            self._adapted, (torch.stack(of_images).mean(0) for of_images in zip(*squares, strict=True)), strict=True
        )
        return {name: _without_top(mean, self.settings.preserve) for name, mean in importance}

    @torch.enable_grad()
    def _gradients(self, lr: Tensor) -> tuple[Tensor, ...]:
        """Return the gradients of the distance between SR and the mean over flips and turns, for a clean LR image."""
        parameters = list(self._adapted.values())
        lr = lr.to(parameters[0].device)
        with torch.no_grad():
            mean = torch.stack([t.invert(self.teacher(t.apply(lr))[-1]) for t in TRANSFORMS]).mean(0)
        # Weights of outputs below the SR image have none.
        return torch.autograd.grad(
            _distance(self.network(lr)[-1], mean), parameters, allow_unused=True, materialize_grads=True
        )

    def _patches(self, image: FitInput, step: int) -> Tensor:
        """Return the patches of a step, flipped and transposed: N x 3 x P x P in 0..255."""
        draws = uniforms(image.seed, "srtta patches", step, (self.settings.batch, 6))
        side = min(self.settings.patch, *image.lr.shape[-2:])
        return torch.from_numpy(patches({1: [to_uint8(image.lr)]}, side, draws, augment=True)[1]).to(image.lr.device)


def _digest(network: nn.Module) -> str:
    """Return the sha256 (hex) of the weights."""
    total = hashlib.sha256()
    for name, tensor in network.state_dict().items():
        total.update(name.encode() + np.ascontiguousarray(tensor.detach().cpu().numpy()).tobytes())
    return total.hexdigest()


def _features(network: nn.Module, x: Tensor) -> Tensor:
    """Return the input of the last convolution to three colours; of a network without one, SR."""
    inputs: list[Tensor] = []
    hooks = [
        layer.register_forward_pre_hook(lambda _, arguments: inputs.append(arguments[0]))
        for layer in network.modules()
        if isinstance(layer, nn.Conv2d) and layer.out_channels == 3 < layer.in_channels
    ]
    try:
        sr: Tensor = network(x)[-1]
    finally:
        for hook in hooks:
            hook.remove()
    return inputs[-1] if inputs else sr


def _distance(a: Tensor, b: Tensor) -> Tensor:
    """Return the Charbonnier distance, a scalar."""
    return ((a - b) ** 2 + EPS).sqrt().mean()


def _without_top(importance: Tensor, share: float) -> Tensor:
    """Return 0 at the largest values, a share of all, and 1 elsewhere."""
    free = torch.ones_like(importance).flatten()
    free[importance.flatten().topk(int(share * free.numel())).indices] = 0
    return free.view_as(importance)


def _degraded(patch: Tensor, types: Sequence[str], seed: int, number: tuple[int, int]) -> Tensor:
    """Return a patch, 3 x P x P, blurred, with noise and JPEG as the types say: integers in 0..255.

    Args:
        patch: of the LR image.
        types: of degradation.
        seed: of the image.
        number: step and number of the patch, of which the draws are a function.
    """
    draws = uniforms(seed, f"srtta degradation {number[1]}", number[0], (8,)).tolist()
    side, isotropic, along, across, angle, level, gray, quality = draws
    x = patch[None].double()
    if "blur" in types:
        sigma = [_between(SIGMA, along), _between(SIGMA, along if isotropic < 0.5 else across)]
        blur = Anisotropic(
            sigma_x=sigma[0], sigma_y=sigma[1], angle=360 * angle - 180, size=SIDES[int(side * len(SIDES))]
        )
        x = sample(x, blur.weights(1), 1, "reflect")
    if "noise" in types:
        generator = torch.Generator().manual_seed(derived_seed(seed, f"srtta noise {number}"))
        noise = torch.randn(1, 1 if gray < GRAY else 3, *x.shape[-2:], generator=generator, dtype=x.dtype)
        x = x + _between(NOISE, level) * noise.to(x.device)
    x = round_half_up(x)
    if "jpeg" in types:
        x = through_jpeg(x, round(_between(QUALITY, quality)))
    return x[0].to(patch.dtype)


def _between(limits: tuple[float, float], draw: float) -> float:
    return limits[0] + (limits[1] - limits[0]) * draw
