"""Extraction of the images of one folder from an untrusted ZIP or TAR archive.

Only the base names of images are used, in a folder that holds nothing else, so nothing outside it can be touched. An
archive that tries (absolute paths, `..`, links, devices), or that announces more than it may hold, is refused as a
whole: it is not the one that its authors published.
"""

from __future__ import annotations

import gzip
import lzma
import re
import stat
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, NamedTuple

from rich.filesize import decimal

from drnbench.datasets.download import check_free_space
from drnbench.datasets.layouts import EXTENSIONS
from drnbench.errors import DataError

MAX_RATIO = 20
"""An archive that announces more than this times its own size is a bomb: images barely compress again."""
SLACK = 1 << 20
"""Bytes of announced content to which the ratio does not apply: small archives are mostly headers and padding."""
BLOCK = 1 << 20

_BROKEN = (
    tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, lzma.LZMAError,
    EOFError, NotImplementedError, RuntimeError, ValueError,
)  # fmt: skip
"""Exceptions of the decoders on broken bytes, unsupported methods and passwords."""


class _Member(NamedTuple):
    name: str
    size: int
    kind: str
    """"file", "folder", or the name of another kind with its article."""
    open: Callable[[], IO[bytes] | None]


def unpack(archive: Path, folder: str, into: Path, limit: int) -> int:
    """Write the images that lie directly in a folder of an archive, and return their number.

    Args:
        archive: a ZIP file, or a TAR file of any compression.
        folder: path inside the archive, with slashes.
        into: an existing, empty folder.
        limit: bytes that the images may announce together.

    Raises:
        DataError: broken, not an archive, without such images, with a member that is not safe, or too large.
        UsageError: no room.
    """
    try:
        with _opened(archive) as members:
            wanted = _checked(archive, folder, members, limit)
            check_free_space(into, sum(member.size for member in wanted.values()), f"unpacking {archive.name}")
            for name, member in wanted.items():
                _write(member, into / name)
    except _BROKEN as error:
        detail = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{archive.name} is broken or no archive ({detail}): fetch it again") from None
    return len(wanted)


def _checked(archive: Path, folder: str, members: Iterator[_Member], limit: int) -> dict[str, _Member]:
    """Return the wanted images by base name; every member is checked before any is unpacked."""
    packed = archive.stat().st_size
    maximum = packed * MAX_RATIO + SLACK
    announced = 0
    wanted: dict[str, _Member] = {}
    names: dict[str, str] = {}
    for member in members:
        if danger := _danger(member):
            raise DataError(f"{archive.name} is refused: its member {member.name!r} is {danger}")
        announced += member.size
        if announced > maximum:
            raise DataError(
                f"{archive.name} is refused: its {decimal(packed)} claim to hold more than {decimal(maximum)}"
            )
        *parents, name = [part for part in member.name.split("/") if part not in {"", "."}] or [""]
        if member.kind != "file" or "/".join(parents) != folder or not _image(name):
            continue
        # One file to Windows and macOS: the second would overwrite the first.
        folded = unicodedata.normalize("NFC", name).casefold()
        if folded in names:
            raise DataError(
                f"{archive.name} is refused: {names[folded]!r} and {name!r} in it are one name on some disks"
            )
        names[folded] = name
        wanted[name] = member
    if not wanted:
        raise DataError(f"{archive.name} holds no images in {folder}: it is not the archive that was expected")
    total = sum(member.size for member in wanted.values())
    if total > limit:
        raise DataError(
            f"{archive.name} is refused: its images claim {decimal(total)}, and {decimal(limit)} are the most they may have"
        )
    return wanted


def _danger(member: _Member) -> str | None:
    """Return what makes a member unsafe to unpack; None if nothing does."""
    if member.name.startswith(("/", "\\")) or re.match(r"[A-Za-z]:", member.name):
        return "an absolute path"
    if ".." in re.split(r"[/\\]", member.name):
        return "a path out of its folder"
    if "\\" in member.name or "\0" in member.name:
        return "a path that systems read differently"
    return None if member.kind in {"file", "folder"} else member.kind


def _image(name: str) -> bool:
    return Path(name).suffix.lower() in EXTENSIONS and not name.startswith(".")


def _write(member: _Member, file: Path) -> None:
    left = member.size
    source = member.open()
    if source is None:
        raise tarfile.ReadError(f"{member.name} cannot be read")
    with source, file.open("xb") as out:
        while block := source.read(BLOCK):
            left -= len(block)
            if left < 0:
                break
            out.write(block)
    if left:
        raise tarfile.ReadError(f"{member.name} is longer or shorter than it claims")


@contextmanager
def _opened(archive: Path) -> Iterator[Iterator[_Member]]:
    if tarfile.is_tarfile(archive):
        with tarfile.open(archive) as tar:
            yield (_Member(info.name, info.size, _tar_kind(info), partial(tar.extractfile, info)) for info in tar)
    else:
        with zipfile.ZipFile(archive) as packed:
            # The name as it stands in the archive: zipfile cuts `filename` at a zero byte.
            yield (
                _Member(info.orig_filename, info.file_size, _zip_kind(info), partial(packed.open, info))
                for info in packed.infolist()
            )


def _zip_kind(info: zipfile.ZipInfo) -> str:
    if info.is_dir():
        return "folder"
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind == stat.S_IFLNK:
        return "a link"
    return "file" if kind in {0, stat.S_IFREG} else "a device"


def _tar_kind(info: tarfile.TarInfo) -> str:
    if info.issym() or info.islnk():
        return "a link"
    if info.isdir():
        return "folder"
    if info.issparse():
        return "a sparse file"
    return "file" if info.isreg() else "a device"
