"""Figure: the same crop through every arm, with the PSNR-Y of its whole image below."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drnbench.report import text
from drnbench.report.figures import GREY, PAGE_IN, Drawn, new
from drnbench.report.frame import Arm, Place, Scores
from drnbench.store import Store

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


def _folder(store: Store, scores: Scores, key: str, place: Place) -> Path:
    kernel = re.sub(r"[^A-Za-z0-9._-]", "-", place.kernel)
    return store.trial(key) / "samples" / scores.names[place] / kernel


def choose(scores: Scores) -> list[Arm]:
    """Return the arms of a strip: bicubic, the main axis at the baseline's other values, named arms.

    At most ARMS + 1; where there are more, the baseline, the control and the ends stay and the rest is thinned evenly.
    """
    place, _ = scores.primary
    at = [arm for arm in scores.arms if arm.scale == place.scale]
    base = (scores.baseline or next((a for a in at if a.kind == "grid"), at[0])).values
    axes = [a["path"] for a in scores.plan["axes"]]
    main = next((out["rows"] for out in scores.plan["outputs"] if out["kind"] == "table"), axes[0] if axes else None)
    # A study over scales alone shows the primary scale, on which it has one arm.
    fixed = [path for path in axes if path != main]
    grid = [a for a in at if a.kind == "grid" and all(a.values[p] == base.get(p) for p in fixed if p != "scale")]
    references, named = [a for a in at if a.kind == "reference"], [a for a in at if a.kind == "named"]
    middle = [*grid, *named]
    if len(middle) > ARMS:
        must = {grid[0].name, grid[-1].name, scores.plan["baseline"], scores.plan["control"]} if grid else set()
        rest = [a for a in middle if a.name not in must]
        room = max(0, ARMS - (len(middle) - len(rest)))
        kept = {rest[round((n + 0.5) * len(rest) / room - 0.5)].name for n in range(room)} if room else set()
        middle = [a for a in middle if a.name in must or a.name in kept]
    return [*references, *middle]


def draw(scores: Scores, store: Store) -> Drawn | None:
    """Return the strip of the primary evaluation, first seed; None where no samples are stored."""
    place, _ = scores.primary
    shown = []
    for arm in choose(scores):
        trial = next((t for t in arm.trials if _folder(store, scores, t.key, place).is_dir()), None)
        if trial is not None:
            shown.append(_Shown(arm, _folder(store, scores, trial.key, place), trial.seed))
    images = sorted({p.name.removesuffix("_hr.png") for s in shown for p in s.folder.glob("*_hr.png")})[:ROWS]
    if not images:
        return None
    figure = new(PAGE_IN, 1.0)
    figure.set_layout_engine("none")
    columns = len(shown) + 2
    side = (PAGE_IN - MARGIN_IN - GAP_IN * (columns - 1)) / columns
    heads = [_wrap(head, side) for head in ("LR", *(_head(s.arm) for s in shown), "HR")]
    top = LINE_IN * max(1 + head.count("\n") for head in heads) + 0.03
    height = top + len(images) * (side + BELOW_IN)
    figure.set_size_inches(PAGE_IN, height)
    for row, image in enumerate(images):
        source = next(s for s in shown if (s.folder / f"{image}_hr.png").exists())
        cells = [(source.folder / f"{image}_lr.png", "PSNR-Y (dB)")]
        cells += [(s.folder / f"{image}_sr.png", _score(scores, s, image, place)) for s in shown]
        cells.append((source.folder / f"{image}_hr.png", ""))
        bottom = height - top - side - row * (side + BELOW_IN)
        for column, (path, below) in enumerate(cells):
            left = MARGIN_IN + column * (side + GAP_IN)
            ax = figure.add_axes((left / PAGE_IN, bottom / height, side / PAGE_IN, side / height))
            _cell(ax, path, below)
            if row == 0:
                ax.set_title(heads[column], fontsize=6.5, pad=2)
            if column == 0:
                ax.set_ylabel(image if len(image) < 16 else f"{image[:14]}…", fontsize=6, labelpad=2)
    seeds = sorted({s.seed for s in shown if not s.arm.seedless})
    words = (
        f"Crops of test images ({place.label}), PSNR-Y in dB of the whole image below each; "
        f"{'seed ' + str(seeds[0]) if len(seeds) == 1 else 'the first seed of each arm'}, "
        "LR enlarged without interpolation."
    )
    left = len([a for a in scores.arms if a.scale == place.scale]) - len(shown)
    if left > 0:
        words += f" {text.count(left, 'arm')} not shown."
    return Drawn("figure_strip", words, figure)


def _head(arm: Arm) -> str:
    return "bicubic" if arm.kind == "reference" else arm.name


def _wrap(head: str, width: float) -> str:
    """Break a head so that it fits a picture's width: about 17 characters of this size stand in an inch."""
    import textwrap

    return "\n".join(textwrap.wrap(head, max(6, int(width * 17)), break_long_words=True))


def _score(scores: Scores, shown: _Shown, image: str, place: Place) -> str:
    table = scores.tables.get((shown.arm.name, place, "psnr_y"))
    if table is None or image not in table.columns or shown.seed not in table.index:
        return ""
    value = float(table[image].to_dict()[shown.seed])
    return "∞" if value == float("inf") else text.number(value, 2)


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
