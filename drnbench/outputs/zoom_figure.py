"""Figure: whole images with boxes at the left, zoomed crops of every arm at the right; every crop pixel is a square.

Lengths are pixels of the PNG, so that an enlarged image pixel covers a whole number of them.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from drnbench.outputs import zoom_tikz
from drnbench.outputs.zoom_content import Box, Cell, Content, Example, content
from drnbench.render import style, text
from drnbench.render.spelling import cut
from drnbench.render.style import COLOURS, COLUMN_IN, GREY, PAGE_IN, CaptionedFigure
from drnbench.results.scores import Scores
from drnbench.store import Store

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from drnbench.outputs.zoom import Crops

DPI = 300
GAP, BLOCK_GAP, FRAME = 12, 36, 4
"""Between cells, between images, and the coloured frame of a crop."""
LINE_PT = 6.0
CHARACTER = 15
"""Width of a character of that size."""
CELL = 170
"""Width of a crop below which two scores have room."""
LINE = 27
"""Height of a line of text below a crop."""
TITLE = 34
ERROR_GAP = 4
ERRORS = "magma"
BOXES = (COLOURS[3], COLOURS[0], COLOURS[2], COLOURS[4], COLOURS[1])
"""Colours of boxes, the first for the first box of an image."""
NAME = "figure_crops"


@dataclass(frozen=True)
class Layout:
    """The places of one image's pictures, relative to its upper left corner.

    Attributes:
        whole: left, top, width and height of the whole image.
        zoom: PNG pixels a side of an HR pixel, in each box.
        cells: left and top of each cell's crop, by box.
        below: centre and top of each cell's text.
        height: of all.

    """

    whole: tuple[int, int, int, int]
    zoom: tuple[int, ...]
    cells: tuple[tuple[tuple[int, int], ...], ...]
    below: tuple[tuple[float, float], ...]
    height: int


def draw(scores: Scores, store: Store, output: Crops) -> CaptionedFigure | None:
    """Return the figure; None where the store has no whole images of the arms."""
    shown = content(scores, store, output)
    if shown is None or not shown.examples:
        return None
    width = round(DPI * (PAGE_IN if output.width == "page" else COLUMN_IN))
    wide = output.width == "page"
    below = LINE * (1 + (bool(shown.metrics) if wide else len(shown.metrics)))
    layouts = [_layout(example, width, below, wide=wide, errors=output.errors) for example in shown.examples]
    tops = [sum(layout.height + BLOCK_GAP for layout in layouts[:n]) for n in range(len(layouts))]
    bar = 90 if output.errors and any(example.hr is not None for example in shown.examples) else 0
    figure = _Canvas(width, tops[-1] + layouts[-1].height + bar)
    limit = _error_limit(shown) if bar else 0.0
    rows = []
    for example, layout, top in zip(shown.examples, layouts, tops, strict=True):
        rows += _example(figure, example, layout, top, shown.metrics, limit)
    if bar:
        figure.colour_bar(limit)
    return CaptionedFigure(
        NAME,
        _caption(shown, output),
        figure.figure,
        style.data([*rows[0]] if rows else [], [[*row.values()] for row in rows]),
        lambda name: zoom_tikz.files(shown, name, BOXES) if output.tikz else {},
        zoom_tikz.ENDING if output.tikz else "",
    )


class _Canvas:
    """A figure whose lengths are pixels from the upper left corner."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        # A hair more: the canvas takes the whole part of size times resolution.
        self.figure: Figure = style.new_figure((width + 0.01) / DPI, (height + 0.01) / DPI)
        self.figure.set_dpi(DPI)
        self.figure.set_layout_engine("none")
        self._size = self.figure.bbox.size

    def place(self, left: float, top: float, width: float, height: float) -> tuple[float, float, float, float]:
        """Return a rectangle in fractions of the figure."""
        return (
            left / self._size[0],
            (self.height - top - height) / self._size[1],
            width / self._size[0],
            height / self._size[1],
        )

    def picture(self, pixels: Any, left: int, top: int, width: int, height: int, **options: Any) -> Any:
        """Draw pixels over a rectangle, and return the axes."""
        ax = self.figure.add_axes(self.place(left, top, width, height))
        ax.set_axis_off()
        ax.imshow(pixels, aspect="auto", **{"interpolation": "none", **options})
        return ax

    def frame(self, left: int, top: int, width: int, height: int, colour: str) -> None:
        """Draw a frame around a rectangle, outside of it."""
        from matplotlib.patches import Rectangle

        x, y, w, h = self.place(left - FRAME, top - FRAME, width + 2 * FRAME, height + 2 * FRAME)
        self.figure.add_artist(Rectangle((x, y), w, h, color=colour, linewidth=0, zorder=-1))

    def write(
        self, words: Sequence[tuple[str, bool]], place: tuple[float, float], ha: str = "center", **look: Any
    ) -> None:
        """Write a line of words, each bold or not, at its upper edge."""
        look = {"fontsize": LINE_PT, "va": "baseline", "ha": "left", **look}
        texts = [self.figure.text(0, 0, word, weight="bold" if bold else "normal", **look) for word, bold in words]
        widths = [artist.get_window_extent().width for artist in texts]
        x = place[0] - {"center": 0.5, "right": 1.0, "left": 0.0}[ha] * sum(widths)
        for artist, width in zip(texts, widths, strict=True):
            # A baseline of their own would let words without descenders stand lower.
            artist.set_position((x / self._size[0], (self.height - place[1] - 0.8 * LINE) / self._size[1]))
            x += width

    def colour_bar(self, limit: float) -> None:
        """Draw the colours of error maps at the lower edge."""
        ax = self.figure.add_axes(self.place(0.62 * self.width, self.height - 58, 0.36 * self.width, 14))
        ax.imshow(np.linspace(0, 1, 256)[None], cmap=ERRORS, aspect="auto", extent=(0, limit, 0, 1))
        ax.set_yticks([])
        ax.tick_params(labelsize=5.5, length=2, pad=1.5)
        ax.spines[:].set_visible(False)
        self.write([("|SR − HR|, gray levels", False)], (0.6 * self.width, self.height - 62), ha="right")


def _layout(example: Example, width: int, below: int, *, wide: bool, errors: bool) -> Layout:
    """Return the layout that leaves the least of its rectangle empty.

    Args:
        example: the image.
        width: of the figure.
        below: height of the text below a crop whose name takes one line.
        wide: the whole image stands at the left; otherwise above.
        errors: error maps stand below the crops.

    """
    layouts = [
        _arranged(example, (width, columns, share), below, wide=wide, errors=errors)
        for columns in range(1, len(example.cells) + 1)
        for share in ((0.76, 0.7, 0.64, 0.58, 0.5) if wide else (1.0,))
    ]
    return max(layouts, key=lambda layout: _quality(layout, example, width))


def _quality(layout: Layout, example: Example, width: int) -> tuple[bool, float]:
    """Return whether texts fit below crops on a part of a page, and the share of the layout that pictures cover."""
    sides = [(z * box.width, z * box.height) for z, box in zip(layout.zoom, example.boxes, strict=True)]
    crops = len(example.cells) * sum(w * h for w, h in sides)
    least, high = (CELL, 1.3) if width > DPI * COLUMN_IN else (CELL / 2, 2.0)
    legible = min((w for w, _ in sides), default=CELL) >= least and layout.height < high * width
    return legible, (crops + layout.whole[2] * layout.whole[3]) / (width * layout.height)


def _arranged(
    example: Example, room: tuple[int, int, float], below: int, *, wide: bool, errors: bool
) -> Layout:  # fmt: skip
    """Return the layout of so many columns, which take at most a share of the width."""
    width, columns, share = room
    rows, aspect = -(-len(example.cells) // columns), example.whole.shape[0] / example.whole.shape[1]
    side = (share * width + GAP) / columns - GAP - 2 * FRAME
    zoom = tuple(max(1, int(side // box.width)) for box in example.boxes)
    sides = [(z * box.width, z * box.height) for z, box in zip(zoom, example.boxes, strict=True)]
    # The boxes of a picture stand above each other, error maps below each, and its name and scores below all.
    inner = max((w for w, _ in sides), default=0)
    below += LINE * (max(len(_name(cell, inner)) for cell in example.cells) - 1)
    offsets = [sum((h + ERROR_GAP) * (1 + errors) + 2 * FRAME for _, h in sides[:n]) for n in range(len(sides) + 1)]
    x, y = inner + GAP + 2 * FRAME, offsets[-1] + below + GAP
    across, high = columns * x - GAP, rows * y - GAP
    if wide:
        left = max(60, width - across - 2 * GAP)
        picture = min(left, round((high - TITLE) / aspect))
        corner, top = (width - picture - across - 2 * GAP) // 2, 0
        start = corner + picture + 2 * GAP
    else:
        picture = min(width, round(0.5 * width / aspect))
        corner, top, start = (width - picture) // 2, round(picture * aspect) + TITLE + GAP, (width - across) // 2
    places = [(start + FRAME + n % columns * x, top + FRAME + n // columns * y) for n in range(len(example.cells))]
    cells = tuple(
        tuple((left + (inner - w) // 2, upper + offset) for left, upper in places)
        for (w, _), offset in zip(sides, offsets, strict=False)
    )
    below_cells = tuple((left + inner / 2, upper + offsets[-1]) for left, upper in places)
    whole = (corner, FRAME if wide else 0, picture, round(picture * aspect))
    return Layout(whole, zoom, cells, below_cells, max(top + high, whole[1] + whole[3] + TITLE))


def _example(
    figure: _Canvas, example: Example, layout: Layout, top: int, metrics: Sequence[str], limit: float
) -> list[dict[str, Any]]:
    """Draw one image; return a row for each crop: its box and its place in the PNG, with the scores."""
    from matplotlib.patches import Rectangle

    left, upper, width, height = layout.whole
    enlarged = example.whole.shape[1] <= width
    ax = figure.picture(
        example.whole, left, top + upper, width, height, interpolation="none" if enlarged else "antialiased"
    )
    for n, box in enumerate(example.boxes):
        ax.add_patch(
            Rectangle(
                (box.left - 0.5, box.top - 0.5), box.width, box.height, fill=False, linewidth=1.1, edgecolor=_colour(n)
            )
        )
    figure.write([(style.legible(example.name), False)], (left + width / 2, top + upper + height + 6))
    rows = []
    for n, (box, zoom, places) in enumerate(zip(example.boxes, layout.zoom, layout.cells, strict=True)):
        for cell, (x, y) in zip(example.cells, places, strict=True):
            size = (zoom * box.width, zoom * box.height)
            _cell(figure, cell, box, (x, top + y, *size), _colour(n))
            error = None if not limit else _error(example, cell)
            if error is not None:
                figure.picture(box.cut(error), x, top + y + size[1] + ERROR_GAP, *size, cmap=ERRORS, vmin=0, vmax=limit)
            values = {metric: cell.scores.get(metric) for metric in metrics}
            rows.append({
                "image": example.name, "picture": cell.label, "box": n + 1, "left": box.left, "top": box.top,
                "width": box.width, "height": box.height, "zoom": zoom, "png_left": x, "png_top": top + y, **values,
            })  # fmt: skip
    inner = max((z * box.width for z, box in zip(layout.zoom, example.boxes, strict=True)), default=width)
    for cell, (centre, lower) in zip(example.cells, layout.below, strict=True):
        _scores(figure, cell, metrics, (centre, top + lower), inner)
    return rows


def _colour(n: int) -> str:
    return BOXES[n % len(BOXES)]


def _cell(figure: _Canvas, cell: Cell, box: Box, place: tuple[int, int, int, int], colour: str) -> None:
    """Draw the part of a picture in a box, in a frame of its colour."""
    if cell.pixels is None:
        style.no_picture(figure.figure.add_axes(figure.place(*place)), "not kept")
        return
    figure.frame(*place, colour)
    figure.picture(box.cut(cell.pixels, cell.factor), *place)


def _name(cell: Cell, width: int) -> list[str]:
    """Return the name of a picture in at most two lines of a width."""
    characters = max(6, int(width / CHARACTER))
    first, *rest = textwrap.wrap(style.legible(cell.label), characters, break_on_hyphens=False) or [""]
    second = " ".join(rest)
    return [first, *([cut(second, characters)] if second else [])]


def _scores(figure: _Canvas, cell: Cell, metrics: Sequence[str], place: tuple[float, float], width: int) -> None:
    """Write the name of a picture and its scores below it, the best ones bold; below HR the names of the metrics."""
    names = _name(cell, width)
    for n, name in enumerate(names):
        figure.write([(name, False)], (place[0], place[1] + n * LINE))
    styles = [text.style(metric) for metric in metrics]
    if cell.kind == "hr":
        parts = [(s.label.removesuffix("-Y"), False) for s in styles]
    else:
        parts = [
            (text.number(cell.scores[metric], s.decimals), metric in cell.best)
            for metric, s in zip(metrics, styles, strict=True) if metric in cell.scores
        ]  # fmt: skip
    # On one line where there is room, as in the heads of tables, otherwise below each other.
    lines = [parts] if width >= CELL or figure.width > DPI * COLUMN_IN else [[part] for part in parts]
    for n, line in enumerate(lines, len(names)):
        words = [piece for part in line for piece in ((" / ", False), part)][1:]
        figure.write(words, (place[0], place[1] + n * LINE), color="black" if cell.kind == "sr" else GREY)


def _error(example: Example, cell: Cell) -> Any:
    """Return |SR - HR|, mean over the channels, in gray levels; None where one of them is missing."""
    if cell.kind != "sr" or cell.pixels is None or example.hr is None:
        return None
    return np.abs(cell.pixels.astype(np.float32) - example.hr.astype(np.float32)).mean(2)


def _error_limit(shown: Content) -> float:
    """Return the error with the full colour: that which one pixel of a hundred in the boxes exceeds."""
    errors = [
        box.cut(error).ravel()
        for example in shown.examples for cell in example.cells if (error := _error(example, cell)) is not None
        for box in example.boxes
    ]  # fmt: skip
    return max(1.0, float(np.percentile(np.concatenate(errors), 99))) if errors else 1.0


def _caption(shown: Content, output: Crops) -> str:
    measured = " / ".join(text.style(metric).label for metric in shown.metrics)
    parts = [f"Crops of {shown.condition.label} at the boxes of the whole images, every pixel a square."]
    if measured:
        aside = " (of trained arms, oracles and the control aside)" if _is_beaten(shown) else ""
        parts.append(f"Below: {measured} of the whole image, the best bold{aside}.")
    parts += _seeds(shown)
    parts += [f"{example.name}: {example.rule}." for example in shown.examples if example.rule]
    named = set() if isinstance(output.boxes, int) else set(output.boxes)
    placed = [example.name for example in shown.examples if example.name not in named]
    if placed:
        where = f" of {', '.join(placed)}" if len(placed) < len(shown.examples) else ""
        parts.append(f"Boxes{where} are placed where the arms differ most.")
    if all(example.hr is None for example in shown.examples):
        parts.append("Real LR images: there is no HR.")
    return " ".join(parts)


def _is_beaten(shown: Content) -> bool:
    """Return True if a score is better than the bold one, which competes with other arms alone."""
    for example in shown.examples:
        for metric in shown.metrics:
            sign = text.style(metric).sign
            cells = [cell for cell in example.cells if metric in cell.scores]
            bold = [sign * cell.scores[metric] for cell in cells if metric in cell.best]
            if bold and any(sign * cell.scores[metric] > max(bold) for cell in cells if metric not in cell.best):
                return True
    return False


def _seeds(shown: Content) -> list[str]:
    """Return the sentence on the seeds that are shown, by arm where they differ."""
    by_arm: dict[str, set[int]] = {}
    for example in shown.examples:
        for label, seed in example.seeds.items():
            by_arm.setdefault(label, set()).add(seed)
    arms: dict[tuple[int, ...], list[str]] = {}
    for label, seeds in by_arm.items():
        arms.setdefault(tuple(sorted(seeds)), []).append(label)
    parts = [
        f"{'seed' if len(seeds) == 1 else 'seeds'} {', '.join(map(str, seeds))} of "
        f"{', '.join(labels) if len(arms) > 1 else 'each arm'}"
        for seeds, labels in arms.items()
    ]
    return [f"S{'; '.join(parts)[1:]}."] if parts else []
