"""Figure: the same crop through every arm, with the score of its whole image below."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from drnbench.outputs import outputs
from drnbench.outputs.arm_selection import representative
from drnbench.outputs.base import FigureOutput, StudyResults
from drnbench.render import style, text
from drnbench.render.style import PAGE_IN, CaptionedFigure
from drnbench.results import labels
from drnbench.results.outlying import outlying_everywhere
from drnbench.results.scores import Arm, Condition, Scores
from drnbench.results.sr_images import image_scores, read_pixels
from drnbench.store import Store, safe, sample_folder

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROWS = 3
"""Images that a page has room for."""
ACROSS_COLUMN = 5
"""Pictures side by side in a column."""
NAMED = 4
"""So many arms are named one by one in the caption."""
MARGIN_IN, GAP_IN, LINE_IN, BELOW_IN = 0.16, 0.03, 0.11, 0.16
"""Room for the images' names, between pictures, for a line of a head, and for the score; inches."""


@dataclass(frozen=True)
class _Samples:
    """The sample images of one seed of an arm."""

    arm: Arm
    folder: Path
    seed: int

    def path(self, image: str, kind: str) -> Path:
        """Return the file of an image: kind is lr, sr or hr."""
        return self.folder / f"{image}_{kind}.png"


@dataclass(frozen=True)
class _Cell:
    path: Path
    below: str


def draw(scores: Scores, store: Store, width: style.Width = None) -> CaptionedFigure | None:
    """Return the crops of the primary evaluation, of a seed that is no outlier if there is one; None without samples."""
    samples = _samples(scores, store)
    rows = _rows(scores, samples)
    if not rows:
        return None
    arms = [sample.arm for sample in samples]
    columns = len(next(iter(rows.values())))
    has_hr = columns > len(arms) + 1
    # In a column, the pictures of an image take several lines.
    lines = -(-columns // ACROSS_COLUMN) if width == "column" else 1
    across = -(-columns // lines)
    side = (style.inches(width, PAGE_IN) - MARGIN_IN - GAP_IN * (across - 1)) / across
    heads = ["LR", *(style.legible(text.arm_label(scores, arm, arms)) for arm in arms), *["HR"] * has_hr]
    heads = [_wrap(head, side) for head in heads]
    top = LINE_IN * max(1 + head.count("\n") for head in heads) + 0.03
    figure, grid = style.new_image_grid(
        (lines * len(rows), across), side, (GAP_IN, BELOW_IN + (top if lines > 1 else 0.0)),
        (MARGIN_IN, 0.0, top, BELOW_IN),
    )  # fmt: skip
    for n, (image, cells) in enumerate(rows.items()):
        axes = [ax for line in grid.axes_row[n * lines : (n + 1) * lines] for ax in line]
        for ax in axes[columns:]:
            ax.set_axis_off()
        for ax, cell, head in zip(axes, cells, heads, strict=False):
            _picture(ax, cell)
            if n == 0 or lines > 1:
                ax.set_title(head, fontsize=6.5, pad=2)
        axes[0].set_ylabel(image if len(image) < 16 else f"{image[:14]}…", fontsize=6, labelpad=2)
    data = style.data(
        ["image", "arm", "seed", *_shown(scores)[0]._fields, _shown(scores)[1]], _data(scores, samples, rows)
    )
    return CaptionedFigure("figure_strip", _caption(scores, samples, has_hr=has_hr), figure, data)


def _data(scores: Scores, samples: list[_Samples], images: Iterable[str]) -> list[list[object]]:
    """Return the score of each whole image whose crop is shown."""
    condition, metric = _shown(scores)
    return [
        [image, s.arm.name, None if s.arm.seedless else s.seed, *condition, _value(scores, s, image, condition, metric)]
        for image in images
        for s in samples
    ]


def _shown(scores: Scores) -> tuple[Condition, str]:
    """Return the condition and the metric of the crops: of a mean over kernels the first of them."""
    condition, metric = scores.primary
    return scores.members(condition)[0], metric


def _samples(scores: Scores, store: Store) -> list[_Samples]:
    """Return the arms that are shown and have samples, if possible of one seed that lies in none of them far from the others.

    Of the seeds that most arms have it is the one that is outlying in the fewest arms, the first of several. An arm that
    lacks it has its own.
    """
    condition, _ = _shown(scores)
    shown = (scores.names[condition], condition.kernel)
    wanted = (e for trial in scores.plan.trials for e in trial.wanted if (e.dataset, e.kernel) == shown)
    # Earlier versions kept crops of all sizes in one folder.
    places = [*dict.fromkeys(sample_folder(e) for e in wanted), f"samples/{shown[0]}/{safe(shown[1])}"]
    by_arm: list[list[_Samples]] = []
    for arm in representative(scores):
        folders = {
            trial.seed: next(filter(Path.is_dir, (store.trial(trial.key) / place for place in places)), None)
            for trial in arm.trials
        }
        by_arm.append([_Samples(arm, folder, seed) for seed, folder in folders.items() if folder is not None])
    outliers = _outliers(scores)
    lacking, far = Counter[int](), Counter[int]()
    seeds = list(dict.fromkeys(sample.seed for samples in by_arm for sample in samples if not sample.arm.seedless))
    for samples in by_arm:
        if samples and not samples[0].arm.seedless:
            lacking.update({*seeds} - {sample.seed for sample in samples})
            far.update(sample.seed for sample in samples if (sample.arm.name, sample.seed) in outliers)
    ranks = {seed: (lacking[seed], far[seed], position) for position, seed in enumerate(seeds)}
    return [min(samples, key=lambda sample: ranks.get(sample.seed, ())) for samples in by_arm if samples]


def _outliers(scores: Scores) -> dict[tuple[str, int], str]:
    """Return the sides on which seeds lie far from the others of their arm, by arm and seed."""
    sides: dict[tuple[str, int], str] = {}
    for outlier in outlying_everywhere(scores):
        for seed in outlier.seeds:
            side = "below" if outlier.distance < 0 else "above"
            if outlier.all_seeds:  # from the lowest to the highest
                side = {outlier.seeds[0]: "below", outlier.seeds[-1]: "above"}.get(seed, "between")
            sides.setdefault((outlier.arm, seed), side)
    return sides


def _rows(scores: Scores, samples: list[_Samples]) -> dict[str, list[_Cell]]:
    """Return LR, the SR of every arm, and HR where there is any, by image."""
    condition, metric = _shown(scores)
    names = {path.name.removesuffix("_sr.png") for sample in samples for path in sample.folder.glob("*_sr.png")}
    images = sorted(names)[:ROWS]
    # Real LR images have no HR.
    has_hr = any(sample.path(image, "hr").exists() for sample in samples for image in images)
    rows = {}
    for image in images:
        source = next(sample for sample in samples if sample.path(image, "sr").exists())
        cells = [_Cell(source.path(image, "lr"), text.style(metric).axis_label)]
        cells += [
            _Cell(sample.path(image, "sr"), _score(scores, sample, image, condition, metric)) for sample in samples
        ]
        cells += [_Cell(source.path(image, "hr"), "")] * has_hr
        rows[image] = cells
    return rows


def _value(scores: Scores, sample: _Samples, image: str, condition: Condition, metric: str) -> float | None:
    return image_scores(scores, sample.arm.name, condition, sample.seed, image).get(metric)


def _score(scores: Scores, sample: _Samples, image: str, condition: Condition, metric: str) -> str:
    value = _value(scores, sample, image, condition, metric)
    return "" if value is None else text.number(value, text.style(metric).decimals)


def _caption(scores: Scores, samples: list[_Samples], *, has_hr: bool) -> str:
    condition, metric = _shown(scores)
    s = text.style(metric)
    arms = [arm for arm in scores.arms if condition in arm.conditions]
    seeds = _seeds(samples)
    parts = [
        f"Crops of test images ({condition.label}), {s.label}{f' in{s.unit}' if s.unit else ''} of the whole image below",
        f"each; {seeds}, LR enlarged without interpolation." if seeds else "each; LR enlarged without interpolation.",
        *_outlying(scores, samples),
    ]
    if not has_hr:
        parts.append("Real LR images: there is no HR.")
    if shared := _shared(scores, [sample.arm for sample in samples], arms):
        parts.append(f"All with {shared}.")
    if len(arms) > len(samples):
        parts.append(f"{text.count(len(arms) - len(samples), 'arm')} not shown.")
    return " ".join(parts)


def _seeds(samples: list[_Samples]) -> str:
    """Write `seed 0`, or `one seed of each arm (seed 0; of ρ=0.3 seed 1)` with that of the most arms first; "" where none is trained."""
    arms: dict[int, list[str]] = {}
    for sample in samples:
        if not sample.arm.seedless:
            arms.setdefault(sample.seed, []).append(sample.arm.name)
    seeds = sorted(arms, key=lambda seed: -len(arms[seed]))
    if len(seeds) < 2:
        return "".join(f"seed {seed}" for seed in seeds)
    others = (f"of {labels.listing(arms[seed], NAMED)} seed {seed}" for seed in seeds[1:])
    return f"one seed of each arm ({'; '.join([f'seed {seeds[0]}', *others])})"


def _outlying(scores: Scores, samples: list[_Samples]) -> list[str]:
    """Return which crops are of a seed that lies far from the arm's others, and on which side."""
    outliers = _outliers(scores)
    arms: dict[tuple[int, str], list[str]] = {}
    for sample in samples:
        if side := outliers.get((sample.arm.name, sample.seed)):
            arms.setdefault((sample.seed, side), []).append(sample.arm.name)
    return [
        f"Seed {seed} of {labels.listing(names, NAMED)} lies far {side} {'its' if len(names) == 1 else 'their'} other seeds."
        for (seed, side), names in arms.items()
    ]


def _shared(scores: Scores, shown: list[Arm], arms: list[Arm]) -> str:
    """Return the axis values that all pictures share and other arms do not: `network=S`."""
    settings = []
    for axis in scores.axes:
        values, all_values = (
            {repr(a.values[axis.path]): a.values[axis.path] for a in group if a.kind == "grid"}
            for group in (shown, arms)
        )
        if len(values) == 1 < len(all_values):
            settings += [text.setting(axis, value) for value in values.values()]
    return ", ".join(settings)


def _wrap(head: str, width: float) -> str:
    """Break a head so that it fits a picture's width: about 17 characters of this size stand in an inch."""
    return "\n".join(textwrap.wrap(head, max(6, int(width * 17)), break_long_words=True))


def _picture(ax: Axes, cell: _Cell) -> None:
    pixels = read_pixels(cell.path)
    if pixels is None:
        style.no_picture(ax, "not yet")
    else:
        # LR pixels stay visible as squares: an interpolation here would be one more method.
        style.picture(ax, pixels)
    ax.set_xlabel(cell.below, fontsize=6, labelpad=2)


@outputs.register("crops")
class SampleCrops(FigureOutput):
    """A figure: the same crops of test images through every arm."""

    summary = "figure: crops of test images through every arm"
    figure_needs = "sample images of trials that are done"
    automatic = True
    position = 80

    def figures(self, study: StudyResults) -> Sequence[CaptionedFigure | None]:
        """See `Output`."""
        return [draw(study.scores, study.store, self.width)]
