"""Large sets of images, made before a run by one process with all cores, not by a worker with one.

Small sets are left to the workers: each makes what it needs in the moment it needs it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from drnbench.config.trial import Data, Trial
from drnbench.config.units import Unit
from drnbench.data.cache import Fingerprint, ImageInfo, PixelSet, fingerprint, glance, hr_files, lr_files
from drnbench.data.disk_space import fit, tell, words
from drnbench.data.packed import Kept
from drnbench.degradations import identity, parse
from drnbench.errors import UsageError
from drnbench.models.methods import resolve
from drnbench.schemes import schemes
from drnbench.training.reads import Read, stage_wanted, units_wanted

TITLE = "images of this run"


def prepare(units: Sequence[Unit], cache: Path) -> None:
    """Make what lacks of the large sources that units will read: decoded HR images, and LR images at every factor.

    What it takes is said first. A process that is killed here leaves what it has finished.

    Args:
        units: what is about to run.
        cache: the cache's folder.

    Raises:
        UsageError: the cache cannot be written, or has no room for all of it.
        DataError: an image that cannot be read or has changed.

    """
    sets = _large(units, cache)
    lacking = _lacking(sets)
    if lacking:
        tell(TITLE, len(lacking), _size(lacking), cache)
        for one in sets:
            one.build(told=True)


def outlook(units: Sequence[Unit], cache: Path) -> str | None:
    """Return how many images `prepare` would make, their GB, where they go and what is free there; None: none.

    Decodes nothing that is known.
    """
    lacking = _lacking(_large(units, cache))
    return words(len(lacking), _size(lacking), cache) if lacking else None


def foresee(trials: Iterable[Trial], cache: Path) -> None:
    """Refuse trials whose images will not fit on the disk, from the headers of images that were never decoded.

    For the time before the fingerprints, which write the decoded images of large sources; what is wrong with a trial is
    left to whoever makes its plan. Where every image is known already, `prepare` knows exactly.

    Raises:
        UsageError: the cache has no room.

    """
    trials = list(trials)
    fresh = {source: found.images for source in _sources(trials) if (found := _unknown(source, cache))}
    sizes: dict[object, int] = {}
    for read in dict.fromkeys(read for trial in trials if fresh for read in _trial_reads(trial)):
        if read.data.source in fresh:
            with contextlib.suppress(UsageError):  # such as an image that is too small: the plan says it better
                sizes |= _sizes(read, fresh[read.data.source], cache)
    if sizes:
        fit(TITLE, len(sizes), sum(sizes.values()), cache)


def _sources(trials: Iterable[Trial]) -> list[str]:
    stages = [stage for trial in trials for stage in trial.stages]
    data = [one for stage in stages for one in (stage.data, stage.unpaired) if one is not None]
    return list(dict.fromkeys([one.source for one in data] + [e.source for trial in trials for e in trial.evaluate]))


def _unknown(source: str, cache: Path) -> Fingerprint | None:
    """Return a large source of which some image was never decoded."""
    try:
        found = glance(source, cache)
    except UsageError:
        return None
    return found if found.large and any(not image.sha for image in found.images) else None


def _large(units: Sequence[Unit], cache: Path) -> list[PixelSet]:
    """Return the files that units read of large sources; HR before the LR images made of it."""
    sets = []
    for read in units_wanted(units):
        found = fingerprint(read.data.source, cache)
        if found.large:
            sets += _sets(read, tuple(read.select(found.images)), cache)
    return sorted(sets, key=lambda one: not one.name.startswith("pixels"))


def _sets(read: Read, images: tuple[ImageInfo, ...], cache: Path) -> list[PixelSet]:
    data, real = read.data, parse(read.data.kernel).real
    made = [] if real else [lr_files(images, data.kernel, f, cache, data.crop, modulo=read.scale) for f in read.made]
    return [*([hr_files(images)] if real or 1 in read.factors else []), *made]


def _lacking(sets: list[PixelSet]) -> list[Kept]:
    return list({kept.file: kept for one in sets for kept in one.lacking()}.values())


def _size(files: list[Kept]) -> int:
    return sum(kept.size for kept in files)


def _sizes(read: Read, images: tuple[ImageInfo, ...], cache: Path) -> dict[object, int]:
    """Return the bytes of each file that does not exist yet, by whatever tells two files apart.

    Every unknown image of a large source will be kept, whether it is read or not.
    """
    unknown = [image for image in images if not image.sha]
    out: dict[object, int] = {image.path: image.kept(cache).size for image in unknown}
    if parse(read.data.kernel).real:
        return out
    what = repr(identity(read.data.kernel))
    for factor in read.made:
        chosen = tuple(read.select(images))
        files = lr_files(chosen, read.data.kernel, factor, cache, read.data.crop, modulo=read.scale).files
        for image, kept in zip(chosen, files, strict=True):
            if not (image.sha and kept.intact()):
                out[image.path, what, factor, read.data.crop, read.scale] = kept.size
    return out


def _trial_reads(trial: Trial) -> list[Read]:
    """Return what a trial will read; nothing where the trial is wrong."""
    reads = [
        Read(
            Data(one.source, kernel=one.kernel, crop=one.crop, count=one.count, lr=one.lr),
            (trial.scale, 1),
            trial.scale,
        )
        for one in trial.evaluate
    ]
    try:
        default = resolve(trial.method, trial.scale, trial.model).scheme
        for declared in trial.stages:
            stage = declared.model_copy(update={"scheme": declared.scheme or default})
            uses = schemes.get(str(stage.scheme)).uses(stage)
            reads += stage_wanted(stage, trial.scale, unpaired="unpaired" in uses)
    except UsageError:
        return []
    return reads
