"""Parts of `bench` on training: what each optimisation of a step gives beside the plain step, and the speed of the data path."""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from drnbench.config.trial import Data, Evaluate, Stage, Trial
from drnbench.config.units import StageUnit
from drnbench.data.cache import fingerprint, hr_set
from drnbench.data.packed import ImageInfo, ImageStack
from drnbench.data.sampling import crops, patches, turned_crops, uniforms
from drnbench.models.counting import FlopCounter
from drnbench.parallel import cores
from drnbench.planning.keys import Keys
from drnbench.store import Store
from drnbench.training.ahead import Ahead
from drnbench.training.feed import Feed
from drnbench.training.graphs import replay_steps
from drnbench.training.loop import build
from drnbench.training.numerics import compiling

ROUNDS, GPU_ROUNDS = 40, 5
"""Measurements of each variant, which take turns: what else the machine does slows all of them alike."""
TURN_S, TURN_STEPS, LEAD = 0.3, (3, 50), 2
"""Of a measurement on a GPU: seconds, fewest and most steps, and steps before it, after which the host runs ahead of the GPU."""
WARM_UP, PROFILED = 6, 3
"""Steps before anything is measured, in which graphs are recorded; and steps that are profiled."""
PEAK_SIDES, PEAK_ROUNDS = {"cpu": 1024, "cuda": 8192}, 10
"""Side of the matrices whose product measures the arithmetic peak, and how often it is made."""
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
    """A variant of a training step.

    Attributes:
        fields: of its stage.
        ahead: batches are prepared in a thread, and losses read late.
        replayed: steps are CUDA graphs.
        rows: patches have rows of a channel in memory, as those of other training code, and not channels last.
    """

    fields: dict[str, Any]
    ahead: bool = False
    replayed: bool = False
    rows: bool = False


PLAIN = "plain: fp32, losses read at every step"
FREE = "plain: fp32, any cuDNN algorithm"
CPU = {
    PLAIN: Step({}), "channels last": Step({"channels_last": True}), "bf16": Step({"precision": "bf16"}),
    "bf16, channels last": Step({"precision": "bf16", "channels_last": True}), "recomputed": Step({"recompute": True}),
    "compiled": Step({"compile": True}),
}  # fmt: skip
HALF = {"precision": "bf16", "channels_last": True}
GPU = {
    FREE: Step({"deterministic": False}, rows=True),
    "fp32, deterministic": Step({}),
    "fp32, ahead": Step({}, ahead=True),
    "fp32, ahead, graphs: the default": Step({}, ahead=True, replayed=True),
    "tf32, channels last, ahead, graphs": Step({"precision": "tf32", "channels_last": True}, ahead=True, replayed=True),
    "recomputed, ahead": Step({"recompute": True}, ahead=True),
    "bf16, channels last, ahead": Step(HALF, ahead=True),
    "bf16, channels last, ahead, graphs": Step(HALF, ahead=True, replayed=True),
    "bf16, channels last, ahead, compiled": Step({**HALF, "compile": True}, ahead=True),
    "all: bf16, compiled, ahead, graphs": Step({**HALF, "compile": True}, ahead=True, replayed=True),
}  # fmt: skip
"""Ahead: batches are prepared ahead, and losses read late; graphs: CUDA graphs. The first is what other training code does."""
MOST = tuple(name for name in GPU if "recomputed" not in name)
SOME = tuple(name for name in MOST if name == FREE or "graphs" in name)
FEWER = tuple(name for name in SOME if name != "bf16, channels last, ahead, graphs")
"""Variants on a GPU of a large network, of the largest, and of the largest patches."""


class Ratio(NamedTuple):
    """A variant of a training step.

    Attributes:
        rate: steps a second, median over the rounds.
        ratio: how many times as fast as the plain step it is, median over the rounds.
        peak: arithmetic a second over that of large matrix products in the same precision.
        first_s: seconds from the networks to the end of the first step, compilation included.
        kept_mib: tensors that the forward pass keeps for the backward pass; None: not seen, of a compiled network.
        busy: share of its time that the GPU computes; None: on a processor.
    """

    name: str
    rate: float
    ratio: float
    peak: float
    first_s: float
    kept_mib: float | None
    busy: float | None = None


class First(NamedTuple):
    """Of the first step: seconds, floating-point operations, MiB that are kept for the backward pass."""

    seconds: float
    flops: int
    kept_mib: float | None


class _Work:
    """A variant that is measured: networks and batches, after the first step."""

    def __init__(self, unit: StageUnit, cache: Path, device: torch.device, variant: Step) -> None:
        start, self._stage, self._variant, self._device = time.perf_counter(), unit.stage, variant, device
        self._is_gpu, self._step = device.type == "cuda", 0
        self._scheme, self.feed = build(unit), Feed(unit, cache, device, ahead=variant.ahead)
        self._scheme.prepare(device)
        self._scheme.model.train()
        if variant.replayed:
            replay_steps(self._scheme)
        self.first = self._first(cache, start)

    def __call__(self, count: int = 1, lead: int = 0) -> float:
        """Make steps, after some that do not count; returns the seconds of one, which are those of its work, and not of asking for it."""
        start, stage = time.perf_counter(), self._stage
        if self._is_gpu:  # settings of the process, which variants share
            torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = stage.precision == "tf32"
            torch.set_deterministic_debug_mode("error" if stage.deterministic else "default")
            begun, ended = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        for number in range(lead + count):
            if self._is_gpu and number == lead:
                begun.record()
            batch = self.feed.batch(self._step)
            if self._variant.rows:
                pyramid = {factor: stack.contiguous() for factor, stack in batch.pyramid.items()}
                batch = replace(batch, lr=pyramid[max(pyramid)], pyramid=pyramid)
            losses = self._scheme.step(batch, stage.lr)
            if not self._variant.ahead:
                float(losses["total"])
            self._step += 1
        if not self._is_gpu:
            return (time.perf_counter() - start) / count
        ended.record()
        torch.cuda.synchronize(self._device)
        return float(begun.elapsed_time(ended)) / 1e3 / count

    def busy(self, seconds: float) -> float | None:
        """Return the share of a step's seconds that kernels run; the profiler itself slows the host, so it counts kernels alone."""
        if not self._is_gpu:
            return None
        from torch.profiler import ProfilerActivity, profile

        with profile(activities=[ProfilerActivity.CUDA], acc_events=True) as profiler:
            self(PROFILED)
        busy, end = 0.0, 0.0
        events = (event for event in profiler.events() or [] if event.device_type.name == "CUDA")
        for begun, ended in sorted((event.time_range.start, event.time_range.end) for event in events):
            busy, end = busy + max(0.0, ended - max(begun, end)), max(end, ended)
        return busy / 1e6 / PROFILED / seconds

    def _first(self, cache: Path, start: float) -> First:
        """Make the first step, and count."""
        if self._stage.compile:
            with compiling(cache):
                self()
            return First(time.perf_counter() - start, 0, None)
        kept: dict[int, int] = {}

        def keep(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            kept[storage.data_ptr()] = storage.nbytes()
            return tensor

        with FlopCounter() as counter, saved_tensors_hooks(keep, lambda tensor: tensor):
            self()
        return First(time.perf_counter() - start, counter.total, sum(kept.values()) / 2**20)


def step_ratios(
    folder: Path,
    device: str,
    source: str,
    method: str,
    model: dict[str, Any],
    batch: int,
    patch: int,
    names: Sequence[str] = (),
) -> Iterator[Ratio]:
    """Measure the variants of one training step at x4, interleaved; yields the plain step first.

    Args:
        folder: for the cache.
        device: "cpu" or a CUDA device; each has variants of its own.
        source: training images.
        method, model: of the network.
        batch, patch: of the stage.
        names: of the variants, the plain one first; none: all.
    """
    is_gpu = device.startswith("cuda")
    variants = GPU if is_gpu else CPU
    variants = {name: variants[name] for name in names or variants}
    plain, rounds = next(iter(variants)), GPU_ROUNDS if is_gpu else ROUNDS
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    with contextlib.ExitStack() as feeds:
        works: dict[str, _Work] = {}
        for name, variant in variants.items():
            stage = Stage(
                "train", scheme="paired", data=Data(source), steps=100_000, batch=batch, patch=patch, validations=0,
                **variant.fields,
            )  # fmt: skip
            trial = Trial(method=method, scale=4, model=model, stages=(stage,), evaluate=(Evaluate("photos/test"),))
            (unit,) = Keys(Store(folder).cache).stages(trial, "bench")
            works[name] = _Work(unit, Store(folder).cache, torch.device(device), variant)
            feeds.callback(works[name].feed.close)
            works[name](WARM_UP - 1)
        counts = {
            name: min(max(round(TURN_S / work()), TURN_STEPS[0]), TURN_STEPS[1]) if is_gpu else 1
            for name, work in works.items()
        }
        for _ in range(rounds):
            for name, work in works.items():
                seconds[name].append(work(counts[name], LEAD if is_gpu else 0))
        busy = {name: work.busy(statistics.median(seconds[name])) for name, work in works.items()}
    peaks: dict[str, float] = {}
    for name, taken in seconds.items():
        precision = variants[name].fields.get("precision", "fp32")
        if precision not in peaks:
            peaks[precision] = _arithmetic_peak(torch.device(device), precision)
        ratio = statistics.median(unaided / own for unaided, own in zip(seconds[plain], taken, strict=True))
        rate, begun = 1 / statistics.median(taken), works[name].first
        # The operations of the plain step: what is computed twice, or rounded otherwise, does no more of the work.
        share = works[plain].first.flops * rate / peaks[precision]
        yield Ratio(name, rate, ratio, share, begun.seconds, begun.kept_mib, busy[name])


def _arithmetic_peak(device: torch.device, precision: str) -> float:
    """Return the floating-point operations a second of large matrix products in a precision."""
    side = PEAK_SIDES[device.type]
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    if device.type == "cuda":
        torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    factor = torch.rand(side, side, dtype=kind, device=device)

    def product() -> float:
        start = time.perf_counter()
        factor @ factor
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter() - start

    product()
    return float(2 * side**3 / min(product() for _ in range(PEAK_ROUNDS)))


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
    return [np.stack(turned) for turned in turned_crops(images, patch, draws, augment=True).values()]


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
