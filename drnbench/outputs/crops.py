"""Figure: the same crop through every arm, with the score of its whole image below."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drnbench.render import text
from drnbench.render.style import GREY, PAGE_IN, CaptionedFigure, new_figure
from drnbench.results import layout
from drnbench.results.scores import Arm, Condition, Scores
from drnbench.store import Store, safe

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROWS, ARMS = 3, 7
"""Images, and arms between bicubic and HR, that a page has room for."""
MARGIN_IN, GAP_IN, LINE_IN, BELOW_IN = 0.16, 0.03, 0.11, 0.16
"""Room for the images' names, between pictures, for a line of a head, and for the score; inches."""


@dataclass(frozen=True)
class _Shown:
    arm: Arm
    folder: Path
    seed: int


def _folder(store: Store, scores: Scores, key: str, condition: Condition) -> Path:
    return store.trial(key) / "samples" / scores.names[condition] / safe(condition.kernel)


def choose(scores: Scores) -> list[Arm]:
    """Return the arms of a strip: bicubic, the main axis at the baseline's other values, named arms.

    At most ARMS + 1; where there are more, the baseline, the control and the ends stay and the rest is thinned evenly.
    """
    condition, _ = scores.primary
    at = [arm for arm in scores.arms if condition in arm.conditions]
    base = (scores.baseline or next((a for a in at if a.kind == "grid"), at[0])).values
    axes = [a.path for a in scores.axes]
    main = next((out["rows"] for out in scores.plan.outputs if out["kind"] == "table"), axes[0] if axes else None)
    varied = {main, *layout.moving(scores)}
    if set(scores.plan.baseline_values) < set(axes):
        # What is compared within each cell is what the strip must show.
        varied |= set(scores.compared_on)
    grid = [a for a in at if a.kind == "grid" and all(a.values[p] == base.get(p) for p in axes if p not in varied)]
    references, named = [a for a in at if a.kind == "reference"], [a for a in at if a.kind == "named"]
    middle = [*grid, *named]
    if len(middle) > ARMS:
        must = {grid[0].name, grid[-1].name, scores.plan.baseline, scores.plan.control} if grid else set()
        rest = [a for a in middle if a.name not in must]
        room = max(0, ARMS - (len(middle) - len(rest)))
        kept = {rest[round((n + 0.5) * len(rest) / room - 0.5)].name for n in range(room)} if room else set()
        middle = [a for a in middle if a.name in must or a.name in kept]
    return [*references, *middle]


def draw(scores: Scores, store: Store) -> CaptionedFigure | None:
    """Return the strip of the primary evaluation, first seed; None where no samples are stored."""
    condition, metric = scores.primary
    s = text.style(metric)
    shown = []
    for arm in choose(scores):
        trial = next((t for t in arm.trials if _folder(store, scores, t.key, condition).is_dir()), None)
        if trial is not None:
            shown.append(_Shown(arm, _folder(store, scores, trial.key, condition), trial.seed))
    images = sorted({p.name.removesuffix("_sr.png") for one in shown for p in one.folder.glob("*_sr.png")})[:ROWS]
    if not images:
        return None
    figure = new_figure(PAGE_IN, 1.0)
    figure.set_layout_engine("none")
    # Real LR images have no HR.
    known = any((one.folder / f"{image}_hr.png").exists() for one in shown for image in images)
    columns = len(shown) + 1 + known
    side = (PAGE_IN - MARGIN_IN - GAP_IN * (columns - 1)) / columns
    heads = [_wrap(head, side) for head in ("LR", *(_heads(scores, shown)), *["HR"] * known)]
    top = LINE_IN * max(1 + head.count("\n") for head in heads) + 0.03
    height = top + len(images) * (side + BELOW_IN)
    figure.set_size_inches(PAGE_IN, height)
    for row, image in enumerate(images):
        source = next(one for one in shown if (one.folder / f"{image}_sr.png").exists())
        cells = [(source.folder / f"{image}_lr.png", f"{s.label}{f' ({s.unit.strip()})' if s.unit else ''}")]
        cells += [(one.folder / f"{image}_sr.png", _score(scores, one, image, condition, metric)) for one in shown]
        cells += [(source.folder / f"{image}_hr.png", "")] * known
        bottom = height - top - side - row * (side + BELOW_IN)
        for column, (path, below) in enumerate(cells):
            left = MARGIN_IN + column * (side + GAP_IN)
            ax = figure.add_axes((left / PAGE_IN, bottom / height, side / PAGE_IN, side / height))
            _cell(ax, path, below)
            if row == 0:
                ax.set_title(heads[column], fontsize=6.5, pad=2)
            if column == 0:
                ax.set_ylabel(image if len(image) < 16 else f"{image[:14]}…", fontsize=6, labelpad=2)
    seeds = sorted({one.seed for one in shown if not one.arm.seedless})
    words = (
        f"Crops of test images ({condition.label}), {s.label}{f' in{s.unit}' if s.unit else ''} of the whole image below each; "
        f"{'seed ' + str(seeds[0]) if len(seeds) == 1 else 'the first seed of each arm'}, "
        "LR enlarged without interpolation."
    )
    left = len([a for a in scores.arms if condition in a.conditions]) - len(shown)
    if not known:
        words += " Real LR images: there is no HR."
    if fixed := _fixed(scores, [one.arm for one in shown], [a for a in scores.arms if condition in a.conditions]):
        words += f" All with {fixed}."
    if left > 0:
        words += f" {text.count(left, 'arm')} not shown."
    return CaptionedFigure("figure_strip", words, figure)


def _fixed(scores: Scores, shown: list[Arm], there: list[Arm]) -> str:
    """Return the axis values that all pictures share and other arms of the condition do not: `network=S`."""
    told = []
    for axis in scores.axes:
        mine, all_ = ({repr(a.values[axis.path]) for a in arms if a.kind == "grid"} for arms in (shown, there))
        if len(mine) == 1 < len(all_):
            value = next(a.values[axis.path] for a in shown if a.kind == "grid")
            told.append(f"{axis.title}={text.shown(value, axis.path)}")
    return ", ".join(told)


def _heads(scores: Scores, shown: list[_Shown]) -> list[str]:
    arms = [one.arm for one in shown]
    return [text.arm_label(scores, arm, arms) for arm in arms]


def _wrap(head: str, width: float) -> str:
    """Break a head so that it fits a picture's width: about 17 characters of this size stand in an inch."""
    import textwrap

    return "\n".join(textwrap.wrap(head, max(6, int(width * 17)), break_long_words=True))


def _score(scores: Scores, shown: _Shown, image: str, condition: Condition, metric: str) -> str:
    table = scores.tables.get((shown.arm.name, condition, metric))
    if table is None or image not in table.columns or shown.seed not in table.index:
        return ""
    value = float(table[image].to_dict()[shown.seed])
    return "∞" if value == float("inf") else text.number(value, text.style(metric).decimals)


def _cell(ax: Axes, path: Path, below: str) -> None:
    import numpy as np
    from PIL import Image

    ax.set_xticks([])
    ax.set_yticks([])
    for side in ax.spines.values():
        side.set_visible(False)
    if path.exists():
        with Image.open(path) as picture:
            pixels: Any = np.asarray(picture.convert("RGB"))
        # LR pixels stay visible as squares: an interpolation here would be one more method.
        ax.imshow(pixels, interpolation="nearest", aspect="equal")
    else:
        ax.text(0.5, 0.5, "not yet", color=GREY, fontsize=6, ha="center", va="center", transform=ax.transAxes)
    ax.set_xlabel(below, fontsize=6, labelpad=2)
