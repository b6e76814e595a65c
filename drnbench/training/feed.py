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
from drnbench.data.sampling import crops, patches, pyramid_factors, turns, uniforms
from drnbench.degradations import check_kernel
from drnbench.errors import ChangedError
from drnbench.schemes import schemes
from drnbench.schemes.base import Batch
from drnbench.training.ahead import Ahead
from drnbench.training.reads import Read, reads_by_purpose

Image = NDArray[np.uint8]
Pyramid = dict[int, Sequence[Image]]
Images = dict[str, dict[int, Tensor]]
"""Patches by purpose and factor."""


class Feed:
    """The images of a stage: training pairs, unpaired LR images, HR images alone, held-out images for validation.

    HR images of small sources are decoded once and stay in memory as uint8; those of large ones, and all LR images, are
    files that are mapped while a patch is cut (`drnbench.data.packed`). Images that the scheme never asks for are never
    made.

    Args:
        unit, cache, device: the stage, where its images are kept, and where its batches go.
        ahead: prepare batches of the next steps in a thread, as bytes that are turned on the device; None: on a GPU alone,
            as on a processor the thread takes the time that it saves. The patches are equal bit for bit.

    Raises:
        ChangedError: the images changed since the plan was made.
    """

    def __init__(self, unit: StageUnit, cache: Path, device: torch.device, *, ahead: bool | None = None) -> None:
        self.unit, self.device, self.cache = unit, device, cache
        stage = unit.stage
        assert stage.scheme is not None
        self._mix = partial(schemes.get(stage.scheme).mix, stage)
        self._reads = reads_by_purpose(stage, unit.scale, unpaired=unit.unpaired_digest is not None)
        self._images = {stage.data.source: _read(stage.data, unit.data_digest, cache)}
        if stage.unpaired is not None and unit.unpaired_digest is not None:
            self._images[stage.unpaired.source] = _read(stage.unpaired, unit.unpaired_digest, cache)
        self._pyramids: dict[str, Pyramid] = {}
        is_ahead = device.type == "cuda" if ahead is None else ahead
        self._ahead = Ahead(self._crops, stage.steps) if is_ahead else None

    def close(self) -> None:
        """End the thread that prepares batches, if there is one."""
        if self._ahead is not None:
            self._ahead.close()

    def batch(self, step: int) -> Batch:
        """Return the batch of a step (from 0), on the device."""
        stage, scale = self.unit.stage, self.unit.scale
        images = self._turned(self._ahead.get(step)) if self._ahead is not None else self._patches(step)
        pairs = images.get("pairs", {})
        lr = [pairs[scale]] if pairs else []
        if "unpaired" in images:
            # The first draws, so that more unpaired images extend the batch and do not replace it.
            lr.append(images["unpaired"][scale])
        # Patches of two sizes are no one tensor.
        split = len(lr) == 2 and lr[0].shape != (len(lr[0]), *lr[1].shape[1:])
        others = lr.pop() if split else torch.zeros(0, 3, 0, 0, device=self.device)
        hr = images["hr"][1] if "hr" in images else torch.zeros(0, 3, stage.patch, stage.patch, device=self.device)
        pyramid = pairs or self._empty(lr[0].shape[-1] * scale if lr else stage.patch)
        return Batch(
            lr=_joined(lr) if lr else pyramid[scale],
            pyramid=pyramid,
            n_pairs=len(pairs[scale]) if pairs else 0,
            hr=hr,
            chance=lambda purpose, shape: uniforms(self.unit.seed, f"stage {self.unit.depth} {purpose}", step, shape),
            others=others,
        )

    def heldout(self) -> dict[str, Pyramid]:
        """Return the held-out images by kernel: the stage's own, and that of its unpaired images to follow the adaptation.

        No weight depends on them.
        """
        kernels = [purpose.removeprefix("held ") for purpose in self._reads if purpose.startswith("held ")]
        return {kernel: self._pyramid(f"held {kernel}") for kernel in kernels}

    def _draws(self, step: int) -> dict[str, tuple[int, NDArray[np.float64]]]:
        """Return the side of the patches of each purpose in HR pixels, and their draws.

        The draws are made for a whole batch, so slot i is the same patch in every arm of a seed.
        """
        unit, stage, mix = self.unit, self.unit.stage, self._mix(step)
        counts = {"pairs": mix.pairs, "unpaired": mix.unpaired, "hr": mix.hr}
        sides = {"unpaired": stage.unpaired_patch or stage.patch}
        wanted = {name: count for name, count in counts.items() if count}
        return {
            purpose: (
                sides.get(purpose, stage.patch),
                uniforms(unit.seed, f"stage {unit.depth} {purpose}", step, (stage.batch, 6))[:count],
            )
            for purpose, count in (wanted or {"pairs": 0}).items()
        }

    def _patches(self, step: int) -> Images:
        """Return the patches of each purpose by factor: n x 3 x h x w, float32 in 0..255, made on the processor."""
        augment = self.unit.stage.augment
        return {
            purpose: {
                factor: torch.from_numpy(stack).to(self.device)
                for factor, stack in patches(self._pyramid(purpose), side, draws, augment=augment).items()
            }
            for purpose, (side, draws) in self._draws(step).items()
        }

    def _crops(self, step: int) -> dict[str, tuple[dict[int, Tensor], Tensor]]:
        """Return the crops of each purpose by factor, n x h x w x 3 as bytes, and their turns, in memory to copy from."""

        def held(array: NDArray[np.generic]) -> Tensor:
            tensor = torch.from_numpy(array)
            return tensor.pin_memory() if self.device.type == "cuda" else tensor

        return {
            purpose: (
                {factor: held(stack) for factor, stack in crops(self._pyramid(purpose), side, draws).items()},
                held(turns(draws)),
            )
            for purpose, (side, draws) in self._draws(step).items()
        }

    def _turned(self, cut: dict[str, tuple[dict[int, Tensor], Tensor]]) -> Images:
        """Return crops as `_patches` makes them, bit for bit, by way of the device: a quarter of the bytes is copied."""
        return {
            purpose: {factor: self._turn(stack, turned) for factor, stack in stacks.items()}
            for purpose, (stacks, turned) in cut.items()
        }

    def _turn(self, stack: Tensor, turned: Tensor) -> Tensor:
        images = stack.to(self.device, non_blocking=True).permute(0, 3, 1, 2).to(torch.float32).contiguous()
        if self.unit.stage.augment:
            flip_h, flip_v, transpose = turned.to(self.device, non_blocking=True).view(-1, 3, 1, 1, 1).unbind(1)
            images = torch.where(flip_h, images.flip(3), images)
            images = torch.where(flip_v, images.flip(2), images)
            images = torch.where(transpose, images.transpose(2, 3), images)
        return _in_order(images, transposed=self.unit.stage.augment and bool(turned[:, 2].all()))

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

    def _empty(self, patch: int) -> dict[int, Tensor]:
        return {
            f: torch.zeros(0, 3, patch // f, patch // f, device=self.device) for f in pyramid_factors(self.unit.scale)
        }


def _in_order(images: Tensor, *, transposed: bool) -> Tensor:
    """Return images with the order of axes in memory that `patches` gives them; convolutions round by it."""
    if transposed:
        return images.transpose(2, 3).contiguous(memory_format=torch.channels_last).transpose(2, 3)
    return images.contiguous(memory_format=torch.channels_last)


def _joined(parts: Sequence[Tensor]) -> Tensor:
    """Return batches one after the other, with columns outside of rows in memory only where all of them have that."""
    if len(parts) == 1:
        return parts[0]
    return _in_order(torch.cat(list(parts)), transposed=all(part.stride(2) < part.stride(3) for part in parts))


def _read(data: Data, digest: str, cache: Path) -> tuple[ImageInfo, ...]:
    source = fingerprint(data.source, cache)
    if source.digest != digest:
        raise ChangedError(f"the images of {data.source} changed since the plan was made; run the study again")
    return source.images
