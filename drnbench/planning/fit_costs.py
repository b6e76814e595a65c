"""Expected time of zero-shot methods, from the fits of single images that the store holds: also those of a killed scoring."""

from __future__ import annotations

import functools
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from drnbench.config.units import EvaluateUnit, Evaluation
from drnbench.data.cache import fingerprint
from drnbench.models import methods, models
from drnbench.store import Store, read_json
from drnbench.store.unit_files import FITS
from drnbench.zeroshot import adaptation

Shape = tuple[Any, ...]


class FitSample(NamedTuple):
    """The fit of one image: the test set that it belongs to, the kind of device, seconds."""

    set_name: str
    device: str
    seconds: float


def set_name(evaluation: Evaluation) -> str:
    """Return the name of a test set under one degradation, as fits record it."""
    return f"{evaluation.source} {evaluation.kernel}"


class FitCosts:
    """Measured seconds of fits by method, sizes and scale, read from the store once, on first access.

    Args:
        store: the results folder.
        device: "cpu" or "cuda", on which images will be fitted.
    """

    def __init__(self, store: Store, device: str) -> None:
        self._store, self._device = store, device

    def seconds(self, unit: EvaluateUnit) -> float | None:
        """Return the estimated seconds of the images of a trial that are not fitted yet; None without a measured sibling.

        The time of an image grows with the steps that it may take.
        """
        shape, steps = _fit(unit.model, unit.options, unit.scale, unit.test_time)
        per_step = self._per_step.get(shape)
        return None if per_step is None else self._images_left(unit) * per_step * steps

    def _images_left(self, unit: EvaluateUnit) -> int:
        done = [sample.set_name for sample in _samples(self._store.trial(unit.key))]
        left = 0
        for name, evaluation in {set_name(e): e for e in unit.wanted}.items():
            images = fingerprint(evaluation.source, self._store.cache).images[: evaluation.count]
            left += max(0, len(images) - done.count(name))
        return left

    @functools.cached_property
    def _per_step(self) -> Mapping[Shape, float]:
        seconds: dict[Shape, list[float]] = {}
        for folder in sorted((self._store.root / "trials").glob(f"*/{FITS}")):
            config = (read_json(folder.parent / "trial.json") or {}).get("config") or {}
            if not methods.is_fitted(config.get("method"), test_time := config.get("test_time")):
                continue
            resolved = methods.resolve(config["method"], config["scale"], config["model"])
            shape, steps = _fit(resolved.model, resolved.options, config["scale"], test_time or resolved.test_time)
            seconds.setdefault(shape, []).extend(
                sample.seconds / steps for sample in _samples(folder.parent) if sample.device == self._device
            )
        return {shape: median(values) for shape, values in seconds.items() if values}


def is_fitted(unit: EvaluateUnit) -> bool:
    """Return True if a unit fits a zero-shot method, or adapts its network, to each test image."""
    return unit.test_time is not None or models.get(unit.model).zero_shot


def _fit(model: str, options: Mapping[str, Any], scale: int, test_time: str | None) -> tuple[Shape, int]:
    """Return what the time of a step depends on, and the most steps."""
    settings = {} if test_time is None else adaptation.parse(test_time).content()
    fields = {**options, **settings}
    steps = int(fields.pop("steps") or 0)
    return (model, scale, *sorted(fields.items())), steps


def _samples(trial: Path) -> Iterator[FitSample]:
    for path in sorted((trial / FITS).glob("*.npz")):
        try:
            # Not np.load, which reports half an archive a second time when it is collected, with a traceback.
            with zipfile.ZipFile(path) as archive:
                name, device, seconds = (_member(archive, field) for field in ("set", "device", "seconds"))
                sample = FitSample(str(name), str(device), float(seconds))
        except Exception:  # noqa: BLE001, S112 - bytes of another format raise nearly anything
            continue  # the scoring that needs it reports it
        yield sample


def _member(archive: zipfile.ZipFile, name: str) -> Any:
    """Return a value of an .npz file."""
    with archive.open(f"{name}.npy") as file:
        return np.lib.format.read_array(file, allow_pickle=False)[()]
