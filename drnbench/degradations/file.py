"""A measured or estimated blur kernel from a NumPy or MATLAB file."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from drnbench.degradations import kernels
from drnbench.degradations.blur import Filter
from drnbench.degradations.kernel import Taps
from drnbench.errors import UsageError

MAX_SIDE = 101
_NUMERIC = {"double", "single", "logical", *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))}


@kernels.register("file")
class File(Filter):
    """The weights of a file, divided by their sum.

    They are correlated with the image, as in MATLAB's imfilter, SciPy's `correlate` and convolutional networks: the weight
    at the top left is that of the HR pixel at the top left; with `flip=true` they are convolved. Two conventions for the
    position: with `origin=centre` the middle of the array, not its centre of mass, lies on the centre (s-1)/2 of each cell,
    so a symmetric kernel is phase-aligned with bicubic if its size is odd at odd scales and even at even scales. For an
    odd size at an even scale (or the reverse) the middle lies half an HR pixel before the centre, up and to the left, at
    s/2 - 1 (0-based) for an odd size at an even scale. With `origin=zero` the weight at K//2 lies on the first pixel of
    each cell, s i, as in the kernels of DIV2KRK and KernelGAN (correlated) and BSRGAN (`flip=true`), whose own centre of
    mass lies at K//2 + (s-1)/2.
    """

    summary: ClassVar[str] = "blur kernel from a .npy or .mat file, up to 101 x 101, divided by its sum; correlation"
    path: str = Field(
        min_length=1, description=".npy, or .mat with one 2-D numeric variable; a path without commas; required"
    )

    later: ClassVar[tuple[str, ...]] = (*Filter.later, "origin", "flip")
    origin: Literal["centre", "zero"] = Field(
        "centre",
        description="centre: the middle of the array on the centre (s-1)/2 of the cell; zero: the weight K//2 on its first "
        "pixel (DIV2KRK, KernelGAN, BSRGAN)",
    )
    flip: bool = Field(False, description="true: convolve (BSRGAN, MATLAB's conv2); false: correlate")

    def identity(self) -> dict[str, object]:
        """Return a sha256 of the array in place of its path.

        Raises:
            UsageError: a file that cannot be used.
        """
        fields = super().identity()
        del fields["path"]
        array = self._array
        digest = hashlib.sha256(f"{array.shape}".encode() + array.astype("<f8").tobytes())
        return {**fields, "sha256": digest.hexdigest()}

    def weights(self, scale: int) -> Taps:
        """Return the weights divided by their sum, as they are correlated.

        Raises:
            UsageError: a file that cannot be used.
        """
        import torch

        weights = torch.from_numpy(self._array / self._array.sum())
        if self.origin == "centre":
            rows, columns = ((scale - side) // 2 for side in weights.shape)  # downwards: half a pixel before
        else:
            # Flipped, the weight K//2 of an array of K comes to (K-1)//2.
            rows, columns = (-((side - self.flip) // 2) for side in weights.shape)
        return Taps(weights.flip(0, 1) if self.flip else weights, (rows, columns))

    @functools.cached_property
    def _array(self) -> NDArray[np.float64]:
        """The weights of the file, read once, so that the hash is that of the weights in use."""
        path = Path(self.path).expanduser()
        array = _read(path)
        if array.dtype.kind not in "biuf":
            raise UsageError(f"{path} holds {array.dtype}: save the kernel as real numbers")
        if array.ndim != 2 or not array.size or max(array.shape) > MAX_SIDE:
            shape = " x ".join(map(str, array.shape)) or "a single number"
            raise UsageError(f"{path} holds {shape}: a kernel is a 2-D array of up to {MAX_SIDE} x {MAX_SIDE}")
        values = np.array(array, dtype=np.float64, order="C")  # a copy: a mapped file may change
        if not np.isfinite(values).all():
            raise UsageError(f"{path} holds weights that are not finite: make the kernel again")
        # Division by a sum that is only rounding error would inflate the weights instead of normalising them.
        if values.sum() <= 1e-6 * np.abs(values).sum():
            raise UsageError(f"{path} has weights of sum {values.sum():g}: a blur kernel's sum is positive")
        return values


def _read(path: Path) -> NDArray[Any]:
    readers = {".npy": _npy, ".mat": _mat}
    if path.suffix.lower() not in readers:
        raise UsageError(f"{path} is no kernel file: save the 2-D array as .npy (numpy.save) or .mat")
    try:
        return readers[path.suffix.lower()](path)
    except UsageError:
        raise
    except FileNotFoundError:
        raise UsageError(f"{path} does not exist: check the path of the kernel") from None
    except NotImplementedError:  # raised by scipy for the HDF5 of MATLAB 7.3
        raise UsageError(f"{path} is a MATLAB 7.3 file: save it with -v7") from None
    except OSError as error:
        reason = error.strerror or " ".join(str(error).split())
        raise UsageError(f"{path} cannot be read ({reason}): check the file and its permissions") from None
    except Exception as error:  # noqa: BLE001 - decoders raise anything on broken bytes
        detail = " ".join(str(error).split()) or type(error).__name__
        raise UsageError(f"{path} is broken or truncated ({detail}): save the kernel again") from None


def _npy(path: Path) -> NDArray[Any]:
    # Mapped, so that a header that claims gigabytes costs nothing before the size is checked.
    loaded = np.load(path, mmap_mode="r", allow_pickle=False)
    if not isinstance(loaded, np.ndarray):
        loaded.close()
        raise UsageError(f"{path} is an archive of arrays: save the kernel alone with numpy.save")
    return np.asarray(loaded)


def _mat(path: Path) -> NDArray[Any]:
    from scipy.io import loadmat, whosmat

    listed = whosmat(path, appendmat=False)
    # MATLAB keeps single numbers as 1 x 1 arrays: they are parameters, not kernels.
    fitting = [name for name, shape, kind in listed if len(shape) == 2 and max(shape) > 1 and kind in _NUMERIC]
    if len(fitting) != 1:
        content = ", ".join(f"{name} ({'x'.join(map(str, shape))} {kind})" for name, shape, kind in listed) or "nothing"
        raise UsageError(f"{path} has {len(fitting)} 2-D numeric variables (holds {content}): save the kernel alone")
    array: NDArray[Any] = loadmat(path, appendmat=False, variable_names=fitting)[fitting[0]]
    return array
