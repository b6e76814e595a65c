"""The images that a unit reads, and their sizes: for the feed that reads them, and to make them before a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

from drnbench.config.trial import Data, Stage
from drnbench.config.units import EvaluateUnit, Unit
from drnbench.data.sampling import pyramid_factors
from drnbench.degradations import parse
from drnbench.schemes import schemes

T = TypeVar("T")

PROBED = 1000
"""Steps whose mix is examined; images of a kind that a scheme first needs later are made at that step."""


class Read(NamedTuple):
    """Some images of a source at some sizes.

    Attributes:
        data: the declaration of the source.
        factors: HR size over image size; 1 is HR.
        scale: HR is cropped to a multiple of it, so that every factor covers the same pixels.
        holdout: number of images at the end of the source that are held out.
        held: the held-out images are read, not the others.
    """

    data: Data
    factors: tuple[int, ...]
    scale: int
    holdout: int = 0
    held: bool = False

    @property
    def made(self) -> tuple[int, ...]:
        """The factors of LR images that are made of HR; those at the full scale may be precomputed."""
        return tuple(f for f in self.factors if f > 1 and not (self.data.lr is not None and f == self.scale))

    def select(self, images: Sequence[T]) -> Sequence[T]:
        """Return the images that are read of all of a source."""
        cut = len(images) - self.holdout
        return images[cut:] if self.held else images[:cut][: self.data.count]


def reads_by_purpose(stage: Stage, scale: int, *, unpaired: bool) -> dict[str, Read]:
    """Return everything that a stage may read, by purpose: pairs, hr, unpaired, and `held KERNEL` for validation.

    The stage has its scheme filled in; `unpaired`: whether that uses the unpaired images.
    """
    data, held = stage.data, stage.holdout
    out = {"pairs": Read(data, pyramid_factors(scale), scale, held), "hr": Read(data, (1,), scale, held)}
    other = stage.unpaired if unpaired else None
    if other is not None:
        out["unpaired"] = Read(other, (scale,), scale)
    for kernel in dict.fromkeys(declared.kernel for declared in (data, other) if declared is not None):
        # Real LR images have no HR to compare a result with, so they add no kernel.
        if not parse(kernel).real:
            validation = data if kernel == data.kernel else data.model_copy(update={"kernel": kernel, "lr": None})
            out[f"held {kernel}"] = Read(validation, (scale, 1), scale, held, held=True)
    return out


def stage_reads(stage: Stage, scale: int, *, unpaired: bool) -> list[Read]:
    """Return the reads of a stage, without those that its scheme never asks for; arguments as in `reads_by_purpose`."""
    assert stage.scheme is not None
    scheme = schemes.get(stage.scheme)
    mixes = {scheme.mix(stage, step) for step in range(min(stage.steps, PROBED))}
    needed = {
        "pairs": any(mix.pairs or not (mix.unpaired or mix.hr) for mix in mixes),
        "unpaired": any(mix.unpaired for mix in mixes),
        "hr": any(mix.hr for mix in mixes),
    }
    validated = bool(stage.validations and stage.holdout)
    reads = reads_by_purpose(stage, scale, unpaired=unpaired)
    return [read for purpose, read in reads.items() if needed.get(purpose, validated)]


def evaluation_read(data: Data, scale: int) -> Read:
    """Return the read of a test set: HR and LR at the scale."""
    return Read(data, (scale, 1), scale)


def units_reads(units: Sequence[Unit]) -> list[Read]:
    """Return the reads of units, each once."""
    reads: dict[Read, None] = {}
    seen: set[object] = set()
    for unit in units:
        # Seeds of one arm read the same.
        identity: object = unit.key
        if unit.kind == "stage":
            identity = (unit.scale, unit.unpaired_digest is None, unit.stage.model_dump_json())
        if identity not in seen:
            seen.add(identity)
            reads.update(dict.fromkeys(_unit_reads(unit)))
    return list(reads)


def _unit_reads(unit: Unit) -> list[Read]:
    if isinstance(unit, EvaluateUnit):
        sets = dict.fromkeys((e.source, e.kernel, e.crop, e.count, e.lr) for e in unit.wanted)
        return [
            evaluation_read(Data(source, kernel=kernel, crop=crop, count=count, lr=lr), unit.scale)
            for source, kernel, crop, count, lr in sets
        ]
    return stage_reads(unit.stage, unit.scale, unpaired=unit.unpaired_digest is not None)
