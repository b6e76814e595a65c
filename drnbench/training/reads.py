"""Which images a unit reads, and in which sizes: for the feed that reads them, and for making them before a run."""

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
"""Steps of which the mix is asked: a scheme that wants a kind of image only after these makes it when it does."""


class Read(NamedTuple):
    """Some images of a source at some sizes.

    Attributes:
        factors: HR size over image size; 1 is HR.
        scale: HR is cropped to a multiple of it, so that every factor covers the same pixels.
        holdout: images at the end of the source that are held out; held: those are meant, else the others.

    """

    data: Data
    factors: tuple[int, ...]
    scale: int
    holdout: int = 0
    held: bool = False

    @property
    def made(self) -> tuple[int, ...]:
        """The factors of LR images that are made of HR; those at the full scale may be ready-made."""
        return tuple(f for f in self.factors if f > 1 and not (self.data.lr is not None and f == self.scale))

    def select(self, images: Sequence[T]) -> Sequence[T]:
        """Return those of a source's images that are meant."""
        cut = len(images) - self.holdout
        return images[cut:] if self.held else images[:cut][: self.data.count]


def stage_reads(stage: Stage, scale: int, *, unpaired: bool) -> dict[str, Read]:
    """Return everything that a stage may read, by purpose: pairs, hr, unpaired, and `held KERNEL` for validation.

    Args:
        stage: with its scheme filled in.
        scale: HR size over LR size.
        unpaired: whether the scheme uses the unpaired images.

    """
    data, held = stage.data, stage.holdout
    out = {
        "pairs": Read(data, pyramid_factors(scale), scale, held),
        "hr": Read(data, (1,), scale, held),
    }
    other = stage.unpaired if unpaired else None
    if other is not None:
        out["unpaired"] = Read(other, (scale,), scale)
    for kernel in dict.fromkeys(one.kernel for one in (data, other) if one is not None):
        # Real LR images have no HR to hold a result against, so they add no kernel.
        if not parse(kernel).real:
            shown = data if kernel == data.kernel else data.model_copy(update={"kernel": kernel, "lr": None})
            out[f"held {kernel}"] = Read(shown, (scale, 1), scale, held, held=True)
    return out


def wanted(unit: Unit) -> list[Read]:
    """Return what a unit will read, and nothing that its scheme never asks for."""
    if isinstance(unit, EvaluateUnit):
        sets = dict.fromkeys((e.source, e.kernel, e.crop, e.count, e.lr) for e in unit.wanted)
        return [
            Read(Data(source, kernel=kernel, crop=crop, count=count, lr=lr), (unit.scale, 1), unit.scale)
            for source, kernel, crop, count, lr in sets
        ]
    return stage_wanted(unit.stage, unit.scale, unpaired=unit.unpaired_digest is not None)


def stage_wanted(stage: Stage, scale: int, *, unpaired: bool) -> list[Read]:
    """Return what a stage will read; arguments as in `stage_reads`."""
    assert stage.scheme is not None
    scheme = schemes.get(stage.scheme)
    mixes = {scheme.mix(stage, step) for step in range(min(stage.steps, PROBED))}
    asked = {
        "pairs": any(mix.pairs or not (mix.unpaired or mix.hr) for mix in mixes),
        "unpaired": any(mix.unpaired for mix in mixes),
        "hr": any(mix.hr for mix in mixes),
    }
    validated = bool(stage.validations and stage.holdout)
    reads = stage_reads(stage, scale, unpaired=unpaired)
    return [read for purpose, read in reads.items() if asked.get(purpose, validated)]


def units_wanted(units: Sequence[Unit]) -> list[Read]:
    """Return what units will read, each thing once."""
    found: dict[Read, None] = {}
    seen: set[object] = set()
    for unit in units:
        # Seeds of one arm read the same.
        same = (
            (unit.scale, unit.unpaired_digest is None, unit.stage.model_dump_json())
            if unit.kind == "stage"
            else unit.key
        )
        if same not in seen:
            seen.add(same)
            found.update(dict.fromkeys(wanted(unit)))
    return list(found)
