"""Parts of `bench` on training: what each optimisation of a step gives beside the plain step, and the speed of the data path."""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from drnbench.config.trial import Data, Evaluate, Stage, Trial
from drnbench.data.cache import fingerprint, hr_set
from drnbench.data.sampling import crops, patches, uniforms
from drnbench.planning.keys import Keys
from drnbench.store import Store
from drnbench.training.feed import Feed
from drnbench.training.loop import build

ROUNDS = 40
"""Steps of each variant, which take turns: what else the machine does slows all of them alike."""
WARM_UP = 4
SECONDS = 1.0
"""How long the data path is measured at least."""
PATCH, BATCH = 192, 16
"""Of the data path."""


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


def data_rates(folder: Path) -> Iterator[tuple[str, float]]:
    """Yield patches of 192 a second that one thread cuts at random from memory: as bytes, and turned as float32."""
    store = Store(folder)
    photographs = hr_set(fingerprint("photos/train", store.cache).images, None)
    large = [np.ascontiguousarray(image) for image in photographs if min(image.shape[:2]) >= PATCH]
    images: dict[int, Sequence[NDArray[np.uint8]]] = {1: large}

    def draws(step: int) -> NDArray[np.float64]:
        return uniforms(0, "bench", step, (BATCH, 6))

    cuts: dict[str, Callable[[int], object]] = {
        "bytes": lambda step: crops(images, PATCH, draws(step)),
        "float32, turned": lambda step: patches(images, PATCH, draws(step), augment=True),
    }
    for name, cut in cuts.items():
        start, step = time.perf_counter(), 0
        while time.perf_counter() - start < SECONDS or not step:
            cut(step)
            step += 1
        yield name, step * BATCH / (time.perf_counter() - start)
