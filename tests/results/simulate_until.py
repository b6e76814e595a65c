"""Simulation of studies that add seeds: coverage, seeds in units of those of an oracle, error of a family of stars.

    python -m tests.results.simulate_until

prints the table of docs/statistics.md, "Seeds until the answer is clear" (some minutes); `test_stopping.py` runs a part of
it. D = arm minus baseline has a seed SD and a seed-by-image SD of both, hence sqrt(2) times those of an arm, and an
image-by-method SD.
"""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

from drnbench.config.study import Until
from drnbench.results.statistics import ALPHA, LOOKS_ALPHA, LOOKS_TEST, Array, three_spreads
from drnbench.results.stopping import image_variance, images_alone, next_count

SEED_SDS, IMAGES, EFFECTS = (0.01, 0.02, 0.03, 0.06), (5, 14, 100), (0.0, 0.1)
HALF_WIDTHS = (0.03, 0.05, 0.075, 0.1, 0.15, 0.2)
PIXELS = 0.05
"""Seed-by-image SD."""


class Ends(NamedTuple):
    """Ends of simulated comparisons: number of seeds, mean, half-width, p, and whether images are what is missing."""

    seeds: Array
    mean: Array
    half_width: Array
    p: Array
    images: Array

    def coverage(self) -> float:
        """Share of intervals that hold the true difference, 0."""
        return float((np.abs(self.mean) <= self.half_width).mean())


def draw(rng: np.random.Generator, shape: tuple[int, ...], seeds: int, images: int, sd: float, effect: float) -> Array:
    """Scores of arms minus their images' levels, ... x seeds x images."""
    by_seed, by_pixel = rng.standard_normal((*shape, seeds, 1)), rng.standard_normal((*shape, seeds, images))
    by_image = rng.standard_normal((*shape, 1, images))
    scores: Array = sd * by_seed + PIXELS * by_pixel + effect / 2**0.5 * by_image
    return scores


def differences(rng: np.random.Generator, n: int, seeds: int, images: int, sd: float, effect: float) -> Array:
    """N differences of two arms."""
    D: Array = draw(rng, (n,), seeds, images, sd, effect) - draw(rng, (n,), seeds, images, sd, effect)
    return D


def ends(D: Array, until: Until, alpha: float = LOOKS_ALPHA) -> Ends:
    """Add seeds to N x at_most x I differences by the rule."""
    columns = np.zeros((5, len(D)))
    left, count = np.arange(len(D)), until.at_least
    while len(left):
        table = D[left, :count]
        spreads = three_spreads([table])
        half = spreads.half_width(1 - alpha)
        images = (images_alone(image_variance(table), D.shape[-1]) > until.half_width) & (half > until.half_width)
        ended = (half <= until.half_width) | images | (count >= until.at_most)
        p = np.minimum(spreads.p() * (ALPHA / LOOKS_TEST if alpha < ALPHA else 1), 1)
        looked = np.stack([np.full(len(left), float(count)), spreads.mean, half, p, images])
        columns[:, left[ended]] = looked[:, ended]
        left, count = left[~ended], next_count(count, until)
    return Ends(*columns)


def oracle(until: Until, images: int, sd: float, effect: float) -> int:
    """Seeds of an oracle: the fewest at which a 95 % interval with the true variances in it is as narrow as wanted.

    Where images alone keep it wider it takes `at_least`, else, where `at_most` are not enough, `at_most`.
    """
    seed, image, pixel = 2 * sd**2, effect**2, 2 * PIXELS**2
    for S in range(until.at_least, until.at_most + 1):
        v_s, v_i, v_e = (seed + pixel / images) / S, (image + pixel / S) / images, pixel / (S * images)
        crossed = v_s + v_i - v_e
        df = crossed**2 / (v_s**2 / (S - 1) + v_i**2 / (images - 1) + v_e**2 / ((S - 1) * (images - 1)))
        pairs = ((crossed, df), (v_s, S - 1), (v_i, images - 1))
        if max(stdtrit(df, 1 - ALPHA / 2) * v**0.5 for v, df in pairs) <= until.half_width:
            return S
    alone = stdtrit(images - 1, 1 - ALPHA / 2) * (image / images) ** 0.5
    return until.at_least if alone > until.half_width else until.at_most


def any_star(rng: np.random.Generator, n: int, arms: int, until: Until, images: int, sd: float, effect: float) -> float:
    """Share of studies without any difference in which Holm's test stars one of the arms, which share a baseline."""
    scores = draw(rng, (n, arms + 1), until.at_most, images, sd, effect)
    D = (scores[:, 1:] - scores[:, :1]).reshape(-1, until.at_most, images)
    smallest = ends(D, until).p.reshape(n, arms).min(1)
    return float((smallest < ALPHA / arms).mean())


def main() -> None:
    """Print the table: a row for each number of images and image-by-method SD, the worst over SDs and half-widths."""
    rng = np.random.default_rng(0)
    print("| images | image-by-method SD | coverage at 95 % nominal | coverage | seeds / oracle, worst | seeds / oracle, all "
          "| any star, 5 arms |\n|---|---|---|---|---|---|---|")  # fmt: skip
    for images, effect in product(IMAGES, EFFECTS):
        n, rows, total = 400_000 // images, [], np.zeros(2)
        for sd in SEED_SDS:
            D = differences(rng, min(n, 20_000), 10, images, sd, effect)
            for half_width in HALF_WIDTHS:
                until = Until(half_width=half_width)
                end, plain, best = ends(D, until), ends(D, until, ALPHA), oracle(until, images, sd, effect)
                star = any_star(rng, min(n, 10_000) // 2, 5, until, images, sd, effect)
                rows.append((plain.coverage(), end.coverage(), end.seeds.mean() / best, star))
                total += end.seeds.mean(), best
        plain_, cover, ratio, star = zip(*rows, strict=True)
        print(f"| {images} | {effect} | {min(plain_):.3f} | {min(cover):.3f} | {max(ratio):.2f} | {total[0] / total[1]:.2f} "
              f"| {max(star):.3f} |")  # fmt: skip


if __name__ == "__main__":
    main()
