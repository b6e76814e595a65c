"""Check of ready-made LR images, by everything that scores or trains on them: a shift against HR is warned of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from drnbench.data.fingerprints import json_sha256
from drnbench.data.images import Colour, read_rgb
from drnbench.data.packed import ImageInfo
from drnbench.degradations import identity, parse
from drnbench.errors import DataError, UsageError
from drnbench.forensics.alignment import Alignment, align, median
from drnbench.store.cache_files import load_record, lock, write
from drnbench.store.integrity import encode

IMAGES = 8
"""Images of a set that are looked at, evenly spaced."""
VERSION = 2
"""Raised when the measurement changes; part of the key in the cache."""


def measured(pairs: Sequence[tuple[Path, Path]], scale: int, alpha: Colour | None = None) -> Alignment | None:
    """Return the median alignment of a set; None where nothing can be measured.

    Where most pairs show two pictures, an alignment that is not `related`.

    Args:
        pairs: files of HR and LR images.
        scale: HR size over LR size.
        alpha: colour that transparent images are laid onto.

    """
    alignments = list(_alignments(pairs[:: -(-len(pairs) // IMAGES) or 1], scale, alpha))
    unrelated = [alignment for alignment in alignments if not alignment.related]
    return unrelated[0] if 2 * len(unrelated) > len(alignments) else median(alignments)


def _alignments(pairs: Sequence[tuple[Path, Path]], scale: int, alpha: Colour | None) -> Iterator[Alignment]:
    for hr_path, lr_path in pairs:
        try:
            hr, lr = (read_rgb(path, alpha=alpha).astype(np.float64) for path in (hr_path, lr_path))
        except DataError:
            continue  # reported by the caller, which reads all of them
        if all(abs(a - b * scale) < scale for a, b in zip(hr.shape[:2], lr.shape[:2], strict=True)):
            yield align(hr, lr, (scale, scale))


def warning(lr: str, alignment: Alignment | None, scale: int, kernel: str) -> str | None:
    """Return the line on LR images that are displaced against the grid of their kernel; None where they are not.

    Args:
        lr: their source.
        alignment: as measured.
        scale: HR size over LR size.
        kernel: spec of the degradation that is declared for them.

    """
    if alignment is not None and not alignment.related:
        return f"LR images in {lr} and HR images of the same names show different pictures: check the pairs; see `drnbench audit`"
    if alignment is None or not alignment.displaced:
        return None
    x, y = _phase(kernel, scale)
    alignment = alignment.less(x, y)
    if not alignment.displaced:
        return None
    grid = f"the grid of {kernel}" if x or y else "bicubic's grid"
    return (
        f"LR images in {lr} are {alignment.text()} against the HR images ({grid}): PSNR will be too low; "
        "see `drnbench audit`"
    )


def warnings(
    lr: str | None, pairs: Sequence[tuple[Path, Path]], scale: int, kernel: str, alpha: Colour | None
) -> dict[str, list[str]]:
    """Return `warning` as an entry of a JSON record; an empty record where there is no warning."""
    text = warning(lr, measured(pairs, scale, alpha), scale, kernel) if lr is not None and pairs else None
    return {"warnings": [text]} if text else {}


def _phase(kernel: str, scale: int) -> tuple[float, float]:
    """Return the shift of a kernel's LR images, right and down in HR pixels; 0 for a kernel that does not state its weights."""
    try:
        taps = parse(kernel).taps(scale)
    except UsageError:
        return 0.0, 0.0
    middle = (scale - 1) / 2
    down, right = (
        float((taps.weights.sum(dim=1 - axis).numpy() * (np.arange(taps.weights.shape[axis]) + taps.first[axis])).sum())
        for axis in (0, 1)
    )
    return middle - right, middle - down


def cached_warning(
    hr: Sequence[ImageInfo], lr: Sequence[ImageInfo], source: str, scale: int, kernel: str, cache: Path
) -> str | None:
    """Return `warning` for the images of a study, from the cache where the same images were looked at before.

    Args:
        hr: with their fingerprints.
        lr: in the same order.
        source: of the LR images.
        scale: HR size over LR size.
        kernel: spec of the degradation that is declared for them.
        cache: its folder.

    """
    step = -(-len(hr) // IMAGES)
    shown = list(zip(hr[::step], lr[::step], strict=True))
    key = json_sha256([VERSION, scale, identity(kernel), [[a.sha, b.sha] for a, b in shown]])
    file = cache / "alignments.json"
    stored = load_record(file)
    if key not in stored:
        text = warning("", measured([(a.path, b.path) for a, b in shown], scale), scale, kernel)
        with lock(cache, "alignments"):
            stored = load_record(file) | {key: text}
            write(file, encode(stored).encode())
    text = stored[key]
    return None if text is None else text.replace("LR images in ", f"LR images in {source}", 1)
