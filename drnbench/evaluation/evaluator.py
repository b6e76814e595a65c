"""Scoring one model on test sets: rows of per_image.parquet, and small crops to look at."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from numpy.typing import NDArray
from PIL import Image as Pillow
from torch import nn

from drnbench.config.units import EvaluateUnit
from drnbench.data.cache import ImageInfo, fingerprint, hr_set, lr_set
from drnbench.data.images import quantise, to_tensor
from drnbench.data.precomputed_lr import precomputed_lr
from drnbench.degradations import parse
from drnbench.errors import UnitError, UsageError
from drnbench.evaluation import metrics
from drnbench.evaluation.dual import Learned, load_dual
from drnbench.evaluation.inference import Upscaler
from drnbench.evaluation.metric import Item, measure
from drnbench.models import models
from drnbench.store import Store, atomic, safe

COLUMNS = ("image", "dataset", "kernel", "scale", "metric", "value", "evaluation", "protocol")
SAMPLES = 3
"""Images of each test set of which crops are kept."""
CROP = 96
"""Side of a crop in HR pixels."""

Image = NDArray[np.uint8]
Row = tuple[str, str, str, int, str, float, str, str]


def load_model(unit: EvaluateUnit, store: Store, device: torch.device) -> nn.Module:
    """Return the model of a unit with the weights of its last stage, ready to evaluate."""
    registered = models.get(unit.model)
    try:
        same = registered.contents(unit.options) == unit.files_digest
    except UsageError as error:
        raise UnitError(f"{unit.model}: {error}") from error
    if not same:
        raise UnitError(f"a file that {unit.model} reads changed since the plan was made; run the study again")
    model = registered.make(unit.scale, **unit.options)
    if unit.stage is not None:
        state = torch.load(store.stage(unit.stage) / "checkpoint.pt", map_location="cpu", weights_only=True)
        model.load_state_dict(state["model"])
    return model.to(device).eval()


def items(
    upscaler: Upscaler, images: Sequence[ImageInfo], kernel: str, cache: Path, *, crop: int | None = None,
    lrs: Sequence[ImageInfo] | None = None, dual: nn.Module | None = None,
) -> Iterator[Item]:  # fmt: skip
    """Super-resolve test images one by one.

    Args:
        upscaler: the model, ready to run.
        images: HR images; LR images for kernel `real`.
        kernel: degradation that makes the LR inputs; `real` images are LR themselves.
        cache: folder of LR images by content.
        crop: use the central HR square of at most this many pixels.
        lrs: ready-made LR images in the same order.
        dual: D, where a metric asks what it makes of HR.

    Yields:
        Everything that a metric may look at, for each image in order.

    """
    scale = upscaler.scale
    small = lr_set(images, kernel, scale, cache, crop=crop, modulo=scale) if lrs is None else hr_set(lrs)
    hrs = [None] * len(small) if parse(kernel).real else hr_set(images, crop)
    for image, lr, whole in zip(images, small, hrs, strict=True):
        hr = None if whole is None else whole[: lr.shape[0] * scale, : lr.shape[1] * scale]
        yield item(upscaler, image.name, lr, hr, kernel, dual)


@torch.no_grad()
def item(
    upscaler: Upscaler, name: str, lr: Image, hr: Image | None, kernel: str, dual: nn.Module | None = None
) -> Item:
    """Super-resolve one image; returns all that a metric may look at."""
    exact = upscaler(lr)
    back = None
    if dual is not None and hr is not None:
        back = dual(to_tensor(hr).to(upscaler.device))[0].double().cpu().permute(1, 2, 0).numpy()
    return Item(name, lr, quantise(exact), hr, upscaler.scale, kernel, back, exact)


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
    upscaler = Upscaler(load_model(unit, store, device), unit.scale, device)
    asks_dual = any("dual" in metrics.get(e.metric).needs for e in missing)
    dual = load_dual(store.stage(unit.stage), unit.scale, device) if asks_dual and unit.stage else None
    started, rows = time.time(), []
    for done, ((source, dataset, kernel, crop, count, digest, lr, lr_digest), group) in enumerate(
        groupby(missing, key=lambda e: (e.source, e.dataset, e.kernel, e.crop, e.count, e.images, e.lr, e.lr_images))
    ):
        emit({"step": done, "steps": len(missing), "note": f"{dataset} {kernel}"})
        found = fingerprint(source, store.cache)
        if found.digest != digest:
            raise UnitError(f"the images of {source} changed since the plan was made; run the study again")
        images, made = found.images[:count], None
        if lr is not None:
            theirs = precomputed_lr(images, lr, unit.scale, store.cache)
            if theirs.digest != lr_digest:
                raise UnitError(f"the LR images of {lr} changed since the plan was made; run the study again")
            made = theirs.images
        wanted = list(group)
        asked = dual if any("dual" in metrics.get(e.metric).needs for e in wanted) else None
        samples, learned = folder / "samples" / dataset / safe(kernel), Learned(unit.scale, device)
        tags = {e.key: unit.protocol.tag({e.metric: metrics.get(e.metric)}, unit.scale) for e in wanted}
        # One image at a time: a large test set does not fit into memory.
        for i, one in enumerate(items(upscaler, images, kernel, store.cache, crop=crop, lrs=made, dual=asked)):
            if i < SAMPLES:
                _save_crops(samples, one)
            if asked is not None:
                learned.see(asked, one)
            rows += [
                (
                    one.name,
                    e.dataset,
                    e.kernel,
                    unit.scale,
                    e.metric,
                    measure(one, e.metric, unit.protocol),
                    e.key,
                    tags[e.key],
                )
                for e in wanted
            ]
        if asked is not None:
            learned.save(folder / "dual_kernel" / f"{safe(kernel)}.npz", kernel)
    emit({"step": len(missing), "steps": len(missing), "seconds": time.time() - started})
    with FileLock(folder / ".lock"):
        _append(folder / "per_image.parquet", rows)
    return [*have, *(e.key for e in missing)]


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


def _save_crops(folder: Path, item: Item) -> None:
    scale = item.scale
    assert item.lr is not None  # what a study scores has an input
    shown = item.sr if item.hr is None else item.hr
    side = min(CROP, *shown.shape[:2]) // scale * scale
    # Real LR images have no HR to choose by; the enlarged input shows every method the same window.
    row, column = busiest(item.lr.repeat(scale, 0).repeat(scale, 1) if item.hr is None else item.hr, scale, side)
    small = side // scale
    cuts = {
        "lr": item.lr[row // scale : row // scale + small, column // scale : column // scale + small],
        "sr": item.sr[row : row + side, column : column + side],
    }
    if item.hr is not None:
        cuts["hr"] = item.hr[row : row + side, column : column + side]
    for kind, cut in cuts.items():
        with atomic(folder / f"{item.name}_{kind}.png") as temporary:
            Pillow.fromarray(np.ascontiguousarray(cut)).save(temporary, format="PNG")
