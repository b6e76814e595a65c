"""What units will cost, from measured siblings: units of the same shape that this store has run.

What nothing like it was measured for stays unknown. Times of another kind of device (CPU, GPU) are no measure.
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from drnbench.config.trial import Trial
from drnbench.config.units import StageUnit
from drnbench.store import Store
from drnbench.store.devices import gpu_count

Shape = tuple[Any, ...]
ENOUGH = 8
"""Siblings whose folders are measured: they are nearly equal, and a store may have thousands."""


class StageSample(NamedTuple):
    """What one trained stage cost.

    Attributes:
        seconds: of a step, start-up left out.
        rss, gpu: peak memory of its process and on its GPU in MiB; None: not recorded.

    """

    folder: str
    time_shape: Shape
    size_shape: Shape
    device: str | None
    seconds: float | None
    rss: float | None
    gpu: float | None


class ScoreSample(NamedTuple):
    """What scoring one trial cost: seconds of one evaluation (a metric on a test set), its share of start-up in it."""

    folder: str
    shape: Shape
    device: str | None
    seconds: float | None
    rss: float | None
    gpu: float | None


@dataclass(frozen=True)
class Memory:
    """Peak memory of a process, and on its GPU, in MiB; None: not known."""

    rss: float | None = None
    gpu: float | None = None


def shape(unit: StageUnit) -> Shape:
    """Return what decides the seconds of a step: the network, the batch, the scheme, the numerics."""
    s = unit.stage
    return (unit.model, _sizes(unit.options), unit.scale, s.scheme, s.batch, s.patch, s.threads, s.precision)


def size_shape(unit: StageUnit) -> Shape:
    """Return what decides the size of a checkpoint: every network, and the optimisers that the scheme has."""
    s = unit.stage
    return (unit.model, _sizes(unit.options), unit.scale, s.scheme, s.dual, s.dual_feats, s.dual_of)


def score_shape(trial: Trial) -> Shape:
    """Return what decides the seconds and the files of scoring: the network, the images, the metrics."""
    evaluate = [e.model_dump(mode="json") for e in trial.evaluate]
    return (trial.method, _sizes(trial.model), trial.scale, json.dumps(evaluate, sort_keys=True))


class Costs:
    """Measured costs by shape, read from the store once and only when asked.

    Args:
        store: the results folder.
        device: "cpu" or "cuda", what units will run on; none: CUDA where PyTorch sees it.

    """

    def __init__(self, store: Store, device: str | None = None) -> None:
        self._store, self._given = store, device
        self._folders: dict[Shape, int | None] = {}

    def seconds(self, unit: StageUnit) -> float | None:
        """Return the estimated seconds of a stage on one process, or None where nothing like it was measured."""
        each = self._steps.get(shape(unit))
        return None if each is None else unit.stage.steps * each

    def memory(self, unit: StageUnit) -> Memory:
        """Return the most that siblings of a stage have taken."""
        return _most(self._times.get(shape(unit), ()))

    def disk(self, unit: StageUnit) -> int | None:
        """Return the bytes of a stage's folder, or None where nothing like it is there."""
        of = size_shape(unit)
        return self._folder(of, self._sizes.get(of, ()))

    def scoring(self, trial: Trial) -> float | None:
        """Return the estimated seconds of one evaluation of a trial, or None where nothing like it was measured."""
        found = [s.seconds for s in self._scored.get(score_shape(trial), ()) if s.seconds is not None]
        return median(found) if found else None

    def scoring_memory(self, trial: Trial) -> Memory:
        """Return the most that scoring siblings of a trial has taken."""
        return _most(self._scored.get(score_shape(trial), ()))

    def scoring_disk(self, trial: Trial) -> int | None:
        """Return the bytes of a scored trial's folder, crops included, or None where nothing like it is there."""
        of = score_shape(trial)
        return self._folder(of, self._scored.get(of, ()))

    def _folder(self, of: Shape, samples: Sequence[StageSample | ScoreSample]) -> int | None:
        if of not in self._folders:
            self._folders[of] = _folders(s.folder for s in samples)
        return self._folders[of]

    @functools.cached_property
    def _device(self) -> str:
        if self._given is not None:
            return self._given
        return "cuda" if gpu_count() else "cpu"

    @functools.cached_property
    def _stages(self) -> list[StageSample]:
        found = (_stage(path, *stamp) for path, stamp in _records(self._store.root / "stages", "stage.json"))
        return [sample for sample in found if sample is not None]

    @functools.cached_property
    def _times(self) -> Mapping[Shape, list[StageSample]]:
        here: dict[Shape, list[StageSample]] = {}
        for sample in self._stages:
            if sample.device in {None, self._device}:
                here.setdefault(sample.time_shape, []).append(sample)
        return here

    @functools.cached_property
    def _steps(self) -> Mapping[Shape, float]:
        times = {of: [s.seconds for s in found if s.seconds is not None] for of, found in self._times.items()}
        return {of: median(found) for of, found in times.items() if found}

    @functools.cached_property
    def _sizes(self) -> Mapping[Shape, list[StageSample]]:
        here: dict[Shape, list[StageSample]] = {}
        for sample in self._stages:
            here.setdefault(sample.size_shape, []).append(sample)
        return here

    @functools.cached_property
    def _scored(self) -> Mapping[Shape, list[ScoreSample]]:
        here: dict[Shape, list[ScoreSample]] = {}
        for path, stamp in _records(self._store.root / "trials", "status.json"):
            sample = _trial(path, *stamp)
            if sample is not None and sample.device in {None, self._device}:
                here.setdefault(sample.shape, []).append(sample)
        return here


def _records(folder: Path, name: str) -> Iterator[tuple[str, tuple[int, int]]]:
    """Yield the file of that name of every unit, with its time and size: what was read once is known by these."""
    try:
        units = sorted(entry.path for entry in os.scandir(folder) if not entry.name.startswith("."))
    except OSError:
        return
    for unit in units:
        path = f"{unit}{os.sep}{name}"
        try:
            stat = os.stat(path)  # noqa: PTH116 - a thousand of them: twice as fast as pathlib
        except OSError:
            continue
        yield path, (stat.st_mtime_ns, stat.st_size)


def _json(path: str) -> dict[str, Any]:
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123 - as above
            found = json.load(file)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


@functools.cache
def _stage(path: str, time: int, size: int) -> StageSample | None:  # noqa: ARG001 - they say which version of the file
    folder = os.path.dirname(path)  # noqa: PTH120
    stored = _json(path)
    if "seconds_per_step" not in stored and "costs" not in stored:
        return None  # not trained to the end
    raw = _json(os.path.join(folder, "unit.json"))  # noqa: PTH118
    try:
        # Not StageUnit: it costs more than the file, and one of another version can still be compared.
        s, model = raw["stage"], (raw["model"], _sizes(raw["options"]), raw["scale"], raw["stage"]["scheme"])
        return StageSample(
            folder,
            (*model, s["batch"], s["patch"], s["threads"], s["precision"]),
            (*model, s["dual"], s["dual_feats"], s["dual_of"]),
            stored.get("device"), stored.get("seconds_per_step"), stored.get("peak_rss_mib"), stored.get("peak_gpu_mib"),
        )  # fmt: skip
    except (KeyError, TypeError, AttributeError):
        return None


@functools.cache
def _trial(path: str, time: int, size: int) -> ScoreSample | None:  # noqa: ARG001 - as above
    folder = os.path.dirname(path)  # noqa: PTH120
    status = _json(path)
    if status.get("state") != "done":
        return None
    config = _json(os.path.join(folder, "trial.json")).get("config")  # noqa: PTH118
    scores = _json(os.path.join(folder, "scores.json"))  # noqa: PTH118
    try:
        shape = score_shape(Trial.model_validate(config))
    except ValueError:
        return None
    seconds, count = scores.get("seconds"), scores.get("scored")
    if not (seconds and count):
        # Older records: the last process, which need not have scored all of it, but mostly has.
        ended, count = status.get("finished"), len(status.get("evaluations", ()))
        seconds = ended - status.get("started", ended) if ended else None
    device = scores.get("device") or _kind((scores.get("signature") or {}).get("device"))
    each = seconds / count if seconds and count else None
    return ScoreSample(folder, shape, device, each, scores.get("peak_rss_mib"), scores.get("peak_gpu_mib"))


def _kind(device: str | None) -> str | None:
    """Return the kind of device of a signature: a processor's ends with its instruction set."""
    return None if device is None else "cpu" if "," in device else "cuda"


def _sizes(options: Mapping[str, Any]) -> Shape:
    return tuple(sorted(options.items()))


def _most(samples: Iterable[StageSample | ScoreSample]) -> Memory:
    found = list(samples)
    rss, gpu = [s.rss for s in found if s.rss is not None], [s.gpu for s in found if s.gpu is not None]
    return Memory(max(rss, default=None), max(gpu, default=None))


def _folders(folders: Iterable[str]) -> int | None:
    sizes = []
    for folder, _ in zip(folders, range(ENOUGH), strict=False):
        sizes.append(sum(p.stat().st_size for p in Path(folder).rglob("*") if p.is_file()))
    return round(median(sizes)) if sizes else None
