"""Which pixels a source holds: every image decoded and hashed once, and known by path, size and time afterwards."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path
from typing import NamedTuple

from drnbench.data.build import Bad, Decode, every
from drnbench.data.disk_space import is_large, tell
from drnbench.data.fingerprint_cache import Known, Look, Stamp, header_size, learn, stamp
from drnbench.data.packed import ImageInfo
from drnbench.datasets.sources import resolve
from drnbench.errors import DataError
from drnbench.store.cache_files import building

SAVE_S = 3.0
"""Seconds between two savings of fingerprints: at most this much decoding is lost to a kill."""


class Fingerprint(NamedTuple):
    """What a source holds: a sha256 (hex) over the ordered names and pixels, and the images.

    Attributes:
        large: its pixels are kept as files, which processes map instead of each decoding all images into memory.

    """

    digest: str
    images: tuple[ImageInfo, ...]
    large: bool = False


def fingerprint(source: str, cache_dir: Path) -> Fingerprint:
    """Return the fingerprint of a source's decoded pixels; this is the check of the images before any work.

    A file whose path, size and time are in `cache_dir/fingerprints.json` is not decoded again. Of a large source
    (`drnbench.data.disk_space`), what is decoded is also kept in `cache_dir/pixels`; what that takes is said first. The
    frames of a video become images in `cache_dir/frames`.

    Raises:
        DataError: a source that does not exist, or images that cannot be used.
        UsageError: the cache cannot be written, or has no room.

    """
    cache = Path(cache_dir)
    found = resolve(source, cache)
    stamps = {file.path: stamp(file.path) for file in found.images}
    known = Known(cache)
    looks = {of: known.get(of) for of in stamps.values()}
    if None in looks.values():
        looks.update(_look(found.label, stamps, cache))
    sure = {of: look for of, look in looks.items() if look is not None}
    large = is_large(sum(3 * look.height * look.width for look in sure.values()))
    images = []
    for name, path in found.images:
        image = ImageInfo(name, path, *sure[stamps[path]])
        there = large or image.kept(cache).file.is_file()
        images.append(image._replace(cache=cache) if there else image)
    listed = [[image.name, image.sha, image.height, image.width] for image in images]
    return Fingerprint(sha(listed), tuple(images), large)


def glance(source: str, cache_dir: Path) -> Fingerprint:
    """Return what can be told of a source without decoding anything, without digest.

    Images of which nothing is known have the size of their headers and an empty sha.

    Raises:
        DataError: a source that does not exist.

    """
    cache, images = Path(cache_dir), []
    known = Known(cache)
    for name, path in resolve(source).images:
        of = stamp(path)
        look = known.get(of) or _kept(known, of, path, cache) or Look("", *header_size(path))
        images.append(ImageInfo(name, path, *look))
    return Fingerprint("", tuple(images), is_large(sum(3 * image.height * image.width for image in images)))


def _look(label: str, stamps: dict[Path, Stamp], cache: Path) -> dict[Stamp, Look]:
    """Decode the images that nothing is known of."""
    title, paths = f"reading {label}", {of: path for path, of in stamps.items()}
    with building(cache, f"pixels-{sha(sorted(of.path for of in paths))}", title) as parts:
        known = Known(cache)  # again: whoever held the lock has probably looked
        looks = {of: look for of in paths if (look := known.get(of)) is not None}
        left = [of for of in paths if of not in looks]
        sizes = {of: 3 * look.height * look.width for of, look in looks.items()}
        sizes |= {of: 3 * height * width for of in left for height, width in [header_size(paths[of])]}
        size, large = sum(sizes[of] for of in left), is_large(sum(sizes.values()))
        if large and (lacking := [of for of in left if _kept(known, of, paths[of], cache) is None]):
            tell(label, len(lacking), sum(sizes[of] for of in lacking), cache / "pixels")
        fresh: dict[Stamp, Look] = {}
        bad: list[str] = []
        saved = time.monotonic()
        try:
            work = Decode(cache if large else None, parts)
            for of, result in zip(left, every(work, [paths[of] for of in left], size, title), strict=True):
                if isinstance(result, Bad):
                    bad.append(result.message)
                    continue
                fresh[of] = looks[of] = result
                if time.monotonic() - saved > SAVE_S:
                    learn(cache, fresh)
                    fresh, saved = {}, time.monotonic()
        finally:
            if fresh:
                learn(cache, fresh)
    if bad:
        more = f" (and {len(bad) - 1} more of {label} cannot be used: {'; '.join(bad[1:4])})" if bad[1:] else ""
        raise DataError(f"{bad[0]}{more}")
    return looks


def _kept(known: Known, of: Stamp, path: Path, cache: Path) -> Look | None:
    """Return what a changed file was, if those pixels are kept: in all likelihood it was copied anew and has them still.

    Good for sizes; the file is decoded all the same.
    """
    last = known.last(of)
    return last if last is not None and ImageInfo("", path, *last).kept(cache).intact() else None


def sha(what: object) -> str:
    """Return the sha256 (hex) of canonical JSON."""
    return hashlib.sha256(json.dumps(what, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
