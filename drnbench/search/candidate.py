"""A candidate of a search: a point of the space with its scores and its end."""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


class State(enum.StrEnum):
    """The state of a candidate; all but the first are final."""

    RUNNING = "running"
    COMPLETE = "complete"
    PRUNED = "pruned"
    FAILED = "failed"


@dataclass
class Candidate:
    """One point of the space.

    Attributes:
        number: in the journal; -1 is the baseline, where it lies outside of the space.
        values: path -> value, as a trial is given it.
        scores: seeds x objectives, of the seeds scored so far.
        images: seeds x images, where per-image scores count.
        note: the reason of a failure.
        again: numbers of later draws of the same point.
    """

    number: int
    values: dict[str, Any]
    scores: list[list[float]] = field(default_factory=list)
    images: list[list[float]] = field(default_factory=list)
    state: State = State.RUNNING
    note: str | None = None
    again: list[int] = field(default_factory=list)

    @property
    def means(self) -> list[float] | None:
        """The mean of each objective over the seeds so far; None before the first."""
        return [sum(column) / len(column) for column in zip(*self.scores, strict=True)] if self.scores else None

    @property
    def diverged(self) -> bool:
        """True if it failed by its own settings, which is an answer; any other failure is a fault of something else."""
        return (self.note or "").startswith(("diverged", "a score is not finite"))


def identity(values: Mapping[str, Any]) -> str:
    """Return the text that two equal points share."""
    return json.dumps(dict(values), sort_keys=True)


def best(candidates: Sequence[Candidate], signs: Sequence[int]) -> list[Candidate]:
    """Return the best complete candidate; with several objectives the front, the best in the first one first.

    `signs`: 1 for each objective that is maximised, -1 for each that is minimised.
    """
    complete = [candidate for candidate in candidates if candidate.state is State.COMPLETE]
    worth = {c.number: [s * v for s, v in zip(signs, c.means or [], strict=True)] for c in complete}
    if len(signs) == 1:
        return sorted(complete, key=lambda c: (-worth[c.number][0], c.number))[:1]
    front = [c for c in complete if not any(_dominates(worth[other.number], worth[c.number]) for other in complete)]
    return sorted(front, key=lambda c: ([-value for value in worth[c.number]], c.number))


def _dominates(first: Sequence[float], second: Sequence[float]) -> bool:
    return all(a >= b for a, b in zip(first, second, strict=True)) and list(first) != list(second)
