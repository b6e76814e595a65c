"""The style of all figures: sizes and fonts of a two-column paper, colours for colour-blind readers, saving."""

from __future__ import annotations

import contextlib
import csv
import io
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from drnbench.render import fonts
from drnbench.render.spelling import cut, shortened, with_code_points
from drnbench.results.scores import Arm
from drnbench.store import atomic

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.colorbar import Colorbar
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage
    from matplotlib.text import Text
    from mpl_toolkits.axes_grid1 import ImageGrid
    from numpy.typing import NDArray

Width = Literal["column", "page"] | None
COLUMN_IN, PAGE_IN = 3.4, 7.0
"""Widths of one column and of the page, in inches."""
BAR_IN = 0.07
"""Width of a colour bar beside pictures."""
DPI = 200
LINE = 150
"""Characters of a line of text in a figure: more than stand side by side on a page."""
ROW_NAME = 44
"""Characters of a name beside a row: a third of a page."""
GREY = "0.45"
COLOURS = ("#0173b2", "#de8f05", "#029e73", "#d55e00", "#cc78bc", "#ca9161", "#fbafe4", "#949494", "#ece133", "#56b4e9")
"""Ten colours that colour-blind readers tell apart: seaborn's "colorblind"."""
BETTER, WORSE = COLOURS[0], COLOURS[3]
"""Colours of differences that are tested, dark and light in gray."""
MARKERS = "osD^vP*X"
LINES = ("-", "--", ":", "-.")
STYLE: dict[str, Any] = {
    "font.size": 8, "axes.titlesize": 8, "axes.labelsize": 8, "xtick.labelsize": 7, "ytick.labelsize": 7,
    "legend.fontsize": 7, "axes.spines.top": False, "axes.spines.right": False, "axes.linewidth": 0.6,
    "xtick.major.width": 0.6, "ytick.major.width": 0.6, "lines.linewidth": 1.2, "lines.markersize": 4,
    "legend.frameon": False, "axes.unicode_minus": True, "hatch.linewidth": 0.5,
    # TrueType: publishers refuse the Type 3 fonts that matplotlib embeds by default.
    "pdf.fonttype": 42, "ps.fonttype": 42,
}  # fmt: skip


def _is_of_use(record: logging.LogRecord) -> bool:
    """Return False for messages on the folder of matplotlib's cache: where it cannot be made, a temporary one does."""
    return not str(record.msg).startswith(("mkdir -p failed", "Matplotlib created a temporary cache directory"))


logging.getLogger("matplotlib").addFilter(_is_of_use)  # before it is first imported, which is in the functions below


@dataclass(frozen=True)
class CaptionedFigure:
    """A figure with its file stem and caption.

    Attributes:
        data: what it draws, as the text of a CSV file beside it; empty: none.
        files: further files beside it, by name, from its final name.
        editable: ending of the LaTeX file among them that sets the same figure with TikZ; empty: none.

    """

    name: str
    caption: str
    figure: Figure
    data: str = ""
    files: Callable[[str], Mapping[str, bytes]] = lambda _name: {}
    editable: str = ""


@contextlib.contextmanager
def styled() -> Iterator[None]:
    """Draw and save in the report's style, and leave the caller's settings as they were."""
    import matplotlib as mpl

    # A fallback font without a bold face is no news.
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
    with mpl.rc_context():
        # A user's matplotlibrc must not change a paper's figures. The backend stays: nothing is shown.
        defaults: Any = {k: v for k, v in mpl.rcParamsDefault.items() if not k.startswith("backend")}
        mpl.rcParams.update(defaults)
        mpl.rcParams.update(cast("Any", {**STYLE, **fonts.settings()}))
        yield


def inches(width: Width, otherwise: float) -> float:
    """Return a declared width in inches; `otherwise` where none is."""
    return otherwise if width is None else {"column": COLUMN_IN, "page": PAGE_IN}[width]


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure in inches, outside of pyplot's global list."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", dpi=DPI)
    FigureCanvasAgg(figure)
    return figure


def new_panels(
    count: int, height: float, *, single: float = COLUMN_IN, extra: float = 0.0, width: Width = None
) -> tuple[Figure, list[Axes]]:
    """Return a figure of panels, in rows of two over the page's width.

    Args:
        count: number of panels.
        height: of a row, in inches.
        single: width of the figure where there is one panel, in inches.
        extra: height for what stands below all panels, in inches.
        width: a column, in which panels stand below each other, or the page; None: what the panels ask for.

    """
    columns = 1 if width == "column" else min(2, count)
    rows = -(-count // columns)
    figure = new_figure(inches(width, PAGE_IN if columns == 2 else single), height * rows + extra)
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for ax in axes[count:]:
        ax.remove()
    return figure, axes[:count]


def new_image_grid(
    shape: tuple[int, int],
    side: float,
    gaps: tuple[float, float],
    margins: tuple[float, float, float, float],
    bars: tuple[Literal["right", "bottom", "rows"], float] | None = None,
) -> tuple[Figure, ImageGrid]:
    """Return a figure with a grid of square pictures; all lengths are in inches.

    Args:
        shape: rows and columns.
        side: of a picture.
        gaps: between pictures, horizontal and vertical.
        margins: left, right, top and bottom, with room for what stands there.
        bars: of colour bars, one on the right of all pictures, one below each column or one beside each row, and their
            distance to them; the margin beside them is room for their ticks and labels.

    """
    from mpl_toolkits.axes_grid1 import ImageGrid

    (rows, columns), (left, right, top, bottom) = shape, margins
    wide, high = columns * side + (columns - 1) * gaps[0], rows * side + (rows - 1) * gaps[1]
    options: dict[str, Any] = {}
    if bars is not None:
        place, distance = bars
        below, mode = place == "bottom", "single" if place == "right" else "edge"
        location = "bottom" if below else "right"
        options = {"cbar_mode": mode, "cbar_location": location, "cbar_pad": distance, "cbar_size": BAR_IN}
        wide, high = (wide, high + distance + BAR_IN) if below else (wide + distance + BAR_IN, high)
    width, height = left + wide + right, top + high + bottom
    figure = new_figure(width, height)
    figure.set_layout_engine("none")
    grid = ImageGrid(
        figure, (left / width, bottom / height, wide / width, high / height), nrows_ncols=shape, axes_pad=gaps,
        label_mode="all", **options,
    )  # fmt: skip
    return figure, grid


def picture(ax: Axes, pixels: NDArray[Any], *, framed: bool = False, **options: Any) -> AxesImage:
    """Draw pixels over the whole of a cell, its centre at (0, 0) and its sides 1 long; PDF files hold them as they are.

    Args:
        ax: the cell.
        pixels: H x W or H x W x 3.
        framed: draw a thin frame, for pictures that may be white at their edges.
        options: of `Axes.imshow`.

    """
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set(visible=framed, color="0.7", linewidth=0.4)
    return ax.imshow(pixels, interpolation="none", extent=(-0.5, 0.5, -0.5, 0.5), **options)


def no_picture(ax: Axes, reason: str) -> None:
    """Write why a cell is empty."""
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    ax.text(0.5, 0.5, reason, color=GREY, fontsize=6, ha="center", va="center", transform=ax.transAxes)


def label_rows(axes: Iterable[Axes], label: str) -> None:
    """Label the vertical axis of the first panel of each row."""
    for ax in axes:
        position = ax.get_subplotspec()
        if position is not None and position.is_first_col():
            ax.set_ylabel(label)


def name_rows(ax: Axes, names: Sequence[str]) -> None:
    """Label rows 0, 1, ... from above."""
    ax.set_yticks(range(len(names)), [cut(legible(name), ROW_NAME) for name in names])
    ax.set_ylim(len(names) - 0.5, -0.5)


def off_scale_row(ax: Axes, row: int, value: str, *, right: bool, colour: str = "black") -> None:
    """Draw what lies beyond a panel's edge as an arrow there, with its value towards the middle."""
    edge, where = 1.0 if right else 0.0, ax.get_yaxis_transform()
    ax.plot([edge], [row], marker=">" if right else "<", color=colour, markersize=4.5, clip_on=False, transform=where)
    ax.annotate(
        value, (edge, row), xycoords=where, xytext=(-6 if right else 6, 0), textcoords="offset points", va="center",
        ha="right" if right else "left", fontsize=6,
    )  # fmt: skip


def colour_bar(figure: Figure, colours: ScalarMappable, *, labelsize: float = 6.5, **place: Any) -> Colorbar:
    """Return a colour bar without a frame, with small labels; `place` goes to `Figure.colorbar`."""
    bar = figure.colorbar(colours, **place)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=labelsize, length=2)
    return bar


def legend_entries(axes: Iterable[Axes]) -> dict[str, Artist]:
    """Return the labelled artists of several panels, the first of each label."""
    entries: dict[str, Artist] = {}
    for ax in axes:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    return entries


def legend(figure: Figure, entries: Mapping[str, Artist]) -> None:
    """Put a legend under a figure, in as many columns as its longest label leaves room for, and make room for it."""
    if not entries:
        return
    entries = {legible(label): artist for label, artist in entries.items()}
    width, height = figure.get_size_inches()
    # A letter of 7 pt is about 0.055 in wide; handle and gaps take the rest.
    each = 0.5 + 0.055 * max(map(len, entries))
    columns = max(1, min(len(entries), int(width / each)))
    rows = -(-len(entries) // columns)
    figure.set_size_inches(width, height + 0.15 * max(0, rows - 2))
    figure.legend(list(entries.values()), list(entries), loc="outside lower center", ncols=columns)


def ordinal(count: int) -> list[str]:
    """Return colours from dark to light for values in an order, also in gray: viridis without its yellow, unreadable on white."""
    import matplotlib as mpl

    return [mpl.colors.to_hex(mpl.colormaps["viridis"](0.82 * n / max(1, count - 1))) for n in range(count)]


def palette(arms: Iterable[Arm]) -> dict[str, Any]:
    """Return the colour and line style of each trained arm.

    Arms along one axis of numbers have colours in its order, all others those that differ most; styles change where these
    begin again.
    """
    trained = [arm for arm in arms if not arm.seedless]
    ordered = _along_numbers(trained)
    colours = [c for n, c in enumerate(COLOURS) if n != 7]  # grey is for lines that belong to no arm
    others = [arm.name for arm in trained if arm.name not in ordered]
    if ordered:
        colours = [COLOURS[n] for n in (3, 4, 1, 5, 9)]
    looks = {
        name: {"color": colour, "linestyle": "-"} for name, colour in zip(ordered, ordinal(len(ordered)), strict=True)
    }
    for n, name in enumerate(others):
        again, place = divmod(n, len(colours))
        looks[name] = {"color": colours[place], "linestyle": LINES[(again + bool(ordered)) % len(LINES)]}
    return {arm.name: looks[arm.name] for arm in trained}


def _along_numbers(arms: Sequence[Arm]) -> list[str]:
    """Return the arms of the grid by the values of the one axis along which they differ, if these are three numbers or more."""
    grid = [arm for arm in arms if arm.kind == "grid"]
    varied = [
        path for path in (grid[0].values if grid else ()) if len({repr(arm.values.get(path)) for arm in grid}) > 1
    ]
    if len(varied) != 1 or not 3 <= len(grid) <= 9:
        return []
    values = {arm.name: arm.values[varied[0]] for arm in grid}
    if any(isinstance(value, bool) or not isinstance(value, (int, float)) for value in values.values()):
        return []
    return sorted(values, key=lambda name: float(values[name]))


def legible(words: str) -> str:
    """Return a name as a figure writes it: shortened where it is long, no formula, code points for what no font has."""
    return _literal(shortened(words))


def _literal(words: str) -> str:
    words = with_code_points(words, lambda c: ord(c) in fonts.glyphs() or c.isspace())
    return re.sub(r"(?<!\\)\$", r"\$", words)


def make_legible(figure: Figure) -> list[str]:
    """Write every text of a figure as it is, and return the texts; numbers on logarithmic axes stay formulas."""
    from matplotlib.ticker import FixedFormatter

    written = []
    for ax in figure.axes:
        for axis in (ax.xaxis, ax.yaxis):
            if isinstance(formatter := axis.get_major_formatter(), FixedFormatter):
                formatter.seq = [legible(words) for words in formatter.seq]
                written += formatter.seq
    for artist in texts(figure):
        artist.set_text(_literal("\n".join(cut(line, LINE) for line in artist.get_text().split("\n"))))
        written.append(artist.get_text())
    return written


def texts(figure: Figure) -> list[Text]:
    """Return the texts of a figure that are not empty, without numbers on logarithmic axes, which are formulas."""
    from matplotlib.text import Text

    artists = (artist for artist in figure.findobj(Text) if isinstance(artist, Text))
    return [artist for artist in artists if artist.get_text() and r"\mathdefault" not in artist.get_text()]


def data(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return what a figure draws as the text of a CSV file; None is an empty field."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerows([columns, *rows])
    return out.getvalue()


def save(drawn: CaptionedFigure, folder: Path, origin: Sequence[str] = ()) -> list[Path]:
    """Write PDF and PNG, the data as CSV and further files, without the date of writing: the same scores give the same files.

    Args:
        drawn: the figure.
        folder: for the files.
        origin: lines on the origin of its numbers, for the metadata of both.

    """
    out = []
    # Laid out once: matplotlib would do it, and draw for it, before each file again.
    engine = drawn.figure.get_layout_engine()
    if engine is not None:
        engine.execute(drawn.figure)
        drawn.figure.set_layout_engine(None)
    metadata: dict[str, dict[str, Any]] = {
        "pdf": {"CreationDate": None, "Title": drawn.name, "Subject": "; ".join(origin)},
        "png": {"Title": drawn.name, "Description": "\n".join(origin)},
    }
    for kind, entries in metadata.items():
        path = folder / f"{drawn.name}.{kind}"
        with atomic(path, durable=False) as temporary:
            drawn.figure.savefig(temporary, format=kind, dpi=drawn.figure.dpi, metadata=entries)
        out.append(path)
    files = {f"{drawn.name}.csv": drawn.data.encode(errors="backslashreplace")} if drawn.data else {}
    for name, content in {**files, **drawn.files(drawn.name)}.items():
        with atomic(folder / name, durable=False) as temporary:
            temporary.write_bytes(content)
        out.append(folder / name)
    return out
