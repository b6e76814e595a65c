"""One test image through several arms, side by side in a notebook."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from drnbench.errors import UsageError, nearest
from drnbench.outputs.page_pictures import crops
from drnbench.render import text
from drnbench.results.scores import Condition, Scores
from drnbench.results.sr_images import SRImage, read_pixels, sr_images
from drnbench.store import Store

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class ComparedImage:
    """A test image through several arms, of one seed of each; a notebook shows it as pictures with their scores.

    Attributes:
        name: of the image.
        condition: test set, kernel and scale.
        files: PNG by arm, in the order asked for; "LR" before them and "HR" after them, where they are kept.
        scores: of this image and the seed shown, by arm and metric.
        seeds: shown, by arm.
        cropped: the store keeps no whole images of these arms: these are crops of 96 pixels, and scores are of the whole image.

    """

    name: str
    condition: Condition
    files: Mapping[str, Path]
    scores: Mapping[str, Mapping[str, float]]
    seeds: Mapping[str, int]
    cropped: bool

    def __getitem__(self, arm: str) -> NDArray[np.uint8]:
        """Return the pixels of an arm, of "LR" or of "HR": H x W x 3, 0..255.

        Raises:
            UsageError: it is none of `files`, or its file is not whole.

        """
        if arm not in self.files:
            raise UsageError(f"no picture of {arm!r}: {nearest(arm, self.files)}")
        pixels = read_pixels(self.files[arm])
        if pixels is None:
            raise UsageError(f"{self.files[arm]} is not a whole picture; `drnbench check --repair` sets it aside")
        return pixels

    def _repr_html_(self) -> str:
        cells = "".join(f"<td style='text-align:center;vertical-align:top'>{cell}</td>" for cell in self._cells())
        size = "crop, " if self.cropped else ""
        return (
            f"<p>{html.escape(self.name)}, {size}{html.escape(self.condition.label)}</p><table><tr>{cells}</tr></table>"
        )

    def _cells(self) -> Iterator[str]:
        metrics = list(dict.fromkeys(metric for values in self.scores.values() for metric in values))
        best = {
            m: max((text.style(m).sign * v[m] for v in self.scores.values() if m in v), default=None) for m in metrics
        }
        for label, path in self.files.items():
            lines = [f"<b>{html.escape(label)}</b>" + (f", seed {self.seeds[label]}" if label in self.seeds else "")]
            for metric, value in self.scores.get(label, {}).items():
                style = text.style(metric)
                words = f"{style.label} {text.number(value, style.decimals)}{style.unit}"
                is_best = len(self.scores) > 1 and style.sign * value == best[metric]
                lines.append(f"<b>{words}</b>" if is_best else words)
            data = base64.b64encode(path.read_bytes()).decode()
            # Crops and LR are small: they are enlarged pixel by pixel.
            style_sheet = "min-width:192px;max-width:480px;image-rendering:pixelated"
            yield f"<img style='{style_sheet}' src='data:image/png;base64,{data}'><br>{'<br>'.join(lines)}"


def compare(
    scores: Scores, store: Store, arms: Sequence[str], image: str | None, dataset: str | None, kernel: str | None
) -> ComparedImage:
    """Return one image through several arms; see `Results.compare`."""
    names = [arm.name for arm in scores.arms]
    arms = [_arm(scores, name) for name in arms]
    whole = sr_images(scores, store)
    every = set[str]()
    for condition in _conditions(scores, dataset, kernel):
        kept = [shown for images in whole.values() for shown in images if shown.condition == condition]
        for cropped, pictures in ((False, kept), (True, list(crops(scores, store, condition)))):
            by_name: dict[str, dict[str, SRImage]] = {}
            for picture in pictures:
                by_name.setdefault(picture.name, {})[picture.arm] = picture
            shown_arms = list(arms) or [name for name in names if any(name in own for own in by_name.values())]
            complete = {name: own for name, own in by_name.items() if shown_arms and own.keys() >= set(shown_arms)}
            every |= complete.keys()
            if complete and image in {None, *complete}:
                chosen = image or _largest_difference(scores, condition, complete, shown_arms)
                return _compared(
                    scores, condition, chosen, [complete[chosen][arm] for arm in shown_arms], cropped=cropped
                )
    if image is not None and every:
        raise UsageError(f"no picture of {image!r} through these arms: {nearest(image, sorted(every))}")
    raise UsageError(
        f"the store has no picture of {'these arms' if arms else 'any arm'} on one test image; `run` keeps those of one seed"
    )


def _arm(scores: Scores, name: str) -> str:
    """Return the arm of a name, or the only one that has all of its settings: `ρ=0.3` is `learned D, ρ=0.3`.

    Raises:
        UsageError: there is no such arm, or several.

    """
    names = [arm.name for arm in scores.arms]
    if name in names:
        return name
    parts = set(name.split(", "))
    matching = [other for other in names if parts <= set(other.split(", "))]
    if len(matching) > 1:
        raise UsageError(
            f"{name!r} may be any of {'; '.join(matching)} of study {scores.plan.study!r}; name one of them"
        )
    if not matching:
        raise UsageError(f"study {scores.plan.study!r} has no arm {name!r}: {nearest(name, names)}")
    return matching[0]


def _conditions(scores: Scores, dataset: str | None, kernel: str | None) -> list[Condition]:
    kept = [c for c in scores.conditions if dataset in {None, c.dataset} and kernel in {None, c.kernel}]
    if not kept:
        labels = [condition.label for condition in scores.conditions]
        raise UsageError(
            f"no test set {dataset or 'any'} under {kernel or 'any kernel'}; there are {'; '.join(labels)}"
        )
    return kept


def _largest_difference(
    scores: Scores, condition: Condition, images: Mapping[str, Mapping[str, SRImage]], arms: Sequence[str]
) -> str:
    """Return the image on which the first two arms differ most in the first metric, in the seeds that are shown."""
    metric = scores.metrics[condition][0]

    def distance(name: str) -> float:
        values = [images[name][arm].scores.get(metric, 0.0) for arm in arms[:2]]
        return abs(values[0] - values[-1])

    return max(sorted(images), key=distance)


def _compared(
    scores: Scores, condition: Condition, name: str, pictures: Sequence[SRImage], *, cropped: bool
) -> ComparedImage:
    files = {picture.arm: picture.sr for picture in pictures}
    lr, hr = (next((path for p in pictures if (path := getattr(p, kind))), None) for kind in ("lr", "hr"))
    files = {**({"LR": lr} if lr else {}), **files, **({"HR": hr} if hr else {})}
    own = {picture.arm: picture.scores for picture in pictures}
    seeds = {picture.arm: picture.seed for picture in pictures if not scores.arm(picture.arm).seedless}
    return ComparedImage(name, condition, files, own, seeds, cropped)
