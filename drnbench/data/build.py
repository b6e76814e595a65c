"""Decoding, hashing and degrading of images for the cache, in one process or in several."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from drnbench.data.fingerprint_cache import PixelRecord
from drnbench.data.images import degrade, pixel_sha, read_rgb
from drnbench.data.packed import ImageInfo, PixelFile, Pixels, cut
from drnbench.errors import ChangedImageError, DataError, UnitError, UsageError
from drnbench.parallel import Failed, Work, each

if TYPE_CHECKING:
    from drnbench.degradations.kernel import Kernel

T = TypeVar("T")
R = TypeVar("R")

PARALLEL_BYTES = 256 * 2**20
"""Bytes of decoded images from which on several processes are faster than one, their start included."""


@dataclass(frozen=True)
class Unusable:
    """Result for an image that cannot be used; `Failed`, in contrast, ends the whole work.

    Attributes:
        message: what is wrong.
        kind: class of the error.
    """

    message: str
    kind: type[DataError] = DataError


@dataclass
class Decode(Work[Path, PixelRecord | Unusable]):
    """Decode and hash an image, and keep its pixels as a file where a cache is given.

    Attributes:
        cache: folder of the pixels; None: they are not kept.
        parts: folder of half-written files.
    """

    cache: Path | None
    parts: Path

    def __call__(self, item: Path) -> PixelRecord | Unusable:
        """Return the record of an image; `Unusable` if it cannot be read."""
        try:
            pixels = read_rgb(item)
        except DataError as error:
            return Unusable(str(error), type(error))
        record = PixelRecord(pixel_sha(pixels), *pixels.shape[:2])
        if self.cache is not None:
            pixel_file = ImageInfo(item.stem, item, *record).pixel_file(self.cache)
            if not pixel_file.intact():  # another set may hold the picture
                pixel_file.save(pixels, self.parts)
        return record


@dataclass
class Build(Work[PixelFile, Unusable | None]):
    """Make a file of pixels unless it exists.

    Attributes:
        make: pixels of an image.
        parts: folder of half-written files.
    """

    make: Callable[[ImageInfo], Pixels]
    parts: Path

    def __call__(self, item: PixelFile) -> Unusable | None:
        """Return None; `Unusable` if the image cannot be read."""
        try:
            if not item.intact():
                item.save(self.make(item.image), self.parts)
        except DataError as error:
            return Unusable(str(error), type(error))
        return None


@dataclass(frozen=True)
class Degrade:
    """Make the LR pixels of an image: cropped as `cut` does, then degraded."""

    kernel: Kernel
    scale: int
    crop: int | None
    modulo: int

    def __call__(self, image: ImageInfo) -> Pixels:
        """Return h x w x 3."""
        return degrade(self.kernel, cut(full_image(image), self.crop, self.modulo), self.scale, image.sha)


def full_image(image: ImageInfo) -> Pixels:
    """Return the uncropped pixels of an image, from their file where the cache has one.

    Raises:
        DataError: it cannot be read or has changed since its fingerprint was taken.
    """
    pixels = image.pixel_file(image.cache).view() if image.cache is not None else None
    return decode(image) if pixels is None else pixels


def decode(image: ImageInfo) -> Pixels:
    """Decode an image; errors as in `full_image`."""
    pixels = read_rgb(image.path, compared=True)
    # A file that was replaced meanwhile would be trained on, and cached, under the name of the old pixels.
    if pixel_sha(pixels) != image.sha:
        raise ChangedImageError(f"{image.path} has changed since this run began: run again")
    return pixels


def each_image(work: Work[T, R], items: Sequence[T], size: int, title: str) -> Iterator[R]:
    """Yield the result of every item, in order, in several processes if there is enough to do.

    Workers of a run use one process: they may have no children, and each has but one core. `size`: bytes of all images
    decoded; `title`: of the progress display.

    Raises:
        UsageError: the cache cannot be written.
    """
    single = multiprocessing.parent_process() is not None or size < PARALLEL_BYTES
    done = 0
    try:
        for result in each(work, items, 1 if single else None, title):
            yield _checked(result)
            done += 1
    except UnitError:
        print(f"{title}: a process was killed, perhaps for want of memory; one goes on", file=sys.stderr, flush=True)
        for result in each(work, items[done:], 1, title):
            yield _checked(result)


def _checked(result: R | Failed) -> R:
    if isinstance(result, Failed):
        raise UsageError(result.message)
    return result
