"""Batches of a stage: image pyramids, patches by (seed, step)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from drnbench.config.trial import Data
from drnbench.config.units import StageUnit
from drnbench.data.cache import ImageInfo, fingerprint, hr_set, lr_set
from drnbench.data.precomputed_lr import precomputed_lr
from drnbench.data.sampling import patches, pyramid_factors, uniforms
from drnbench.degradations import check_kernel
from drnbench.errors import ChangedError
from drnbench.schemes import schemes
from drnbench.schemes.base import Batch
from drnbench.training.reads import Read, reads_by_purpose

Image = NDArray[np.uint8]
Pyramid = dict[int, Sequence[Image]]


class Feed:
    """The images of a stage: training pairs, unpaired LR images, HR images alone, held-out images for validation.

    HR images of small sources are decoded once and stay in memory as uint8; those of large ones, and all LR images, are
    files that are mapped while a patch is cut (`drnbench.data.packed`). Images that the scheme never asks for are never
    made.

    Raises:
        ChangedError: the images changed since the plan was made.
    """

    def __init__(self, unit: StageUnit, cache: Path, device: torch.device) -> None:
        self.unit, self.device, self.cache = unit, device, cache
        stage = unit.stage
        assert stage.scheme is not None
        self._mix = partial(schemes.get(stage.scheme).mix, stage)
        self._reads = reads_by_purpose(stage, unit.scale, unpaired=unit.unpaired_digest is not None)
        self._images = {stage.data.source: _read(stage.data, unit.data_digest, cache)}
        if stage.unpaired is not None and unit.unpaired_digest is not None:
            self._images[stage.unpaired.source] = _read(stage.unpaired, unit.unpaired_digest, cache)
        self._pyramids: dict[str, Pyramid] = {}

    def batch(self, step: int) -> Batch:
        """Return the batch of a step (from 0), on the device."""
        stage, scale = self.unit.stage, self.unit.scale
        mix = self._mix(step)
        pairs = self._cut("pairs", step, mix.pairs) if mix.pairs or not (mix.unpaired or mix.hr) else {}
        lr = [pairs[scale]] if pairs else []
        if mix.unpaired:
            # The first draws, so that more unpaired images extend the batch and do not replace it.
            lr.append(self._cut("unpaired", step, mix.unpaired)[scale])
        # Patches of two sizes are no one tensor.
        split = len(lr) == 2 and lr[0].shape != (len(lr[0]), *lr[1].shape[1:])
        others = lr.pop() if split else np.zeros((0, 3, 0, 0), np.float32)
        hr = self._cut("hr", step, mix.hr)[1] if mix.hr else np.zeros((0, 3, stage.patch, stage.patch), np.float32)
        pyramid = pairs or self._empty(lr[0].shape[-1] * scale if lr else stage.patch)
        return Batch(
            lr=self._on(np.concatenate(lr) if lr else pyramid[scale]),
            pyramid={factor: self._on(stack) for factor, stack in pyramid.items()},
            n_pairs=mix.pairs,
            hr=self._on(hr),
            chance=lambda purpose, shape: uniforms(self.unit.seed, f"stage {self.unit.depth} {purpose}", step, shape),
            others=self._on(others),
        )

    def heldout(self) -> dict[str, Pyramid]:
        """Return the held-out images by kernel: the stage's own, and that of its unpaired images to follow the adaptation.

        No weight depends on them.
        """
        kernels = [purpose.removeprefix("held ") for purpose in self._reads if purpose.startswith("held ")]
        return {kernel: self._pyramid(f"held {kernel}") for kernel in kernels}

    def _cut(self, purpose: str, step: int, n: int) -> dict[int, NDArray[np.float32]]:
        """Cut `n` patches; the draws are made for a whole batch, so slot i is the same patch in every arm of a seed."""
        unit, stage = self.unit, self.unit.stage
        draws = uniforms(unit.seed, f"stage {unit.depth} {purpose}", step, (stage.batch, 6))[:n]
        side = stage.unpaired_patch or stage.patch if purpose == "unpaired" else stage.patch
        return patches(self._pyramid(purpose), side, draws, augment=stage.augment)

    def _pyramid(self, purpose: str) -> Pyramid:
        """Return all images for a purpose at its factors, cropped so that every factor covers the same HR pixels."""
        if purpose not in self._pyramids:
            read = self._reads[purpose]
            images = read.select(self._images[read.data.source])
            self._pyramids[purpose] = {factor: self._images_at(factor, read, images) for factor in read.factors}
        return self._pyramids[purpose]

    def _images_at(self, factor: int, read: Read, images: Sequence[ImageInfo]) -> Sequence[Image]:
        data = read.data
        if factor == 1:
            return hr_set(images, data.crop, modulo=read.scale)
        if factor in read.made or data.lr is None:
            lr = lr_set(images, data.kernel, factor, self.cache, crop=data.crop, modulo=read.scale)
            check_kernel(data.kernel, self.unit.kernel_digests.get(data.kernel))
            return lr
        lr_source = precomputed_lr(images, data.lr, read.scale, self.cache)
        if lr_source.digest != self.unit.ready_digests.get(data.lr):
            raise ChangedError(f"the LR images of {data.lr} changed since the plan was made; run the study again")
        return hr_set(lr_source.images)

    def _empty(self, patch: int) -> dict[int, NDArray[np.float32]]:
        return {f: np.zeros((0, 3, patch // f, patch // f), np.float32) for f in pyramid_factors(self.unit.scale)}

    def _on(self, stack: NDArray[np.float32]) -> Tensor:
        return torch.from_numpy(stack).to(self.device, non_blocking=True)


def _read(data: Data, digest: str, cache: Path) -> tuple[ImageInfo, ...]:
    source = fingerprint(data.source, cache)
    if source.digest != digest:
        raise ChangedError(f"the images of {data.source} changed since the plan was made; run the study again")
    return source.images
