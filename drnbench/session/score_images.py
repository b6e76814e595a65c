"""Scoring SR images that were made elsewhere, against HR images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from drnbench.config.protocol import Protocol
from drnbench.data.images import Colour, degrade, mod_crop, pixel_sha, read_rgb
from drnbench.datasets.pairing import matching_hr
from drnbench.datasets.sources import ImageFile, resolve
from drnbench.degradations import canonical, parse
from drnbench.errors import DataError, UsageError
from drnbench.evaluation import metrics as registry
from drnbench.evaluation.metric import Item, measure
from drnbench.forensics import displacement
from drnbench.parallel import Failed, Work, each
from drnbench.session.image_scores import METRICS, ImageScores, Scored, check_metrics, check_protocol, image_scores


class Pair(NamedTuple):
    """An SR file, the HR image that it shows and its LR input; none where no metric looks at it."""

    name: str
    sr: Path
    hr: Path | None
    lr: Path | None = None


@dataclass
class Score(Work[Pair, Scored]):
    """Scores one pair of files; `lr` says whether a metric looks at LR, which is made of HR where no file is given."""

    scale: int
    kernel: str
    metrics: list[str]
    protocol: Protocol
    alpha: Colour | None
    lr: bool

    def __call__(self, pair: Pair) -> Scored:
        """Return the scores of a pair; an error names the SR file."""
        sr = read_rgb(pair.sr, alpha=self.alpha)
        hr = None if pair.hr is None else read_rgb(pair.hr, alpha=self.alpha)
        lr = None if pair.lr is None else read_rgb(pair.lr, alpha=self.alpha)
        if self.lr and lr is None and hr is not None:
            try:
                lr = degrade(parse(self.kernel), mod_crop(hr, self.scale), self.scale, pixel_sha(hr))
            except DataError as error:
                raise DataError(f"{pair.hr}: {error}") from None
        if lr is not None and sr.shape[:2] != (lr.shape[0] * self.scale, lr.shape[1] * self.scale):
            raise DataError(
                f"{pair.sr} is {sr.shape[1]} x {sr.shape[0]} pixels, but its LR image of {lr.shape[1]} x {lr.shape[0]} at "
                f"scale {self.scale} makes {lr.shape[1] * self.scale} x {lr.shape[0] * self.scale}: check the scale"
            )
        item = Item(str(pair.sr), lr, sr, hr, self.scale, self.kernel)
        return Scored(pair.name, {metric: measure(item, metric, self.protocol) for metric in self.metrics})


def score(
    sr: str | Path, hr: str | Path | None = None, *, scale: int, metrics: Sequence[str] = METRICS,
    lr: str | Path | None = None, kernel: str | None = None, protocol: Protocol | None = None,
    alpha: Colour | None = None, jobs: int | None = None,
) -> ImageScores:  # fmt: skip
    """Score a folder of SR images; pairs are by name, such as baby_RCAN_x4.png with baby.png.

    Args:
        sr: folder of SR images.
        hr: HR images: a folder or a name; None where no metric compares with them.
        scale: HR size over LR size; 1: images of any origin.
        metrics: their names.
        lr: LR inputs, for metrics that look at them; None: made of HR by `kernel`.
        kernel: the degradation that made the LR inputs; None: bicubic.
        protocol: how images are compared; None: the field's.
        alpha: colour that transparent images are laid onto; None: they are refused.
        jobs: processes at once; None: one a core where it is worth it.

    Raises:
        UsageError: what is asked for cannot be computed, or no image belongs to another.
    """
    sr, hr, lr = str(sr), None if hr is None else str(hr), None if lr is None else str(lr)
    protocol = protocol or Protocol()
    names = check_metrics(metrics)
    check_protocol(protocol, names)
    looks_at_lr = _check_inputs(names, hr, lr, kernel)
    spec = canonical(kernel or "bicubic")
    parse(spec).identity()  # a kernel file that cannot be used is refused before any work
    if looks_at_lr and lr is None and parse(spec).real:
        raise UsageError("--kernel real: LR images are made of HR here, and 'real' makes none; name another kernel")
    with TemporaryDirectory() as frames:
        source = resolve(sr, Path(frames), paths_first=True)
        hr_images = resolve(hr, Path(frames)).images if hr is not None else None
        lr_images = resolve(lr, Path(frames), paths_first=True).images if lr is not None else None
        pairs, failed = pair_up(source.images, hr_images, lr_images)
        if not pairs:
            raise DataError(
                f"no image of {sr} belongs to one of {hr if hr_images is not None else lr}: SR files are called like "
                "those, baby_x4 like baby"
            )
        work = Score(scale, spec, list(names), protocol, alpha, looks_at_lr)
        done = list(each(work, pairs, jobs, "scoring"))
        both = [(pair.hr, pair.lr) for pair in pairs if pair.hr is not None and pair.lr is not None]
        doubts = displacement.warnings(lr, both, scale, spec, alpha)
    rows = [row for row in done if isinstance(row, Scored)]
    failed += [row.message for row in done if isinstance(row, Failed)]
    head = {"model": source.label, "scale": scale, "data": hr, **({"kernel": spec} if looks_at_lr else {})}
    return image_scores({**head, **({"lr": lr} if lr else {}), **doubts}, rows, failed, names, protocol)


def _check_inputs(names: Sequence[str], hr: str | None, lr: str | None, kernel: str | None) -> bool:
    """Refuse metrics that lack what they look at; return True if one looks at LR images."""
    needs = {name: registry.get(name).needs for name in names}
    for name, need in needs.items():
        if "dual" in need:
            raise UsageError(f"--metrics {name}: looks at a dual network, which no image has; leave it out")
        if "hr" in need and hr is None:
            raise UsageError(
                f"--metrics {name}: compares with HR images; name their folder after that of the SR images"
            )
        if "lr" in need and hr is None and lr is None:
            raise UsageError(f"--metrics {name}: compares with LR images; give them with --lr, or HR to make them of")
    looks_at_lr = any("lr" in need for need in needs.values())
    for flag, value in (("--lr", lr), ("--kernel", kernel)):
        if value is not None and not looks_at_lr:
            raise UsageError(f"{flag} {value}: no metric looks at LR images; add lr_psnr to --metrics")
    return looks_at_lr


def pair_up(
    srs: tuple[ImageFile, ...], hrs: tuple[ImageFile, ...] | None, lrs: tuple[ImageFile, ...] | None
) -> tuple[list[Pair], list[str]]:
    """Return the pairs in the order of the HR images (without these, of the LR images), and a line for each odd one out."""
    main = lrs if hrs is None else hrs
    if main is None:
        return [Pair(image.name, image.path, None) for image in srs], []
    kind = "LR" if hrs is None else "HR"
    sr_of, failed = matched(srs, main, "SR", kind)
    inputs: dict[str, Path] = dict(main) if hrs is None else {}
    if hrs is not None and lrs is not None:
        inputs, _ = matched(lrs, hrs, "LR", kind)  # LR images of others than those scored do not count
        failed += [f"{path} has no LR image" for name, path in hrs if name in sr_of and name not in inputs]
    failed += [f"{path} has no SR image, so it is in no score" for name, path in main if name not in sr_of]
    return [
        Pair(name, sr_of[name], None if hrs is None else path, inputs.get(name))
        for name, path in main
        if name in sr_of and (lrs is None or name in inputs)
    ], failed


def matched(
    files: tuple[ImageFile, ...], main: tuple[ImageFile, ...], kind: str, whose: str
) -> tuple[dict[str, Path], list[str]]:
    """Return the file that belongs to each image by its name, and a line for each file that belongs to none.

    Raises:
        DataError: two files belong to one image.
    """
    paths, matches = dict(main), dict[str, Path]()
    failed = []
    for file in files:
        name = matching_hr(file.name, paths)
        if name is None:
            failed.append(f"{file.path} belongs to no {whose} image: its name begins with none of theirs")
        elif name in matches:
            raise DataError(
                f"2 {kind} images belong to {paths[name]}: {matches[name]}, {file.path}; keep one of them there"
            )
        else:
            matches[name] = file.path
    return matches, failed
