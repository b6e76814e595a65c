"""Whether a unit that was run again came out as before: weights tensor by tensor, scores row by row, and why not.

Bit for bit is promised within one numerics signature and one version of the numeric code; elsewhere it may happen.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drnbench.config.keys import short
from drnbench.config.trial import Trial
from drnbench.config.units import EvaluateUnit, Evaluation, StageUnit
from drnbench.data.cache import Fingerprint, ImageInfo, fingerprint
from drnbench.data.precomputed_lr import precomputed_lr
from drnbench.errors import DamagedError, DataError, UsageError
from drnbench.models.weights import load_checkpoint, state_digest, tensors
from drnbench.planning.keys import Keys
from drnbench.results.locations import planned
from drnbench.results.plan_record import find_plan
from drnbench.store import Damaged, Store, read_json, read_rows

NUMERIC = ("python", "torch", "numpy", "scikit-image", "pillow", "lpips", "spandrel", "torchvision")
"""Packages whose code makes numbers."""


@dataclass(frozen=True)
class Recorded:
    """What the store recorded of a trial, or of a stage and those before it.

    Attributes:
        trial: the configuration; None for a stage.
        stages: in order. scored: what the trial has scores of; None for a stage.
    """

    trial: Trial | None
    stages: tuple[StageUnit, ...]
    scored: EvaluateUnit | None

    @property
    def key(self) -> str:
        """The key of what is reproduced."""
        return self.scored.key if self.scored is not None else self.stages[-1].key


@dataclass(frozen=True)
class Compared:
    """How two results of one unit compare.

    Attributes:
        title: what was compared. count: tensors or rows. different: how many of them differ.
        largest: largest absolute difference; None where nothing differs, or sizes or names do.
        where: the tensor or row of it. missing: why nothing could be compared.
    """

    title: str
    count: int = 0
    different: int = 0
    largest: float | None = None
    where: str = ""
    missing: str = ""

    @property
    def identical(self) -> bool:
        """Whether everything was compared and is equal bit for bit."""
        return not self.different and not self.missing

    def __str__(self) -> str:
        if self.missing:
            return f"{self.title}: {self.missing}"
        if not self.different:
            return f"{self.title}: identical"
        largest = f"largest difference {self.largest:.3g} in " if self.largest is not None else ""
        return f"{self.title}: {self.different} differ; {largest}{self.where}"


def read_recorded(store: Store, folder: Path, cache: Path) -> Recorded:
    """Return what a folder of the store says it is; `cache`: of the images, which need not be the store's.

    Raises:
        UsageError: it is not done, or lacks the files that tell its configuration.
    """
    if folder.parent.name == "stages":
        _done(store, folder)
        if not (folder / "checkpoint.pt").exists():
            raise UsageError(
                f"stage {short(folder.name)} cannot be reproduced: its checkpoint was cleaned away, so there is nothing to "
                "compare with; give the key of a trial, whose scores are there"
            )
        return Recorded(None, tuple(_chain(store, folder.name)), None)
    declared, status = read_json(folder / "trial.json"), store.look(folder)[1]
    if declared is None:
        raise UsageError(
            f"trial {short(folder.name)} has no trial.json, so nothing tells its configuration; copy the whole folder"
        )
    if status is None or not status.evaluations:
        _done(store, folder)
        raise UsageError(f"trial {short(folder.name)} has no scores to compare with; run its study until it is done")
    try:
        trial = Trial.model_validate(declared["config"])
    except ValueError as error:
        raise UsageError(
            f"trial {short(folder.name)} was written by another version: {' '.join(str(error).split())[:200]}"
        ) from error
    stages = tuple(_stage(store, key) for key in declared["stages"])
    where = f"trial {short(folder.name)}"
    made = Keys(cache).evaluation(trial, list(stages), where)
    if made.files_digest and made.key != folder.name:
        raise DataError(f"cannot be reproduced: a file that {made.model} reads has changed since ({made.options})")
    wanted = _evaluations(store, folder.name, made, status.evaluations)
    return Recorded(trial, stages, made.model_copy(update={"key": folder.name, "wanted": wanted}))


def _done(store: Store, folder: Path) -> None:
    state = store.state(folder)
    if state != "done":
        kind = folder.parent.name[:-1]
        raise UsageError(
            f"{kind} {short(folder.name)} cannot be reproduced: it is {state}; run its study until it is done"
        )


def _stage(store: Store, key: str) -> StageUnit:
    path = store.stage(key) / "unit.json"
    try:
        return StageUnit.model_validate(read_json(path) or {})
    except ValueError as error:
        raise UsageError(
            f"{path} is not there or of another version ({type(error).__name__}): nothing tells what the stage is; copy its folder"
        ) from error


def _chain(store: Store, key: str) -> list[StageUnit]:
    units = [_stage(store, key)]
    while units[0].before is not None:
        units.insert(0, _stage(store, units[0].before))
    return units


def _evaluations(store: Store, key: str, made: EvaluateUnit, have: list[str]) -> tuple[Evaluation, ...]:
    """Return what was scored: as plans recorded it, with the fingerprints of that time, or else as it would be now."""
    evaluations = {e.key: e for e in made.wanted}
    for plan in filter(None, (find_plan(store, location) for location in planned(store, replaced=True))):
        evaluations |= {e.key: e for trial in plan.trials if trial.key == key for e in trial.wanted}
    wanted = tuple(evaluations[evaluation] for evaluation in have if evaluation in evaluations)
    if not wanted:
        raise DataError(
            f"trial {short(key)}: its test images ({', '.join(sorted({e.source for e in made.wanted}))}) or metrics have changed "
            "since it was scored, and no plan.json tells what they were"
        )
    return wanted


def check_data(record: Recorded, cache: Path) -> None:
    """See that every image and file of weights is there, as it was.

    Raises:
        DataError: which is gone or has changed.
    """
    prints: dict[str, Fingerprint] = {}

    def images(source: str, digest: str) -> tuple[ImageInfo, ...]:
        try:
            prints[source] = prints.get(source) or fingerprint(source, cache)
        except UsageError as error:
            raise DataError(
                f"cannot be reproduced: the images of {source} are gone or cannot be used: {error}"
            ) from error
        if prints[source].digest != digest:
            raise DataError(f"cannot be reproduced: the images of {source} have changed since")
        return prints[source].images

    def small(hr: tuple[ImageInfo, ...], lr: str | None, scale: int, digest: str | None) -> None:
        if lr is None:
            return
        try:
            same = precomputed_lr(hr, lr, scale, cache).digest == digest
        except UsageError as error:
            raise DataError(
                f"cannot be reproduced: the LR images of {lr} are gone or cannot be used: {error}"
            ) from error
        if not same:
            raise DataError(f"cannot be reproduced: the LR images of {lr} have changed since")

    for unit in record.stages:
        stage = unit.stage
        for data, digest in ((stage.data, unit.data_digest), (stage.unpaired, unit.unpaired_digest)):
            if data is not None and digest is not None:
                small(images(data.source, digest), data.lr, unit.scale, unit.ready_digests.get(str(data.lr)))
        for path, weights in (
            (stage.weights, unit.weights_digest),
            (stage.dual_weights, unit.dual_digest),
            (stage.unpaired_dual_weights, unit.unpaired_dual_digest),
        ):
            if path is not None and weights is not None:
                if not Path(path).is_file():
                    raise DataError(f"cannot be reproduced: the weights {path} are gone")
                if state_digest(Path(path)) != weights:
                    raise DataError(f"cannot be reproduced: the weights in {path} have changed since")
    if record.scored is not None:
        for e in record.scored.wanted:
            small(images(e.source, e.images)[: e.count], e.lr, record.scored.scale, e.lr_images)


NETWORKS = ("model", "extra", "last_step", "average")
"""Entries of a checkpoint that hold weights of networks."""


def compare_weights(title: str, old: Path, new: Path) -> Compared:
    """Compare the networks of two checkpoints tensor by tensor, bit for bit; optimisers and counters stay out."""
    if not old.exists():
        return Compared(title, missing="not compared, its checkpoint was cleaned away")
    try:
        states = [load_checkpoint(path) for path in (old, new)]
    except DamagedError as error:
        return Compared(title, missing=f"not compared, {error}")
    a, b = (
        {name[1:].replace("/", "."): tensor for name, tensor in tensors({part: s.get(part) for part in NETWORKS})}
        for s in states
    )
    different, largest, where = 0, None, ""
    for name in sorted(a.keys() | b.keys()):
        if name not in a or name not in b or a[name].shape != b[name].shape or a[name].dtype != b[name].dtype:
            different, where = different + 1, where or f"{name} has another shape, or is in one of them only"
        elif not _same_bits(a[name], b[name]):
            different += 1
            apart = float((a[name].double() - b[name].double()).abs().max())
            if largest is None or math.isnan(apart) or apart > largest:
                largest, where = apart, name
    return Compared(title, len(a), different, largest, where)


def _same_bits(a: Any, b: Any) -> bool:
    import torch

    raw = [x.detach().contiguous().reshape(-1).view(torch.uint8) for x in (a, b)]
    return bool(torch.equal(*raw))


def compare_scores(title: str, old: Path, new: Path, evaluations: set[str]) -> Compared:
    """Compare the rows of two per_image.parquet for some evaluations; infinities and NaN are equal to themselves."""
    import numpy as np

    frames = []
    for path in (old, new):
        try:
            rows = read_rows(path).to_pandas()
        except (Damaged, FileNotFoundError) as error:
            return Compared(title, missing=f"not compared, {path}: {error}")
        rows = rows[rows["evaluation"].isin(evaluations)]
        again = rows.groupby(["evaluation", "image"]).cumcount()
        frames.append(
            rows.assign(again=again).set_index(["evaluation", "image", "again"])[["metric", "kernel", "value"]]
        )
    both = frames[0].join(frames[1]["value"].rename("new"), how="outer")
    a, b = both["value"].to_numpy(dtype="float64"), both["new"].to_numpy(dtype="float64")
    equal = a.view(np.int64) == b.view(np.int64)
    if len(frames[0]) != len(frames[1]) or len(both) != len(frames[0]):
        return Compared(title, len(both), max(1, int((~equal).sum())), where="other images than before")
    if equal.all():
        return Compared(title, len(both))
    with np.errstate(invalid="ignore"):
        apart = np.where(equal, 0.0, np.abs(a - b))
    worst = int(np.nanargmax(np.where(np.isnan(apart), np.inf, apart)))
    row = both.iloc[worst]
    where = f"{row['metric']} of {both.index[worst][1]} ({row['kernel']})"
    return Compared(title, len(both), int((~equal).sum()), float(apart[worst]), where)


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, str]:
    """Return what differs between two records (stage.json, scores.json), by kind, in words.

    Kinds: versions, hardware, signature, code, plug-ins, git.
    """
    out = {}
    for kind in ("versions", "hardware", "signature", "git"):
        a, b = old.get(kind) or {}, new.get(kind) or {}
        parts = [f"{name} {a.get(name)} -> {b.get(name)}" for name in {**a, **b} if a.get(name) != b.get(name)]
        if parts:
            out[kind] = ", ".join(parts)
    if old.get("code") != new.get("code"):
        same_rule = old.get("code_rule") == new.get("code_rule")
        out["code"] = "the numeric code has changed" if same_rule else "recorded by an earlier version's rule"
    a, b = old.get("plug_ins") or {}, new.get("plug_ins") or {}
    if plug_ins := [name for name in {**a, **b} if a.get(name) != b.get(name)]:
        out["plug-ins"] = ", ".join(plug_ins)
    return out


def reasons(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Return why bit-identity was not to be expected; [] where it was."""
    differing = differences(old, new)
    out: list[str] = [kind for kind in ("signature", "code", "plug-ins") if kind in differing]
    a, b = old.get("versions") or {}, new.get("versions") or {}
    out += [f"version of {name}" for name in NUMERIC if a.get(name) != b.get(name)]
    if old.get("earlier"):
        out.append("code for a part of it")
    if (old.get("signature") or {}).get("deterministic") is False:
        out.append("algorithms that are not deterministic")
    return out
