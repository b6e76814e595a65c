"""Expected costs of units, from measured siblings: units of the same shape in the store.

Costs without a measured sibling stay unknown. Times of another kind of device (CPU, GPU) do not count.
"""

from __future__ import annotations

import functools
import itertools
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from drnbench.config.trial import Trial
from drnbench.config.units import EvaluateUnit, StageUnit
from drnbench.errors import DataError
from drnbench.planning.fit_costs import FitCosts
from drnbench.planning.speeds import START_S, Speeds, read_speeds
from drnbench.store import Damaged, Store
from drnbench.store.devices import gpu_count
from drnbench.store.integrity import decode

Shape = tuple[Any, ...]
SIBLINGS = 8
"""Number of siblings whose folders are measured: they are nearly equal, and a store may have thousands."""


class StageSample(NamedTuple):
    """Costs of one trained stage.

    Attributes:
        folder: of the stage.
        time_shape: as `shape`.
        size_shape: as `size_shape`.
        device: "cpu" or "cuda"; None: not recorded.
        seconds: of a step, start-up excluded.
        rss: peak memory of its process in MiB; None: not recorded.
        gpu: peak memory on its GPU in MiB; None: not recorded.

    """

    folder: str
    time_shape: Shape
    size_shape: Shape
    device: str | None
    seconds: float | None
    rss: float | None
    gpu: float | None


class ScoreSample(NamedTuple):
    """Costs of scoring one trial: seconds of one evaluation (a metric on a test set), its share of start-up included."""

    folder: str
    shape: Shape
    device: str | None
    seconds: float | None
    rss: float | None
    gpu: float | None


@dataclass(frozen=True)
class Memory:
    """Peak memory of a process, and on its GPU, in MiB; None: not recorded."""

    rss: float | None = None
    gpu: float | None = None


def shape(unit: StageUnit) -> Shape:
    """Return the fields that determine the seconds of a step: network, batch, scheme, numerics, loss, D."""
    s = unit.stage
    return (
        unit.model, _sizes(unit.options), unit.scale, s.scheme, s.batch, s.patch, s.threads, s.precision, s.loss,
        s.channels_last, s.unpaired_patch, _sizes(s.options), s.compile, s.recompute, s.dual, s.unpaired_dual, s.hr_lam > 0,
    )  # fmt: skip


def size_shape(unit: StageUnit) -> Shape:
    """Return the fields that determine the size of a checkpoint: every network, and the optimisers of the scheme."""
    s = unit.stage
    return (unit.model, _sizes(unit.options), unit.scale, s.scheme, s.dual, s.dual_feats, s.dual_of, s.ema > 0)


def score_shape(trial: Trial) -> Shape:
    """Return the fields that determine the seconds and the files of scoring: network, images, metrics."""
    evaluate = [e.model_dump(mode="json") for e in trial.evaluate]
    return (trial.method, _sizes(trial.model), trial.scale, json.dumps(evaluate, sort_keys=True))


class Costs:
    """Measured costs by shape, read from the store once, on first access.

    Args:
        store: the results folder.
        device: "cpu" or "cuda", on which units will run; None: CUDA if PyTorch finds it.

    """

    def __init__(self, store: Store, device: str | None = None) -> None:
        self._store, self._requested_device = store, device
        self._folders: dict[Shape, int | None] = {}

    def seconds(self, unit: StageUnit) -> float | None:
        """Return the estimated seconds of a stage on one process; None without a measured sibling or a measured step."""
        step = self._step_seconds.get(shape(unit))
        if step is None:
            step = self._speeds.steps.get(shape(unit))
            return None if step is None else START_S + unit.stage.steps * step
        return unit.stage.steps * step

    def memory(self, unit: StageUnit) -> Memory:
        """Return the largest memory of a stage's siblings."""
        return _largest(self._by_time_shape.get(shape(unit), ()))

    def disk(self, unit: StageUnit) -> int | None:
        """Return the bytes of a stage's folder, or None without a stored sibling."""
        key = size_shape(unit)
        return self._folder_size(key, self._by_size_shape.get(key, ()))

    def scoring(self, trial: Trial) -> float | None:
        """Return the estimated seconds of one evaluation of a trial, or None without a measured sibling."""
        seconds = [s.seconds for s in self._scored.get(score_shape(trial), ()) if s.seconds is not None]
        return median(seconds) if seconds else None

    def scoring_measured(self, unit: EvaluateUnit, stage: StageUnit | None) -> float | None:
        """Return the seconds of scoring a unit's evaluations from `plan --measure`; None: not measured, or no images here."""
        try:
            return self._speeds.scoring(unit, stage, self._store.cache)
        except DataError:
            return None

    def fitting(self, unit: EvaluateUnit) -> float | None:
        """Return the estimated seconds of fitting a zero-shot method to the test images that are left; None: unknown."""
        return self._fits.seconds(unit)

    def scoring_memory(self, trial: Trial) -> Memory:
        """Return the largest memory of scoring a trial's siblings."""
        return _largest(self._scored.get(score_shape(trial), ()))

    def scoring_disk(self, trial: Trial) -> int | None:
        """Return the bytes of a scored trial's folder, crops included, or None without a stored sibling."""
        key = score_shape(trial)
        return self._folder_size(key, self._scored.get(key, ()))

    def _folder_size(self, key: Shape, samples: Sequence[StageSample | ScoreSample]) -> int | None:
        if key not in self._folders:
            self._folders[key] = _median_size(s.folder for s in samples)
        return self._folders[key]

    @functools.cached_property
    def _device(self) -> str:
        if self._requested_device is not None:
            return self._requested_device
        return "cuda" if gpu_count() else "cpu"

    @functools.cached_property
    def _speeds(self) -> Speeds:
        return read_speeds(self._store.cache, self._device)

    @functools.cached_property
    def _fits(self) -> FitCosts:
        return FitCosts(self._store, self._device)

    @functools.cached_property
    def _stages(self) -> list[StageSample]:
        samples = (_stage(path, *stamp) for path, stamp in _records(self._store.root / "stages", "stage.json"))
        return [sample for sample in samples if sample is not None]

    @functools.cached_property
    def _by_time_shape(self) -> Mapping[Shape, list[StageSample]]:
        out: dict[Shape, list[StageSample]] = {}
        for sample in self._stages:
            if sample.device in {None, self._device}:
                out.setdefault(sample.time_shape, []).append(sample)
        return out

    @functools.cached_property
    def _step_seconds(self) -> Mapping[Shape, float]:
        seconds = {
            key: [s.seconds for s in samples if s.seconds is not None] for key, samples in self._by_time_shape.items()
        }
        return {key: median(values) for key, values in seconds.items() if values}

    @functools.cached_property
    def _by_size_shape(self) -> Mapping[Shape, list[StageSample]]:
        out: dict[Shape, list[StageSample]] = {}
        for sample in self._stages:
            out.setdefault(sample.size_shape, []).append(sample)
        return out

    @functools.cached_property
    def _scored(self) -> Mapping[Shape, list[ScoreSample]]:
        out: dict[Shape, list[ScoreSample]] = {}
        for path, stamp in _records(self._store.root / "trials", "status.json"):
            sample = _trial(path, *stamp)
            if sample is not None and sample.device in {None, self._device}:
                out.setdefault(sample.shape, []).append(sample)
        return out


def _records(folder: Path, name: str) -> Iterator[tuple[str, tuple[int, int]]]:
    """Yield the file of that name of every unit, with its time and size, by which a file that was read is recognised."""
    try:
        with os.scandir(folder) as entries:
            units = sorted(entry.path for entry in entries if not entry.name.startswith("."))
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
        with open(path, "rb") as file:  # noqa: PTH123 - as above
            return decode(file.read())
    except (OSError, Damaged):
        return {}


@functools.cache
def _stage(path: str, time: int, size: int) -> StageSample | None:  # noqa: ARG001 - the version of the file
    folder = os.path.dirname(path)  # noqa: PTH120
    stored = _json(path)
    if "seconds_per_step" not in stored and "costs" not in stored:
        return None  # not trained to the end
    raw = _json(os.path.join(folder, "unit.json"))  # noqa: PTH118
    try:
        # Not as a StageUnit: that takes longer than reading, and a file of another version can still be compared.
        s, model = raw["stage"], (raw["model"], _sizes(raw["options"]), raw["scale"], raw["stage"]["scheme"])
        return StageSample(
            folder,
            (
                *model, s["batch"], s["patch"], s["threads"], s["precision"], s.get("loss", "l1"), s.get("channels_last", False),
                s.get("unpaired_patch"), _sizes(s.get("options") or {}), s.get("compile", False),
                s.get("recompute", False), s["dual"], s.get("unpaired_dual"), s.get("hr_lam", 0) > 0,
            ),
            (*model, s["dual"], s["dual_feats"], s["dual_of"], s.get("ema", 0) > 0),
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
        # Older records: the last process, which has scored all of it in most cases.
        ended, count = status.get("finished"), len(status.get("evaluations", ()))
        seconds = ended - status.get("started", ended) if ended else None
    device = scores.get("device") or _kind((scores.get("signature") or {}).get("device"))
    evaluation = seconds / count if seconds and count else None
    return ScoreSample(folder, shape, device, evaluation, scores.get("peak_rss_mib"), scores.get("peak_gpu_mib"))


def _kind(device: str | None) -> str | None:
    """Return the kind of device of a signature: that of a processor ends with its instruction set."""
    return None if device is None else "cpu" if "," in device else "cuda"


def _sizes(options: Mapping[str, Any]) -> Shape:
    return tuple(sorted(options.items()))


def _largest(samples: Sequence[StageSample | ScoreSample]) -> Memory:
    rss, gpu = [s.rss for s in samples if s.rss is not None], [s.gpu for s in samples if s.gpu is not None]
    return Memory(max(rss, default=None), max(gpu, default=None))


def _median_size(folders: Iterable[str]) -> int | None:
    """Return the median of the bytes of the first folders."""
    sizes = [
        sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
        for folder in itertools.islice(folders, SIBLINGS)
    ]
    return round(median(sizes)) if sizes else None
