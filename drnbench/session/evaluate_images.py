"""Scoring a method on a set of images: model, weights, images -> scores, and SR images as files."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Any, NamedTuple

import torch
from torch import nn

from drnbench.config.protocol import Protocol
from drnbench.data.images import Colour, degrade, mod_crop, pixel_sha, read_rgb
from drnbench.datasets.sources import ImageFile, resolve
from drnbench.degradations import canonical, parse
from drnbench.errors import DataError, UsageError
from drnbench.evaluation import metrics as registry
from drnbench.evaluation.evaluator import super_resolve
from drnbench.evaluation.inference import TILE_OVERLAP, Upscaler
from drnbench.evaluation.metric import measure
from drnbench.evaluation.protocol import Pixels
from drnbench.evaluation.zero_shot import ImageFitter, adapted
from drnbench.forensics import displacement
from drnbench.models import models
from drnbench.models.dual import Chain
from drnbench.models.methods import Resolved, get
from drnbench.models.methods import resolve as resolve_method
from drnbench.models.weights import dual_from_file, load_weights
from drnbench.parallel import Failed, Work, each
from drnbench.render import text
from drnbench.session.degrade_images import out_folder, write_png
from drnbench.session.image_scores import METRICS, ImageScores, Scored, check_metrics, check_protocol, image_scores
from drnbench.session.score_images import matched
from drnbench.store.devices import pick_devices
from drnbench.zeroshot import adaptation
from drnbench.zeroshot.base import ZeroShot
from drnbench.zeroshot.oracle import GIVEN, check_given

SEAM = 1e-3
"""Gray levels below which tiles count as changing nothing."""


class Task(NamedTuple):
    """One test image: its name, its file (LR for kernel `real`), a ready-made LR file where there is one."""

    name: str
    path: Path
    lr: Path | None


@dataclass
class Enlarge(Work[Task, Scored]):
    """Super-resolves, scores and saves one image; the model is built once a process. Fields as in `evaluate`."""

    method: str
    scale: int
    weights: Path | None
    dual_weights: Path | None
    kernel: str
    lr: str | None
    metrics: tuple[str, ...]
    protocol: Protocol
    save: Path | None
    tile: int | None
    overlap: int | None
    self_ensemble: bool
    alpha: Colour | None
    resolved: Resolved
    test_time: str | None = None
    device: str = "cpu"

    def __post_init__(self) -> None:
        self._upscaler: Upscaler | None = None
        self._dual: nn.Module | None = None
        self._seam_measured = False

    def start(self) -> None:
        """Build the networks.

        Raises:
            UsageError: weights that are not for this model.
        """
        if self._upscaler is not None:
            return
        device = torch.device(self.device)
        model = models.get(self.resolved.model).make(self.scale, **self.resolved.options)
        if self.weights is not None and self.resolved.scheme is not None:
            load_weights(model, self.weights)
        if self.test_time is not None:
            model = adapted(model, self.test_time, self.scale, Path(gettempdir()))
        if self.dual_weights is not None:
            self._dual = Chain(dual_from_file(self.dual_weights, self.scale)).to(device).eval()
        if isinstance(model, ZeroShot):
            self._upscaler = ImageFitter(model.to(device), self.scale, device, kernel=self.kernel, seed=0)
            return
        overlap = TILE_OVERLAP if self.overlap is None else self.overlap
        self._upscaler = Upscaler(
            model.to(device).eval(), self.scale, device,
            tile=self.tile, overlap=overlap, self_ensemble=self.self_ensemble,
        )  # fmt: skip

    def __getstate__(self) -> dict[str, Any]:
        """Leave the networks out: each process builds its own."""
        return {**self.__dict__, "_upscaler": None, "_dual": None}

    def __call__(self, task: Task) -> Scored:
        """Return the scores of an image; an error names its file."""
        assert self._upscaler is not None
        lr, hr = self._pair(task)
        enlarged = super_resolve(self._upscaler, str(task.path), lr, hr, self.kernel, self._dual)
        if self.save is not None:
            write_png(self.save / f"{task.name}.png", enlarged.sr)
        # Once a process: it costs as much as enlarging a few tiles.
        seam = None if self._seam_measured else self._upscaler.seam(lr)
        self._seam_measured = self._seam_measured or seam is not None
        values = {metric: measure(enlarged, metric, self.protocol) for metric in self.metrics}
        tiles = {"tile_difference": seam, "tile": self._upscaler.cut}
        self._upscaler.cut = None
        return Scored(task.name, values, {name: value for name, value in tiles.items() if value is not None} or None)

    def _pair(self, task: Task) -> tuple[Pixels, Pixels | None]:
        image, kernel = read_rgb(task.path, alpha=self.alpha), parse(self.kernel)
        if kernel.real:
            return image, None
        try:
            hr = mod_crop(image, self.scale)
            if task.lr is None:
                return degrade(kernel, hr, self.scale, pixel_sha(image)), hr
        except DataError as error:
            raise DataError(f"{task.path}: {error}") from None
        lr = read_rgb(task.lr, alpha=self.alpha)
        height, width = hr.shape[0] // self.scale, hr.shape[1] // self.scale
        if lr.shape[:2] != (height, width):
            raise DataError(
                f"{task.lr} is {lr.shape[1]} x {lr.shape[0]} pixels, but {task.path} at scale {self.scale} makes "
                f"{width} x {height}: check the scale and that both show the same picture"
            )
        return lr, hr

    def check(self) -> None:
        """Refuse what cannot be scored, before any image is read.

        Raises:
            UsageError: what is missing, or contradicts.
        """
        self._check_files()
        needs = {name: registry.get(name).needs for name in self.metrics}
        real = parse(self.kernel).real
        for name, need in needs.items():
            if "dual" in need and self.dual_weights is None and not models.get(self.resolved.model).zero_shot:
                raise UsageError(f"--metrics {name}: looks at the dual network; give --dual-weights FILE")
            if "hr" in need and real:
                raise UsageError(
                    f"--metrics {name}: compares with HR images, and 'real' LR images have none; use lr_psnr"
                )
        if self.dual_weights is not None and not any("dual" in need for need in needs.values()):
            raise UsageError("--dual-weights: no metric looks at the dual network; add dual_mae to --metrics")
        if real and self.lr is not None:
            raise UsageError("--lr: with --kernel real the images of --data are LR themselves; leave --lr out")
        if self.overlap is not None and self.tile is None:
            raise UsageError("--overlap: there are no tiles to overlap; add --tile, or leave it out")
        if self.test_time is not None:
            self._check_adaptation(self.test_time)
        if self.test_time is not None or models.get(self.resolved.model).zero_shot:
            self._check_zero_shot()
        parse(self.kernel).identity()  # a kernel file that cannot be used is refused before any work
        check_protocol(self.protocol, self.metrics)

    def _check_zero_shot(self) -> None:
        for flag, given in (("--tile", self.tile is not None), ("--self-ensemble", self.self_ensemble)):
            if given:
                raise UsageError(
                    f"{flag}: {self.method} is fitted to each image as a whole and takes its own mean; leave {flag} out"
                )
        if self.resolved.options.get("kernel") == GIVEN:
            check_given(self.method, parse(self.kernel))

    def _check_adaptation(self, test_time: str) -> None:
        if models.get(self.resolved.model).zero_shot:
            raise UsageError(f"--test-time: {self.method} is itself fitted to each image; leave --test-time out")
        if self.weights is None:
            raise UsageError(f"--test-time: {self.method} has no weights that {test_time} could adapt; leave it out")
        settings = adaptation.parse(test_time)
        settings.check(parse(self.kernel))
        if settings.clean_source is not None:
            resolve(settings.clean_source)

    def _check_files(self) -> None:
        trained, takes_file = self.resolved.scheme is not None, "weights" in models.get(self.resolved.model).files
        if trained and self.weights is None:
            raise UsageError(
                f"evaluate {self.method}: a trained method needs its weights; "
                "give --weights FILE (a checkpoint.pt of the store, or the authors')"
            )
        if not trained and not takes_file and self.weights is not None:
            raise UsageError(f"evaluate {self.method}: this method has no weights; leave --weights out")
        for flag, path in (("--weights", self.weights), ("--dual-weights", self.dual_weights)):
            if path is not None and not path.is_file():
                raise UsageError(f"{flag} {path}: no such file")

    def head(self, data: str) -> dict[str, Any]:
        """Return what stands at the head of the JSON."""
        entries: dict[str, Any] = {}
        if self.weights is not None:
            with self.weights.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            entries |= {"weights": str(self.weights), "weights_sha256": digest}
        if self.lr is not None:
            entries["lr"] = self.lr
        if self.test_time is not None:
            entries["test_time"] = self.test_time
        if self.tile is not None:
            entries["tile"] = {"size": self.tile, "overlap": TILE_OVERLAP if self.overlap is None else self.overlap}
        return {
            "model": self.method + "+" * self.self_ensemble, "scale": self.scale, "kernel": self.kernel, "data": data,
            "self_ensemble": self.self_ensemble, **entries,
        }  # fmt: skip


def evaluate(
    method: str, scale: int, data: str | Path, *, weights: str | Path | None = None,
    dual_weights: str | Path | None = None, kernel: str = "bicubic", lr: str | Path | None = None,
    metrics: Sequence[str] = METRICS, protocol: Protocol | None = None, save: str | Path | None = None,
    force: bool = False, tile: int | None = None, overlap: int | None = None, self_ensemble: bool = False,
    sizes: Mapping[str, Any] | None = None, test_time: str | None = None, device: str = "auto", jobs: int | None = None,
    alpha: Colour | None = None,
) -> ImageScores:  # fmt: skip
    """Score a method on a set of images.

    Args:
        method: a name of the registry, such as drn-s or bicubic.
        scale: HR size over LR size.
        data: HR test images: a name or a folder.
        weights: file of a trainable method: checkpoint.pt, or the authors'.
        dual_weights: file of the dual network, for the metric dual_mae.
        kernel: degradation that makes the LR inputs; real: the images are LR.
        lr: ready-made LR images, matched by name; `kernel` then says what made them.
        metrics: their names.
        protocol: how images are compared; None: the field's.
        save: folder for the SR images, as PNG.
        force: overwrite images that are there.
        tile: side of the tiles, in LR pixels, that an image is enlarged in; None: whole.
        overlap: LR pixels that a tile sees beyond its own; None: 16.
        self_ensemble: mean of the eight flips and turns.
        sizes: of the model, such as n_feats.
        test_time: adaptation to each test image, such as srtta:types=blur; None: the method's own.
        device: auto, cpu or cuda.
        jobs: processes at once, on the CPU; None: one a core where it is worth it.
        alpha: colour that transparent images are laid onto; None: they are refused.

    Raises:
        UsageError: what is asked for cannot be computed; said before any image is read.
    """
    sizes = dict(sizes or {})
    if weights is not None and "weights" in models.get(get(method).model).files:
        sizes = {"weights": str(weights), **sizes}
    resolved = resolve_method(method, scale, sizes)
    work = Enlarge(
        method, scale, _path(weights), _path(dual_weights), kernel, None if lr is None else str(lr), check_metrics(metrics),
        protocol or Protocol(), _path(save), tile, overlap, self_ensemble, alpha, resolved, test_time or resolved.test_time,
    )  # fmt: skip
    work.check()
    work.kernel = canonical(kernel)
    (work.device, *_), _ = pick_devices(device, 1)
    if work.device != "cpu" and (jobs or 1) > 1:
        raise UsageError(f"--jobs {jobs}: one process scores on a GPU; leave --jobs out, or give --device cpu")
    with TemporaryDirectory() as frames:
        images = resolve(str(data), Path(frames)).images
        tasks, failed = _tasks(images, work.lr, Path(frames))
        work.start()
        if work.save is not None:
            out_folder(work.save, images, force=force)
        done = list(each(work, tasks, jobs if work.device == "cpu" else 1, "scoring"))
        pairs = [(task.path, task.lr) for task in tasks if task.lr is not None]
        doubts = displacement.warnings(work.lr, pairs, scale, work.kernel, alpha)
    rows = [row for row in done if isinstance(row, Scored)]
    failed += [row.message for row in done if isinstance(row, Failed)]
    notes = [*_tile_notes(method, rows), *([f"SR images in {save}"] if rows and save else [])]
    return image_scores(work.head(str(data)) | doubts, rows, failed, work.metrics, work.protocol, notes)


def _path(value: str | Path | None) -> Path | None:
    return None if value is None else Path(value)


def _tile_notes(method: str, rows: list[Scored]) -> list[str]:
    """Return notes on images that were too large as a whole, and on the difference that tiles make, where they make one."""
    sides = [row.extra["tile"] for row in rows if row.extra and "tile" in row.extra]
    cut = [(
        f"note: {text.count(len(sides), 'image')} in tiles of {min(sides)} LR pixels, as {method} needs too much memory for a whole one: "
        "other scores where it averages over the image, as channel attention does"
    )] if sides else []  # fmt: skip
    seams = [(row.extra["tile_difference"], row.image) for row in rows if row.extra and "tile_difference" in row.extra]
    largest, image = max(seams, default=(0.0, ""))
    if largest <= SEAM:
        return cut
    return [*cut, (
        f"note: tiles change the SR image: {largest:.2f} gray levels where it was measured (four tiles at the centre of "
        f"{image}, against these as a whole), and more elsewhere is possible. {method} sees further than "
        "--overlap, or averages over the whole image, as channel attention does"
    )]  # fmt: skip


def _tasks(images: tuple[ImageFile, ...], lr: str | None, frames: Path) -> tuple[list[Task], list[str]]:
    if lr is None:
        return [Task(name, path, None) for name, path in images], []
    lr_of, _ = matched(resolve(lr, frames, paths_first=True).images, images, "LR", "HR")
    failed = [f"{path} has no LR image in {lr}" for name, path in images if name not in lr_of]
    return [Task(name, path, lr_of[name]) for name, path in images if name in lr_of], failed
