"""The work behind the cache: images decoded, hashed and degraded, in one process or in several."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from drnbench.data.fingerprint_cache import Look
from drnbench.data.images import read_rgb
from drnbench.data.lr import degrade, pixel_sha
from drnbench.data.packed import ImageInfo, Kept, Pixels, cut
from drnbench.errors import DataError, UnitError, UsageError
from drnbench.parallel import Failed, Work, each

if TYPE_CHECKING:
    from drnbench.degradations.kernel import Kernel

T = TypeVar("T")
R = TypeVar("R")

PARALLEL = 256 * 2**20
"""Bytes of decoded images that make up for starting further processes."""


@dataclass(frozen=True)
class Bad:
    """Stands in the place of the result of an image that cannot be used; `Failed` then means that nothing can go on."""

    message: str


@dataclass
class Decode(Work[Path, Look | Bad]):
    """Decodes and hashes an image, and keeps its pixels as a file where a cache is given.

    Attributes:
        cache: keeps the pixels; none: they are not kept.
        parts: folder of half-written files.

    """

    cache: Path | None
    parts: Path

    def __call__(self, item: Path) -> Look | Bad:
        """Return what the image's pixels are; `Bad` where it cannot be read."""
        try:
            pixels = read_rgb(item)
        except DataError as error:
            return Bad(str(error))
        look = Look(pixel_sha(pixels), *pixels.shape[:2])
        if self.cache is not None:
            kept = ImageInfo(item.stem, item, *look).kept(self.cache)
            if not kept.intact():  # another set may hold the picture
                kept.save(pixels, self.parts)
        return look


@dataclass
class Build(Work[Kept, Bad | None]):
    """Makes a file of pixels unless it is there."""

    make: Callable[[ImageInfo], Pixels]
    parts: Path

    def __call__(self, item: Kept) -> Bad | None:
        """Return None; `Bad` where the image cannot be used."""
        try:
            if not item.intact():
                item.save(self.make(item.image), self.parts)
        except DataError as error:
            return Bad(str(error))
        return None


@dataclass(frozen=True)
class Degrade:
    """Makes the LR pixels of an image: cropped as `cut` does, then degraded."""

    kernel: Kernel
    scale: int
    crop: int | None
    modulo: int

    def __call__(self, image: ImageInfo) -> Pixels:
        """Return h x w x 3."""
        return degrade(self.kernel, cut(whole(image), self.crop, self.modulo), self.scale, image.sha)


def whole(image: ImageInfo) -> Pixels:
    """Return all pixels of an image, from their file where the cache has one.

    Raises:
        DataError: it cannot be read or has changed since its fingerprint was taken.

    """
    pixels = image.kept(image.cache).view() if image.cache is not None else None
    return decoded(image) if pixels is None else pixels


def decoded(image: ImageInfo) -> Pixels:
    """Decode an image; errors as in `whole`."""
    pixels = read_rgb(image.path)
    # A file replaced meanwhile would be trained on, and cached, under the name of the old pixels.
    if pixel_sha(pixels) != image.sha:
        raise DataError(f"{image.path} has changed since this run began: run again")
    return pixels


def every(work: Work[T, R], items: Sequence[T], size: int, title: str) -> Iterator[R]:
    """Yield the result of every item, in order, by as many processes as `size` bytes of decoded images are worth.

    Workers of a run do it alone: they may have no children, and each has but one core.

    Raises:
        UsageError: the cache cannot be written.

    """
    alone = multiprocessing.parent_process() is not None or size < PARALLEL
    done = 0
    try:
        for result in each(work, items, 1 if alone else None, title):
            yield _go_on(result)
            done += 1
    except UnitError:
        print(f"{title}: a process was killed, perhaps for want of memory; one goes on", file=sys.stderr, flush=True)
        for result in each(work, items[done:], 1, title):
            yield _go_on(result)


def _go_on(result: R | Failed) -> R:
    if isinstance(result, Failed):
        raise UsageError(result.message)
    return result
