"""The degradation of Real-ESRGAN: blur, resize, noise and JPEG, twice, with sinc filters; drawn for each image by its seed.

Wang, Xie, Dong, Shan: Real-ESRGAN, ICCV workshops 2021. The defaults are those of its x4 training; images stay float64 and
on the CPU, JPEG is Pillow's on rounded levels, and the last resize goes to exactly 1/s of the HR size.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from drnbench.degradations import kernels
from drnbench.degradations.blur import sample
from drnbench.degradations.camera import through_jpeg
from drnbench.degradations.drawn import generator
from drnbench.degradations.kernel import Kernel, Taps
from drnbench.degradations.resize import round_half_up

if TYPE_CHECKING:
    from torch import Tensor

PURPOSE = 2
"""Of the draws, beside those of the noise (0) and of random kernels (1)."""
SHAPES = ("iso", "aniso", "generalised_iso", "generalised_aniso", "plateau_iso", "plateau_aniso")
MODES: tuple[Literal["area", "bilinear", "bicubic"], ...] = ("area", "bilinear", "bicubic")
LUMA = (0.299, 0.587, 0.114)
Chance = Annotated[float, Field(ge=0, le=1)]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)]
Level = Annotated[float, Field(ge=0, le=255)]
Quality = Annotated[int, Field(ge=1, le=100)]


class Order(NamedTuple):
    """Parameters of one of the two rounds; see the fields of `SecondOrder` of the same names."""

    blur: float
    sinc: float
    sigma_low: float
    sigma_high: float
    up: float
    down: float
    keep: float
    shrink: float
    enlarge: float
    gaussian: float
    noise_low: float
    noise_high: float
    poisson_low: float
    poisson_high: float
    gray: float
    quality_low: int
    quality_high: int


@kernels.register("second-order")
class SecondOrder(Kernel):
    """Blur, resize, noise, JPEG; the same again; a sinc filter, in either order with the last JPEG. Names end in 2 there."""

    summary: ClassVar[str] = "Real-ESRGAN's second-order degradation, drawn for each image by its seed"
    size: Annotated[int, Field(ge=7, le=51)] = Field(21, description="largest side of a blur, drawn from 7, 9, ...")
    iso: Weight = Field(0.45, description="weight of isotropic Gaussians among the blurs")
    aniso: Weight = Field(0.25, description="weight of anisotropic Gaussians")
    generalised_iso: Weight = Field(0.12, description="weight of isotropic generalised Gaussians")
    generalised_aniso: Weight = Field(0.03, description="weight of anisotropic generalised Gaussians")
    plateau_iso: Weight = Field(0.12, description="weight of isotropic plateaus")
    plateau_aniso: Weight = Field(0.03, description="weight of anisotropic plateaus")
    generalised_low: Positive = Field(0.5, description="smallest exponent of a generalised Gaussian; 1 is a Gaussian")
    generalised_high: Positive = Field(4.0, description="largest exponent of a generalised Gaussian")
    plateau_low: Positive = Field(1.0, description="smallest exponent of a plateau")
    plateau_high: Positive = Field(2.0, description="largest exponent of a plateau")
    blur: Chance = Field(1.0, description="chance of the first blur")
    sinc: Chance = Field(0.1, description="chance that a first blur is a sinc filter")
    sigma_low: Positive = Field(0.2, description="smallest standard deviation in pixels")
    sigma_high: Positive = Field(3.0, description="largest standard deviation in pixels")
    up: Weight = Field(0.2, description="weight of enlarging")
    down: Weight = Field(0.7, description="weight of shrinking")
    keep: Weight = Field(0.1, description="weight of keeping the size")
    shrink: Annotated[float, Field(gt=0, le=1)] = Field(0.15, description="smallest factor of a resize")
    enlarge: Annotated[float, Field(ge=1, le=4)] = Field(1.5, description="largest factor of a resize")
    gaussian: Chance = Field(0.5, description="chance of Gaussian noise; else Poisson noise")
    noise_low: Level = Field(1.0, description="smallest standard deviation of Gaussian noise, gray levels")
    noise_high: Level = Field(30.0, description="largest standard deviation of Gaussian noise, gray levels")
    poisson_low: Weight = Field(0.05, description="smallest factor of Poisson noise")
    poisson_high: Weight = Field(3.0, description="largest factor of Poisson noise")
    gray: Chance = Field(0.4, description="chance that the noise is the same in all channels")
    quality_low: Quality = Field(30, description="lowest quality of JPEG")
    quality_high: Quality = Field(95, description="highest quality of JPEG")
    blur2: Chance = Field(0.8, description="chance of the second blur")
    sinc2: Chance = Field(0.1, description="as sinc")
    sigma_low2: Positive = Field(0.2, description="as sigma_low")
    sigma_high2: Positive = Field(1.5, description="as sigma_high")
    up2: Weight = Field(0.3, description="as up")
    down2: Weight = Field(0.4, description="as down")
    keep2: Weight = Field(0.3, description="as keep")
    shrink2: Annotated[float, Field(gt=0, le=1)] = Field(0.3, description="as shrink")
    enlarge2: Annotated[float, Field(ge=1, le=4)] = Field(1.2, description="as enlarge")
    gaussian2: Chance = Field(0.5, description="as gaussian")
    noise_low2: Level = Field(1.0, description="as noise_low")
    noise_high2: Level = Field(25.0, description="as noise_high")
    poisson_low2: Weight = Field(0.05, description="as poisson_low")
    poisson_high2: Weight = Field(2.5, description="as poisson_high")
    gray2: Chance = Field(0.4, description="as gray")
    quality_low2: Quality = Field(30, description="as quality_low")
    quality_high2: Quality = Field(95, description="as quality_high")
    final_sinc: Chance = Field(0.8, description="chance of a sinc filter at the end")
    seed: Annotated[int, Field(ge=0, le=2**31)] = Field(0, description="another seed gives every image other draws")

    @model_validator(mode="after")
    def _ranges(self) -> Self:
        for name in type(self).model_fields:
            low, high = getattr(self, name), getattr(self, name.replace("low", "high"))
            if "low" in name and low > high:
                raise ValueError(f"{name}={low:g} is above {name.replace('low', 'high')}={high:g}")
        for names in (SHAPES, ("up", "down", "keep"), ("up2", "down2", "keep2")):
            if not sum(getattr(self, name) for name in names):
                raise ValueError(f"one of the weights {', '.join(names)} must be above 0")
        return self

    @property
    def seeded(self) -> bool:
        """True: everything is drawn by the image's seed."""
        return True

    def make_seeded(self, hr: Tensor, scale: int, seed: int) -> Tensor:
        """Degrade each image by its own draws; integers in 0..255."""
        import torch

        images = [self._degraded(hr[i : i + 1].cpu(), scale, seed, i) for i in range(len(hr))]
        return torch.cat(images).to(hr.device) if images else hr[..., ::scale, ::scale]

    def _degraded(self, hr: Tensor, scale: int, seed: int, image: int) -> Tensor:
        draws = generator(seed, image, PURPOSE, self.seed)
        first, second = (Order(*(getattr(self, name + end) for name in Order._fields)) for end in ("", "2"))
        size = (hr.shape[-2] // scale, hr.shape[-1] // scale)
        x = self._blurred(hr, first, draws)
        x = _noisy(_resized(x, first, draws), first, draws)
        x = through_jpeg(round_half_up(x), _quality(first, draws))
        x = self._blurred(x, second, draws)
        x = _noisy(_resized(x, second, draws), second, draws)
        quality = _quality(second, draws)
        mode = MODES[draws.integers(len(MODES))]
        ring = _sinc(self._side(draws), draws) if draws.random() < self.final_sinc else None
        if draws.random() < 0.5:
            return through_jpeg(round_half_up(_filtered(_to_size(x, size, mode), ring)), quality)
        return round_half_up(_filtered(_to_size(through_jpeg(round_half_up(x), quality), size, mode), ring))

    def _side(self, draws: np.random.Generator) -> int:
        return 7 + 2 * int(draws.integers((self.size - 7) // 2 + 1))

    def _blurred(self, x: Tensor, order: Order, draws: np.random.Generator) -> Tensor:
        if draws.random() >= order.blur:
            return x
        side = self._side(draws)
        if draws.random() < order.sinc:
            return _filtered(x, _sinc(side, draws))
        chances = np.array([getattr(self, name) for name in SHAPES])
        shape = SHAPES[draws.choice(len(SHAPES), p=chances / chances.sum())]
        across, down = draws.uniform(order.sigma_low, order.sigma_high, 2)
        angle = draws.uniform(-math.pi, math.pi)
        if not shape.endswith("aniso"):
            down, angle = across, 0.0
        exponent = 1.0
        if shape.startswith("generalised"):
            exponent = _exponent(self.generalised_low, self.generalised_high, draws)
        elif shape.startswith("plateau"):
            exponent = _exponent(self.plateau_low, self.plateau_high, draws)
        distance = _distance(side, across, down, angle) ** exponent
        weights = 1 / (1 + distance) if shape.startswith("plateau") else np.exp(-0.5 * distance)
        return _filtered(x, weights / weights.sum())


def _exponent(low: float, high: float, draws: np.random.Generator) -> float:
    """Draw below 1 and above 1 with equal chances, as far as the range holds both."""
    split = min(max(1.0, low), high)
    return float(draws.uniform(low, split) if draws.random() < 0.5 else draws.uniform(split, high))


def _distance(side: int, across: float, down: float, angle: float) -> NDArray[np.float64]:
    """Return squared distances from the middle in standard deviations, side x side."""
    pixels = np.arange(side) - side // 2
    right, up = pixels[None, :], -pixels[:, None]
    along = right * math.cos(angle) + up * math.sin(angle)
    other = up * math.cos(angle) - right * math.sin(angle)
    return np.asarray((along / across) ** 2 + (other / down) ** 2, dtype=np.float64)


def _sinc(side: int, draws: np.random.Generator) -> NDArray[np.float64]:
    """Return a circular low-pass filter of random cutoff, side x side, sum 1: it rings as sharpening and JPEG do."""
    from scipy.special import j1

    cutoff = draws.uniform(math.pi / 3 if side < 13 else math.pi / 5, math.pi)
    pixels = np.arange(side) - side // 2
    radius = np.hypot(pixels[None, :], pixels[:, None])
    radius[side // 2, side // 2] = 1.0
    weights = cutoff * j1(cutoff * radius) / (2 * math.pi * radius)
    weights[side // 2, side // 2] = cutoff**2 / (4 * math.pi)
    return np.asarray(weights / weights.sum(), dtype=np.float64)


def _filtered(x: Tensor, weights: NDArray[np.float64] | None) -> Tensor:
    import torch

    if weights is None:
        return x
    first = -(len(weights) // 2)
    return sample(x, Taps(torch.from_numpy(weights), (first, first)), 1, "reflect")


def _resized(x: Tensor, order: Order, draws: np.random.Generator) -> Tensor:
    chances = np.array([order.up, order.down, order.keep])
    kind = int(draws.choice(3, p=chances / chances.sum()))
    factor = float((draws.uniform(1, order.enlarge), draws.uniform(order.shrink, 1), 1.0)[kind])
    mode = MODES[draws.integers(len(MODES))]
    height, width = (max(1, int(side * factor)) for side in x.shape[-2:])
    return _to_size(x, (height, width), mode)


def _to_size(x: Tensor, size: tuple[int, int], mode: str) -> Tensor:
    from torch.nn.functional import interpolate

    return x if tuple(x.shape[-2:]) == size else interpolate(x, size=size, mode=mode)


def _noisy(x: Tensor, order: Order, draws: np.random.Generator) -> Tensor:
    """Add Gaussian or Poisson noise, to all channels alike or to each; clip."""
    import torch

    image = x[0].numpy()
    gray, gaussian = draws.random() < order.gray, draws.random() < order.gaussian
    if gray:
        image = np.tensordot(LUMA, image, 1)[None]
    if gaussian:
        noise = draws.uniform(order.noise_low, order.noise_high) * draws.standard_normal(image.shape)
    else:
        factor = draws.uniform(order.poisson_low, order.poisson_high)
        levels = np.clip(np.floor(image + 0.5), 0, 255) / 255
        photons = 2.0 ** math.ceil(math.log2(max(len(np.unique(levels)), 2)))
        noise = 255 * factor * (draws.poisson(levels * photons) / photons - levels)
    return (x + torch.from_numpy(np.asarray(noise))[None]).clamp(0, 255)


def _quality(order: Order, draws: np.random.Generator) -> int:
    return int(draws.integers(order.quality_low, order.quality_high + 1))
