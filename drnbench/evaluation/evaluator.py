"""Scoring one model on test sets: rows of per_image.parquet, and small crops to look at."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from numpy.typing import NDArray
from PIL import Image as Pillow
from torch import nn

from drnbench.data.cache import fingerprint, hr_set, lr_set
from drnbench.data.images import to_tensor, to_uint8
from drnbench.errors import DataError, UnitError
from drnbench.evaluation import metrics
from drnbench.evaluation.protocol import Protocol
from drnbench.models import models
from drnbench.store import Store, atomic
from drnbench.units import EvaluateUnit, Evaluation

COLUMNS = ("image", "dataset", "kernel", "scale", "metric", "value", "evaluation")
SAMPLES = 3
"""Images of each test set of which crops are kept."""
CROP = 96
"""Side of a crop in HR pixels."""

Image = NDArray[np.uint8]
Row = tuple[str, str, str, int, str, float, str]


def load_model(unit: EvaluateUnit, store: Store, device: torch.device) -> nn.Module:
    """Return the model of a unit with the weights of its last stage, ready to evaluate."""
    model = models.get(unit.model).make(unit.scale, **unit.options)
    if unit.stage is not None:
        state = torch.load(store.stage(unit.stage) / "checkpoint.pt", map_location="cpu", weights_only=True)
        model.load_state_dict(state["model"])
    return model.to(device).eval()


@torch.no_grad()
def super_resolve(model: nn.Module, lr: Image, device: torch.device) -> Image:
    """H x W x 3 uint8 LR -> sH x sW x 3 uint8 SR, clamped and rounded."""
    return to_uint8(model(to_tensor(lr).to(device))[-1])


def score_images(
    sr: Sequence[Image], hr: Sequence[Image], names: Sequence[str], metric: str, scale: int, protocol: Protocol
) -> Iterable[tuple[str, float]]:
    """Yield (image, value) for one metric; a pair that cannot be scored raises with the image's name."""
    measure = metrics.get(metric)
    for name, s, h in zip(names, sr, hr, strict=True):
        try:
            yield name, measure.score(s, h, scale, protocol)
        except DataError as error:
            raise UnitError(f"{name}: {error}") from error


def evaluate(
    unit: EvaluateUnit, store: Store, device: torch.device, emit: Callable[[dict[str, Any]], None]
) -> list[str]:
    """Score what the trial does not have yet; returns the keys of every evaluation it has now.

    Rows of all evaluations are kept, also of those that nobody wants today: they cost nothing and may be asked again.
    """
    folder = store.trial(unit.key)
    status = store.status(folder)
    have = list(status.evaluations) if status else []
    missing = [e for e in unit.wanted if e.key not in have]
    model = load_model(unit, store, device)
    started, rows = time.time(), []
    for done, ((source, dataset, kernel, crop, images), group) in enumerate(
        groupby(missing, key=lambda e: (e.source, e.dataset, e.kernel, e.crop, e.images))
    ):
        emit({"step": done, "steps": len(missing), "note": f"{dataset} {kernel}"})
        rows += _one_set(unit, list(group), model, device, store, source, kernel, crop, images)
    emit({"step": len(missing), "steps": len(missing), "seconds": time.time() - started})
    with FileLock(folder / ".lock"):
        _append(folder / "per_image.parquet", rows)
    return [*have, *(e.key for e in missing)]


def _one_set(
    unit: EvaluateUnit, wanted: list[Evaluation], model: nn.Module, device: torch.device, store: Store,
    source: str, kernel: str, crop: int | None, digest: str,
) -> list[Row]:  # fmt: skip
    found = fingerprint(source, store.cache)
    if found.digest != digest:
        raise UnitError(f"the images of {source} changed since the plan was made; run the study again")
    names = [image.name for image in found.images]
    lrs = lr_set(found.images, kernel, unit.scale, store.cache, crop=crop, modulo=unit.scale)
    hrs = hr_set(found.images, crop)
    hrs = [hr[: lr.shape[0] * unit.scale, : lr.shape[1] * unit.scale] for hr, lr in zip(hrs, lrs, strict=True)]
    srs = [super_resolve(model, lr, device) for lr in lrs]
    folder = store.trial(unit.key) / "samples" / wanted[0].dataset / safe(kernel)
    for name, lr, sr, hr in list(zip(names, lrs, srs, hrs, strict=True))[:SAMPLES]:
        _save_crops(folder, name, lr, sr, hr, unit.scale)
    return [
        (name, e.dataset, e.kernel, unit.scale, e.metric, value, e.key)
        for e in wanted
        for name, value in score_images(srs, hrs, names, e.metric, unit.scale, unit.protocol)
    ]


def safe(name: str) -> str:
    """Return a kernel's name as a folder may be called."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", name)


def _append(path: Path, rows: list[Row]) -> None:
    import pandas as pd

    frame = pd.DataFrame(rows, columns=list(COLUMNS)).astype({"value": "float64", "scale": "int64"})
    if path.exists():
        old = pd.read_parquet(path)
        frame = pd.concat([old[~old["evaluation"].isin(set(frame["evaluation"]))], frame], ignore_index=True)
    with atomic(path) as temporary:
        frame.to_parquet(temporary, index=False)


def busiest(hr: Image, scale: int, side: int = CROP) -> tuple[int, int]:
    """Return row and column (multiples of `scale`) of the window where HR varies most: where methods can differ.

    A function of HR alone, so every method shows the same crop.
    """
    side = min(side, *hr.shape[:2])
    gray = hr.astype(np.float64).mean(2)
    step = max(scale, side // 4 // scale * scale)
    windows = [(r, c) for r in range(0, hr.shape[0] - side + 1, step) for c in range(0, hr.shape[1] - side + 1, step)]

    def detail(corner: tuple[int, int]) -> float:
        cut = gray[corner[0] : corner[0] + side, corner[1] : corner[1] + side]
        return float(np.abs(np.diff(cut, axis=0)).mean() + np.abs(np.diff(cut, axis=1)).mean())

    return max(windows, key=detail)


def _save_crops(folder: Path, name: str, lr: Image, sr: Image, hr: Image, scale: int) -> None:
    side = min(CROP, *hr.shape[:2]) // scale * scale
    row, column = busiest(hr, scale, side)
    small = side // scale
    cuts = {
        "lr": lr[row // scale : row // scale + small, column // scale : column // scale + small],
        "sr": sr[row : row + side, column : column + side],
        "hr": hr[row : row + side, column : column + side],
    }
    for kind, cut in cuts.items():
        with atomic(folder / f"{name}_{kind}.png") as temporary:
            Pillow.fromarray(np.ascontiguousarray(cut)).save(temporary, format="PNG")
