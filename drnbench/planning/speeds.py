"""Speeds of this machine as `plan --measure` keeps them in the cache, and the times that follow from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from drnbench.config.units import EvaluateUnit, StageUnit
from drnbench.data.cache import fingerprint
from drnbench.evaluation import metrics as registry
from drnbench.store import read_json, write_json
from drnbench.store.environment import processor, versions

VERSION = 2
"""Of the file: speeds of another are measured again."""
START_S = 1.0
"""Seconds that a unit takes before its first step, and to store its result."""


@dataclass
class Speeds:
    """Seconds of a training step by `costs.shape`, of enlarging by LR pixel, of a metric by HR pixel, of D by HR pixel."""

    steps: dict[Any, float] = field(default_factory=dict)
    networks: dict[Any, float] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    duals: dict[Any, float] = field(default_factory=dict)

    def scoring(self, unit: EvaluateUnit, stage: StageUnit | None, cache: Path) -> float | None:
        """Return the seconds of scoring what a trial lacks; None where a part of it was not measured.

        Args:
            unit: the trial, with the evaluations that it lacks.
            stage: its last stage, which has D; None: nothing is trained.
            cache: of the store, with the sizes of images.
        """
        network = self.networks.get(network_shape(unit))
        dual = self.duals.get(dual_shape(stage)) if needs_dual(unit) and stage is not None else 0.0
        if network is None or dual is None or not {e.metric for e in unit.wanted} <= self.metrics.keys():
            return None
        seconds, enlarged = START_S, set[tuple[Any, ...]]()
        for evaluation in unit.wanted:
            images = fingerprint(evaluation.source, cache).images[: evaluation.count]
            crop = evaluation.crop or max((max(i.height, i.width) for i in images), default=0)
            pixels = sum(min(image.height, crop) * min(image.width, crop) for image in images)
            seconds += pixels * self.metrics[evaluation.metric]
            place = (evaluation.source, evaluation.kernel, evaluation.crop, evaluation.count, evaluation.lr)
            if place not in enlarged:
                enlarged.add(place)
                seconds += pixels * (network / unit.scale**2 + dual)
        return seconds


def network_shape(unit: EvaluateUnit) -> tuple[Any, ...]:
    """Return the fields that determine the seconds of enlarging a pixel."""
    return (unit.model, tuple(sorted(unit.options.items())), unit.scale)


def dual_shape(unit: StageUnit) -> tuple[Any, ...]:
    """Return the fields that determine the seconds of D on an HR image, and of its effective kernel."""
    s = unit.stage
    return (unit.model, tuple(sorted(unit.options.items())), unit.scale, s.dual, s.unpaired_dual, s.dual_feats)


def needs_dual(unit: EvaluateUnit) -> bool:
    """Return True if a metric that a unit lacks compares D(HR)."""
    return any("dual" in registry.get(evaluation.metric).needs for evaluation in unit.wanted)


def read_speeds(cache: Path, device: str) -> Speeds:
    """Return what was measured on this machine; nothing where another processor or PyTorch measured it."""
    stored = read_json(_path(cache, device)) or {}
    if (stored.get("version"), stored.get("machine")) != (VERSION, _machine()):
        return Speeds()
    parts: Mapping[str, list[list[Any]]] = stored["speeds"]
    return Speeds(**{name: {_hashable(key): seconds for key, seconds in rows} for name, rows in parts.items()})


def write_speeds(cache: Path, device: str, speeds: Speeds) -> None:
    """Keep what was measured."""
    parts = {name: [[key, seconds] for key, seconds in rows.items()] for name, rows in vars(speeds).items()}
    cache.mkdir(parents=True, exist_ok=True)
    write_json(_path(cache, device), {"version": VERSION, "machine": _machine(), "speeds": parts})


def _path(cache: Path, device: str) -> Path:
    return cache / f"speeds-{device}.json"


def _machine() -> dict[str, str | None]:
    return {"processor": processor(), "torch": versions().get("torch")}


def _hashable(key: Any) -> Any:
    """Return a key as it was: JSON has lists for tuples."""
    return tuple(_hashable(part) for part in key) if isinstance(key, list) else key
