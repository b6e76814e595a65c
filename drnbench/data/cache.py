"""Two caches: which pixels a source holds (fingerprints), and the LR images made of them.

Both are filed by content, are safe with concurrent writers, and may be deleted at any time. So may the third, the
frames of videos (`drnbench.data.video`).
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from drnbench.data.disk import lock, write
from drnbench.data.images import center_crop, mod_crop, read_rgb, to_tensor, to_uint8
from drnbench.data.sources import resolve
from drnbench.errors import DataError, UsageError

if TYPE_CHECKING:
    from drnbench.degradations.kernel import Kernel

CACHE_VERSION = 1
"""Raised when the same kernel would make other pixels, so that old LR images are not found any more."""

Pixels = NDArray[np.uint8]


class ImageInfo(NamedTuple):
    """An image that was decoded once: name, file, sha256 of its pixels and shape, and its size in pixels."""

    name: str
    path: Path
    sha: str
    height: int
    width: int


class Fingerprint(NamedTuple):
    """What a source holds: a sha256 (hex) over the ordered names and pixels, and the images."""

    digest: str
    images: tuple[ImageInfo, ...]


def fingerprint(source: str, cache_dir: Path) -> Fingerprint:
    """Return the fingerprint of a source's decoded pixels; this is the check of the images before any work.

    A file whose path, size and time are in `cache_dir/fingerprints.json` is not decoded again. The frames of a video
    become images in `cache_dir/frames` first.

    Raises:
        DataError: a source that does not exist, or an image that cannot be used.

    """
    store = Path(cache_dir) / "fingerprints.json"
    known = _load(store)
    fresh: dict[str, list[Any]] = {}
    images = []
    for name, path in resolve(source, Path(cache_dir)).images:
        key, stamp = _stamp(path)
        if key not in fresh and not _valid(known.get(key), stamp):
            pixels = read_rgb(path)
            fresh[key] = [*stamp, _pixel_sha(pixels), *pixels.shape[:2]]
        images.append(ImageInfo(name, path, *(fresh.get(key) or known[key])[2:]))
    if fresh:
        with lock(Path(cache_dir), "fingerprints"):
            # Read again under the lock: another process may have added its images meanwhile.
            write(store, json.dumps(_load(store) | fresh, indent=0).encode())
    listed = [[image.name, image.sha, image.height, image.width] for image in images]
    return Fingerprint(_sha(listed), tuple(images))


def hr_set(images: Iterable[ImageInfo], crop: int | None = None) -> list[Pixels]:
    """Return the HR images, H x W x 3 uint8, centrally cropped to at most `crop` pixels a side.

    Raises:
        DataError: an image that cannot be read or has changed since its fingerprint was taken.

    """
    return [_read(image, crop) for image in images]


def lr_set(
    images: Sequence[ImageInfo],
    kernel: str,
    scale: int,
    cache_dir: Path,
    crop: int | None = None,
    *,
    modulo: int | None = None,
) -> list[Pixels]:
    """Return the LR images, h x w x 3 uint8.

    Each is made once and kept as PNG at `cache_dir/lr/<key[:2]>/<key>.png`, where the key covers HR pixels,
    kernel with all its parameters, scale and crops. Two processes that want one set do not both make it. Noise is
    drawn for each image by the sha of its pixels: the same in every set and order that holds the image. Images of
    kernel `real` are LR already and come back as they are: neither cropped to the modulo nor cached.

    Args:
        images: HR images with their fingerprints; LR images for kernel `real`.
        kernel: spec of the degradation.
        scale: HR size over LR size.
        cache_dir: the folder of both caches.
        crop: use the central HR square of at most this many pixels; LR pixels for kernel `real`.
        modulo: then crop HR to a multiple of this; none: the scale. The levels of an image pyramid share the
            modulo of the coarsest one, so that all cover the same HR pixels.

    Raises:
        UsageError: an unknown kernel, or a modulo that is not a multiple of the scale.
        DataError: an image that cannot be read, has changed, or is smaller than the modulo.

    """
    from drnbench.degradations import parse

    modulo = scale if modulo is None else modulo
    if scale < 1 or modulo < 1 or modulo % scale:
        raise UsageError(f"HR cropped to a multiple of {modulo} does not fit scale {scale}")
    degradation = parse(kernel)
    if degradation.real:
        return hr_set(images, crop)
    what = degradation.identity()
    keys = [_sha([CACHE_VERSION, image.sha, what, scale, crop, modulo]) for image in images]
    files = [Path(cache_dir) / "lr" / key[:2] / f"{key}.png" for key in keys]
    found = [_cached(file) for file in files]
    if any(lr is None for lr in found):
        with lock(Path(cache_dir), _sha(keys)):
            # Look again under the lock: whoever held it has probably made the set.
            found = [_cached(file) if lr is None else lr for lr, file in zip(found, files, strict=True)]
            for i, lr in enumerate(found):
                if lr is None:
                    found[i] = _make(degradation, scale, _cut(images[i], crop, modulo), images[i].sha, files[i])
    return [lr for lr in found if lr is not None]


def _make(kernel: Kernel, scale: int, hr: Pixels, sha: str, file: Path) -> Pixels:
    from PIL import Image

    lr = to_uint8(kernel.degrade(to_tensor(hr), scale, int(sha[:16], 16)))
    buffer = io.BytesIO()
    Image.fromarray(lr).save(buffer, format="PNG")
    write(file, buffer.getvalue())
    return lr


def _cut(image: ImageInfo, crop: int | None, modulo: int) -> Pixels:
    pixels = _read(image, crop)
    try:
        return mod_crop(pixels, modulo)
    except DataError as error:
        raise DataError(f"{image.path}: {error}") from None


def _cached(file: Path) -> Pixels | None:
    """Return a kept LR image; None where there is none or it cannot be read, and then it is made again."""
    try:
        return read_rgb(file)
    except DataError:
        return None


def _read(image: ImageInfo, crop: int | None) -> Pixels:
    pixels = read_rgb(image.path)
    # A file replaced meanwhile would be trained on, and cached, under the name of the old pixels.
    if _pixel_sha(pixels) != image.sha:
        raise DataError(f"{image.path} has changed since this run began: run again")
    return pixels if crop is None else center_crop(pixels, crop)


def _pixel_sha(pixels: Pixels) -> str:
    digest = hashlib.sha256(f"{pixels.shape}".encode())
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()


def _sha(what: object) -> str:
    return hashlib.sha256(json.dumps(what, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _stamp(path: Path) -> tuple[str, list[int]]:
    try:
        stat = path.stat()
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}): check the path and its permissions") from None
    return str(path.resolve()), [stat.st_size, stat.st_mtime_ns]


def _load(store: Path) -> dict[str, Any]:
    try:
        loaded = json.loads(store.read_bytes())
    except (OSError, ValueError):
        return {}  # absent or broken: it only saves time, so it is built again
    return loaded if isinstance(loaded, dict) else {}


def _valid(entry: Any, stamp: list[int]) -> bool:
    if not isinstance(entry, list) or len(entry) != 5 or entry[:2] != stamp:
        return False
    return isinstance(entry[2], str) and all(isinstance(side, int) for side in entry[3:])
