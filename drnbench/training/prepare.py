"""Large sets of images, made before a run by one process with all cores instead of by a worker with one.

Small sets are left to the workers: each makes the images that it needs when it needs them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from drnbench.config.trial import Data, Trial
from drnbench.config.units import Unit
from drnbench.data.cache import ImageInfo, PixelSet, fingerprint, fingerprint_undecoded, hr_files, lr_files
from drnbench.data.disk_space import announce, check_free_space, summary
from drnbench.data.packed import PixelFile
from drnbench.degradations import identity, parse
from drnbench.errors import UsageError
from drnbench.models.methods import resolve
from drnbench.schemes import schemes
from drnbench.training.reads import Read, evaluation_read, stage_reads, units_reads

TITLE = "images of this run"


def prepare(units: Sequence[Unit], cache: Path) -> None:
    """Make the missing files of the large sources that units will read: HR images, and LR images at every factor.

    Their size is printed first. Files that are finished stay when the process is killed.

    Raises:
        UsageError: the cache cannot be written, or has no room for all of it.
        DataError: an image that cannot be read or has changed.
    """
    sets = _large_sets(units, cache)
    missing = _missing(sets)
    if missing:
        announce(TITLE, len(missing), _total_size(missing), cache)
        for pixel_set in sets:
            pixel_set.build(announced=True)


def pending_summary(units: Sequence[Unit], cache: Path) -> str | None:
    """Return number, GB, destination and free space of the images that `prepare` would make; None: none.

    Only images without a fingerprint are decoded.
    """
    missing = _missing(_large_sets(units, cache))
    return summary(len(missing), _total_size(missing), cache) if missing else None


def check_trials_fit(trials: Iterable[Trial], cache: Path) -> None:
    """Refuse trials whose images will not fit on the disk, from the headers of images that were never decoded.

    For the time before the fingerprints, which write the decoded images of large sources. Other faults of a trial are
    left to its plan. Where every image has a fingerprint, `prepare` knows the exact sizes.

    Raises:
        UsageError: the cache has no room.
    """
    trials = list(trials)
    undecoded = {source: images for source in _sources(trials) if (images := _undecoded_images(source, cache))}
    sizes: dict[object, int] = {}
    for read in dict.fromkeys(read for trial in trials if undecoded for read in _trial_reads(trial)):
        if read.data.source in undecoded:
            with contextlib.suppress(UsageError):  # such as an image that is too small, which the plan reports better
                sizes |= _sizes(read, undecoded[read.data.source], cache)
    if sizes:
        check_free_space(TITLE, len(sizes), sum(sizes.values()), cache)


def _sources(trials: Iterable[Trial]) -> list[str]:
    sources: list[str] = []
    tests: list[str] = []
    for trial in trials:
        sources += [data.source for stage in trial.stages for data in (stage.data, stage.unpaired) if data is not None]
        tests += [evaluate.source for evaluate in trial.evaluate]
    return list(dict.fromkeys([*sources, *tests]))


def _undecoded_images(source: str, cache: Path) -> tuple[ImageInfo, ...]:
    """Return the images of a large source of which some were never decoded; () for any other source."""
    try:
        content = fingerprint_undecoded(source, cache)
    except UsageError:
        return ()
    return content.images if content.large and any(not image.sha for image in content.images) else ()


def _large_sets(units: Sequence[Unit], cache: Path) -> list[PixelSet]:
    """Return the files that units read of large sources; HR before the LR images made of it."""
    sets = []
    for read in units_reads(units):
        source = fingerprint(read.data.source, cache)
        if source.large:
            sets += pixel_sets(read, tuple(read.select(source.images)), cache)
    return sorted(sets, key=lambda pixel_set: not pixel_set.name.startswith("pixels"))


def pixel_sets(read: Read, images: tuple[ImageInfo, ...], cache: Path) -> list[PixelSet]:
    """Return the files of HR and LR images that a read needs of the images that it selects."""
    data, real = read.data, parse(read.data.kernel).real
    made = [] if real else [lr_files(images, data.kernel, f, cache, data.crop, modulo=read.scale) for f in read.made]
    return [*([hr_files(images)] if real or 1 in read.factors else []), *made]


def _missing(sets: list[PixelSet]) -> list[PixelFile]:
    return list({entry.file: entry for pixel_set in sets for entry in pixel_set.missing()}.values())


def _total_size(files: list[PixelFile]) -> int:
    return sum(entry.size for entry in files)


def _sizes(read: Read, images: tuple[ImageInfo, ...], cache: Path) -> dict[object, int]:
    """Return the bytes of each file that does not exist yet, by a key that tells two files apart.

    Every undecoded image of a large source will be kept, whether it is read or not.
    """
    out: dict[object, int] = {image.path: image.pixel_file(cache).size for image in images if not image.sha}
    if parse(read.data.kernel).real:
        return out
    kernel = repr(identity(read.data.kernel))
    for factor in read.made:
        selected = tuple(read.select(images))
        files = lr_files(selected, read.data.kernel, factor, cache, read.data.crop, modulo=read.scale).files
        for image, entry in zip(selected, files, strict=True):
            if not (image.sha and entry.intact()):
                out[image.path, kernel, factor, read.data.crop, read.scale] = entry.size
    return out


def _trial_reads(trial: Trial) -> list[Read]:
    """Return the reads of a trial; none if the trial is wrong."""
    try:
        reads = [
            evaluation_read(Data(e.source, kernel=str(e.kernel), crop=e.crop, count=e.count, lr=e.lr), trial.scale)
            for evaluate in trial.evaluate
            for e in evaluate.each(trial.scale)
        ]
        default = resolve(trial.method, trial.scale, trial.model).scheme
        for declared in trial.stages:
            stage = declared.model_copy(update={"scheme": declared.scheme or default})
            uses = schemes.get(str(stage.scheme)).uses(stage)
            reads += stage_reads(stage, trial.scale, unpaired="unpaired" in uses)
    except UsageError:
        return []
    return reads
