"""Pairs that are not audited: sizes that do not fit the scale, LR images that show another picture, turned or negative."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from drnbench.data.alignment import correlation
from drnbench.forensics.alignment import align
from drnbench.forensics.resampling import Array

NAMED = 4
"""Files that a sentence names."""
ALIKE = 0.5
"""Correlation with HR from which a turned LR image is aligned, to see whether it shows the same."""


class Files(NamedTuple):
    """The files of a pair under the name of the HR image."""

    name: str
    hr: Path
    lr: Path


class Refusal(NamedTuple):
    """A pair that is not audited.

    Attributes:
        image: file name of the LR image.
        reason: predicate of several such pairs, such as "show different pictures".
        message: line on this pair.
        advice: end of a sentence on all of them.

    """

    image: str
    reason: str
    message: str
    advice: str


TURNS: dict[str, Callable[[Array], Array]] = {
    "mirrored": lambda lr: lr[:, ::-1],
    "upside down": lambda lr: lr[::-1],
    "turned by 180 degrees": lambda lr: lr[::-1, ::-1],
    "turned by 90 degrees clockwise": np.rot90,
    "turned by 90 degrees counter-clockwise": lambda lr: np.rot90(lr, -1),
    "transposed": lambda lr: lr.swapaxes(0, 1),
    "transposed and turned by 180 degrees": lambda lr: lr[::-1, ::-1].swapaxes(0, 1),
    "a negative": lambda lr: 255 - lr,
}
"""Changes of LR images, by what undoes them."""


def _fits(hr: tuple[int, ...], lr: tuple[int, ...], scale: int) -> bool:
    """Return True if the sides of LR are those of HR over the scale, rounded in either direction, or one pixel less."""
    return all(-scale < a - b * scale < 2 * scale for a, b in zip(hr[:2], lr[:2], strict=True))


def wrong_size(files: Files, hr: Array, lr: Array, scale: int) -> Refusal | None:
    """Return why the sizes of a pair do not fit the scale, with the scale that would fit; None where they do."""
    if _fits(hr.shape, lr.shape, scale):
        return None
    reason, hint, advice = _size_reason(hr, lr, scale)
    size = f"{lr.shape[1]} x {lr.shape[0]} pixels"
    makes = f"{files.hr} at scale {scale} makes {hr.shape[1] // scale} x {hr.shape[0] // scale}"
    return Refusal(files.lr.name, reason, f"{files.lr} is {size}, but {makes}: {hint}", advice)


def _size_reason(hr: Array, lr: Array, scale: int) -> tuple[str, str, str]:
    """Return what is wrong with sizes that do not fit: a predicate of pairs, a hint for one pair, advice for all."""
    if hr.shape == lr.shape:
        equal = "equal to HR pixel by pixel" if np.array_equal(hr, lr) else "as large as HR"
        return (
            f"have LR {equal} (it fits scale 1)",
            f"LR is {equal} (it fits scale 1)",
            "name the folder of the LR images as LR_DIR",
        )
    if all(a < b for a, b in zip(hr.shape[:2], lr.shape[:2], strict=True)):
        return "have LR larger than HR", "LR is the larger of the two", "exchange HR_DIR and LR_DIR"
    # A swap of the sides fits once the image is turned back.
    turn = orientation(hr, lr, scale)
    if turn:
        return f"have LR that is {turn}", f"it is {turn}", "turn the LR images back"
    ratios = {round(a / b) for a, b in zip(hr.shape[:2], lr.shape[:2], strict=True)}
    factor = next((r for r in sorted(ratios) if r > 0 and r != scale and _fits(hr.shape, lr.shape, r)), None)
    if factor is None:
        reason = f"have other sizes than scale {scale} makes"
        return (
            reason,
            "check that both show the same picture, uncropped",
            "check that the LR images belong to these HR images",
        )
    return f"do not fit scale {scale} (it fits scale {factor})", f"it fits scale {factor}", f"give --scale {factor}"


def other_picture(files: Files, hr: Array, lr: Array, scale: int) -> Refusal:
    """Return the refusal of a pair whose alignment explains nothing: LR is turned, negative, or another picture."""
    turn = orientation(hr, lr, scale)
    reason = "show different pictures" if turn is None else f"have LR that is {turn}"
    advice = "check that the LR images belong to these HR images" if turn is None else "undo that in the LR images"
    hint = "" if turn is None else f" (it is {turn})"
    return Refusal(
        files.lr.name, reason, f"{files.lr} and {files.hr} show different pictures{hint}: check the pair", advice
    )


def orientation(hr: Array, lr: Array, scale: int) -> str | None:
    """Return how LR is turned or inverted against HR, for a sentence; None where nothing makes it fit."""
    fits = {}
    for name, undone in TURNS.items():
        plane = undone(lr).mean(axis=2)
        if _fits(hr.shape, plane.shape, scale):
            fits[name] = correlation(shrunk(hr, plane, scale).mean(axis=2), plane)
    for name in sorted(fits, key=lambda name: -fits[name])[:2]:
        if fits[name] > ALIKE and align(hr, TURNS[name](lr), (scale, scale)).related:
            return name
    return None


def shrunk(hr: Array, lr: Array, scale: int) -> Array:
    """Return HR as means of cells, at the size of LR; edges are repeated where a cell is cut off."""
    rows, columns = (
        np.minimum(np.arange(n * scale), size - 1) for n, size in zip(lr.shape[:2], hr.shape[:2], strict=True)
    )
    cells = hr[np.ix_(rows, columns)].reshape(lr.shape[0], scale, lr.shape[1], scale, 3)
    means: Array = cells.mean(axis=(1, 3))
    return means


def refused(refusals: Sequence[Refusal], count: int) -> str:
    """Return a clause for each reason: `4 of 5 pairs show different pictures: bird.png, head.png and 2 more`.

    Args:
        refusals: at least one.
        count: of all pairs.

    """
    clauses = []
    for reason, n in Counter(refusal.reason for refusal in refusals).most_common():
        names = shortened([refusal.image for refusal in refusals if refusal.reason == reason], NAMED)
        predicate = (
            reason
            if n > 1
            else reason.replace("show", "shows", 1).replace("have", "has", 1).replace("do not", "does not", 1)
        )
        share = f"all {n} pairs" if n == count > 1 else f"{n} of {count} pairs"
        clauses.append(f"{share} {predicate}: {names}")
    return "; ".join(clauses)


def shortened(names: Sequence[str], most: int) -> str:
    """Return `a, b and c`, or `a, b and 3 more`; never `1 more`."""
    shown = list(names[:most]) if len(names) > most + 1 else list(names)
    if len(names) > len(shown):
        shown.append(f"{len(names) - len(shown)} more")
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
