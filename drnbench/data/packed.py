"""Decoded pixels on disk: .npy files of H x W x 3 uint8, filed by content, mapped into memory when looked at.

A set of 3450 images in 2K is 29 GB decoded: too much for the memory of each worker, and too slow to decode again at
every step. Mapped files are in the system's page cache once, for all processes, and give way when memory is wanted.
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

Pixels = NDArray[np.uint8]
Shape = tuple[int, int, int]

BLOCK = 4096
"""Bytes in which disks count."""

HELD = 256 * 2**20
"""Bytes of maps that a stack keeps open. Their pages count as memory of the process though all processes share them."""


class ImageInfo(NamedTuple):
    """An image that was decoded once: name, file, sha256 of its pixels and shape, and its size in pixels.

    Attributes:
        cache: the cache that keeps its pixels as a file; none: it is decoded when it is needed.

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

    def kept(self, cache_dir: Path) -> Kept:
        """Return where a cache keeps the pixels, `pixels/<sha[:2]>/<sha>.npy`; sets that share images share files."""
        return Kept(self, cache_dir / "pixels" / self.sha[:2] / f"{self.sha}.npy", self.shape)


class Kept(NamedTuple):
    """Pixels made of an image: the file that holds them, or will, and their shape."""

    image: ImageInfo
    file: Path
    shape: Shape

    @property
    def size(self) -> int:
        """Bytes on the disk."""
        return -(-(len(_head(self.shape)) + math.prod(self.shape)) // BLOCK) * BLOCK

    def intact(self) -> bool:
        """Whether the file is there with the right size and header; its name and how it was written vouch for the rest."""
        head = _head(self.shape)
        try:
            if self.file.stat().st_size != len(head) + math.prod(self.shape):
                return False
            with self.file.open("rb") as file:
                return file.read(len(head)) == head
        except OSError:
            return False

    def save(self, pixels: Pixels, parts: Path | None = None) -> None:
        """Write the file; see `write`."""
        assert pixels.shape == self.shape
        write(self.file, _head(self.shape), np.ascontiguousarray(pixels).data, parts=parts)

    def view(self) -> Pixels | None:
        """Return the pixels as a read-only map of the file; None where it is not there or has another size."""
        import torch

        head = len(_head(self.shape))
        size = head + math.prod(self.shape)
        try:
            if self.file.stat().st_size != size:
                return None
            # Not mmap.mmap, which keeps a file descriptor for each map: a test set of thousands would run out of them.
            data = torch.from_file(str(self.file), shared=False, size=size, dtype=torch.uint8)
        except (OSError, RuntimeError):  # RuntimeError: torch's word for a file that has just been deleted
            return None
        view = data.numpy()[head:].reshape(self.shape)
        view.flags.writeable = False
        return view


@functools.lru_cache(maxsize=4096)
def _head(shape: Shape) -> bytes:
    """Return what a .npy file of uint8 begins with."""
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return head.getvalue()


def cut(pixels: Pixels, crop: int | None, modulo: int | None) -> Pixels:
    """Return a view: the central square of at most `crop` pixels a side, then cropped to multiples of `modulo`.

    Raises:
        DataError: what is left is smaller than the modulo.

    """
    pixels = pixels if crop is None else center_crop(pixels, crop)
    return pixels if modulo is None else mod_crop(pixels, modulo)


class Stack(Sequence[Pixels]):
    """Images by index, read-only where they are kept as files: each is mapped when it is asked for.

    The last `HELD` bytes of maps stay open, so a small set is as quick as in memory, and a large one costs the process
    neither memory nor open files. A file that has vanished is made again.

    Args:
        entries: files, and pixels that are in memory.
        make: pixels of a file that is not there.
        crop, modulo: the part that is given out, as in `cut`; pixels in memory are cut already.

    """

    def __init__(
        self,
        entries: Sequence[Kept | Pixels],
        make: Callable[[ImageInfo], Pixels],
        crop: int | None = None,
        modulo: int | None = None,
    ) -> None:
        self._entries, self._make, self._crop, self._modulo = entries, make, crop, modulo
        self._held: dict[int, Pixels] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    @overload
    def __getitem__(self, index: int) -> Pixels: ...
    @overload
    def __getitem__(self, index: slice) -> Stack: ...
    def __getitem__(self, index: int | slice) -> Pixels | Stack:
        if isinstance(index, slice):
            return Stack(self._entries[index], self._make, self._crop, self._modulo)
        found = self._held.get(index)
        if found is None:
            entry = self._entries[index]
            if not isinstance(entry, Kept):
                return entry
            found = self._held[index] = self._open(entry)
            self._bytes += entry.size
            while self._bytes > HELD:
                oldest = self._entries[next(iter(self._held))]
                assert isinstance(oldest, Kept)
                del self._held[next(iter(self._held))]
                self._bytes -= oldest.size
        return found

    def _open(self, entry: Kept) -> Pixels:
        pixels = entry.view()
        if pixels is None:
            pixels = self._make(entry.image)
            entry.save(pixels)
        return cut(pixels, self._crop, self._modulo)
