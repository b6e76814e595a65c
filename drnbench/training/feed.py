"""From a stage's description to batches: image pyramids in memory, patches by (seed, step)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from drnbench.data.cache import ImageInfo, fingerprint, hr_set, lr_set
from drnbench.data.sampling import patches, pyramid_factors, uniforms, unpaired_count
from drnbench.errors import UnitError
from drnbench.schemes.base import Batch
from drnbench.trial import Data
from drnbench.units import StageUnit

Image = NDArray[np.uint8]


class Feed:
    """Everything a stage reads: training pairs, unpaired LR images, held-out images for validation.

    Images are decoded once and stay in memory as uint8.

    Raises:
        UnitError: the images changed since the plan was made.

    """

    def __init__(self, unit: StageUnit, cache: Path, device: torch.device) -> None:
        stage = unit.stage
        self.unit, self.device = unit, device
        images = _read(stage.data, unit.data_digest, cache)
        cut = len(images) - stage.holdout
        self.pyramid = _pyramid(images[:cut], stage.data, unit.scale, pyramid_factors(unit.scale), cache)
        self.heldout = {stage.data.kernel: _pyramid(images[cut:], stage.data, unit.scale, (unit.scale, 1), cache)}
        self.unpaired: dict[int, Sequence[Image]] = {}
        if stage.unpaired is not None and unit.unpaired_digest is not None:
            others = _read(stage.unpaired, unit.unpaired_digest, cache)
            self.unpaired = _pyramid(others, stage.unpaired, unit.scale, (unit.scale,), cache)
            # The held-out images under the other kernel too, to see the adaptation; no number depends on them.
            other = stage.data.model_copy(update={"kernel": stage.unpaired.kernel})
            self.heldout.setdefault(other.kernel, _pyramid(images[cut:], other, unit.scale, (unit.scale, 1), cache))

    def batch(self, step: int) -> Batch:
        """Return the batch of a step (from 0), on the device."""
        stage, scale = self.unit.stage, self.unit.scale
        m = unpaired_count(step, stage.rho, stage.batch) if self.unpaired else 0
        n = stage.batch - m
        draws = self._draws("pairs", step)[:n]
        pyramid = patches(self.pyramid, stage.patch, draws, augment=stage.augment)
        lr = pyramid[scale]
        if m:
            # The first m draws, so that more unpaired images extend the batch and do not replace it.
            cuts = patches(self.unpaired, stage.patch, self._draws("unpaired", step)[:m], augment=stage.augment)
            lr = np.concatenate([lr, cuts[scale]])
        on = {factor: torch.from_numpy(stack).to(self.device, non_blocking=True) for factor, stack in pyramid.items()}
        return Batch(torch.from_numpy(lr).to(self.device, non_blocking=True), on, n)

    def _draws(self, purpose: str, step: int) -> NDArray[np.float64]:
        unit = self.unit
        return uniforms(unit.seed, f"stage {unit.depth} {purpose}", step, (unit.stage.batch, 6))


def _read(data: Data, digest: str, cache: Path) -> tuple[ImageInfo, ...]:
    found = fingerprint(data.source, cache)
    if found.digest != digest:
        raise UnitError(f"the images of {data.source} changed since the plan was made; run the study again")
    return found.images


def _pyramid(
    images: Sequence[ImageInfo], data: Data, scale: int, factors: Sequence[int], cache: Path
) -> dict[int, Sequence[Image]]:
    """All images at the given factors, cropped so that every factor covers the same HR pixels."""
    out: dict[int, Sequence[Image]] = {}
    for factor in factors:
        if factor == 1:
            hr = hr_set(images, data.crop)
            out[1] = [img[: img.shape[0] // scale * scale, : img.shape[1] // scale * scale] for img in hr]
        else:
            out[factor] = lr_set(images, data.kernel, factor, cache, crop=data.crop, modulo=scale)
    return out
