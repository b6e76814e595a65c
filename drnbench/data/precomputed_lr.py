"""Precomputed LR images: a folder of them, matched to HR images by name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from drnbench.data.fingerprints import Fingerprint, fingerprint
from drnbench.data.packed import ImageInfo
from drnbench.datasets.pairing import matching_hr
from drnbench.errors import DataError


def precomputed_lr(hr_images: Sequence[ImageInfo], source: str, scale: int, cache: Path) -> Fingerprint:
    """Return the LR images of HR images, in their order, with the fingerprint of their whole source.

    Args:
        hr_images: with their fingerprints.
        source: of the LR images; it may hold further ones.
        scale: HR size over LR size; LR has the size of HR over the scale, rounded down.
        cache: the folder of fingerprints.

    Raises:
        DataError: an LR image that is missing, there twice, or of another size; or as `fingerprint`.
    """
    lr_source = fingerprint(source, cache)
    names = {hr.name for hr in hr_images}
    matched: dict[str, ImageInfo] = {}
    for lr in lr_source.images:
        name = matching_hr(lr.name, names)
        if name in matched:
            raise DataError(
                f"{source}: {matched[name].path} and {lr.path} both belong to {name}; keep one of them there"
            )
        if name is not None:
            matched[name] = lr
    for hr in hr_images:
        if hr.name not in matched:
            raise DataError(
                f"{source} has no LR image of {hr.path}: one is called {hr.name}.png or {hr.name}x{scale}.png"
            )
        lr, expected = matched[hr.name], (hr.height // scale, hr.width // scale)
        if (lr.height, lr.width) != expected:
            raise DataError(
                f"{lr.path} is {lr.width} x {lr.height} pixels, but {hr.path} at scale {scale} makes {expected[1]} x "
                f"{expected[0]}: check the scale and that both show the same picture"
            )
    return lr_source._replace(images=tuple(matched[hr.name] for hr in hr_images))
