"""Pairs of images that may show the same picture, and how one lies on the other, from the keypoints of both."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from drnbench.data.keypoints import FREQUENCIES, Floats, Keypoints
from drnbench.parallel import watch

SIMILAR = 0.9
"""Cosine of two descriptors from which on they may show the same patch."""

VOTES = 3
"""Matching patches in one position of the images to each other that make them a candidate."""

MATCHES = 300
"""Matches of two images at most, the most similar ones: textures match themselves everywhere."""

MOST = 16
"""Candidates of an image at most, those with the most votes: patterns look like all others of their kind."""

CHUNK = 512
"""Keypoints compared at a time, for memory and the processor's cache."""


class Turn(NamedTuple):
    """A flip or quarter turn: transposition first, then flips."""

    transposed: bool
    upside_down: bool
    mirrored: bool

    @property
    def text(self) -> str:
        """Its name, empty for none."""
        if not self.transposed:
            return {(0, 0): "", (0, 1): "mirrored", (1, 0): "upside down", (1, 1): "turned by 180°"}[self[1:]]
        return "turned by 90°" if self.upside_down != self.mirrored else "transposed"

    def pixels(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the turned image."""
        image = image.T if self.transposed else image
        return image[:: -1 if self.upside_down else 1, :: -1 if self.mirrored else 1]

    def descriptors(self, descriptors: Floats) -> Floats:
        """Return the descriptors of the turned patches."""
        odd = np.where(np.arange(FREQUENCIES) % 2, -1, 1).astype(np.float32)
        square = descriptors.reshape(-1, FREQUENCIES, FREQUENCIES)
        square = square.transpose(0, 2, 1) if self.transposed else square
        square = square * (odd[:, None] if self.upside_down else 1) * (odd if self.mirrored else 1)
        return square.reshape(len(descriptors), FREQUENCIES**2)

    def positions(self, points: Keypoints) -> NDArray[np.float64]:
        """Return n x 2 positions (x, y) in pixels of the turned image."""
        x, y, width, height = points.x * points.width, points.y * points.height, points.width, points.height
        if self.transposed:
            x, y, width, height = y, x, height, width
        return np.stack([width - x if self.mirrored else x, height - y if self.upside_down else y], axis=1).astype(
            float
        )


TURNS = tuple(Turn(bool(n & 4), bool(n & 2), bool(n & 1)) for n in range(8))

PARITIES = tuple(
    np.array([FREQUENCIES * y + x for y in range(down, FREQUENCIES, 2) for x in range(across, FREQUENCIES, 2)])
    for down in (0, 1) for across in (0, 1)
)  # fmt: skip
"""Columns of a descriptor by the parity of row and column: a flip changes the signs of odd ones."""


class Placement(NamedTuple):
    """Position of the turned image in another: a point p of it lies at `size * p + shift` there.

    Attributes:
        size: along x and y, pixels of the other image a pixel.
        shift: along x and y, in pixels of the other image.
    """

    turn: Turn
    size: tuple[float, float]
    shift: tuple[float, float]

    def scaled(self, image: float, other: float) -> Placement:
        """Return it in the pixels of other copies of the two images, by the factors of their sizes."""
        (width, height), (left, top) = self.size, self.shift
        ratio = other / image
        return Placement(self.turn, (width * ratio, height * ratio), (left * other, top * other))


class Candidate(NamedTuple):
    """Two images that may show the same picture: their positions in their sets, and how one lies in the other."""

    image: int
    other: int
    placement: Placement
    votes: int


class _Stack(NamedTuple):
    """Keypoints of many images: of which image each is, position in pixels, side of its patch, descriptor."""

    image: NDArray[np.intp]
    position: NDArray[np.float64]
    scale: Floats
    descriptors: Floats


def candidates(images: Sequence[Keypoints], others: Sequence[Keypoints]) -> Iterable[Candidate]:
    """Yield the pairs whose keypoints agree on a placement, at most the two best placements of a pair."""
    stack = _stack(others)
    for image, points in enumerate(watch(images, len(images), "comparing images")):
        if len(points.x) < VOTES:
            continue
        proposed = [
            Candidate(image, other, placement, votes)
            for other, matches in _matches(points, stack).items()
            for placement, votes in _placements(points, stack, matches)
        ]
        yield from sorted(proposed, key=lambda candidate: -candidate.votes)[:MOST]


def _stack(images: Sequence[Keypoints]) -> _Stack:
    counts = [len(points.x) for points in images]
    return _Stack(
        np.repeat(np.arange(len(images)), counts),
        np.concatenate([TURNS[0].positions(points) for points in images] or [np.zeros((0, 2))]),
        np.concatenate([points.scale for points in images] or [np.zeros(0, np.float32)]),
        np.concatenate([points.descriptors for points in images] or [np.zeros((0, FREQUENCIES**2), np.float32)]),
    )


def _matches(points: Keypoints, stack: _Stack) -> dict[int, NDArray[np.intp]]:
    """Return, for each other image with enough of them, n x 3 matches: turn, keypoint, keypoint of the stack."""
    parts = []
    for start in range(0, len(stack.image), CHUNK):
        similar = [_similar(points.descriptors, stack.descriptors[start : start + CHUNK], turned) for turned in (0, 1)]
        row, column, cosine = (np.concatenate(numbers) for numbers in zip(*similar, strict=True))
        order = np.lexsort((column, row))
        parts.append(np.stack([row, column + start, (cosine * 1e6).astype(np.intp)], axis=1)[order])
    rows = np.concatenate(parts) if parts else np.zeros((0, 3), np.intp)
    image = stack.image[rows[:, 1]]
    numbers, counts = np.unique(image, return_counts=True)
    matches = {}
    for number in numbers[counts >= VOTES]:
        own = rows[image == number]
        own = own[np.argsort(own[:, 2], kind="stable")[::-1][:MATCHES]]
        turn, keypoint = np.divmod(own[:, 0], len(points.x))
        matches[int(number)] = np.stack([turn, keypoint, own[:, 1]], axis=1)
    return matches


def _similar(descriptors: Floats, others: Floats, transposed: int) -> tuple[NDArray[np.intp], NDArray[np.intp], Floats]:
    """Return the pairs of n and m descriptors that are `SIMILAR` in one of four flips: row, column and cosine.

    The row counts all turns: that of keypoint k in `TURNS[t]` is t n + k. Flips change the signs of coefficients by the
    parity of their row and column, so the cosines of all four are sums of four products, and at most that of their sizes.
    """
    if transposed:
        descriptors = TURNS[4].descriptors(descriptors)
    products = [descriptors[:, columns] @ others[:, columns].T for columns in PARITIES]
    bound = products[0] + np.abs(products[1])
    for product in products[2:]:
        bound += np.abs(product)
    row, column = np.divmod(np.flatnonzero(bound.ravel() > SIMILAR - 1e-5), bound.shape[1])
    even, across, down, both = (product[row, column] for product in products)
    flips = [even + x * across + y * down + x * y * both for y in (1, -1) for x in (1, -1)]
    kept = [np.flatnonzero(cosine > SIMILAR) for cosine in flips]
    return (
        np.concatenate([row[n] + (4 * transposed + turn) * len(descriptors) for turn, n in enumerate(kept)]),
        np.concatenate([column[n] for n in kept]),
        np.concatenate([cosine[n] for cosine, n in zip(flips, kept, strict=True)]),
    )


def _placements(points: Keypoints, stack: _Stack, matches: NDArray[np.intp]) -> list[tuple[Placement, int]]:
    """Return the placements that most matches agree on, with their number; at most two, of different turns."""
    results = []
    for number in np.unique(matches[:, 0]):
        turn = TURNS[number]
        own = matches[matches[:, 0] == number]
        if len(own) < VOTES:
            continue
        here, there = turn.positions(points)[own[:, 1]], stack.position[own[:, 2]]
        size = stack.scale[own[:, 2]] / points.scale[own[:, 1]].astype(float)
        # Every match proposes a placement, and all others vote; a proposed size is wrong by up to half a level.
        offset = here[None] - here[:, None]
        error = np.linalg.norm(there[None] - there[:, None] - size[:, None, None] * offset, axis=2)
        allowed = 0.2 * stack.scale[own[:, 2]][None] + 0.12 * size[:, None] * np.linalg.norm(offset, axis=2)
        agrees = (error < allowed) & (np.abs(np.log2(size[None] / size[:, None])) < 0.4)
        best = agrees[np.argmax(agrees.sum(axis=1))]
        if (votes := int(best.sum())) >= VOTES:
            results.append((_fitted(turn, here[best], there[best], float(np.median(size[best]))), votes))
    return sorted(results, key=lambda result: -result[1])[:2]


def _fitted(turn: Turn, here: NDArray[np.float64], there: NDArray[np.float64], size: float) -> Placement:
    """Return the placement of least squares; of the given size where all points lie in one place."""
    centred = here - here.mean(axis=0)
    spread = float((centred**2).sum())
    fitted = float((centred * (there - there.mean(axis=0))).sum()) / spread if spread else size
    size = fitted if 0.8 < fitted / size < 1.25 else size
    shift = there.mean(axis=0) - size * here.mean(axis=0)
    return Placement(turn, (size, size), (float(shift[0]), float(shift[1])))
