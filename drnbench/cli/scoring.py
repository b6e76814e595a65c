"""The verb `score`: SR images made elsewhere against HR images -> scores."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from drnbench.cli.scores import Scored, check_out, finish, wanted_metrics
from drnbench.data.images import Colour, mod_crop, read_rgb
from drnbench.data.lr import degrade, pixel_sha
from drnbench.data.pairing import owner
from drnbench.data.sources import ImageFile, resolve
from drnbench.degradations import canonical, parse
from drnbench.errors import DataError, UsageError
from drnbench.evaluation import metrics as known
from drnbench.evaluation.metric import Item, measure
from drnbench.evaluation.protocol import Protocol
from drnbench.parallel import Failed, Work, each


class Pair(NamedTuple):
    """An SR file and the HR image that it shows; no HR where no metric looks at one."""

    name: str
    sr: Path
    hr: Path | None


@dataclass
class Score(Work[Pair, Scored]):
    """Scores one pair of files; `lr` says whether the LR image is to be made of HR."""

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
        lr = None
        if self.lr and hr is not None:
            lr = degrade(parse(self.kernel), mod_crop(hr, self.scale), self.scale, pixel_sha(hr))
        item = Item(str(pair.sr), lr, sr, hr, self.scale, self.kernel)
        return Scored(pair.name, {metric: measure(item, metric, self.protocol) for metric in self.metrics})


def score_folder(
    sr: str, hr: str | None, scale: int, metrics: str, kernel: str, protocol: Protocol, out: Path | None,
    alpha: Colour | None, jobs: int | None,
) -> int:  # fmt: skip
    """Score a folder of SR images; returns the exit code."""
    names = wanted_metrics(metrics)
    check_out(out)
    needs = {name: known.get(name).needs for name in names}
    for name, need in needs.items():
        if "dual" in need:
            raise UsageError(f"--metrics {name}: looks at a dual network, which no image has; leave it out")
        if need and hr is None:
            raise UsageError(
                f"--metrics {name}: compares with HR images; name their folder after that of the SR images"
            )
    kernel = canonical(kernel)
    work = Score(scale, kernel, names, protocol, alpha, any("lr" in need for need in needs.values()))
    if work.lr and parse(kernel).real:
        raise UsageError("--kernel real: LR images are made of HR here, and 'real' makes none; name another kernel")
    with TemporaryDirectory() as frames:
        found = resolve(sr, Path(frames))
        pairs, failed = pair_up(found.images, resolve(hr, Path(frames)).images if hr is not None else None)
        if not pairs:
            raise DataError(
                f"no image of {sr} belongs to one of {hr}: SR files are called like HR files, baby_x4 like baby"
            )
        done = list(each(work, pairs, jobs, "scoring"))
    rows = [row for row in done if isinstance(row, Scored)]
    failed += [row.message for row in done if isinstance(row, Failed)]
    head = {"model": found.label, "scale": scale, "data": hr, **({"kernel": kernel} if work.lr else {})}
    return finish(head, rows, failed, names, protocol, out)


def pair_up(srs: tuple[ImageFile, ...], hrs: tuple[ImageFile, ...] | None) -> tuple[list[Pair], list[str]]:
    """Return the pairs in the order of the HR images, and a line for each image that has no counterpart."""
    if hrs is None:
        return [Pair(one.name, one.path, None) for one in srs], []
    paths = dict(hrs)
    found: dict[str, list[ImageFile]] = {}
    failed = []
    for one in srs:
        name = owner(one.name, paths)
        if name is None:
            failed.append(f"{one.path} belongs to no HR image: its name begins with none of theirs")
        else:
            found.setdefault(name, []).append(one)
    for name, several in found.items():
        if len(several) > 1:
            listed = ", ".join(str(one.path) for one in several)
            raise DataError(
                f"{len(several)} SR images belong to {paths[name]}: {listed}; keep one of them in the folder"
            )
    failed += [f"{path} has no SR image, so it is in no score" for name, path in hrs if name not in found]
    return [Pair(name, found[name][0].path, path) for name, path in hrs if name in found], failed
