"""Fetching of sets of images and weights: once, whole, and verified by checksum.

A download lies in ROOT/.fetch/FILE until it is complete: the archive, its `.part` while it arrives, and the images until
the last is unpacked; then they are renamed to ROOT/NAME/HR. A lock makes a second process wait for the first.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
from pathlib import Path
from typing import NamedTuple

from drnbench.datasets import layouts
from drnbench.datasets.catalogue import Remote
from drnbench.datasets.download import ResumingDownloader
from drnbench.datasets.unpack import unpack
from drnbench.errors import DataError, UsageError
from drnbench.store.cache_files import hold
from drnbench.store.locks import Lock


class Fetched(NamedTuple):
    """A fetched entry: the folder of its images or its file, the number of images, and whether it is new."""

    path: Path
    images: int
    new: bool


def fetch(remote: Remote, root: Path, *, url: str | None = None, keep: bool = False) -> Fetched:
    """Fetch an entry of the catalogue unless it is present.

    Args:
        remote: the entry.
        root: a data root, where images go to ROOT/NAME/HR; for a file, the folder that it goes to.
        url: a mirror of the file; the checksum stays the same.
        keep: leave the archive where it is, for another set in it.

    Raises:
        UsageError: no server, no free space, a root that cannot be written, or other content at the destination.
        DataError: a wrong checksum, or an archive that is refused; the download is removed.
    """
    try:
        if fetched := present(remote, root):
            return fetched
        work = root / ".fetch" / remote.file
        work.parent.mkdir(parents=True, exist_ok=True)
        lock = Lock(root / ".fetch" / f"{remote.file}.lock")
        with hold(lock, f"another process fetches {remote.file}: waiting for it", patience=0):
            # The process that held the lock has probably fetched it.
            work.mkdir(exist_ok=True)
            try:
                fetched = present(remote, root) or _fetch(remote, root, work, url)
                if not keep:
                    shutil.rmtree(work)
                return fetched
            finally:
                if work.is_dir() and _empty(work):
                    work.rmdir()
    except OSError as error:
        path, reason = error.filename or root, error.strerror or error
        raise UsageError(f"{path} cannot be written ({reason}): choose another folder with --to") from None


def checkpoints() -> Path:
    """Return the folder of torch.hub's weights, which TORCH_HOME and XDG_CACHE_HOME move."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = os.environ.get("TORCH_HOME") or f"{cache}/torch"
    return Path(home).expanduser() / "hub" / "checkpoints"


def by_hand(remote: Remote, root: Path) -> str:
    """Return how to get an entry without a network, as the end of a sentence."""
    place = f"put it at {root / remote.file}" if remote.folder is None else f"put the images at {root}/{remote.name}/HR"
    return f"get {remote.file} on another machine and give it with `data fetch {remote.name} --url file:///PATH`, or {place}"


def present(remote: Remote, root: Path) -> Fetched | None:
    """Return an entry that is present and whole; None if nothing of it is.

    Raises:
        UsageError: another number of images, or a file with another checksum.
    """
    if remote.folder is None:
        file = root / remote.file
        if not file.exists():
            return None
        if not _matches(file, remote.checksum):
            raise UsageError(f"{file} is there and is not the official file: move it away and fetch again")
        return Fetched(file, 0, new=False)
    images = layouts.find(remote.name, root, complete=True)
    if images and len(images) != remote.images:
        raise UsageError(
            f"{images[0].parent} holds {len(images)} images, and {remote.name} has {remote.images}: move them away and "
            "fetch again, or choose another folder with --to"
        )
    return Fetched(images[0].parent, len(images), new=False) if images else None


def _fetch(remote: Remote, root: Path, work: Path, url: str | None) -> Fetched:
    archive = work / remote.file
    part = archive.with_name(f"{archive.name}.part")
    if remote.folder is not None:
        _check_unused(root / remote.name)
    for leftover in work.iterdir():  # of a process that was killed
        if leftover not in {archive, part}:
            shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
    _download(remote, archive, part, url or remote.url, by_hand(remote, root))
    if remote.folder is None:
        archive.replace(root / remote.file)
        return Fetched(root / remote.file, 0, new=True)
    images, target = work / "images", root / remote.name
    try:
        (images / "HR").mkdir(parents=True)
        _unpack(remote, archive, images / "HR")
        if target.exists():
            (images / "HR").replace(target / "HR")
        else:
            images.replace(target)
    except DataError:
        archive.unlink()
        raise
    finally:
        shutil.rmtree(images, ignore_errors=True)
    return Fetched(target / "HR", remote.images, new=True)


def _check_unused(target: Path) -> None:
    """Refuse a destination that holds something else."""
    inside = target / "HR"
    if (target.exists() and not target.is_dir()) or (inside.exists() and not (inside.is_dir() and _empty(inside))):
        raise UsageError(f"{target} is there and holds no images: move it away, or choose another folder with --to")


def _empty(folder: Path) -> bool:
    return not any(folder.iterdir())


def _download(remote: Remote, archive: Path, part: Path, url: str, advice: str) -> None:
    """Let pooch download the file unless it is present with its checksum."""
    import pooch  # type: ignore[import-untyped]

    # It logs every download, and the checksum of a file that has none: messages of our own stand for both.
    pooch.get_logger().setLevel(logging.WARNING)
    downloader = ResumingDownloader(part, remote.size, remote.limit, advice)
    try:
        pooch.retrieve(url, remote.checksum, fname=archive.name, path=archive.parent, downloader=downloader)
    except ValueError:  # raised by pooch on a wrong checksum; it has removed the file
        raise DataError(
            f"{remote.name}: what {url} gave has the wrong checksum and was removed; it should be {remote.checksum}: "
            "fetch again, or from a mirror with --url"
        ) from None


def _unpack(remote: Remote, archive: Path, into: Path) -> None:
    count = unpack(archive, remote.folder or "", into, remote.limit)
    if count != remote.images:
        raise DataError(
            f"{archive.name} holds {count} images in {remote.folder}, and {remote.name} has {remote.images}: it was "
            "removed; fetch again, or from a mirror with --url"
        )
    if remote.content is not None and _digest(into) != remote.content:
        raise DataError(
            f"{remote.name}: the images in {archive.name} have the wrong checksum, and it was removed: fetch again, or "
            "from a mirror with --url"
        )


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for file in sorted(folder.iterdir(), key=lambda path: path.name):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def _matches(file: Path, checksum: str | None) -> bool:
    if checksum is None:
        return True
    algorithm, _, expected = checksum.partition(":")
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, algorithm).hexdigest() == expected
