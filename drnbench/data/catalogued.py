"""Standard sets that are not at hand, as images of the sizes that the catalogue states: for plans, which read no pixel."""

from __future__ import annotations

from pathlib import Path

from drnbench.data.fingerprints import Fingerprint, fingerprint, json_sha256
from drnbench.data.packed import ImageInfo
from drnbench.datasets.catalogue import sizes
from drnbench.datasets.sources import WITHOUT, resolve
from drnbench.errors import DataError


def catalogued(source: str, cache: Path) -> Fingerprint | None:
    """Return stand-ins for the images of a source whose standard sets are, at least in part, not at hand.

    The first image of a set has its smallest size, the others its largest (or the smallest again, where that is a lower
    bound); both are 0 where the catalogue does not state them. The digest is that of no image.

    Args:
        source: as in `drnbench.datasets.sources.resolve`.
        cache: folder of the fingerprints of sets that are here.

    Returns:
        None where the catalogue does not help: every set is here, or one that is not is no standard set.

    """
    images: list[ImageInfo] = []
    absent = []
    for name in (part.strip() for part in source.split("+")):
        try:
            resolve(name)
        except DataError:
            base, _, left_out = name.partition(WITHOUT)
            if not (entries := sizes(base.strip())):
                return None
            absent.append(name)
            entries[-1] = entries[-1]._replace(images=entries[-1].images - left_out.count(",") - bool(left_out))
            for entry in entries:
                first = entry.smallest or (0, 0)
                others = entry.largest or first
                for number in range(entry.images):
                    width, height = others if number else first
                    image = f"image {number + 1} of {name}"
                    images.append(ImageInfo(image, Path(name) / str(number + 1), f"absent {image}", height, width))
        else:
            images += fingerprint(name, cache).images
    digest = json_sha256(["catalogue", source, [image.sha for image in images]])
    return Fingerprint(digest, tuple(images)) if absent else None
