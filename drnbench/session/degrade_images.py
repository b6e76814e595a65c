"""Writing LR images as PNG, without MATLAB."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

from drnbench.data.images import Colour, degrade, mod_crop, pixel_sha, read_rgb
from drnbench.datasets.sources import ImageFile, resolve
from drnbench.degradations import canonical, parse
from drnbench.errors import DataError, UsageError, nearest
from drnbench.parallel import Failed, Work, each
from drnbench.store import atomic


@dataclass
class Degrade(Work[ImageFile, Path]):
    """Makes and writes one LR image."""

    kernel: str
    scale: int
    folder: Path
    alpha: Colour | None

    def __call__(self, image: ImageFile) -> Path:
        """Return the file that was written."""
        hr = read_rgb(image.path, alpha=self.alpha)
        try:
            lr = degrade(parse(self.kernel), mod_crop(hr, self.scale), self.scale, pixel_sha(hr))
        except DataError as error:
            raise DataError(f"{image.path}: {error}") from None
        out = self.folder / f"{image.name}.png"
        write_png(out, lr)
        return out


def write_png(path: Path, image: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> None:
    """Write an H x W x 3 image whole or not at all.

    Raises:
        UsageError: the disk refuses it.
    """
    try:
        with atomic(path) as temporary:
            Image.fromarray(image).save(temporary, format="PNG")
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written ({error.strerror or error}): make room or choose another folder"
        ) from None


def out_folder(folder: Path, images: tuple[ImageFile, ...], *, force: bool) -> None:
    """Make a folder for `<name>.png` of each image, and refuse to overwrite any of them or what they are made of.

    Raises:
        UsageError: an image is there already, or the folder cannot be made.
    """
    for name, path in images:
        target = folder / f"{name}.png"
        # Beside its source a file of the same stem would make the folder ambiguous, or overwrite it.
        if folder.resolve() == path.resolve().parent:
            raise UsageError(f"{folder} holds {path}, which this is made of: choose another folder")
        if target.exists() and not force:
            raise UsageError(f"{target} is there already: give --force to overwrite it, or another folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{folder} cannot be made ({error.strerror}): choose another folder") from None


def degrade_folder(
    hr: str, out: Path, kernel: str, scale: int, border: str | None, alpha: Colour | None, jobs: int | None,
    *, force: bool,
) -> tuple[str, int, list[str]]:  # fmt: skip
    """Write `OUT/<stem>.png` for each HR image.

    Returns:
        The kernel's shortest spec, the number of images written, and a line for each that could not be.

    Raises:
        UsageError: a kernel that makes no LR images or has no such border, or files that are there already.
    """
    spec = canonical(_bordered(kernel, border))
    parse(spec).identity()  # a kernel file that cannot be used is refused before any work
    if parse(spec).real:
        raise UsageError(
            "--kernel real: such images are LR already, so there is nothing to degrade; name another kernel"
        )
    with TemporaryDirectory() as frames:
        images = resolve(hr, Path(frames)).images
        out_folder(out, images, force=force)
        done = list(each(Degrade(spec, scale, out, alpha), images, jobs, "degrading"))
    failed = [result.message for result in done if isinstance(result, Failed)]
    return spec, len(done) - len(failed), failed


def _bordered(kernel: str, border: str | None) -> str:
    """Return the spec with `--border` in it; only kernels that look beyond the edge have one to choose."""
    if border is None:
        return kernel
    parsed = parse(kernel)
    if "border" not in type(parsed).model_fields:
        raise UsageError(f"--border {border}: kernel {parsed.name!r} has no border to choose")
    borders = ["replicate", "symmetric"]
    if border not in borders:
        raise UsageError(f"--border {border}: {nearest(border, borders)}")
    if "border" in parsed.model_fields_set:
        raise UsageError(f"--kernel {kernel} names its border: leave --border out")
    return f"{kernel}{',' if ':' in kernel else ':'}border={border}"
