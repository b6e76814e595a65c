"""Means that may be ranked against each other: those that rest on the same images and the same seeds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from drnbench.results.scores import Scores
from drnbench.results.summary import Result


def different_images(contenders: Iterable[Result]) -> bool:
    """Return True if finite means of one condition and metric rest on different images, so that they are not to be ranked."""
    finite = [result for result in contenders if result.mean is not None and not result.equals_hr]
    return len({result.images for result in finite}) > 1


def on_the_same_seeds(scores: Scores, contenders: Sequence[Result]) -> list[Result]:
    """Return those of some results of one condition and metric whose seeds allow a ranking of their means.

    These are the results on the seeds that most of them have; of equally many, on the larger set; none where that leaves
    several sets. A study that adds seeds arm by arm gives its arms different numbers of seeds by design, and decides on
    them by the widths of intervals, which say nothing of the means: there every arm with all of its planned seeds counts.
    """
    scored = [result for result in contenders if result.n_seeds]
    if scores.plan.until:
        return [result for result in scored if result.n_seeds == len(scores.arm(result.arm).trials)]
    counts = Counter(result.seeds for result in scored)
    sizes = {seeds: (count, len(seeds)) for seeds, count in counts.items()}
    most = max(sizes.values(), default=None)
    chosen = [seeds for seeds, size in sizes.items() if size == most]
    return [result for result in scored if chosen == [result.seeds]]
