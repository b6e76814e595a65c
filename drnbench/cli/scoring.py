"""The verb `score`: SR images made elsewhere against HR images -> scores."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from drnbench.cli.scores import Scored, check_out, check_protocol, finish, wanted_metrics
from drnbench.config.protocol import Protocol
from drnbench.data.images import Colour, mod_crop, read_rgb
from drnbench.data.lr import degrade, pixel_sha
from drnbench.data.pairing import owner
from drnbench.datasets.sources import ImageFile, resolve
from drnbench.degradations import canonical, parse
from drnbench.errors import DataError, UsageError
from drnbench.evaluation import metrics as known
from drnbench.evaluation.metric import Item, measure
from drnbench.parallel import Failed, Work, each


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
            lr = degrade(parse(self.kernel), mod_crop(hr, self.scale), self.scale, pixel_sha(hr))
        if lr is not None and sr.shape[:2] != (lr.shape[0] * self.scale, lr.shape[1] * self.scale):
            raise DataError(
                f"{pair.sr} is {sr.shape[1]} x {sr.shape[0]} pixels, but its LR image of {lr.shape[1]} x {lr.shape[0]} at "
                f"scale {self.scale} makes {lr.shape[1] * self.scale} x {lr.shape[0] * self.scale}: check the scale"
            )
        item = Item(str(pair.sr), lr, sr, hr, self.scale, self.kernel)
        return Scored(pair.name, {metric: measure(item, metric, self.protocol) for metric in self.metrics})


def score_folder(
    sr: str, hr: str | None, lr: str | None, scale: int, metrics: str, kernel: str | None, protocol: Protocol,
    out: Path | None, alpha: Colour | None, jobs: int | None,
) -> int:  # fmt: skip
    """Score a folder of SR images; returns the exit code."""
    names = wanted_metrics(metrics)
    check_out(out)
    check_protocol(protocol, names)
    needs = {name: known.get(name).needs for name in names}
    looks_at_lr = any("lr" in need for need in needs.values())
    for name, need in needs.items():
        if "dual" in need:
            raise UsageError(f"--metrics {name}: looks at a dual network, which no image has; leave it out")
        if "hr" in need and hr is None:
            raise UsageError(
                f"--metrics {name}: compares with HR images; name their folder after that of the SR images"
            )
        if "lr" in need and hr is None and lr is None:
            raise UsageError(f"--metrics {name}: compares with LR images; give them with --lr, or HR to make them of")
    for flag, value in (("--lr", lr), ("--kernel", kernel)):
        if value is not None and not looks_at_lr:
            raise UsageError(f"{flag} {value}: no metric looks at LR images; add lr_psnr to --metrics")
    spec = canonical(kernel or "bicubic")
    parse(spec).identity()  # a kernel file that cannot be used is found before any work
    if looks_at_lr and lr is None and parse(spec).real:
        raise UsageError("--kernel real: LR images are made of HR here, and 'real' makes none; name another kernel")
    with TemporaryDirectory() as frames:
        found = resolve(sr, Path(frames), paths_first=True)
        hrs = resolve(hr, Path(frames)).images if hr is not None else None
        lrs = resolve(lr, Path(frames), paths_first=True).images if lr is not None else None
        pairs, failed = pair_up(found.images, hrs, lrs)
        if not pairs:
            raise DataError(
                f"no image of {sr} belongs to one of {hr if hrs is not None else lr}: SR files are called like those, "
                "baby_x4 like baby"
            )
        done = list(each(Score(scale, spec, names, protocol, alpha, looks_at_lr), pairs, jobs, "scoring"))
    rows = [row for row in done if isinstance(row, Scored)]
    failed += [row.message for row in done if isinstance(row, Failed)]
    head = {"model": found.label, "scale": scale, "data": hr, **({"kernel": spec} if looks_at_lr else {})}
    return finish({**head, **({"lr": lr} if lr else {})}, rows, failed, names, protocol, out)


def pair_up(
    srs: tuple[ImageFile, ...], hrs: tuple[ImageFile, ...] | None, lrs: tuple[ImageFile, ...] | None
) -> tuple[list[Pair], list[str]]:
    """Return the pairs in the order of the HR images (without these, of the LR images), and a line for each odd one out."""
    main = lrs if hrs is None else hrs
    if main is None:
        return [Pair(one.name, one.path, None) for one in srs], []
    kind = "LR" if hrs is None else "HR"
    found, failed = matched(srs, main, "SR", kind)
    inputs: dict[str, Path] = dict(main) if hrs is None else {}
    if hrs is not None and lrs is not None:
        inputs, _ = matched(lrs, hrs, "LR", kind)  # LR images of others than are scored are nobody's business
        failed += [f"{path} has no LR image" for name, path in hrs if name in found and name not in inputs]
    failed += [f"{path} has no SR image, so it is in no score" for name, path in main if name not in found]
    return [
        Pair(name, found[name], None if hrs is None else path, inputs.get(name))
        for name, path in main
        if name in found and (lrs is None or name in inputs)
    ], failed


def matched(
    files: tuple[ImageFile, ...], main: tuple[ImageFile, ...], kind: str, whose: str
) -> tuple[dict[str, Path], list[str]]:
    """Return the file that belongs to each image by its name, and a line for each file that belongs to none.

    Raises:
        DataError: two files belong to one image.

    """
    paths, found = dict(main), dict[str, Path]()
    failed = []
    for one in files:
        name = owner(one.name, paths)
        if name is None:
            failed.append(f"{one.path} belongs to no {whose} image: its name begins with none of theirs")
        elif name in found:
            raise DataError(
                f"2 {kind} images belong to {paths[name]}: {found[name]}, {one.path}; keep one of them there"
            )
        else:
            found[name] = one.path
    return found, failed
