"""Copies of images between two sets: the same picture rescaled, cropped, flipped, turned, brightened or compressed.

Keypoints propose pairs of images and how one lies on the other; the correlation of the aligned pixels decides. Keypoints
are kept by content in `cache/copies/keypoints-VERSION`, results in `cache/copies/results.json`: both are computed once.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from drnbench.data.alignment import align
from drnbench.data.build import each_image, full_image
from drnbench.data.fingerprints import json_sha256
from drnbench.data.keypoints import Keypoints, keypoints, luma
from drnbench.data.packed import ImageInfo
from drnbench.data.placements import Candidate, candidates
from drnbench.parallel import Work
from drnbench.store.cache_files import load_record, lock, write
from drnbench.store.integrity import ALTERED, TRAILER, Fault, encode, report, trailer

COPIES_VERSION = 2
"""Raised when the same images would give other copies or keypoints."""

MANY = 4096
"""Aligned pixels from which on chance hardly makes two pictures alike."""

CORRELATION, CORRELATION_OF_FEW = 0.92, 0.97
"""Correlation of the aligned pixels that a copy has at least, of `MANY` pixels or more and of fewer."""

DETAIL, DETAIL_OF_FEW = 0.65, 0.9
"""The same without low frequencies. Of 90 000 pairs of unrelated photographs none had more than 0.4 and 0.66."""

COARSE = 96
"""Longer side in pixels of the images that are aligned first, to reject most candidates cheaply."""

COARSE_DETAIL = 0.4
"""Correlation of their detail under which a candidate is rejected."""

MOST_IN_ONE_SET = 500
"""Images of a set that is searched for near copies of itself; in a larger one equal pixels alone are."""


NEIGHBOURS = 8
"""Pairs of neighbouring images by which frames of a clip are recognised."""

FEWEST_FRAMES = 4
"""Images of a clip at least: of fewer, those that show one another are copies."""


class Copy(NamedTuple):
    """An image that shows the same picture as another, wholly or in part.

    Attributes:
        image: position in its set.
        other: position of the other image in its set.
        same: the pixels are equal.
        size: of the image over that of the other, where both show the same thing.
        turn: the flip or quarter turn between them, empty for none.
        share: area of the common part over that of the image.
        other_share: the same over that of the other.
        correlation: of the aligned pixels.
    """

    image: int
    other: int
    same: bool = True
    size: float = 1.0
    turn: str = ""
    share: float = 1.0
    other_share: float = 1.0
    correlation: float = 1.0

    def text(self, image: str, other: str) -> str:
        """Return the finding in a clause; the arguments are what the two images are called.

        >>> Copy(0, 0, False, 0.72, "", 0.99, 0.98, 0.9985).text("Set5/woman", "BSDS200/302003")
        'Set5/woman is BSDS200/302003 at 0.72 times the size (correlation 0.998)'
        """
        if self.same:
            return f"{image} is {other}"
        size = "" if abs(self.size - 1) < 0.01 else f" at {self.size:.2f} times the size"
        turn = f" {self.turn}" if self.turn else ""
        whole, other_whole = self.share > 0.9, self.other_share > 0.9
        if whole:
            relation = f"{image} is {'' if other_whole else 'a part of '}{other}{size}{turn}"
        elif other_whole:
            relation = f"{other} is a part of {image}{turn and f', {self.turn}'}"
        else:
            relation = f"{self.share:.0%} of {image} is in {other}{size}{turn}"
        # Rounded down: a copy at 0.9996 is no 1.000.
        return f"{relation} (correlation {int(self.correlation * 1000) / 1000:.3f})"


@dataclass
class _Describe(Work[ImageInfo, None]):
    """Compute the keypoints of an image and keep them; an image that cannot be read is reported by who trains on it."""

    cache: Path

    def __call__(self, item: ImageInfo) -> None:
        content = keypoints(full_image(item)).packed()
        write(_file(self.cache, item), content, trailer(content))


def copies(images: Sequence[ImageInfo], others: Sequence[ImageInfo], cache: Path) -> list[Copy]:
    """Return the images of one set that show the same picture as an image of another, in order.

    Args:
        images: with their fingerprints.
        others: the same; another set.
        cache: the folder of the cache.

    Raises:
        DataError: an image that cannot be read or has changed since its fingerprint was taken.
        UsageError: the cache cannot be written.
    """
    return _compared(images, others, cache, within=False)


def duplicates(images: Sequence[ImageInfo], cache: Path) -> list[Copy]:
    """Return the images of a set that show the same picture as a later one; arguments and errors as in `copies`."""
    return _compared(images, images, cache, within=True)


def is_clip(images: Sequence[ImageInfo], cache: Path) -> bool:
    """Return True if images show one scene from one to the next, as frames of a video do; arguments as in `copies`.

    Looked at are `NEIGHBOURS` pairs of neighbours, evenly spaced.
    """
    if len(images) < FEWEST_FRAMES:
        return False
    key = json_sha256([COPIES_VERSION, "clip", [image.sha for image in images]])
    return bool(_stored(key, lambda: _shows_one_scene(images, cache), cache))


def _shows_one_scene(images: Sequence[ImageInfo], cache: Path) -> bool:
    starts = sorted({round(n) for n in np.linspace(0, len(images) - 2, NEIGHBOURS)})
    alike = [bool(list(_near_copies([images[n]], [images[n + 1]], cache))) for n in starts]
    return sum(alike) >= 0.75 * len(alike)


def _compared(images: Sequence[ImageInfo], others: Sequence[ImageInfo], cache: Path, *, within: bool) -> list[Copy]:
    key = json_sha256([COPIES_VERSION, within, [image.sha for image in images], [other.sha for other in others]])
    rows = _stored(key, lambda: sorted(_search(images, others, cache, within=within)), cache)
    return [Copy(*row) for row in rows]


def _stored(key: str, compute: Callable[[], Any], cache: Path) -> Any:
    """Return a result from the cache, or compute it and keep it there."""
    stored = load_record(_results(cache))
    if key in stored:
        return stored[key]
    result = compute()
    with lock(cache, "copies"):
        # Read again under the lock: another process may have added its sets meanwhile.
        write(_results(cache), encode(load_record(_results(cache)) | {key: result}).encode())
    return result


def _search(images: Sequence[ImageInfo], others: Sequence[ImageInfo], cache: Path, *, within: bool) -> Iterator[Copy]:
    # Equal pixels are compared with others once, and their result holds for every file that has them.
    positions, other_positions = _positions(images), _positions(others)
    results = [Copy(n, m) for n, image in enumerate(images) for m in other_positions.get(image.sha, ())]
    if not (within and len(positions) > MOST_IN_ONE_SET):
        distinct = [images[numbers[0]] for numbers in positions.values()]
        distinct_others = [others[numbers[0]] for numbers in other_positions.values()]
        for copy in _near_copies(distinct, distinct_others, cache):
            same, same_others = positions[distinct[copy.image].sha], other_positions[distinct_others[copy.other].sha]
            results += [copy._replace(image=n, other=m) for n in same for m in same_others]
    yield from (copy for copy in results if not within or copy.other > copy.image)


def _positions(images: Sequence[ImageInfo]) -> dict[str, list[int]]:
    """Return the positions of the images of each content."""
    positions: dict[str, list[int]] = {}
    for number, image in enumerate(images):
        positions.setdefault(image.sha, []).append(number)
    return positions


def _near_copies(images: Sequence[ImageInfo], others: Sequence[ImageInfo], cache: Path) -> Iterable[Copy]:
    """Return the copies among images of different content."""
    best: dict[tuple[int, int], Copy] = {}
    for candidate in candidates(_described(images, cache), _described(others, cache)):
        image, other, pair = images[candidate.image], others[candidate.other], (candidate.image, candidate.other)
        copy = None if image.sha == other.sha else _verified(candidate, image, other)
        if copy is not None and (pair not in best or copy.correlation > best[pair].correlation):
            best[pair] = copy
    return best.values()


def _verified(candidate: Candidate, image: ImageInfo, other: ImageInfo) -> Copy | None:
    """Return the copy that a candidate is; None where the aligned pixels differ."""
    first, second = _gray(image), _gray(other)
    placement = candidate.placement.scaled(first.shape[0] / image.height, second.shape[0] / other.height)
    reduced = [_reduced(gray) for gray in (first, second)]
    factors = [small.shape[0] / gray.shape[0] for small, gray in zip(reduced, (first, second), strict=True)]
    coarse = align(reduced[0], reduced[1], placement.scaled(*factors))
    if coarse is None or coarse.detail < COARSE_DETAIL:
        return None
    fine = align(first, second, coarse.placement.scaled(*(1 / factor for factor in factors)))
    if fine is None:
        return None
    many = fine.pixels >= MANY
    if fine.correlation < (CORRELATION if many else CORRELATION_OF_FEW) or fine.detail < (
        DETAIL if many else DETAIL_OF_FEW
    ):
        return None
    whole = fine.placement.scaled(image.height / first.shape[0], other.height / second.shape[0])
    size = (whole.size[0] * whole.size[1]) ** -0.5
    turn = whole.turn.text
    return Copy(
        candidate.image, candidate.other, False, round(size, 4), turn, round(fine.share, 4), round(fine.other_share, 4),
        round(fine.correlation, 5),
    )  # fmt: skip


def _described(images: Sequence[ImageInfo], cache: Path) -> list[Keypoints]:
    """Return the keypoints of images, which are detected once."""
    missing = list({image.sha: image for image in images if _kept(image, cache) is None}.values())
    size = sum(3 * image.height * image.width for image in missing)
    for _ in each_image(_Describe(cache), missing, size, "comparing images"):
        pass
    return [_kept(image, cache) or keypoints(full_image(image)) for image in images]


def _kept(image: ImageInfo, cache: Path) -> Keypoints | None:
    """Return the keypoints of an image from the cache; None where they are missing or not whole."""
    try:
        content = _file(cache, image).read_bytes()
    except OSError:
        return None
    body = content[:-TRAILER]
    if content[-TRAILER:] != trailer(body):
        report(Fault(_file(cache, image), ALTERED), "it is made again")
        return None
    return Keypoints.unpacked(body, image.height, image.width)


def _gray(image: ImageInfo) -> NDArray[np.float32]:
    return _levels(image).astype(np.float32)


@functools.lru_cache(maxsize=1024)
def _levels(image: ImageInfo) -> NDArray[np.uint8]:
    """Return the luma of an image in whole levels, 40 kB each, so that sets of hundreds are decoded once."""
    return luma(full_image(image)).astype(np.uint8)


def _reduced(gray: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return an image whose longer side has `COARSE` pixels at most."""
    from PIL import Image

    factor = max(1.0, max(gray.shape) / COARSE)
    height, width = (max(1, round(side / factor)) for side in gray.shape)
    return np.asarray(Image.fromarray(gray).resize((width, height), Image.Resampling.BICUBIC))


def _file(cache: Path, image: ImageInfo) -> Path:
    return cache / "copies" / f"keypoints-{COPIES_VERSION}" / image.sha[:2] / image.sha


def _results(cache: Path) -> Path:
    return cache / "copies" / "results.json"
