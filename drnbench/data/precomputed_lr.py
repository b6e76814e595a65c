"""LR images that somebody else made: a folder of them, matched to HR images by name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from drnbench.data.fingerprints import Fingerprint, fingerprint
from drnbench.data.packed import ImageInfo
from drnbench.data.pairing import owner
from drnbench.errors import DataError


def ready(images: Sequence[ImageInfo], source: str, scale: int, cache: Path) -> Fingerprint:
    """Return the LR images of HR images, in their order, with the fingerprint of their whole source.

    Args:
        images: HR, with their fingerprints.
        source: of the LR images; it may hold more than are wanted.
        scale: HR size over LR size; LR has the size of HR over the scale, rounded down.
        cache: the folder of fingerprints.

    Raises:
        DataError: an LR image that is not there, there twice, or of another size; or as `fingerprint`.

    """
    found = fingerprint(source, cache)
    names = {image.name for image in images}
    matched: dict[str, ImageInfo] = {}
    for one in found.images:
        name = owner(one.name, names)
        if name in matched:
            raise DataError(
                f"{source}: {matched[name].path} and {one.path} both belong to {name}; keep one of them there"
            )
        if name is not None:
            matched[name] = one
    for hr in images:
        if hr.name not in matched:
            raise DataError(
                f"{source} has no LR image of {hr.path}: one is called {hr.name}.png or {hr.name}x{scale}.png"
            )
        lr, wanted = matched[hr.name], (hr.height // scale, hr.width // scale)
        if (lr.height, lr.width) != wanted:
            raise DataError(
                f"{lr.path} is {lr.width} x {lr.height} pixels, but {hr.path} at scale {scale} makes {wanted[1]} x "
                f"{wanted[0]}: check the scale and that both show the same picture"
            )
    return found._replace(images=tuple(matched[hr.name] for hr in images))
