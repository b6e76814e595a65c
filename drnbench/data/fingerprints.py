"""Fingerprints of sources: every image is decoded and hashed once, and recognised by path, size and time afterwards."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from drnbench.data.build import Decode, Unusable, each_image
from drnbench.data.disk_space import announce, is_large
from drnbench.data.fingerprint_cache import FileStamp, FingerprintCache, PixelRecord, header_size, save_records, stamp
from drnbench.data.packed import ImageInfo
from drnbench.datasets.sources import resolve
from drnbench.errors import DataError
from drnbench.store.cache_files import building

SAVE_S = 3.0
"""Seconds between two savings of fingerprints: at most this much decoding is lost to a kill."""


class Fingerprint(NamedTuple):
    """Content of a source: a sha256 (hex) over the ordered names and pixels, and the images.

    Attributes:
        large: its pixels are kept as files, which processes map instead of each decoding all images into memory.
    """

    digest: str
    images: tuple[ImageInfo, ...]
    large: bool = False


def fingerprint(source: str, cache_dir: Path) -> Fingerprint:
    """Return the fingerprint of a source's decoded pixels; this is the check of the images before any work.

    A file whose path, size and time are in `cache_dir/fingerprints.json` is not decoded again. The decoded pixels of a
    large source (`drnbench.data.disk_space`) are also kept in `cache_dir/pixels`; their size is printed first. The frames
    of a video become images in `cache_dir/frames`. The source is one of `drnbench.datasets.sources.resolve`.

    Raises:
        DataError: a source that does not exist, or images that cannot be used.
        UsageError: the cache cannot be written, or has no room.
    """
    cache = Path(cache_dir)
    resolved = resolve(source, cache)
    stamps: dict[Path, FileStamp] = {}
    problems: list[str] = []
    for image_file in resolved.images:
        try:
            stamps[image_file.path] = stamp(image_file.path)
        except DataError as error:
            problems.append(str(error))
    _refuse(problems, resolved.label)
    stored = FingerprintCache(cache)
    records = {file: record for file in stamps.values() if (record := stored.get(file)) is not None}
    if any(file not in records for file in stamps.values()):
        records = _decode_all(resolved.label, stamps, cache)
    large = is_large(_decoded_size(records.values()))
    images = []
    for name, path in resolved.images:
        image = ImageInfo(name, path, *records[stamps[path]])
        kept = large or image.pixel_file(cache).file.is_file()
        images.append(image._replace(cache=cache) if kept else image)
    digest = json_sha256([[image.name, image.sha, image.height, image.width] for image in images])
    return Fingerprint(digest, tuple(images), large)


def fingerprint_undecoded(source: str, cache_dir: Path) -> Fingerprint:
    """Return the images of a source without decoding anything, and an empty digest.

    Images without a record have the size of their headers and an empty sha.

    Raises:
        DataError: a source that does not exist.
    """
    cache, images = Path(cache_dir), []
    stored = FingerprintCache(cache)
    for name, path in resolve(source).images:
        file = stamp(path)
        record = stored.get(file) or _kept_record(stored, file, path, cache) or PixelRecord("", *header_size(path))
        images.append(ImageInfo(name, path, *record))
    return Fingerprint("", tuple(images), is_large(_decoded_size(images)))


def json_sha256(content: object) -> str:
    """Return the sha256 (hex) of JSON in ASCII with sorted keys and no spaces.

    >>> json_sha256([1, "a"])[:12]
    '2010945388e2'
    """
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _decode_all(label: str, stamps: dict[Path, FileStamp], cache: Path) -> dict[FileStamp, PixelRecord]:
    """Return the records of all images, decoding those without one."""
    title, paths = f"reading {label}", {file: path for path, file in stamps.items()}
    with building(cache, f"pixels-{json_sha256(sorted(file.path for file in paths))}", title) as parts:
        stored = FingerprintCache(cache)  # again: the process that held the lock has probably added them
        records = {file: record for file in paths if (record := stored.get(file)) is not None}
        missing = [file for file in paths if file not in records]
        sizes = {file: _decoded_size([record]) for file, record in records.items()}
        sizes |= {file: _decoded_size([PixelRecord("", *header_size(paths[file]))]) for file in missing}
        size, large = sum(sizes[file] for file in missing), is_large(sum(sizes.values()))
        if large and (new := [file for file in missing if _kept_record(stored, file, paths[file], cache) is None]):
            announce(label, len(new), sum(sizes[file] for file in new), cache / "pixels")
        unsaved: dict[FileStamp, PixelRecord] = {}
        problems: list[str] = []
        saved = time.monotonic()
        try:
            work = Decode(cache if large else None, parts)
            results = each_image(work, [paths[file] for file in missing], size, title)
            for file, result in zip(missing, results, strict=True):
                if isinstance(result, Unusable):
                    problems.append(result.message)
                    continue
                unsaved[file] = records[file] = result
                if time.monotonic() - saved > SAVE_S:
                    save_records(cache, unsaved)
                    unsaved, saved = {}, time.monotonic()
        finally:
            if unsaved:
                save_records(cache, unsaved)
    _refuse(problems, label)
    return records


def _refuse(problems: Sequence[str], label: str) -> None:
    """Raise an error for images that cannot be used: all of them are counted, the first are named."""
    if problems:
        more = f" (and {len(problems) - 1} more of {label} cannot be used: {'; '.join(problems[1:4])})"
        raise DataError(f"{problems[0]}{more if problems[1:] else ''}")


def _kept_record(stored: FingerprintCache, file: FileStamp, path: Path, cache: Path) -> PixelRecord | None:
    """Return the last record of a changed file if its pixels are kept: in all likelihood it was copied and is the same.

    Good for sizes; the file is decoded all the same.
    """
    latest = stored.latest(file)
    return latest if latest is not None and ImageInfo("", path, *latest).pixel_file(cache).intact() else None


def _decoded_size(images: Iterable[PixelRecord | ImageInfo]) -> int:
    """Return the bytes of decoded RGB images."""
    return sum(3 * image.height * image.width for image in images)
