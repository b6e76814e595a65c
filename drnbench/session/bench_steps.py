"""Parts of `bench` on training: what each optimisation of a step gives beside the plain step, and the speed of the data path."""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from drnbench.config.trial import Data, Evaluate, Stage, Trial
from drnbench.data.cache import fingerprint, hr_set
from drnbench.data.packed import ImageInfo, ImageStack
from drnbench.data.sampling import crops, patches, turns, uniforms
from drnbench.parallel import cores
from drnbench.planning.keys import Keys
from drnbench.store import Store
from drnbench.training.ahead import Ahead
from drnbench.training.feed import Feed
from drnbench.training.loop import build

ROUNDS = 40
"""Steps of each variant, which take turns: what else the machine does slows all of them alike."""
WARM_UP = 4
SECONDS = 1.0
"""How long the data path is measured at least."""
PATCH, BATCH = 192, 16
"""Of the data path."""
MAPPED, MAPPED_SIZE = 24, (1356, 2040)
"""Images of the data path that are mapped files, and their height and width."""
STAND_IN_S = 0.02
"""Seconds of the stand-in for a step on a GPU."""
Pixels = NDArray[np.uint8]


class Step(NamedTuple):
    """A variant of a training step: fields of its stage, and whether batches are prepared ahead and losses read late."""

    fields: dict[str, Any]
    ahead: bool = False


PLAIN = "plain: fp32, losses read at every step"
CPU = {
    PLAIN: Step({}), "channels last": Step({"channels_last": True}), "bf16": Step({"precision": "bf16"}),
    "bf16, channels last": Step({"precision": "bf16", "channels_last": True}),
}  # fmt: skip
GPU = {
    **CPU, "tf32": Step({"precision": "tf32"}), "batches ahead, losses late": Step({}, ahead=True),
    "all: bf16, channels last, ahead": Step({"precision": "bf16", "channels_last": True}, ahead=True),
}  # fmt: skip


class Ratio(NamedTuple):
    """Steps a second of a variant, and how many times as fast as the plain step it is: median over the rounds."""

    name: str
    rate: float
    ratio: float


def step_ratios(
    folder: Path, device: str, method: str, model: dict[str, Any], batch: int, patch: int
) -> Iterator[Ratio]:
    """Measure the variants of one training step at x4, interleaved; yields the plain step first.

    Args:
        folder: for the cache.
        device: "cpu" or a CUDA device; tf32 and batches that are prepared ahead are of the latter.
        method, model: of the network.
        batch, patch: of the stage.
    """
    variants = GPU if device.startswith("cuda") else CPU
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    with contextlib.ExitStack() as feeds:
        works = {
            name: _step(folder, device, method, model, batch, patch, variant, feeds)
            for name, variant in variants.items()
        }
        for turn in range(WARM_UP + ROUNDS):
            for name, work in works.items():
                start = time.perf_counter()
                work(turn)
                if turn >= WARM_UP:
                    seconds[name].append(time.perf_counter() - start)
    for name, taken in seconds.items():
        ratio = statistics.median(plain / own for plain, own in zip(seconds[PLAIN], taken, strict=True))
        yield Ratio(name, 1 / statistics.median(taken), ratio)


def _step(
    folder: Path,
    device: str,
    method: str,
    model: dict[str, Any],
    batch: int,
    patch: int,
    variant: Step,
    feeds: contextlib.ExitStack,
) -> Callable[[int], None]:
    stage = Stage(
        "train", scheme="paired", data=Data("photos/train"), steps=WARM_UP + ROUNDS, batch=batch, patch=patch, validations=0,
        **variant.fields,
    )  # fmt: skip
    store, place = Store(folder), torch.device(device)
    trial = Trial(method=method, scale=4, model=model, stages=(stage,), evaluate=(Evaluate("photos/test"),))
    (unit,) = Keys(store.cache).stages(trial, "bench")
    scheme, feed = build(unit), Feed(unit, store.cache, place, ahead=variant.ahead)
    feeds.callback(feed.close)
    scheme.prepare(place)
    is_gpu = place.type == "cuda"

    def work(step: int) -> None:
        if is_gpu:
            torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = stage.precision == "tf32"
        losses = scheme.step(feed.batch(step), stage.lr)
        if not variant.ahead:
            float(losses["total"])
        if is_gpu:  # the time of a step is that of its work, and not that of asking for it
            torch.cuda.synchronize(place)

    return work


class Feeding(NamedTuple):
    """Patches a second that a number of threads cut, or the share of the loop's time that it waits for them."""

    name: str
    rate: float
    unit: str = "patches/s"
    threads: int = 1


def data_rates(folder: Path) -> Iterator[Feeding]:
    """Measure the data path: patches of 192 cut at random from memory and from mapped files, and the wait of a loop for them."""
    store = Store(folder)
    memory = hr_set(fingerprint("photos/train", store.cache).images, None)
    large = [np.ascontiguousarray(image) for image in memory if min(image.shape[:2]) >= PATCH]
    yield Feeding("cut patches of 192 from memory, bytes", _rate(crops, large))
    yield Feeding("cut patches of 192 from memory, float32, turned", _rate(_turned_floats, large))
    mapped = _mapped(folder, large)
    for threads in sorted({1, cores()}):
        for name, cut in (("bytes", crops), ("bytes, turned", _turned_bytes)):
            yield Feeding(f"cut patches of 192 from mapped files, {name}", _rate(cut, mapped, threads), threads=threads)
    yield Feeding(
        f"cut: the loop waits, for {BATCH} patches a step of {STAND_IN_S * 1000:.0f} ms", _waiting(mapped), "%"
    )


def _mapped(folder: Path, images: Sequence[Pixels]) -> ImageStack:
    """Return images of the size of DIV2K as mapped files, as those of large sets are kept."""
    files = []
    for number in range(MAPPED):
        pixels = np.tile(np.roll(images[number % len(images)], number, axis=0), (12, 12, 1))[
            : MAPPED_SIZE[0], : MAPPED_SIZE[1]
        ]
        height, width = pixels.shape[:2]
        info = ImageInfo(str(number), folder, f"{number:064x}", height, width, folder)
        file = info.pixel_file(folder)
        file.save(pixels)
        files.append(file)
    return ImageStack(files, lambda image: np.zeros(image.shape, np.uint8))


def _draws(step: int) -> NDArray[np.float64]:
    return uniforms(0, "bench", step, (BATCH, 6))


def _turned_floats(images: dict[int, Sequence[Pixels]], patch: int, draws: NDArray[np.float64]) -> object:
    return patches(images, patch, draws, augment=True)


def _turned_bytes(images: dict[int, Sequence[Pixels]], patch: int, draws: NDArray[np.float64]) -> object:
    """Cut and turn as bytes; on a GPU the device turns them."""
    stack = crops(images, patch, draws)[1]
    for slot, (flip_h, flip_v, transpose) in enumerate(turns(draws).tolist()):
        crop = stack[slot, :: -1 if flip_v else 1, :: -1 if flip_h else 1]
        stack[slot] = (crop.transpose(1, 0, 2) if transpose else crop).copy()
    return stack


def _rate(cut: Callable[..., object], images: Sequence[Pixels], threads: int = 1) -> float:
    """Return the patches a second that threads cut side by side."""
    levels = {1: images}
    list(images)  # each file is compared with its CRC-32 once

    def work(first: int) -> int:
        step = first
        while time.perf_counter() - start < SECONDS or step == first:
            cut(levels, PATCH, _draws(step))
            step += threads
        return (step - first) // threads * BATCH

    start = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        count = sum(pool.map(work, range(threads)))
    return count / (time.perf_counter() - start)


def _waiting(images: Sequence[Pixels]) -> float:
    """Return the percentage of its time that a loop waits for batches which a thread cuts while a stand-in for a GPU works."""
    waited, levels, ahead = 0.0, {1: images}, Ahead(lambda step: crops(levels, PATCH, _draws(step)), ROUNDS)
    with contextlib.closing(ahead):
        ahead.get(0)
        start = time.perf_counter()
        for step in range(1, ROUNDS):
            time.sleep(STAND_IN_S)
            before = time.perf_counter()
            ahead.get(step)
            waited += time.perf_counter() - before
        return 100 * waited / (time.perf_counter() - start)
