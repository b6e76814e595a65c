"""Figure: the same crop through every arm, with the PSNR-Y of its whole image below."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drnbench.report import text
from drnbench.report.figures import GREY, PAGE_IN, Drawn, new
from drnbench.report.frame import Arm, Place, Scores
from drnbench.report.summary import Results
from drnbench.store import Store

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROWS, ARMS = 3, 7
"""Images, and arms between bicubic and HR, that a page has room for."""


@dataclass(frozen=True)
class _Shown:
    arm: Arm
    folder: Path
    seed: int


def _folder(store: Store, scores: Scores, key: str, place: Place) -> Path:
    kernel = re.sub(r"[^A-Za-z0-9._-]", "-", place.kernel)
    return store.trial(key) / "samples" / scores.names[place] / kernel


def choose(scores: Scores) -> list[Arm]:
    """Return the arms of a strip: bicubic, the first axis at the baseline's other values, named arms; at most ARMS + 1.

    Where there are more, the baseline, the control and the ends stay and the rest is thinned evenly.
    """
    place, _ = scores.primary
    at = [arm for arm in scores.arms if arm.scale == place.scale]
    base = (scores.baseline or next((a for a in at if a.kind == "grid"), at[0])).values
    axes = [a["path"] for a in scores.plan["axes"]]
    main = next(
        (out["rows"] for out in scores.plan["outputs"] if out["kind"] == "table"), axes[0] if axes else None
    )
    # A study over scales alone shows the primary scale, on which it has one arm.
    fixed = [path for path in axes if path != main]
    grid = [
        a for a in at if a.kind == "grid" and all(a.values[p] == base.get(p) for p in fixed if p != "scale")
    ]
    references, named = [a for a in at if a.kind == "reference"], [a for a in at if a.kind == "named"]
    middle = [*grid, *named]
    if len(middle) > ARMS:
        must = (
            {grid[0].name, grid[-1].name, scores.plan["baseline"], scores.plan["control"]} if grid else set()
        )
        rest = [a for a in middle if a.name not in must]
        room = max(0, ARMS - (len(middle) - len(rest)))
        kept = {rest[round((n + 0.5) * len(rest) / room - 0.5)].name for n in range(room)} if room else set()
        middle = [a for a in middle if a.name in must or a.name in kept]
    return [*references, *middle]


def draw(scores: Scores, results: Results, store: Store) -> Drawn | None:
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
    columns = len(shown) + 2
    cell = PAGE_IN / columns
    figure = new(PAGE_IN, len(images) * (cell + 0.26) + 0.3)
    # Image labels need a little room on the left; gaps as thin as a rule.
    figure.get_layout_engine().set(w_pad=0.01, h_pad=0.01, wspace=0.02, hspace=0.02)  # type: ignore[union-attr]
    grid = figure.subplots(len(images), columns, squeeze=False)
    for row, image in enumerate(images):
        source = next(s for s in shown if (s.folder / f"{image}_hr.png").exists())
        cells: list[tuple[str, Path, str]] = [("LR", source.folder / f"{image}_lr.png", "")]
        cells += [
            (_head(scores, s.arm), s.folder / f"{image}_sr.png", _score(scores, s, image, place))
            for s in shown
        ]
        cells.append(("HR", source.folder / f"{image}_hr.png", ""))
        for column, (head, path, score) in enumerate(cells):
            _cell(grid[row][column], path, head if row == 0 else "", score, cell)
        grid[row][0].set_ylabel(image, fontsize=6.5)
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


def _head(scores: Scores, arm: Arm) -> str:
    if arm.kind == "reference":
        return "bicubic"
    return arm.name


def _score(scores: Scores, shown: _Shown, image: str, place: Place) -> str:
    table = scores.tables.get((shown.arm.name, place, "psnr_y"))
    if table is None or image not in table.columns or shown.seed not in table.index:
        return ""
    value = float(table.loc[shown.seed, image])
    return "∞" if value == float("inf") else text.number(value, 2)


def _cell(ax: Axes, path: Path, head: str, score: str, width: float) -> None:
    import textwrap

    import numpy as np
    from PIL import Image

    ax.set_xticks([])
    ax.set_yticks([])
    for side in ax.spines.values():
        side.set_visible(False)
    if path.exists():
        with Image.open(path) as picture:
            pixels: Any = np.asarray(picture.convert("RGB"))
        ax.imshow(pixels, interpolation="nearest", aspect="equal")
    else:
        ax.set_box_aspect(1)
        ax.text(0.5, 0.5, "not yet", color=GREY, fontsize=6, ha="center", va="center", transform=ax.transAxes)
    if head:
        # About 13 characters of this size fit an inch.
        lines = textwrap.wrap(head, max(6, int(width * 15)), break_long_words=False)
        ax.set_title("\n".join(lines), fontsize=6.5, pad=2)
    ax.set_xlabel(score or " ", fontsize=6.5, labelpad=1)
