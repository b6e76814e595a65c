"""Verdict on a set of pairs: candidates in order, shift, damage, and the sentence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from drnbench.forensics.alignment import Alignment, median, signed
from drnbench.forensics.defects import QUIET, Tone
from drnbench.forensics.generators import FLOAT, FLOATING
from drnbench.forensics.identify import GAUSSIAN
from drnbench.forensics.linear_kernel import LinearKernel
from drnbench.forensics.mismatches import Refusal, refused, shortened
from drnbench.forensics.pairs import PairReport

ALIKE = 1.01
"""Ratio of mean squares up to which two generators explain noisy or coded images equally well."""
UNLISTED = 0.7
"""Share of the residual of the best generator, below which the estimated kernel is of another kind."""
NAMED = 3
"""Generators that a sentence names where none is exact."""
NAMED_EQUAL = 6
"""Further generators that a sentence names where they make the same pixels."""


@dataclass(frozen=True)
class Candidate:
    """A generator over all pairs.

    Attributes:
        name: of the generator.
        exact: images that it makes exactly but for rounding.
        square: mean square of the differences, over images.
        equal: share of equal levels.
        largest: difference.

    """

    name: str
    exact: int
    square: float
    equal: float
    largest: float

    @property
    def psnr(self) -> float | None:
        """PSNR of LR against it, dB; None: infinite."""
        return float(10 * np.log10(255**2 / self.square)) if self.square else None


@dataclass(frozen=True)
class Verdict:
    """The result over all pairs.

    Attributes:
        candidates: best first.
        same: names of those that explain the images as well as the first.
        alignment: median over images; None where none shows anything.
        sentence: summary.
        notes: damage that some images have, with their number.

    """

    candidates: tuple[Candidate, ...]
    same: tuple[str, ...]
    alignment: Alignment | None
    sentence: str
    notes: tuple[str, ...]

    def record(self) -> dict[str, Any]:
        """Return it as plain data."""
        a = self.alignment
        return {
            "generator": self.candidates[0].name, "same": list(self.same), "notes": list(self.notes),
            "shift": None if a is None else {
                "x": a.x, "y": a.y, "drift_x": a.drift_x, "drift_y": a.drift_y, "unit": "HR pixels, right and down",
                "displaced": a.displaced,
            },
            "candidates": [
                {"generator": c.name, "exact": c.exact, "psnr": c.psnr, "equal": c.equal, "largest": c.largest}
                for c in self.candidates
            ],
        }  # fmt: skip


def conclude(pairs: Sequence[PairReport], kernel: LinearKernel | None, refusals: Sequence[Refusal] = ()) -> Verdict:
    """Return the verdict.

    Args:
        pairs: at least one.
        kernel: as estimated from them.
        refusals: the pairs that were not audited.

    """
    candidates = _candidates(pairs)
    same = _same(candidates)
    alignment = median([pair.alignment for pair in pairs])
    notes = _notes(pairs)
    made = _made(pairs, candidates, same, kernel)
    parts = [f"LR images are {made}", shift(pairs, alignment), *notes]
    if refusals:
        clauses = refused(refusals, len(pairs) + len(refusals))
        parts[0] = f"{clauses}; the other {parts[0]}" if len(pairs) > 1 else f"{clauses}; the other LR image is {made}"
    return Verdict(candidates, same, alignment, f"{'; '.join(parts)}.", notes)


def _same(candidates: Sequence[Candidate]) -> tuple[str, ...]:
    """Return the names of further generators that explain the images as well as the first; a way to round is none."""
    first = candidates[0]
    limit = first.square if first.exact else ALIKE * first.square
    alike = [c.name for c in candidates[1:] if c.exact == first.exact and c.square <= limit and c.name != GAUSSIAN]
    bases = {first.name.removesuffix(suffix) for suffix, _ in FLOAT if suffix} | {first.name}
    names = []
    for name in alike:
        base = min((name.removesuffix(suffix) for suffix, _ in FLOAT), key=len)
        if base not in bases:
            bases.add(base)
            names.append(name)
    return tuple(names)


def _candidates(pairs: Sequence[PairReport]) -> tuple[Candidate, ...]:
    """Return the generators that every pair was compared with, best first; in the order of the list where equal."""
    made = []
    for name in dict.fromkeys(name for pair in pairs for name in pair.differences):
        differences = [pair.differences[name] for pair in pairs if name in pair.differences]
        if len(differences) < len(pairs) and name != GAUSSIAN:
            continue
        squares = [difference.square for difference in differences]
        exact = sum(difference.exact for difference in differences)
        equal = float(np.mean([difference.equal for difference in differences]))
        made.append(Candidate(name, exact, float(np.mean(squares)), equal, max(d.largest for d in differences)))
    return tuple(sorted(made, key=lambda c: (-c.exact, c.square)))


def _made(
    pairs: Sequence[PairReport], candidates: Sequence[Candidate], same: Sequence[str], kernel: LinearKernel | None
) -> str:
    """Return the phrase that names the generator, and how well it explains the images."""
    first, count = candidates[0], len(pairs)
    own = Counter(pair.best for pair in pairs if pair.differences[pair.best].exact)
    if sum(own.values()) > first.exact:
        groups = ", ".join(f"{name} in {n} of {count}" for name, n in own.most_common())
        rest = count - sum(own.values())
        return f"of several kinds: {groups}, exact to rounding{f', and {rest} unexplained' if rest else ''}"
    name = _described(first.name, pairs)
    if first.exact:
        also = f" (the same pixels as {shortened(_distinct(first.name, same), NAMED_EQUAL)})" if same else ""
        places = Counter((pair.differences[first.name].place, pair.differences[first.name].edges) for pair in pairs)
        crops = "".join(
            f", {place}{f' ({edges})' if edges else ''} in {n}" for (place, edges), n in places.items() if place
        )
        return f"{name}{also}, exact to rounding in {first.exact} of {count} image{'s' * (count != 1)}{crops}"
    return _inexact(name, first, pairs, same, kernel)


def _inexact(
    name: str, first: Candidate, pairs: Sequence[PairReport], same: Sequence[str], kernel: LinearKernel | None
) -> str:
    names = f"{name}{f' or {shortened(same, NAMED)}' if same else ''}"
    codings = [pair.differences[first.name].jpeg for pair in pairs if first.name in pair.differences]
    coded = [jpeg for jpeg in codings if jpeg is not None]
    if len(coded) > len(pairs) / 2:
        qualities = sorted({jpeg.quality for jpeg in coded})
        quality = str(qualities[0]) if len(qualities) == 1 else f"{qualities[0]} to {qualities[-1]}"
        kinds = "/".join(sorted({jpeg.subsampling for jpeg in coded}))
        return f"{names}, then JPEG of quality {quality} ({kinds}) in {len(coded)} of {len(pairs)} images"
    sigma = float(np.median([pair.noise for pair in pairs]))
    if sum(pair.blocks for pair in pairs) > len(pairs) / 2:
        return f"{names}, then JPEG, perhaps with noise before it (the residual has blocks of 8 pixels)"
    if kernel is not None and kernel.residual < UNLISTED * _gray_residual(pairs):
        return _unlisted(names, first, pairs, kernel)
    if first.square <= QUIET**2:
        return f"{names}, to within {first.square**0.5:.2f} levels (root mean square)"
    if sum(pair.white for pair in pairs) > len(pairs) / 2:
        return f"{names}, with noise of standard deviation {sigma:.1f} levels"
    return _unlisted(names, first, pairs, kernel)


def _distinct(first: str, same: Sequence[str]) -> list[str]:
    """Return names without those of the same resize on floating-point images, where that on uint8 is named."""
    return [
        name
        for name in same
        if name.removesuffix(FLOATING) == name or name.removesuffix(FLOATING) not in {first, *same}
    ]


def _gray_residual(pairs: Sequence[PairReport]) -> float:
    """Return the root mean square residual of the best generators in the mean of R, G and B."""
    return float(np.sqrt(np.mean([(pair.residual.mean(axis=2) ** 2).mean() for pair in pairs])))


def _unlisted(names: str, first: Candidate, pairs: Sequence[PairReport], kernel: LinearKernel | None) -> str:
    """Return the phrase on a kernel that none of the generators has."""
    psnr = f"PSNR {first.psnr:.1f} dB" if first.psnr else "exact"
    text = f"of no listed kind (nearest: {names}, {psnr})"
    # Displaced by more than its support, or with other levels, the images have no linear kernel that could be estimated.
    if kernel is None or kernel.residual > _gray_residual(pairs):
        return text
    (x, y), (wide, narrow) = kernel.centre, kernel.sigma
    sigma = ""  # side lobes may leave none
    if narrow:
        isotropic = wide < 1.1 * narrow
        sigma = f", sigma {wide:.2f}" + (
            "" if isotropic else f" along {kernel.angle:.0f} degrees and {narrow:.2f} across"
        )
    return (
        f"{text}; the estimated linear kernel has its centre of mass at ({signed(x)}, {signed(y)}) HR pixels from the middle "
        f"of a cell{sigma}, and leaves {kernel.residual:.1f} levels (root mean square)"
    )


def _described(name: str, pairs: Sequence[PairReport]) -> str:
    """Return a generator's name, with the parameters of the Gaussian."""
    blurs = [pair.blur for pair in pairs if pair.blur is not None]
    if name != GAUSSIAN or not blurs:
        return name
    down, across = (float(np.median([blur.sigma[n] for blur in blurs])) for n in (0, 1))
    y, x = (float(np.median([blur.centre[n] for blur in blurs])) for n in (0, 1))
    sigma = f"{across:.2f}" if abs(across - down) < 0.01 else f"{across:.2f} across and {down:.2f} down"
    return f"a Gaussian blur of sigma {sigma} HR pixels, sampled at column {_short(x)}, row {_short(y)} of each cell"


def _short(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def shift(pairs: Sequence[PairReport], alignment: Alignment | None) -> str:
    """Return the shift of a set in words."""
    if alignment is None:
        return "the images show too little to measure a shift"
    displaced = [pair.alignment for pair in pairs if pair.alignment.displaced]
    if not alignment.displaced and not displaced:
        return "no shift"
    if displaced and max(max(abs(a.x - alignment.x), abs(a.y - alignment.y)) for a in displaced) > 0.3:
        xs, ys = [a.x for a in displaced], [a.y for a in displaced]
        return (
            f"{len(displaced)} of {len(pairs)} images are shifted, by x = {min(xs):+.2f} to {max(xs):+.2f} and y = "
            f"{min(ys):+.2f} to {max(ys):+.2f} HR pixels"
        )
    return alignment.text() if alignment.displaced else "no shift"


def _notes(pairs: Sequence[PairReport]) -> tuple[str, ...]:
    """Return a clause on each further defect; a change of levels is one, whatever its estimates in the images."""
    counts = Counter(note for pair in pairs for note in pair.notes if "no multiple" not in note)
    tones = [pair.tone for pair in pairs if pair.tone is not None]
    if tones:
        curved = [tone for tone in tones if tone.gamma != 1]
        alike = curved if 2 * len(curved) > len(tones) else [tone for tone in tones if tone.gamma == 1]
        counts[Tone(*(float(np.median(values)) for values in zip(*alike, strict=True))).text] = len(tones)
    return tuple(note if n == len(pairs) else f"{note} in {n} of {len(pairs)} images" for note, n in counts.items())
