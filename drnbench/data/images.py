"""Strict reading of image files; cropping, conversion, hashing and degrading of pixels.

An image that other programs of the field read differently (transparency, palette, 16 bit, CMYK) is refused instead of
converted: a silent conversion changes scores without a trace.
"""

from __future__ import annotations

import hashlib
import io
import os
import stat
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from drnbench.data.intact import damage
from drnbench.errors import DataError, NotFiniteError, UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from drnbench.degradations.kernel import Kernel

MAX_PIXELS = 100_000_000
"""Larger headers are refused before decoding: a few bytes can claim gigabytes."""

_PLAIN = {"1", "L", "RGB", "YCbCr"}
"""Pillow modes of 8 bits or less without transparency: bilevel, gray, colour (YCbCr: JPEG inside TIFF)."""

_ALPHA = {"RGBA", "LA", "PA"}

_FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP")
"""Formats that are read; Pillow's others include some that run programs (EPS)."""

Colour = tuple[int, int, int]
"""Red, green and blue in 0..255."""


def read_rgb(path: str | Path, alpha: Colour | None = None, *, compared: bool = False) -> NDArray[np.uint8]:
    """Return H x W x 3 uint8 RGB: gray repeated, turned upright as EXIF says.

    Args:
        path: the image file.
        alpha: background colour of a transparent image; None: it is refused, unless no pixel is transparent.
        compared: the caller compares the pixels with the fingerprint of a whole file; so the codes of a JPEG, which take
            longer than decoding it, are not followed again.

    Raises:
        DataError: missing, empty, damaged or truncated, no image, transparent with no colour given, with a palette, more
            than 8 bits, CMYK, several pictures in one file, or more than 100 megapixels.
    """
    from PIL import Image, ImageFile, UnidentifiedImageError

    path = Path(path)
    check_file(path)
    # A study's own code may have set it, and then half an image counts as a whole one.
    truncated, ImageFile.LOAD_TRUNCATED_IMAGES = ImageFile.LOAD_TRUNCATED_IMAGES, False
    try:
        return _decode(path, path.read_bytes(), alpha, compared=compared)
    except DataError:
        raise
    except MemoryError:
        raise DataError(f"{path} does not fit into memory: cut it into smaller images") from None
    except OSError as error:
        if isinstance(error, UnidentifiedImageError) or error.errno is None:  # of a decoder
            raise DataError(f"{path} {_defect(path, error)}") from None
        raise DataError(_unreadable(path, error)) from None
    except Image.DecompressionBombError:
        raise DataError(f"{path} claims to have more than 100 megapixels: cut it into smaller images") from None
    except Exception as error:  # noqa: BLE001 - decoders raise anything on broken bytes: SyntaxError, struct.error, ...
        raise DataError(f"{path} {_defect(path, error)}") from None
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = truncated


def check_file(path: Path) -> os.stat_result:
    """Return the status of a file that can be opened.

    Raises:
        DataError: it does not exist, is a link to nothing, or is a folder, a pipe, a socket or a device.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise DataError(_unreadable(path, error)) from None
    for kind, matches in _NO_FILES.items():
        if matches(status.st_mode):
            raise DataError(f"{path} is a {kind}, not an image file: remove or rename it")
    return status


_NO_FILES = {
    "folder": stat.S_ISDIR, "named pipe": stat.S_ISFIFO, "socket": stat.S_ISSOCK, "device": stat.S_ISCHR,
    "block device": stat.S_ISBLK,
}  # fmt: skip
_POINTERS = (b"version https://git-lfs", b"/annex/objects/")
"""First bytes of the texts that Git LFS and git-annex keep in place of a file that was not fetched."""


def _unreadable(path: Path, error: OSError) -> str:
    """Return the message for a file that cannot be opened."""
    if isinstance(error, FileNotFoundError):
        if path.is_symlink():
            return (
                f"{path} is a link to {path.readlink()}, which does not exist: fetch that file (git annex get, dvc pull) "
                "or mend the link"
            )
        return f"{path} does not exist: check the path"
    if isinstance(error, PermissionError):
        return f"{path} may not be read: change its permissions"
    return f"{path} cannot be read ({error.strerror}): check the path and the disk"


def _decode(path: Path, content: bytes, alpha: Colour | None, *, compared: bool) -> NDArray[np.uint8]:
    from PIL import Image, ImageOps

    with warnings.catch_warnings():
        # Pillow's warnings on size and metadata: those that matter are checked below.
        warnings.simplefilter("ignore")
        with Image.open(io.BytesIO(content), formats=_FORMATS) as image:
            _check_supported(path, image, content)
            image.load()
            if not compared and (problem := damage(content)):
                raise DataError(f"{path} is damaged ({problem}): fetch or export it again")
            upright = ImageOps.exif_transpose(image)
            if _transparent(image):
                return _flatten(np.array(upright.convert("RGBA"), dtype=np.uint8), alpha, path)
            return np.array(upright.convert("RGB"), dtype=np.uint8)


def _defect(path: Path, error: Exception) -> str:
    """Return what is wrong with a file that cannot be decoded, and how to mend it."""
    with path.open("rb") as file:
        head = file.read(64)
    if not head:
        return "is empty (0 bytes): fetch or export it again"
    if head.startswith(_POINTERS):
        return "is a pointer to a file that was not fetched: fetch it (git lfs pull, git annex get)"
    if type(error).__name__ == "UnidentifiedImageError":
        return "is not an image that can be read: remove it, or save it as PNG"
    detail = " ".join(str(error).split()) or type(error).__name__
    return f"is broken or truncated ({detail}): fetch or export it again"


def _transparent(image: Any) -> bool:
    return image.mode in _ALPHA or "transparency" in image.info


def _flatten(image: NDArray[np.uint8], onto: Colour | None, path: Path) -> NDArray[np.uint8]:
    """Return H x W x 3 of H x W x 4 straight RGBA laid onto a colour: round((a fg + (255 - a) bg) / 255)."""
    if (image[..., 3] == 255).all():
        return np.ascontiguousarray(image[..., :3])
    if onto is None:
        raise DataError(
            f"{path} has an alpha channel: lay it onto a colour with --alpha white, or save it without transparency"
        )
    fore, a = image[..., :3].astype(np.uint32), image[..., 3:].astype(np.uint32)
    # Exact in integers; 255 is odd, so there is no half to round.
    return ((a * fore + (255 - a) * np.array(onto, dtype=np.uint32) + 127) // 255).astype(np.uint8)


def _check_supported(path: Path, image: Any, content: bytes) -> None:
    """Refuse sizes, depths, colour modes and files of several pictures that are not read."""
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise DataError(f"{path} claims to have {width} x {height} pixels, more than 100 megapixels: cut it into parts")
    if image.mode.startswith(("I", "F")) or _depth(image, content) > 8:
        raise DataError(f"{path} has more than 8 bits a channel: save it with 8 bits")
    if image.mode == "P" and not _transparent(image):
        # MATLAB's imread gives the indices, other readers look the colours up: no two scores would agree.
        raise DataError(f"{path} is a palette image: save it as RGB")
    if image.mode not in _PLAIN and not _transparent(image):
        raise DataError(f"{path} is in colour mode {image.mode}: save it as RGB")
    # MPO is the format of many cameras for a JPEG with a preview behind the picture: the first one is meant.
    if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":
        raise DataError(f"{path} holds {image.n_frames} pictures: save the one you mean on its own")


def _depth(image: Any, content: bytes) -> int:
    """Return the bits a channel: Pillow reduces 16-bit colour of PNG and TIFF to mode RGB without a warning."""
    if image.format == "TIFF":
        return int(max(image.tag_v2.get(258, (8,))))  # BitsPerSample, one for every channel
    if image.format != "PNG":
        return 8
    return content[24]  # signature 8, length 4, "IHDR" 4, width 4, height 4, then the depth


def mod_crop(image: NDArray[np.uint8], scale: int) -> NDArray[np.uint8]:
    """Return the top-left part of H x W x C whose sides are multiples of `scale`.

    Raises:
        DataError: the image is smaller than `scale`.
    """
    if scale < 1:
        raise UsageError(f"the scale is an integer of at least 1, not {scale}")
    height, width = image.shape[:2]
    if min(height, width) < scale:
        raise DataError(f"an image of {width} x {height} pixels is too small for scale {scale}: leave it out")
    return image[: height - height % scale, : width - width % scale]


def center_crop(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Return the central square of at most `size` pixels of H x W x C; a shorter side stays as it is."""
    if size < 1:
        raise UsageError(f"a crop has at least 1 pixel, not {size}")
    height, width = image.shape[:2]
    top, left = max(0, (height - size) // 2), max(0, (width - size) // 2)
    return image[top : top + size, left : left + size]


def quantise(image: NDArray[Any]) -> NDArray[np.uint8]:
    """Return uint8: clamped to 0..255, rounded half up as MATLAB's uint8() does (NumPy: to even).

    Raises:
        DataError: numbers that are not finite.
    """
    if image.dtype == np.uint8:
        return image
    return np.clip(np.floor(finite(image) + 0.5), 0, 255).astype(np.uint8)


def finite(image: NDArray[Any]) -> NDArray[np.float64]:
    """Return the image as float64.

    Raises:
        DataError: numbers that are not finite.
    """
    values = image.astype(np.float64)
    if not np.isfinite(values).all():
        raise NotFiniteError("an image holds numbers that are not finite: the network that made it has diverged")
    return values


def to_tensor(image: NDArray[np.uint8]) -> Tensor:
    """Return float32 1 x 3 x H x W in 0..255 of an H x W x 3 image."""
    import torch

    return torch.from_numpy(np.array(image.transpose(2, 0, 1), order="C")).float().unsqueeze(0)


def to_uint8(image: Tensor) -> NDArray[np.uint8]:
    """Return H x W x 3 of a 1 x 3 x H x W or 3 x H x W tensor in 0..255; clamped, rounded half up.

    Raises:
        UsageError: a batch of several images.
        DataError: numbers that are not finite.
    """
    if image.ndim == 4 and len(image) == 1:
        image = image[0]
    if image.ndim != 3:
        raise UsageError(f"one image is 1 x 3 x H x W, not {tuple(image.shape)}")
    return np.ascontiguousarray(quantise(image.detach().cpu().double().numpy()).transpose(1, 2, 0))


def pixel_sha(image: NDArray[np.uint8]) -> str:
    """Return the sha256 (hex) of an image's shape and pixels: its identity in keys and caches."""
    digest = hashlib.sha256(f"{image.shape}".encode())
    digest.update(np.ascontiguousarray(image).data)
    return digest.hexdigest()


def degrade(kernel: Kernel, hr: NDArray[np.uint8], scale: int, sha: str) -> NDArray[np.uint8]:
    """Return the LR image of an HR image.

    Args:
        kernel: the degradation.
        hr: H x W x 3, sides divisible by the scale.
        scale: HR size over LR size.
        sha: `pixel_sha` of the whole HR image, before any crop: it seeds the noise, so that an image gets the same noise
            in every set, order and process.
    """
    return to_uint8(kernel.degrade(to_tensor(hr), scale, int(sha[:16], 16)))
