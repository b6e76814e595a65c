"""The data of zoomed crops: which images, boxes and arms, with the pixels and the scores of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from drnbench.errors import UsageError, nearest
from drnbench.evaluation import metrics
from drnbench.outputs.arm_selection import representative
from drnbench.outputs.zoom import RULES, Crops
from drnbench.render import text
from drnbench.results.scores import Arm, Condition, Scores
from drnbench.results.sr_images import SRImage, read_pixels, sr_images
from drnbench.store import Store

if TYPE_CHECKING:
    from pathlib import Path

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Box:
    """A box in HR pixels; its sides are multiples of the scale, so that it covers whole LR pixels."""

    left: int
    top: int
    width: int
    height: int

    def cut(self, image: NDArray[np.generic], factor: int = 1) -> NDArray[np.generic]:
        """Return its part of an image that is `factor` times smaller than HR."""
        rows = slice(self.top // factor, (self.top + self.height) // factor)
        return image[rows, self.left // factor : (self.left + self.width) // factor]


@dataclass(frozen=True)
class Cell:
    """One picture of an image: LR, an arm's SR, or HR.

    Attributes:
        kind: lr, sr or hr.
        label: below it.
        pixels: of the whole image; None: the store does not have them.
        factor: HR size over its own: the scale for LR.
        path: of its file.
        scores: by metric, of the whole image.
        best: metrics in which it is the best of the contenders.

    """

    kind: str
    label: str
    pixels: Pixels | None
    factor: int
    path: Path | None
    scores: dict[str, float]
    best: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Example:
    """One test image: the whole of it, its boxes and its cells from LR to HR.

    Attributes:
        rule: by which it was chosen, a clause; empty where it is named.
        whole: HR, or LR enlarged where there is no HR.
        seeds: of the trained arms that are shown, by label.

    """

    name: str
    rule: str
    whole: Pixels
    boxes: tuple[Box, ...]
    cells: tuple[Cell, ...]
    seeds: dict[str, int]

    @property
    def hr(self) -> Pixels | None:
        """HR of the image."""
        return next((cell.pixels for cell in self.cells if cell.kind == "hr"), None)


@dataclass(frozen=True)
class Content:
    """The examples of a figure, on one condition."""

    condition: Condition
    metrics: tuple[str, ...]
    examples: tuple[Example, ...]


def content(scores: Scores, store: Store, output: Crops) -> Content | None:
    """Return the images of a figure with boxes and cells; None where the store has no whole images of them.

    Raises:
        UsageError: an image, an arm or a test set that does not exist, or a box that is not within its image.

    """
    condition = _condition(scores, output)
    arms = _arms(scores, output, condition)
    stored = {
        name: kept
        for name, images in sr_images(scores, store).items()
        if (kept := {image.name: image for image in images if image.condition == condition})
    }
    shown = [arm for arm in arms if arm.name in stored]
    if not shown:
        return None
    measured = tuple(metric for metric in output.metrics if metric in scores.metrics[condition])
    names = [*dict.fromkeys(name for arm in shown for name in stored[arm.name])]
    chosen = _chosen(scores, output, shown, stored, names, (measured or scores.metrics[condition])[0])
    examples = (_example(scores, output, name, rule, arms, stored, measured) for name, rule in chosen.items())
    return Content(condition, measured, tuple(example for example in examples if example is not None))


def _condition(scores: Scores, output: Crops) -> Condition:
    """Return the condition of a figure: of a mean over kernels its first.

    Raises:
        UsageError: no arm is scored on it.

    """
    first = scores.members(scores.primary[0])[0]
    if output.dataset is None and output.kernel is None:
        return first
    real = [c for c in scores.conditions if c not in scores.means]
    asked = [
        c for c in real
        if (output.dataset or first.dataset) in {c.dataset, scores.names[c]} and (output.kernel or first.kernel) == c.kernel
    ]  # fmt: skip
    if not asked:
        labels = ", ".join(c.label for c in real)
        raise UsageError(
            f"Crops: no arm is scored on {output.dataset or first.dataset}, {output.kernel or first.kernel}: there is {labels}"
        )
    return min(asked, key=lambda c: c.scale != first.scale)


def _arms(scores: Scores, output: Crops, condition: Condition) -> list[Arm]:
    """Return the arms of a figure.

    Raises:
        UsageError: one does not exist.

    """
    by_name = {arm.name: arm for arm in scores.arms if condition in arm.conditions}
    for name in output.arms:
        if name not in by_name:
            raise UsageError(f"Crops: no arm {name!r} is scored on {condition.label}: {nearest(name, by_name)}")
    if output.arms:
        return [by_name[name] for name in output.arms]
    return [arm for arm in representative(scores) if arm.name in by_name] or list(by_name.values())[:8]


def _chosen(
    scores: Scores, output: Crops, arms: Sequence[Arm], stored: dict[str, dict[str, SRImage]], names: list[str], metric: str
) -> dict[str, str]:  # fmt: skip
    """Return the images to show, each with the rule that chose it.

    Raises:
        UsageError: an image that no arm has.

    """
    chosen: dict[str, str] = {}
    for wanted in output.images:
        if wanted in names:
            chosen.setdefault(wanted, "")
            continue
        if wanted not in RULES:
            raise UsageError(f"Crops: the store keeps no SR image {wanted!r}: {nearest(wanted, [*names, *RULES])}")
        left = [name for name in names if name not in chosen]
        ranked = _ranked(scores, wanted, arms, stored, left, metric)
        if ranked:
            chosen[ranked[0]] = f"chosen by {RULES[wanted]} in {text.style(metric).label}"
    return chosen


def _ranked(
    scores: Scores, rule: str, arms: Sequence[Arm], stored: dict[str, dict[str, SRImage]], names: Sequence[str], metric: str
) -> list[str]:  # fmt: skip
    """Return images in the order of a rule; those without scores in several arms come last."""
    sign = 1 if metrics.get(metric).higher_is_better else -1
    trained = [arm for arm in arms if arm.kind != "reference"] or list(arms)

    def values(name: str) -> dict[str, float]:
        raw = {arm.name: stored[arm.name][name].scores.get(metric) for arm in trained if name in stored[arm.name]}
        return {arm: sign * value for arm, value in raw.items() if value is not None and np.isfinite(value)}

    def gain(name: str) -> float:
        by_arm = values(name)
        base = next((arm.name for arm in trained if scores.is_baseline(arm) and arm.name in by_arm), None)
        others = [value for arm, value in by_arm.items() if arm != base]
        if not others or base is None:
            return mean(by_arm.values())
        return mean(others) - by_arm[base]

    scored = [name for name in names if len(values(name)) > 1] or [name for name in names if values(name)]
    keys: dict[str, Callable[[str], float]] = {
        "difference": lambda name: min(values(name).values()) - max(values(name).values()),
        "best": lambda name: -gain(name),
        "worst": gain,
    }
    if rule == "median":
        ordered = sorted(scored, key=gain)
        middle = (len(ordered) - 1) // 2
        return [*ordered[middle:], *ordered[:middle][::-1], *(name for name in names if name not in scored)]
    return [*sorted(scored, key=keys[rule]), *(name for name in names if name not in scored)]


def _example(
    scores: Scores, output: Crops, name: str, rule: str, arms: Sequence[Arm], stored: dict[str, dict[str, SRImage]],
    measured: tuple[str, ...],
) -> Example | None:  # fmt: skip
    """Return an image with its pixels; None where nothing of it can be read."""
    images = {arm.name: image for arm in arms if (image := stored.get(arm.name, {}).get(name)) is not None}
    first = next(iter(images.values()))
    scale = first.condition.scale
    given = {"lr": (first.lr, scale), "hr": (first.hr, 1)}
    cells = {
        kind: Cell(kind, kind.upper(), read_pixels(path), factor, path, {})
        for kind, (path, factor) in given.items() if path is not None
    }  # fmt: skip
    best = _best(scores, images, measured)
    for arm in arms:
        image = images.get(arm.name)
        cells[arm.name] = Cell(
            "sr", text.arm_label(scores, arm, arms), None if image is None else read_pixels(image.sr), 1,
            None if image is None else image.sr, {} if image is None else image.scores,
            frozenset(metric for metric, names in best.items() if arm.name in names),
        )  # fmt: skip
    sr = [cell.pixels for cell in cells.values() if cell.kind == "sr" and cell.pixels is not None]
    if not sr:
        return None
    whole = next((c.pixels for c in cells.values() if c.kind == "hr" and c.pixels is not None), sr[0])
    order = [cells[key] for key in ("lr", *(arm.name for arm in arms), "hr") if key in cells]
    boxes = boxes_of(output, name, whole, sr, scale)
    seeds = {
        cells[arm].label: image.seed
        for arm, image in images.items() if not scores.arm(arm).seedless and cells[arm].pixels is not None
    }  # fmt: skip
    return Example(name, rule, whole, boxes, tuple(order), seeds)


def _best(scores: Scores, images: dict[str, SRImage], measured: tuple[str, ...]) -> dict[str, set[str]]:
    """Return the arms with the best score of an image, by metric, as it is written; references and oracles do not count."""
    best = {}
    for metric in measured:
        decimals, sign = text.style(metric).decimals, 1 if metrics.get(metric).higher_is_better else -1
        values = {
            arm: sign * round(image.scores[metric], decimals)
            for arm, image in images.items()
            if metric in image.scores and scores.is_contender(scores.arm(arm))
        }
        if len(values) > 1:
            best[metric] = {arm for arm, value in values.items() if value == max(values.values())}
    return best


def boxes_of(output: Crops, name: str, whole: Pixels, sr: Sequence[Pixels], scale: int) -> tuple[Box, ...]:
    """Return the boxes of an image.

    Raises:
        UsageError: a declared box is not within the image.

    """
    height, width = (side // scale * scale for side in whole.shape[:2])
    if isinstance(output.boxes, int) or name not in output.boxes:
        count = output.boxes if isinstance(output.boxes, int) else 1
        return placed(sr, scale, count, output.side)
    boxes = []
    for left, top, wide, high in output.boxes[name]:
        x, y = left // scale * scale, top // scale * scale
        right, bottom = (-(-side // scale) * scale for side in (left + wide, top + high))
        box = Box(x, y, right - x, bottom - y)
        if min(left, top) < 0 or min(wide, high) < 1 or box.left + box.width > width or box.top + box.height > height:
            raise UsageError(
                f"Crops: the box ({left}, {top}, {wide}, {high}) is not within {name}, which has {width} x {height} pixels: "
                "give (left, top, width, height) in HR pixels"
            )
        boxes.append(box)
    return tuple(boxes)


def placed(sr: Sequence[Pixels], scale: int, count: int, side: int) -> tuple[Box, ...]:
    """Return the windows in which SR images differ most, the first one first; none overlap.

    Args:
        sr: of one size, H x W x 3; of a single one the windows are those of the most detail.
        scale: corners and sides are multiples of it.
        count: number of windows, fewer where there is no room.
        side: of a window, less where an image is smaller.

    """
    stack = np.stack([image.astype(np.float32).mean(2) for image in sr if image.shape == sr[0].shape])
    detail = stack.var(0)
    if not detail.any():
        detail = np.hypot(*np.gradient(stack[0])) if min(stack[0].shape) > 1 else stack[0]
    height, width = detail.shape
    size = max(scale, min(side, height, width) // scale * scale)
    step = max(scale, size // 4 // scale * scale)
    total = np.pad(detail.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    places = [(top, left) for top in range(0, height - size + 1, step) for left in range(0, width - size + 1, step)]
    sums = {
        (top, left): total[top + size, left + size]
        - total[top, left + size]
        - total[top + size, left]
        + total[top, left]
        for top, left in places
    }
    boxes: list[Box] = []
    for top, left in sorted(sums, key=lambda place: (-sums[place], place)):
        if all(abs(top - box.top) >= size or abs(left - box.left) >= size for box in boxes):
            boxes.append(Box(left, top, size, size))
        if len(boxes) >= count:
            break
    return tuple(boxes)
