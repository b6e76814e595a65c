"""What all figures share: sizes and fonts of a two-column paper, colours for colour-blind readers, saving."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from drnbench.report.frame import Arm, Scores
from drnbench.store import atomic

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMN_IN, PAGE_IN = 3.4, 7.0
"""Widths of one column and of the page, in inches."""
GREY = "0.45"
STYLE: dict[str, Any] = {
    "font.size": 8, "axes.titlesize": 8, "axes.labelsize": 8, "xtick.labelsize": 7, "ytick.labelsize": 7,
    "legend.fontsize": 7, "axes.spines.top": False, "axes.spines.right": False, "axes.linewidth": 0.6,
    "xtick.major.width": 0.6, "ytick.major.width": 0.6, "lines.linewidth": 1.2, "lines.markersize": 4,
    "legend.frameon": False, "axes.unicode_minus": True, "font.family": "DejaVu Sans",
    # TrueType: publishers refuse the Type 3 fonts that matplotlib embeds by default.
    "pdf.fonttype": 42, "ps.fonttype": 42,
}  # fmt: skip


@dataclass(frozen=True)
class Drawn:
    """A figure with its file stem and caption."""

    name: str
    caption: str
    figure: Figure


@contextlib.contextmanager
def styled() -> Iterator[None]:
    """Draw and save in the report's style, and leave the caller's settings as they were."""
    import matplotlib as mpl

    with mpl.rc_context():
        # A user's matplotlibrc must not change a paper's figures. The backend stays: nothing is shown.
        defaults: Any = {k: v for k, v in mpl.rcParamsDefault.items() if not k.startswith("backend")}
        mpl.rcParams.update(defaults)
        mpl.rcParams.update(cast("Any", STYLE))
        yield


def new(width: float, height: float) -> Figure:
    """Return an empty figure in inches, outside of pyplot's global list."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def palette(arms: tuple[Arm, ...]) -> dict[str, Any]:
    """Arm -> colour and line style; styles change where the colours begin again."""
    import seaborn as sns

    # Grey is for what belongs to no arm.
    colours = [c for n, c in enumerate(sns.color_palette("colorblind", 10)) if n != 7]
    lines = ["-", "--", ":", "-."]
    trained = [arm.name for arm in arms if not arm.seedless]
    return {name: {"color": colours[n % 9], "linestyle": lines[n // 9 % len(lines)]} for n, name in enumerate(trained)}


def save(drawn: Drawn, folder: Path) -> list[Path]:
    """Write PDF and PNG (200 dpi), without dates, so that the same scores give the same files."""
    out = []
    for kind, options in (("pdf", {"metadata": {"CreationDate": None}}), ("png", {"dpi": 200})):
        path = folder / f"{drawn.name}.{kind}"
        with atomic(path) as temporary:
            drawn.figure.savefig(temporary, format=kind, **options)
        out.append(path)
    return out


def draw(scores: Scores, results: Any, store: Any) -> list[Drawn]:
    """Return every figure that the scores so far can give."""
    from drnbench.report import curve, strip, training

    drawn = [f for f in (curve.draw(scores, results, out) for out in curve.wanted(scores)) if f]
    names: set[str] = set()
    unique = []
    for figure in drawn:
        name, n = figure.name, 1
        while name in names:
            n += 1
            name = f"{figure.name}_{n}"
        names.add(name)
        unique.append(Drawn(name, figure.caption, figure.figure))
    return [*unique, *(f for f in (training.draw(scores, store), strip.draw(scores, store)) if f)]
