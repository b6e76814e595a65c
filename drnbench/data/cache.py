"""The images of sources as pixels: HR, and the LR images made of them.

Everything in the cache is filed by content, is safe with concurrent writers, and may be deleted at any time:
`fingerprints.json`, `lr/`, `pixels/` (decoded images of large sources) and the frames of videos
(`drnbench.datasets.video`). Files that a killed process has finished are not made again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from drnbench.data.build import Build, Degrade, decode, each_image
from drnbench.data.disk_space import announce, is_large
from drnbench.data.fingerprints import Fingerprint, fingerprint, fingerprint_undecoded, json_sha256
from drnbench.data.packed import ImageInfo, ImageStack, PixelFile, Pixels, Shape, cut
from drnbench.degradations import kernels, parse
from drnbench.errors import DataError, UsageError
from drnbench.store.cache_files import building
from drnbench.store.code import code_fingerprint
from drnbench.store.environment import public, version
from drnbench.store.plug_ins import plug_in

if TYPE_CHECKING:
    from drnbench.degradations.kernel import Kernel

__all__ = [
    "CACHE_VERSION", "Fingerprint", "ImageInfo", "PixelSet", "fingerprint", "fingerprint_undecoded", "hr_files", "hr_set",
    "lr_files", "lr_set",
]  # fmt: skip

CACHE_VERSION = 2
"""Raised when the same kernel would make other pixels or files, so that old LR images are not used any more."""
CODE = "72b2c85f82fe10839b219709e54b689d5465688efbf1f46fa8a85dd4bdcbf7de"
"""Fingerprint of the degradations that make the files of `CACHE_VERSION`; edited ones have files of their own."""


@dataclass(frozen=True)
class PixelSet:
    """Files of pixels that belong together.

    Attributes:
        title: of the work that makes them, for messages.
        name: of the lock under which they are made.
        cache: folder of the cache.
        files: in the order of the images.
        make: makes the pixels of one image.
    """

    title: str
    name: str
    cache: Path
    files: tuple[PixelFile, ...]
    make: Callable[[ImageInfo], Pixels]

    def missing(self) -> list[PixelFile]:
        """Return the files that do not exist, or are not whole, each once."""
        return [entry for entry in {entry.file: entry for entry in self.files}.values() if not entry.intact()]

    def build(self, *, announced: bool = False) -> None:
        """Make the missing files, unless another process does; `announced`: their size has been printed and checked.

        Raises:
            UsageError: the cache cannot be written, or has no room.
            DataError: an image that cannot be read or has changed since its fingerprint was taken.
        """
        if not self.missing():
            return
        with building(self.cache, self.name, self.title) as parts:
            missing = self.missing()  # again: the process that held the lock has probably made them
            size = sum(entry.size for entry in missing)
            if not announced and is_large(size):
                announce(self.title, len(missing), size, self.cache)
            decoded_size = sum(3 * entry.image.height * entry.image.width for entry in missing)
            for result in each_image(Build(self.make, parts), missing, decoded_size, self.title):
                if result is not None:
                    raise result.kind(result.message)


def hr_files(images: Iterable[ImageInfo]) -> PixelSet:
    """Return the HR images that are kept as files; those of small sources are not."""
    files = tuple(image.pixel_file(image.cache) for image in images if image.cache is not None)
    cache = next((entry.image.cache for entry in files if entry.image.cache), Path())
    name = f"pixels-{json_sha256([str(entry.file) for entry in files])}"
    return PixelSet("unpacking HR images", name, cache, files, decode)


def hr_set(images: Iterable[ImageInfo], crop: int | None = None, *, modulo: int | None = None) -> Sequence[Pixels]:
    """Return the HR images, H x W x 3 uint8: read-only maps of files for large sources, else decoded into memory.

    Args:
        images: with their fingerprints.
        crop: the central square of at most this many pixels a side.
        modulo: then cropped to a multiple of this.

    Raises:
        DataError: an image that cannot be read, has changed since its fingerprint was taken, or is smaller than the
            modulo.
    """
    images = tuple(images)
    for image in images:
        _shape(image, crop, modulo)
    hr_files(images).build()
    entries = [cut(decode(i), crop, modulo) if i.cache is None else i.pixel_file(i.cache) for i in images]
    return ImageStack(entries, decode, crop, modulo)


def lr_files(
    images: Sequence[ImageInfo], kernel: str, scale: int, cache_dir: Path, crop: int | None = None,
    *, modulo: int | None = None,
) -> PixelSet:  # fmt: skip
    """Return the files of LR images, for the arguments of `lr_set`; for kernel `real` those of the images themselves."""
    modulo = scale if modulo is None else modulo
    if scale < 1 or modulo < 1 or modulo % scale:
        raise UsageError(f"HR cropped to a multiple of {modulo} does not fit scale {scale}")
    degradation, cache = parse(kernel), Path(cache_dir)
    if degradation.real:
        return hr_files(images)
    identity, makers, files = degradation.identity(), _makers(degradation), []
    for image in images:
        height, width, _ = _shape(image, crop, modulo)
        key = json_sha256([CACHE_VERSION, image.sha, identity, scale, crop, modulo, *makers])
        files.append(PixelFile(image, cache / "lr" / key[:2] / f"{key}.npy", (height // scale, width // scale, 3)))
    title, name = f"making LR images, {kernel} x{scale}", f"lr-{json_sha256([entry.file.name for entry in files])}"
    return PixelSet(title, name, cache, tuple(files), Degrade(degradation, scale, crop, modulo))


def _makers(kernel: Kernel) -> list[object]:
    """Return what computes a kernel's pixels, where it is not the code of `CODE`: other code makes other files."""
    outside = kernels.plug_in(kernel.name)
    made_by: list[object] = [public(version(package)) for package in kernel.packages]
    if (code := code_fingerprint("degradation")) != CODE:
        made_by.append(code)
    return made_by if outside is None else [*made_by, plug_in(outside)[1]["files"]]


def lr_set(
    images: Sequence[ImageInfo], kernel: str, scale: int, cache_dir: Path, crop: int | None = None,
    *, modulo: int | None = None,
) -> Sequence[Pixels]:  # fmt: skip
    """Return the LR images, h x w x 3 uint8, as read-only maps of their files.

    Each is made once and kept at `cache_dir/lr/<key[:2]>/<key>.npy`, where the key covers HR pixels, kernel with all
    its parameters, scale and crops; for a kernel of a plug-in its files, for JPEG the version of Pillow. Of two processes
    that ask for one set, one makes it and the other waits. Noise is drawn for each image by the sha of its pixels: the
    same in every set and order that holds the image. Images of kernel `real` are LR already and are returned unchanged,
    as by `hr_set`: not cropped to the modulo.

    Args:
        images: HR images with their fingerprints; LR images for kernel `real`.
        kernel: spec of the degradation.
        scale: HR size over LR size.
        cache_dir: the folder of the cache.
        crop: use the central HR square of at most this many pixels; LR pixels for kernel `real`.
        modulo: then crop HR to a multiple of this; none: the scale. The levels of an image pyramid share the
            modulo of the coarsest level, so that all cover the same HR pixels.

    Raises:
        UsageError: an unknown kernel, a modulo that is not a multiple of the scale, no room in the cache.
        DataError: an image that cannot be read, has changed, or is smaller than the modulo.
    """
    files = lr_files(images, kernel, scale, cache_dir, crop, modulo=modulo)
    if parse(kernel).real:
        return hr_set(images, crop)
    files.build()
    return ImageStack(files.files, files.make)


def _shape(image: ImageInfo, crop: int | None, modulo: int | None) -> Shape:
    """Return the shape that `cut` leaves of an image.

    Raises:
        DataError: it is smaller than the modulo.
    """
    try:
        height, width = cut(np.broadcast_to(np.uint8(0), image.shape), crop, modulo).shape[:2]
    except DataError as error:
        raise DataError(f"{image.path}: {error}") from None
    return height, width, 3
