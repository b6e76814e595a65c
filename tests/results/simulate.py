"""Simulated studies under known truths: the error rates, coverage and power of what drnbench prints.

`python -m tests.results.simulate` prints the tables of docs/statistics.md, with 4000 studies each, in some minutes;
test_simulation.py runs the same functions with fewer. A study has arms and a baseline, scored by S seeds on I images;
deviations are those of an arm, in dB: of seeds .02, of seed-by-image .05, of image-by-method 0 or .1.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

from drnbench.results.statistics import ALPHA, Spreads, one_sample_t, three_spreads

Array = NDArray[np.float64]
VALUES = 4_000_000
"""Numbers that are drawn at once."""


@dataclass(frozen=True)
class Setting:
    """A kind of study: numbers of seeds and images, and the deviations of an arm, in dB."""

    seeds: int
    images: int
    image_sd: float = 0.0
    seed_sd: float = 0.02
    residual_sd: float = 0.05
    diverged: float = 0.0
    """Share of an arm's seeds that lose .3 dB on all images; the others gain what makes up for it. The baseline has none."""

    def arms(self, rng: np.random.Generator, *shape: int) -> Array:
        """Return scores of arms that are worth nothing: *shape x S x I."""
        S, I = self.seeds, self.images
        seeds = self.seed_sd * rng.standard_normal((*shape, S, 1))
        if self.diverged:
            seeds += 0.3 * (self.diverged - (rng.random((*shape, S, 1)) < self.diverged))
        images = self.image_sd * rng.standard_normal((*shape, 1, I))
        scores: Array = seeds + images + self.residual_sd * rng.standard_normal((*shape, S, I))
        return scores

    def differences(self, arms: int, studies: int) -> Iterator[Array]:
        """Yield differences to a shared baseline: arms x studies x S x I, in parts."""
        rng = np.random.default_rng([self.seeds, self.images, round(1000 * self.image_sd), arms])
        part = max(1, min(studies, VALUES // ((arms + 1) * self.seeds * self.images)))
        for start in range(0, studies, part):
            count = min(part, studies - start)
            yield self.arms(rng, arms, count) - replace(self, diverged=0.0).arms(rng, 1, count)


def crossed_p(spreads: Spreads) -> Array:
    """Return the p-values of the crossed t alone."""
    p: Array = 2 * stdtr(spreads.dfs[0], -np.abs(spreads.mean) / spreads.errors[0])
    return p


def false_stars(setting: Setting, arms: int, studies: int) -> tuple[float, float]:
    """Return the shares of studies without any effect in which an arm is starred: crossed t alone, largest of three."""
    stars: list[Array] = []
    for D in setting.differences(arms, studies):
        spreads = three_spreads([D])
        # Holm rejects something where the smallest p is below alpha / m.
        stars.append(np.stack([p.min(0) * arms < ALPHA for p in (crossed_p(spreads), spreads.p())]))
    alone, largest = np.concatenate(stars, axis=1).mean(1)
    return float(alone), float(largest)


def coverage(setting: Setting, studies: int) -> tuple[float, float]:
    """Return the shares of intervals of one difference that hold 0: crossed t alone, widest of three."""
    held: list[Array] = []
    for D in setting.differences(1, studies):
        spreads = three_spreads([D])
        crossed = stdtrit(spreads.dfs[0], 0.975) * spreads.errors[0]
        held.append(np.stack([np.abs(spreads.mean[0]) <= half[0] for half in (crossed, spreads.half_width())]))
    alone, widest = np.concatenate(held, axis=1).mean(1)
    return float(alone), float(widest)


def mean_coverage(setting: Setting, studies: int) -> float:
    """Return the share of half-widths over seeds that hold what the method scores on these images."""
    rng = np.random.default_rng([setting.seeds, setting.images])
    images = 4 * rng.standard_normal(setting.images)
    held = 0
    for _ in range(studies):
        residual = setting.residual_sd * rng.standard_normal((setting.seeds, setting.images))
        values = images + setting.seed_sd * rng.standard_normal((setting.seeds, 1)) + residual
        mean, error, df = one_sample_t(values.mean(1))
        held += abs(mean - images.mean()) <= stdtrit(df, 0.975) * error
    return held / studies


def weighted_coverage(setting: Setting, sizes: Sequence[int], weights: Sequence[float], studies: int) -> float:
    """Return the share of intervals of a weighted sum over sets of images that hold 0: a gap, or a mean over sets.

    Seeds deviate alike on all sets of images, by half of their deviation, and on each by the other half.
    """
    half = replace(setting, seed_sd=setting.seed_sd / 2**0.5)
    rng = np.random.default_rng([setting.seeds, *sizes])
    shared = half.seed_sd * 2**0.5 * rng.standard_normal((studies, setting.seeds, 1))
    tables = []
    for size in sizes:
        own = replace(half, images=size)
        tables.append(own.arms(rng, studies) - own.arms(rng, studies) + shared)
    spreads = three_spreads(tables, weights)
    return float((np.abs(spreads.mean) <= spreads.half_width()).mean())


def power(setting: Setting, effect: float, studies: int, alpha: float = ALPHA) -> tuple[float, float]:
    """Return the power for a true difference: crossed t alone, largest of three."""
    parts = []
    for D in setting.differences(1, studies):
        spreads = three_spreads([D + effect])
        parts.append(np.stack([p[0] < alpha for p in (crossed_p(spreads), spreads.p())]))
    alone, largest = np.concatenate(parts, axis=1).mean(1)
    return float(alone), float(largest)


def equivalent(setting: Setting, effect: float, margin: float, studies: int) -> float:
    """Return the share of studies with a true difference that two one-sided tests call equivalent within a margin."""
    parts = []
    for D in setting.differences(1, studies):
        spreads = three_spreads([D + effect])
        parts.append((np.abs(spreads.mean) + spreads.half_width(1 - 2 * ALPHA) < margin)[0])
    return float(np.concatenate(parts).mean())


SEEDS, IMAGES, EFFECTS = (3, 5, 10), (5, 14, 100), (0.0, 0.1)


def settings(seeds: Sequence[int] = SEEDS) -> Iterator[Setting]:
    """Yield every setting of the tables."""
    return (Setting(S, I, sd) for S in seeds for I in IMAGES for sd in EFFECTS)


def table(head: Sequence[str], row: Callable[[Setting], Sequence[float | str]], seeds: Sequence[int]) -> None:
    """Print a Markdown table with a row for each setting."""
    names = ["seeds", "images", "image-by-method SD", *head]
    print("| " + " | ".join(names) + " |\n" + "|---" * len(names) + "|")
    for setting in settings(seeds):
        cells = [f"{cell:.3f}" if isinstance(cell, float) else cell for cell in row(setting)]
        print(f"| {setting.seeds} | {setting.images} | {setting.image_sd:g} | " + " | ".join(cells) + " |")
    print(flush=True)


def main(studies: int) -> None:
    """Print every table of docs/statistics.md."""
    both = "{0[0]:.3f} / {0[1]:.3f}".format
    print(f"{studies} studies a row; Monte-Carlo standard error of .05: {(0.05 * 0.95 / studies) ** 0.5:.4f}\n")
    print("### Any false star, crossed t alone / largest of three p\n")
    families = (5, 9, 36)
    heads = [f"{arms} comparisons" for arms in families]
    table(heads, lambda s: [both(false_stars(s, arms, studies)) for arms in families], SEEDS)
    print("### Any arm named by two seeds of noise\n")
    table(heads[:2], lambda s: [false_stars(s, arms, studies)[1] for arms in families[:2]], (2,))
    print("### Coverage of 95 % intervals\n")
    table(
        ["Δ, crossed t alone / widest", "Δ gap", "Δ of 3 pooled sets", "mean over seeds"],
        lambda s: [
            both(coverage(s, studies)),
            weighted_coverage(s, (s.images, 14), (1, -1), studies // 4),
            weighted_coverage(s, (s.images, 5, 14), (1 / 3,) * 3, studies // 4),
            mean_coverage(s, studies),
        ],
        (2, *SEEDS),
    )
    print("### Power for .1 dB, crossed t alone / largest of three p\n")
    table(
        ["one comparison", "the smallest of 9"],
        lambda s: [both(power(s, 0.1, studies)), both(power(s, 0.1, studies, ALPHA / 9))],
        SEEDS,
    )
    print("### Equivalence within .05 dB\n")
    table(
        ["claimed at a true .05 dB", "claimed at a true 0"],
        lambda s: [equivalent(s, effect, 0.05, studies) for effect in (0.05, 0.0)],
        SEEDS,
    )
    print("### False stars where one seed in ten of every arm loses .3 dB, and its mean is that of the baseline\n")
    table(
        [f"any of {arms}" for arms in (1, 5)],
        lambda s: [false_stars(replace(s, diverged=0.1), arms, studies)[1] for arms in (1, 5)],
        SEEDS,
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 4000)
