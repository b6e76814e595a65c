"""Scoring of one model on test sets: rows of per_image.parquet, and small crops for inspection."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as Pillow
from torch import nn

from drnbench.config.units import EvaluateUnit, Evaluation
from drnbench.data.cache import ImageInfo, fingerprint, hr_set, lr_set
from drnbench.data.images import quantise, to_tensor
from drnbench.data.precomputed_lr import precomputed_lr
from drnbench.degradations import check_kernel, parse
from drnbench.errors import ChangedError, StoppedError, UnitError, UsageError
from drnbench.evaluation import metrics
from drnbench.evaluation.dual import MeanKernel, load_dual
from drnbench.evaluation.inference import Upscaler
from drnbench.evaluation.metric import Item, measure
from drnbench.evaluation.zero_shot import ImageFitter, Progress, adapted
from drnbench.models import models
from drnbench.models.weights import load_checkpoint
from drnbench.store import Store, atomic, image_folder, safe, sample_folder, stored_rows, write_rows
from drnbench.store.integrity import set_aside
from drnbench.store.locks import Lock
from drnbench.zeroshot.adaptation import parse as parse_adaptation
from drnbench.zeroshot.base import ZeroShot

COLUMNS = ("image", "dataset", "kernel", "scale", "metric", "value", "evaluation", "protocol")
SAMPLES = 3
"""Images of each test set of which crops are kept."""
CROP = 96
"""Side of a crop in HR pixels."""
FIT_NOTE_S = 2.0
"""Seconds between two reports of the fit of an image."""

Image = NDArray[np.uint8]
Row = tuple[str, str, str, int, str, float, str, str]


def load_model(unit: EvaluateUnit, store: Store, device: torch.device) -> nn.Module:
    """Return the model of a unit with the weights of its last stage, ready to evaluate.

    Raises:
        ChangedError: a file that it reads, or the clean images that it is adapted with, have changed since the plan.
    """
    _check_files(unit)
    model = models.get(unit.model).make(unit.scale, **unit.options)
    _check_files(unit)  # again: they may have been replaced between the check and the reading
    if unit.stage is not None:
        model.load_state_dict(load_checkpoint(store.stage(unit.stage) / "checkpoint.pt")["model"])
    if unit.test_time is not None:
        source = parse_adaptation(unit.test_time).clean_source
        if source is not None and fingerprint(source, store.cache).digest != unit.clean_digest:
            raise ChangedError(f"the images of {source} changed since the plan was made; run the study again")
        model = adapted(model, unit.test_time, unit.scale, store.cache)
    return model.to(device).eval()


def _check_files(unit: EvaluateUnit) -> None:
    try:
        unchanged = models.get(unit.model).contents(unit.options) == unit.files_digest
    except UsageError as error:
        raise UnitError(f"{unit.model}: {error}") from error
    if not unchanged:
        raise ChangedError(f"a file that {unit.model} reads changed since the plan was made; run the study again")


def super_resolve_all(
    upscaler: Upscaler, images: Sequence[ImageInfo], kernel: str, cache: Path, *, crop: int | None = None,
    lr_images: Sequence[ImageInfo] | None = None, dual: nn.Module | None = None,
) -> Iterator[Item]:  # fmt: skip
    """Super-resolve test images, one at a time: a large test set does not fit into memory.

    Args:
        images: HR images; LR images for kernel `real`.
        kernel: degradation that makes the LR inputs; `real` images are LR themselves.
        cache: folder of LR images by content.
        crop: use the central HR square of at most this many pixels.
        lr_images: precomputed LR images in the same order.
        dual: D, if a metric needs D(HR).

    Yields:
        The inputs of metrics for each image, in order.
    """
    scale = upscaler.scale
    lrs = lr_set(images, kernel, scale, cache, crop=crop, modulo=scale) if lr_images is None else hr_set(lr_images)
    hrs = [None] * len(lrs) if parse(kernel).real else hr_set(images, crop)
    for image, lr, uncut in zip(images, lrs, hrs, strict=True):
        hr = None if uncut is None else uncut[: lr.shape[0] * scale, : lr.shape[1] * scale]
        yield super_resolve(upscaler, image.name, lr, hr, kernel, dual)


@torch.no_grad()
def super_resolve(
    upscaler: Upscaler, name: str, lr: Image, hr: Image | None, kernel: str, dual: nn.Module | None = None
) -> Item:
    """Super-resolve one image; returns the inputs of metrics."""
    exact = upscaler(lr)
    back, dual = None, dual or upscaler.operator
    if dual is not None and hr is not None:
        back = dual(to_tensor(hr).to(upscaler.device))[0].double().cpu().permute(1, 2, 0).numpy()
    return Item(name, lr, quantise(exact), hr, upscaler.scale, kernel, back, exact)


def evaluate(
    unit: EvaluateUnit, store: Store, device: torch.device, emit: Callable[[dict[str, Any]], None],
    stop: Callable[[], bool] = lambda: False,
) -> list[str]:  # fmt: skip
    """Score a trial on the evaluations that it lacks; returns the keys of all evaluations that it has now.

    Rows of evaluations that no study wants any more are kept: they cost nothing and may be wanted again.

    Args:
        unit: the trial and the evaluations that are wanted.
        store, device: where its files lie, and where its model runs.
        emit: receives progress: {"step", "steps", "note"}, and at the end {"step", "steps", "seconds"}; {"tiles": side in LR pixels,
            by test set and degradation} where an image was too large for the network as a whole.
        stop: asked after each step of the fit of a zero-shot method, and only then: other scoring is short.

    Raises:
        StoppedError: `stop` said so; the images that were fitted are kept.
        UnitError: a file or a set of images has changed since the plan, or an image cannot be scored.
    """
    folder = store.trial(unit.key)
    status = store.look(folder)[1]  # without evaluations where the scores are not whole
    have = list(status.evaluations) if status else []
    missing = [e for e in unit.wanted if e.key not in have]
    model = load_model(unit, store, device)
    dual = load_dual(store.stage(unit.stage), unit.scale, device) if unit.stage and _need_dual(missing) else None
    started, rows = time.time(), list[Row]()
    # Metrics of one test set under one degradation share its super-resolved images.
    for done, (_, group) in enumerate(groupby(missing, key=lambda e: e.model_copy(update={"key": "", "metric": ""}))):
        evaluations = list(group)
        first = evaluations[0]
        state = {"step": done, "steps": len(missing), "note": f"{first.dataset} {first.kernel}"}
        emit(state)
        upscaler = Upscaler(model, unit.scale, device)
        if isinstance(model, ZeroShot):
            upscaler = ImageFitter(
                model, unit.scale, device, kernel=first.kernel, seed=unit.seed, source=first.source,
                folder=folder, progress=_progress(state, emit, stop),
            )  # fmt: skip
        rows += _score(unit, evaluations, upscaler, dual if _need_dual(evaluations) else None, store)
        if upscaler.cut is not None:
            emit({"tiles": {f"{first.dataset}, {first.kernel}": upscaler.cut}})
    emit({"step": len(missing), "steps": len(missing), "seconds": time.time() - started})
    with Lock(folder / ".lock"):
        _append(folder / "per_image.parquet", rows)
    return [*have, *(e.key for e in missing)]


def _progress(state: dict[str, Any], emit: Callable[[dict[str, Any]], None], stop: Callable[[], bool]) -> Progress:
    """Return what is called after each step of a fit: it says so every few seconds, and ends the fit when it is stopped."""
    last = time.monotonic()

    def progress(step: int, steps: int) -> None:
        nonlocal last
        if stop():
            raise StoppedError
        if time.monotonic() - last > FIT_NOTE_S:
            last = time.monotonic()
            emit({**state, "note": f"{state['note']}: step {step} of at most {steps} of an image"})

    return progress


def _need_dual(evaluations: Sequence[Evaluation]) -> bool:
    return any("dual" in metrics.get(e.metric).needs for e in evaluations)


def _score(
    unit: EvaluateUnit, evaluations: Sequence[Evaluation], upscaler: Upscaler, dual: nn.Module | None, store: Store
) -> list[Row]:
    """Return the rows of evaluations that differ by the metric alone; writes crops and the kernel of D."""
    first, folder = evaluations[0], store.trial(unit.key)
    images, lr_images = _images(first, unit.scale, store.cache)
    samples, whole, names = folder / sample_folder(first), image_folder(first), Counter[str]()
    mean_kernel = MeanKernel(unit.scale, upscaler.device)
    tags = {e.key: unit.protocol.tag({e.metric: metrics.get(e.metric)}, unit.scale) for e in evaluations}
    needs_dual, rows = _need_dual(evaluations), list[Row]()

    def finish(item: Item, number: int) -> list[Row]:
        if number < SAMPLES:
            _save_crops(samples, item)
        if number < unit.sr_images.get(whole, 0):
            _save_image(folder / whole, item, names, inputs=whole in unit.inputs)
        values = {e.key: measure(item, e.metric, unit.protocol) for e in evaluations}
        return [
            (item.name, e.dataset, e.kernel, unit.scale, e.metric, values[e.key], e.key, tags[e.key])
            for e in evaluations
        ]

    items = super_resolve_all(
        upscaler, images, first.kernel, store.cache, crop=first.crop, lr_images=lr_images, dual=dual
    )
    # An image is scored and written while the next is enlarged; no more of them are held in memory.
    with ThreadPoolExecutor(1, thread_name_prefix="score") as scorer:
        waiting = deque[Future[list[Row]]]()
        for number, item in enumerate(items):
            if needs_dual and (operator := dual or upscaler.operator) is not None:
                # In this thread: a method that states a degradation states that of its last image.
                mean_kernel.add(operator, item)
            waiting.append(scorer.submit(finish, item, number))
            if len(waiting) > 1:
                rows += waiting.popleft().result()
        for scored in waiting:
            rows += scored.result()
    if upscaler.cut is not None:
        print(f"{first.dataset} {first.kernel}: in tiles of {upscaler.cut} LR pixels that overlap by {upscaler.overlap}: the "
              "network would need too much memory for a whole image", flush=True)  # fmt: skip
    check_kernel(first.kernel, first.kernel_digest)
    if needs_dual:
        mean_kernel.save(folder / "dual_kernel" / f"{safe(first.kernel)}.npz", first.kernel)
    return rows


def _images(
    evaluation: Evaluation, scale: int, cache: Path
) -> tuple[tuple[ImageInfo, ...], tuple[ImageInfo, ...] | None]:
    """Return the images of an evaluation, and its precomputed LR images if it has some.

    Raises:
        ChangedError: they have changed since the plan.
    """
    source = fingerprint(evaluation.source, cache)
    if source.digest != evaluation.images:
        raise ChangedError(f"the images of {evaluation.source} changed since the plan was made; run the study again")
    images = source.images[: evaluation.count]
    if evaluation.lr is None:
        return images, None
    lr_source = precomputed_lr(images, evaluation.lr, scale, cache)
    if lr_source.digest != evaluation.lr_images:
        raise ChangedError(f"the LR images of {evaluation.lr} changed since the plan was made; run the study again")
    return images, lr_source.images


def _append(path: Path, rows: list[Row]) -> None:
    import pandas as pd

    frame = pd.DataFrame(rows, columns=list(COLUMNS)).astype({"value": "float64", "scale": "int64"})
    if (stored := stored_rows(path)) is not None:
        old = stored.to_pandas()
        frame = pd.concat([old[~old["evaluation"].isin(set(frame["evaluation"]))], frame], ignore_index=True)
    elif path.exists():
        set_aside(path)
    write_rows(path, frame, durable=False)


def most_detailed_window(hr: Image, scale: int, side: int = CROP) -> tuple[int, int]:
    """Return row and column (multiples of `scale`) of the window in which HR varies most, where methods can differ.

    A function of HR alone, so that the crop is the same for every method.
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
    assert item.lr is not None  # as in every study
    largest = item.sr if item.hr is None else item.hr
    side = min(CROP, *largest.shape[:2]) // scale * scale
    # Real LR images have no HR; the enlarged input gives the same window for every method.
    row, column = most_detailed_window(
        item.lr.repeat(scale, 0).repeat(scale, 1) if item.hr is None else item.hr, scale, side
    )
    small = side // scale
    cuts = {
        "lr": item.lr[row // scale : row // scale + small, column // scale : column // scale + small],
        "sr": item.sr[row : row + side, column : column + side],
    }
    if item.hr is not None:
        cuts["hr"] = item.hr[row : row + side, column : column + side]
    for kind, cut in cuts.items():
        _save(folder / f"{item.name}_{kind}.png", cut)


def _save_image(folder: Path, item: Item, names: Counter[str], *, inputs: bool) -> None:
    """Write SR as it is scored, and LR and HR if asked; the second image of a name is `<name>#2`, as in tables."""
    names[item.name] += 1
    name = item.name if names[item.name] == 1 else f"{item.name}#{names[item.name]}"
    for kind, pixels in {"sr": item.sr, **({"lr": item.lr, "hr": item.hr} if inputs else {})}.items():
        if pixels is not None:
            _save(folder / f"{name}_{kind}.png", pixels)


def _save(path: Path, pixels: Image) -> None:
    with atomic(path, durable=False) as temporary:
        Pillow.fromarray(np.ascontiguousarray(pixels)).save(temporary, format="PNG")
