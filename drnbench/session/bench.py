"""The verb `bench`: how fast this machine scores, degrades, enlarges and trains, and what a sweep takes besides."""

from __future__ import annotations

import itertools
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from drnbench.config.protocol import Protocol
from drnbench.config.trial import Data, Evaluate, Stage, Trial
from drnbench.data.images import degrade, pixel_sha, read_rgb
from drnbench.datasets.sources import ImageFile, resolve
from drnbench.degradations import parse
from drnbench.errors import UsageError, nearest, one_line
from drnbench.evaluation import metrics as registry
from drnbench.evaluation.inference import Upscaler
from drnbench.evaluation.protocol import Pixels
from drnbench.models import create
from drnbench.parallel import cores, each
from drnbench.planning.keys import Keys
from drnbench.session.bench_figure import STEP_OF, save_figure
from drnbench.session.bench_steps import FEWER, MOST, SOME, data_rates, step_ratios
from drnbench.session.bench_sweep import sweep_rates
from drnbench.session.degrade_images import Degrade, write_png
from drnbench.session.score_images import Pair, Score
from drnbench.store import Store, write_text
from drnbench.store.devices import pick_devices
from drnbench.store.environment import processor
from drnbench.training.feed import Feed
from drnbench.training.graphs import replay_steps
from drnbench.training.loop import build
from drnbench.training.numerics import set_numerics

XGA = (768, 1024)
"""Height and width of the images that scoring and degrading are measured on."""
DIV2K = (1356, 2040)
SECONDS = 3.0
"""How long a measurement lasts at least."""


@dataclass(frozen=True)
class Speed:
    """One line of the result: what was done, how often, in what unit, with how many processes of one thread.

    Attributes:
        ratio: how many times as fast as the plain variant of the same run; None where there is none.
        peak, first_s, kept_mib, busy: of a training step, as in `bench_steps.Ratio`.
    """

    what: str
    rate: float
    unit: str
    processes: int
    ratio: float | None = None
    peak: float | None = None
    first_s: float | None = None
    kept_mib: float | None = None
    busy: float | None = None

    def details(self) -> str:
        """Return words for what of a training step was measured beside its rate, each after a comma."""
        parts = [
            "" if self.ratio is None else f"{self.ratio:.2f} times the plain step",
            "" if self.peak is None else f"{self.peak:.0%} of the arithmetic peak",
            "" if self.busy is None else f"GPU busy {self.busy:.0%} of the time",
            "" if self.first_s is None else f"first step after {self.first_s:.1f} s",
            "" if self.kept_mib is None else f"{self.kept_mib:.0f} MiB kept for the backward pass",
        ]
        return "".join(f", {part}" for part in parts if part)


def bench(
    device: str, only: str | None, out: Path | None, earlier: Path | None = None, figure: Path | None = None
) -> int:
    """Measure and print; returns the exit code.

    Args:
        device: auto, cpu or cuda.
        only: one part; None: all.
        out: file of the JSON; `-` for standard output.
        earlier: JSON of another run, whose rates stand beside those of this one.
        figure: file of a figure of the training steps.

    Raises:
        UsageError: no such part, or a file that is none of `bench`.
    """
    before = _read(earlier) if earlier is not None else {}
    (place, *_), _ = pick_devices(device, 1)
    parts: dict[str, Callable[[Path], Iterator[Speed]]] = {
        "score": _score,
        "degrade": _degrade,
        "enlarge": lambda folder: _enlarge(folder, torch.device(place)),
        "train": lambda folder: _train(folder, place),
        "step": lambda folder: _steps(folder, place),
        "feed": _feed,
        "sweep": lambda folder: _sweep(folder, place),
    }
    if only is not None and only not in parts:
        raise UsageError(f"bench --only {only}: {nearest(only, parts)}")
    set_numerics(1, deterministic=True, tf32=False)  # as a trial is computed
    speeds: list[Speed] = []
    try:
        for name in [only] if only else parts:
            with TemporaryDirectory() as folder:
                for speed in parts[name](Path(folder)):
                    speeds.append(speed)
                    if str(out) != "-":
                        print(_line(speed, before), flush=True)
    except KeyboardInterrupt:  # what was measured took minutes
        if speeds:
            _keep(speeds, place, out, figure)
        raise
    _keep(speeds, place, out, figure)
    return 0


def _line(speed: Speed, earlier: Mapping[tuple[str, int], float]) -> str:
    processes, more = f"{speed.processes} process{'es' * (speed.processes > 1)}", speed.details()
    if (rate := earlier.get((speed.what, speed.processes))) is not None:
        more += f"; {speed.rate / rate:.2f} times the earlier {rate:.2f}"
    return f"{speed.what:<66} {speed.rate:9.2f} {speed.unit}, {processes}{more}"


def _keep(speeds: Sequence[Speed], place: str, out: Path | None, figure: Path | None) -> None:
    """Write what was measured, and print the machine."""
    name = torch.cuda.get_device_name(place) if place.startswith("cuda") else "cpu"
    record: dict[str, Any] = {
        "processor": processor(), "cores": cores(), "device": name, "torch": torch.__version__,
        "speeds": [vars(speed) for speed in speeds],
    }  # fmt: skip
    if figure is not None and any(speed.ratio is not None for speed in speeds):
        save_figure(record["speeds"], f"{record['processor']}, {record['device']}", figure)
    if str(out) == "-":
        sys.stdout.write(json.dumps(record, indent=2) + "\n")
        return
    print(f"{record['processor']}, {record['cores']} cores, {record['device']}, torch {record['torch']}")
    if out is not None:
        write_text(out, json.dumps(record, indent=2) + "\n")


def _read(path: Path) -> dict[tuple[str, int], float]:
    """Return the rates of an earlier run, by what was done and with how many processes."""
    try:
        speeds = json.loads(path.read_text(encoding="utf-8"))["speeds"]
        return {(speed["what"], speed["processes"]): float(speed["rate"]) for speed in speeds}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"--compare {path}: give a file that `bench --json` wrote ({one_line(str(error))})") from error


def _sized(name: str, sizes: dict[str, Any]) -> str:
    return " ".join([name, *(f"{key}={value}" for key, value in sizes.items())])


def _photograph(height: int, width: int, number: int = 0) -> Pixels:
    """Return a photograph of any size: one of the embedded ones, mirrored to fill it; noise would compress as none does."""
    pixels = read_rgb(resolve("photos/test").images[0].path)
    pixels = np.concatenate([pixels, pixels[::-1]])
    pixels = np.concatenate([pixels, pixels[:, ::-1]], axis=1)
    pixels = np.tile(pixels, (-(-height // pixels.shape[0]), -(-width // pixels.shape[1]), 1))
    return np.ascontiguousarray(np.roll(pixels, 37 * number, axis=(0, 1))[:height, :width])


def _rate(work: Callable[[], object]) -> float:
    """Return how often a second `work` is done, after doing it once to warm up."""
    work()
    start, done = time.perf_counter(), 0
    while time.perf_counter() - start < SECONDS:
        work()
        done += 1
    return done / (time.perf_counter() - start)


def _score(folder: Path) -> Iterator[Speed]:
    hr = _photograph(*XGA)
    sr = np.clip(hr.astype(np.int16) + np.random.default_rng(0).integers(-8, 9, hr.shape), 0, 255).astype(np.uint8)
    for name, image in (("hr", hr), ("sr", sr)):
        write_png(folder / f"{name}.png", image)
    pair = Pair("image", folder / "sr.png", folder / "hr.png")
    for metrics in (["psnr_y", "ssim_y"], ["psnr_rgb", "ssim_rgb"], ["lr_psnr"], ["lpips"], ["niqe"]):
        try:
            for metric in metrics:
                registry.get(metric).check_available()
        except UsageError as error:
            print(f"{' + '.join(metrics)} left out: {error}", file=sys.stderr)
            continue
        work = Score(4, "bicubic", metrics, Protocol(), None, lr="lr_psnr" in metrics)
        what = f"score {' + '.join(metrics)}, 1024 x 768, PNG files"
        yield Speed(what, _rate(lambda work=work: work(pair)), "images/s", 1)  # type: ignore[misc]


def _degrade(folder: Path) -> Iterator[Speed]:
    for label, size, count in (("1024 x 768", XGA, 48), ("2040 x 1356 (DIV2K)", DIV2K, 24)):
        images = []
        for i in range(count):
            path = folder / f"{label[:4]}_{i}.png"
            write_png(path, _photograph(*size, i))
            images.append(ImageFile(path.stem, path))
        for jobs in sorted({1, cores()}):
            work = Degrade("bicubic", 4, folder / f"lr{jobs}", None)
            (folder / f"lr{jobs}").mkdir(exist_ok=True)
            results = each(work, images, jobs, "degrading")
            next(results)  # the start of the processes is not the speed of the work
            start = time.perf_counter()
            rate = len(list(results)) / (time.perf_counter() - start)
            yield Speed(f"degrade bicubic x4, {label}, PNG files", rate, "images/s", jobs)


def _enlarge(folder: Path, device: torch.device) -> Iterator[Speed]:
    del folder
    hr = _photograph(512, 512)
    small = degrade(parse("bicubic"), hr, 4, pixel_sha(hr))
    sized: dict[str, dict[str, Any]] = {"bicubic": {}, "drn": {"n_blocks": 2, "n_feats": 8}, "drn-s": {}}
    for name, sizes in sized.items():
        upscaler = Upscaler(create(name, 4, **sizes).to(device).eval(), 4, device)
        shown = _sized(name, sizes)
        yield Speed(f"enlarge x4 with {shown}, 128 x 128 LR pixels", _rate(lambda u=upscaler: u(small)), "images/s", 1)  # type: ignore[misc]


def _train(folder: Path, device: str) -> Iterator[Speed]:
    store = Store(folder)
    store.prepare()
    small: dict[str, Any] = {"n_blocks": 2, "n_feats": 8}
    sizes: list[tuple[str, dict[str, Any], int, int]] = [("drn", small, 8, 96)]
    if device.startswith("cuda"):  # minutes a step on a processor
        sizes.append(("drn-s", {}, 16, 192))
    for method, model, batch, patch in sizes:
        stage = Stage("train", scheme="paired", data=Data("photos/train"), steps=10_000, batch=batch, patch=patch)
        trial = Trial(method=method, scale=4, model=model, stages=(stage,), evaluate=(Evaluate("photos/test"),))
        (unit,) = Keys(store.cache).stages(trial, "bench")
        scheme, feed = build(unit), Feed(unit, store.cache, torch.device(device))
        scheme.prepare(torch.device(device))
        replay_steps(scheme)
        count = itertools.count()

        def step(scheme: Any = scheme, feed: Feed = feed, count: Iterator[int] = count) -> None:
            losses = scheme.step(feed.batch(next(count)), 1e-4)
            float(losses["total"])  # waits for the device

        what = f"train {_sized(method, model)}, batch {batch} x {patch}"
        yield Speed(what, _rate(step), "steps/s", 1)


def _steps(folder: Path, device: str) -> Iterator[Speed]:
    """Measure variants of a training step in turns, beside the plain one."""
    Store(folder).prepare()
    (folder / "images").mkdir()
    for i in range(4):  # some of the embedded ones are smaller than a patch
        write_png(folder / "images" / f"{i}.png", _photograph(512, 512, i))
    networks: list[tuple[str, dict[str, Any], int, int, Sequence[str]]] = []
    if device.startswith("cuda"):
        networks += [("drn-s", {}, 16, 192, MOST), ("drn-l", {}, 16, 192, SOME)]
        networks += [(name, {}, 4, 384, FEWER) for name in ("drn-s", "drn-l")]
    networks.append(("drn", {"n_blocks": 1, "n_feats": 8}, 4, 64, ()))
    for method, model, batch, patch, variants in networks:
        source = str(folder / "images")
        for name, rate, *measured in step_ratios(folder, device, source, method, model, batch, patch, variants):
            yield Speed(f"{STEP_OF}{_sized(method, model)}, {batch} x {patch}, {name}", rate, "steps/s", 1, *measured)


def _feed(folder: Path) -> Iterator[Speed]:
    Store(folder).prepare()
    for measured in data_rates(folder):
        yield Speed(measured.name, measured.rate, measured.unit, measured.threads)


def _sweep(folder: Path, device: str) -> Iterator[Speed]:
    for measured in sweep_rates(folder, device):
        yield Speed(*measured)
