"""The verb `evaluate`: a method, weights, images -> scores on standard output and as JSON, SR images as files."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import torch
from torch import nn

from drnbench.cli.degrading import out_folder, write_png
from drnbench.cli.scores import Scored, check_out, check_protocol, finish, wanted_metrics
from drnbench.cli.scoring import matched
from drnbench.cli.studies import pick_devices, read_sets
from drnbench.config.protocol import Protocol
from drnbench.data.images import Colour, mod_crop, read_rgb
from drnbench.data.lr import degrade, pixel_sha
from drnbench.datasets.sources import ImageFile, resolve
from drnbench.degradations import canonical, parse
from drnbench.errors import DataError, UsageError
from drnbench.evaluation import metrics as known
from drnbench.evaluation.evaluator import item
from drnbench.evaluation.inference import TILE_OVERLAP, Upscaler
from drnbench.evaluation.metric import measure
from drnbench.evaluation.protocol import Pixels
from drnbench.models import models
from drnbench.models.dual import Chain
from drnbench.models.methods import Resolved, get
from drnbench.models.methods import resolve as resolve_method
from drnbench.models.weights import dual_from_file, load_weights
from drnbench.parallel import Failed, Work, each

SEAM = 1e-3
"""Gray levels below which tiles count as changing nothing."""


@dataclass(frozen=True)
class Request:
    """What `evaluate` was asked for: names, files and settings as the command line gave them."""

    method: str
    scale: int
    data: str
    weights: Path | None
    dual_weights: Path | None
    kernel: str
    lr: str | None
    metrics: str
    out: Path | None
    save: Path | None
    force: bool
    tile: int | None
    overlap: int | None
    self_ensemble: bool
    sets: list[str]
    device: str
    jobs: int | None
    alpha: Colour | None
    protocol: Protocol


class Task(NamedTuple):
    """One test image: its name, its file (LR for kernel `real`), a ready-made LR file where there is one."""

    name: str
    path: Path
    lr: Path | None


@dataclass
class Enlarge(Work[Task, Scored]):
    """Super-resolves, scores and saves one image; the model is built once a process."""

    asked: Request
    resolved: Resolved
    metrics: list[str]
    device: str

    def __post_init__(self) -> None:
        self._upscaler: Upscaler | None = None
        self._dual: nn.Module | None = None
        self._seam_known = False

    def start(self) -> None:
        """Build the networks.

        Raises:
            UsageError: weights that are not for this model.

        """
        if self._upscaler is not None:
            return
        asked, device = self.asked, torch.device(self.device)
        model = models.get(self.resolved.model).make(asked.scale, **self.resolved.options)
        if asked.weights is not None and self.resolved.scheme is not None:
            load_weights(model, asked.weights)
        if asked.dual_weights is not None:
            self._dual = Chain(dual_from_file(asked.dual_weights, asked.scale)).to(device).eval()
        self._upscaler = Upscaler(
            model.to(device).eval(), asked.scale, device, tile=asked.tile, overlap=TILE_OVERLAP if asked.overlap is None else asked.overlap,
            self_ensemble=asked.self_ensemble,
        )  # fmt: skip

    def __getstate__(self) -> dict[str, Any]:
        """Leave the networks out: each process builds its own."""
        return {**self.__dict__, "_upscaler": None, "_dual": None}

    def __call__(self, task: Task) -> Scored:
        """Return the scores of an image; an error names its file."""
        assert self._upscaler is not None
        asked = self.asked
        lr, hr = self._pair(task)
        made = item(self._upscaler, str(task.path), lr, hr, asked.kernel, self._dual)
        if asked.save is not None:
            write_png(asked.save / f"{task.name}.png", made.sr)
        # Once a process: it costs as much as enlarging a few tiles.
        seam = None if self._seam_known else self._upscaler.seam(lr)
        self._seam_known = self._seam_known or seam is not None
        values = {metric: measure(made, metric, asked.protocol) for metric in self.metrics}
        return Scored(task.name, values, None if seam is None else {"tile_difference": seam})

    def _pair(self, task: Task) -> tuple[Pixels, Pixels | None]:
        image = read_rgb(task.path, alpha=self.asked.alpha)
        kernel, scale = parse(self.asked.kernel), self.asked.scale
        if kernel.real:
            return image, None
        try:
            hr = mod_crop(image, scale)
            if task.lr is None:
                return degrade(kernel, hr, scale, pixel_sha(image)), hr
        except DataError as error:
            raise DataError(f"{task.path}: {error}") from None
        lr = read_rgb(task.lr, alpha=self.asked.alpha)
        height, width = hr.shape[0] // scale, hr.shape[1] // scale
        if lr.shape[:2] != (height, width):
            raise DataError(
                f"{task.lr} is {lr.shape[1]} x {lr.shape[0]} pixels, but {task.path} at scale {scale} makes "
                f"{width} x {height}: check the scale and that both show the same picture"
            )
        return lr, hr


def evaluate_method(asked: Request) -> int:
    """Score a method on a set; returns the exit code: 0 all, 1 some images failed, 2 nothing was scored."""
    sizes = read_sets(asked.sets)
    takes_file = "weights" in models.get(get(asked.method).model).files
    if takes_file and asked.weights is not None:
        sizes = {"weights": str(asked.weights), **sizes}
    resolved = resolve_method(asked.method, asked.scale, sizes)
    metrics = wanted_metrics(asked.metrics)
    _check(asked, metrics, trained=resolved.scheme is not None, takes_file=takes_file)
    asked = replace(asked, kernel=canonical(asked.kernel))
    (device, *_), _ = pick_devices(asked.device, 1)
    work = Enlarge(asked, resolved, metrics, device)
    with TemporaryDirectory() as frames:
        images = resolve(asked.data, Path(frames)).images
        tasks, failed = _tasks(images, asked, Path(frames))
        work.start()
        if asked.save is not None:
            out_folder(asked.save, images, force=asked.force)
        done = list(each(work, tasks, asked.jobs if device == "cpu" else 1, "scoring"))
    rows = [row for row in done if isinstance(row, Scored)]
    failed += [row.message for row in done if isinstance(row, Failed)]
    code = finish(_head(asked), rows, failed, metrics, asked.protocol, asked.out)
    if rows and str(asked.out) != "-":
        _tell_tiles(asked, rows)
    if rows and asked.save is not None and str(asked.out) != "-":
        print(f"SR images in {asked.save}")
    return code


def _head(asked: Request) -> dict[str, Any]:
    more: dict[str, Any] = {}
    if asked.weights is not None:
        more["weights"] = str(asked.weights)
        with asked.weights.open("rb") as file:
            more["weights_sha256"] = hashlib.file_digest(file, "sha256").hexdigest()
    if asked.lr is not None:
        more["lr"] = asked.lr
    if asked.tile is not None:
        more["tile"] = {"size": asked.tile, "overlap": TILE_OVERLAP if asked.overlap is None else asked.overlap}
    return {
        "model": asked.method + "+" * asked.self_ensemble, "scale": asked.scale, "kernel": asked.kernel, "data": asked.data,
        "self_ensemble": asked.self_ensemble, **more,
    }  # fmt: skip


def _tell_tiles(asked: Request, rows: list[Scored]) -> None:
    """Say by how much tiles change the SR image where they do."""
    found = [(row.extra["tile_difference"], row.image) for row in rows if row.extra]
    if found and max(found)[0] > SEAM:
        print(
            f"note: tiles change the SR image: {max(found)[0]:.2f} gray levels where it was measured (four tiles at the "
            f"centre of {max(found)[1]}, against these as a whole), and more elsewhere is possible. {asked.method} sees "
            "further than --overlap, or averages over the whole image, as channel attention does"
        )


def _tasks(images: tuple[ImageFile, ...], asked: Request, frames: Path) -> tuple[list[Task], list[str]]:
    if asked.lr is None:
        return [Task(name, path, None) for name, path in images], []
    found, _ = matched(resolve(asked.lr, frames, paths_first=True).images, images, "LR", "HR")
    failed = [f"{path} has no LR image in {asked.lr}" for name, path in images if name not in found]
    return [Task(name, path, found[name]) for name, path in images if name in found], failed


def _check(asked: Request, metrics: list[str], *, trained: bool, takes_file: bool) -> None:
    """Refuse what cannot be scored, before any image is read."""
    if trained and asked.weights is None:
        raise UsageError(
            f"evaluate {asked.method}: a trained method needs its weights; "
            "give --weights FILE (a checkpoint.pt of the store, or the authors')"
        )
    if not trained and not takes_file and asked.weights is not None:
        raise UsageError(f"evaluate {asked.method}: this method has no weights; leave --weights out")
    needs = {metric: known.get(metric).needs for metric in metrics}
    real = parse(asked.kernel).real
    for metric, need in needs.items():
        if "dual" in need and asked.dual_weights is None:
            raise UsageError(f"--metrics {metric}: looks at the dual network; give --dual-weights FILE")
        if "hr" in need and real:
            raise UsageError(
                f"--metrics {metric}: compares with HR images, and 'real' LR images have none; use lr_psnr"
            )
    if real and asked.lr is not None:
        raise UsageError("--lr: with --kernel real the images of --data are LR themselves; leave --lr out")
    if asked.dual_weights is not None and not any("dual" in need for need in needs.values()):
        raise UsageError("--dual-weights: no metric looks at the dual network; add dual_mae to --metrics")
    for flag, path in (("--weights", asked.weights), ("--dual-weights", asked.dual_weights)):
        if path is not None and not path.is_file():
            raise UsageError(f"{flag} {path}: no such file")
    if asked.overlap is not None and asked.tile is None:
        raise UsageError("--overlap: there are no tiles to overlap; add --tile, or leave it out")
    parse(asked.kernel).identity()  # a kernel file that cannot be used is found before any work
    check_protocol(asked.protocol, metrics)
    check_out(asked.out)
