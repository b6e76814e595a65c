"""Decoded pixels on disk: .npy files of H x W x 3 uint8, filed by content, mapped into memory on access.

The CRC-32 of header and pixels stands behind them, where readers of .npy do not look; a process compares it when it first
maps a file, at 2 GB/s.

A set of 3450 images in 2K is 29 GB decoded: too much for the memory of each worker, and too slow to decode again at
every step. Mapped files are in the system's page cache once, for all processes, and are evicted when memory is short.
"""

from __future__ import annotations

import functools
import io
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from drnbench.data.images import center_crop, mod_crop
from drnbench.store.cache_files import write
from drnbench.store.integrity import ALTERED, TRAILER, Fault, report, trailer

Pixels = NDArray[np.uint8]
Shape = tuple[int, int, int]

BLOCK = 4096
"""Allocation unit of disks in bytes."""

_compared: dict[str, tuple[int, int]] = {}
"""Inode and time of each file that this process has compared with its CRC-32."""

OPEN_BYTES = 256 * 2**20
"""Bytes of maps that a stack keeps open. Their pages count as memory of the process though all processes share them."""


class ImageInfo(NamedTuple):
    """An image that was decoded once: name, file, sha256 of its pixels and shape, and its size in pixels.

    Attributes:
        cache: folder of the cache that keeps its pixels as a file; None: it is decoded on access.
    """

    name: str
    path: Path
    sha: str
    height: int
    width: int
    cache: Path | None = None

    @property
    def shape(self) -> Shape:
        """H x W x 3."""
        return self.height, self.width, 3

    def pixel_file(self, cache_dir: Path) -> PixelFile:
        """Return the file of its pixels in a cache, `pixels/<sha[:2]>/<sha>.npy`; sets that share images share files."""
        return PixelFile(self, cache_dir / "pixels" / self.sha[:2] / f"{self.sha}.npy", self.shape)


class PixelFile(NamedTuple):
    """Pixels made of an image: the file that holds them, existing or not, and their shape."""

    image: ImageInfo
    file: Path
    shape: Shape

    @property
    def _bytes(self) -> int:
        return len(_header(self.shape)) + math.prod(self.shape) + TRAILER

    @property
    def size(self) -> int:
        """Bytes on the disk."""
        return -(-self._bytes // BLOCK) * BLOCK

    def intact(self) -> bool:
        """Return True if the file exists with the right size and header; `view` compares the pixels."""
        header = _header(self.shape)
        try:
            if self._has_size(self.file.stat().st_size):
                with self.file.open("rb") as file:
                    if file.read(len(header)) == header:
                        return True
                report(Fault(self.file, ALTERED), "it is made again")
        except OSError:
            pass
        return False

    def _has_size(self, size: int) -> bool:
        if size not in {self._bytes, self._bytes - TRAILER}:  # those of earlier versions have no CRC-32
            report(Fault(self.file, f"has {size} bytes instead of {self._bytes}"), "it is made again")
        return size == self._bytes

    def save(self, pixels: Pixels, parts: Path | None = None) -> None:
        """Write the file; see `write`."""
        assert pixels.shape == self.shape
        content = (_header(self.shape), np.ascontiguousarray(pixels).data)
        write(self.file, *content, trailer(*content), parts=parts)

    def view(self) -> Pixels | None:
        """Return the pixels as a read-only map of the file; None if it is missing or, which is reported, not whole."""
        import torch

        try:
            stat = self.file.stat()
            if not self._has_size(stat.st_size):
                return None
            # Not mmap.mmap, which keeps a file descriptor for each map: a test set of thousands would run out of them.
            data = torch.from_file(str(self.file), shared=False, size=self._bytes, dtype=torch.uint8).numpy()
        except (OSError, RuntimeError):  # RuntimeError: raised by torch for a file that has just been deleted
            return None
        state = (stat.st_ino, stat.st_mtime_ns)
        if _compared.get(str(self.file)) != state:
            header = _header(self.shape)
            if data[: len(header)].tobytes() != header or trailer(data[:-TRAILER].data) != data[-TRAILER:].tobytes():
                report(Fault(self.file, ALTERED), "it is made again")
                return None
            _compared[str(self.file)] = state
        view = data[len(_header(self.shape)) : -TRAILER].reshape(self.shape)
        view.flags.writeable = False
        return view


@functools.lru_cache(maxsize=4096)
def _header(shape: Shape) -> bytes:
    """Return the header of a .npy file of uint8."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return header.getvalue()


def cut(pixels: Pixels, crop: int | None, modulo: int | None) -> Pixels:
    """Return a view: the central square of at most `crop` pixels a side, then cropped to multiples of `modulo`.

    Raises:
        DataError: the square is smaller than the modulo.
    """
    pixels = pixels if crop is None else center_crop(pixels, crop)
    return pixels if modulo is None else mod_crop(pixels, modulo)


class ImageStack(Sequence[Pixels]):
    """Images by index, read-only where they are kept as files: each is mapped on access.

    The last `OPEN_BYTES` of maps stay open, so a small set is as fast as in memory, and a large one costs the process
    neither memory nor open files. A file that has vanished is made again.

    Args:
        entries: files, and pixels in memory.
        make: makes the pixels of a file that does not exist.
        crop: as in `cut`; pixels in memory are cut already.
        modulo: as in `cut`.
    """

    def __init__(
        self, entries: Sequence[PixelFile | Pixels], make: Callable[[ImageInfo], Pixels], crop: int | None = None,
        modulo: int | None = None,
    ) -> None:  # fmt: skip
        self._entries, self._make, self._crop, self._modulo = entries, make, crop, modulo
        self._maps: dict[int, Pixels] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    @overload
    def __getitem__(self, index: int) -> Pixels: ...
    @overload
    def __getitem__(self, index: slice) -> ImageStack: ...
    def __getitem__(self, index: int | slice) -> Pixels | ImageStack:
        if isinstance(index, slice):
            return ImageStack(self._entries[index], self._make, self._crop, self._modulo)
        pixels = self._maps.get(index)
        if pixels is None:
            entry = self._entries[index]
            if not isinstance(entry, PixelFile):
                return entry
            pixels = self._maps[index] = self._open(entry)
            self._bytes += entry.size
            while self._bytes > OPEN_BYTES:
                oldest = next(iter(self._maps))
                del self._maps[oldest]
                closed = self._entries[oldest]
                assert isinstance(closed, PixelFile)
                self._bytes -= closed.size
        return pixels

    def _open(self, entry: PixelFile) -> Pixels:
        pixels = entry.view()
        if pixels is None:
            pixels = self._make(entry.image)
            entry.save(pixels)
        return cut(pixels, self._crop, self._modulo)
