"""Zoomed crops as TikZ: whole images side by side, each with its boxes magnified by the library `spy`, to be edited by hand."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from drnbench.outputs.zoom_content import Cell, Content, Example
from drnbench.render import text
from drnbench.render.latex_text import escape

ENDING = "_spy"
"""Of the name of the LaTeX file."""
MOST = 8
"""Pictures that stand side by side."""
HEAD = r"""% Zoomed crops, to be edited: \input it in a figure, with \usepackage{graphicx,tikz} and \usetikzlibrary{spy}.
% Each picture is a whole image; \spy magnifies the part around (on), in fractions of the image from its lower left corner.
"""


def files(shown: Content, name: str, colours: Sequence[str]) -> dict[str, bytes]:
    """Return `<name>_spy.tex` and the PNGs that it includes, by file name.

    Args:
        shown: the images.
        name: of the figure.
        colours: of boxes, as hexadecimal RGB with `#`.

    """
    made: dict[str, bytes] = {}
    lines = [HEAD]
    count = max(len(example.cells) for example in shown.examples)
    columns = min(count, MOST) if len(shown.examples) > 1 else -(-count // 2) if count > MOST // 2 else count
    lines += [rf"\definecolor{{box{n}}}{{HTML}}{{{colour[1:].upper()}}}" for n, colour in enumerate(colours, 1)]
    lines += [r"\ifdefined\spywidth\else\newlength{\spywidth}\fi"]
    lines += [rf"\setlength{{\spywidth}}{{{0.96 / columns:.3f}\linewidth}}"]
    for number, example in enumerate(shown.examples, 1):
        lines.append(rf"\noindent % {example.name.splitlines()[0]}")
        cells = [cell for cell in sorted(example.cells, key=lambda cell: cell.kind != "hr") if cell.pixels is not None]
        for n, cell in enumerate(cells, 1):
            file = f"{name}_{number}_{n}_{text.slug(cell.label)}.png"  # two labels may have one slug
            made[file] = _png(cell)
            lines += _picture(example, cell, file, shown.metrics, len(colours), small=columns > MOST // 2)
            lines.append(r"\par\medskip" if n % columns == 0 or n == len(cells) else r"\hfill%")
    made[f"{name}{ENDING}.tex"] = ("\n".join(lines) + "\n").encode(errors="backslashreplace")
    return made


def _png(cell: Cell) -> bytes:
    assert cell.pixels is not None
    out = io.BytesIO()
    pixels = cell.pixels.repeat(cell.factor, 0).repeat(cell.factor, 1)
    Image.fromarray(np.ascontiguousarray(pixels)).save(out, format="PNG")
    return out.getvalue()


def _picture(
    example: Example, cell: Cell, file: str, metrics: Sequence[str], colours: int, *, small: bool
) -> list[str]:
    """Return the lines of one picture with its magnified boxes below, and name and scores under these."""
    height, width = example.whole.shape[:2]
    count = max(1, len(example.boxes))
    side = f"{0.97 / count:.3f}\\spywidth"
    largest = max((max(box.width, box.height) for box in example.boxes), default=1)
    zoom = width / largest / count
    lines = [
        r"\begin{minipage}[t]{\spywidth}\centering",
        rf"\begin{{tikzpicture}}[spy using outlines={{rectangle, magnification={zoom:.2f}, width={side}, height={side}}}]",
        rf"\node[inner sep=0, anchor=south west] (image) at (0,0) {{\includegraphics[width=\dimexpr\spywidth-1pt]{{{file}}}}};",
        r"\begin{scope}[x={(image.south east)}, y={(image.north west)}]",
    ]
    for n, box in enumerate(example.boxes):
        x, y = (box.left + box.width / 2) / width, 1 - (box.top + box.height / 2) / height
        place = rf"([xshift={n / count:.3f}\spywidth, yshift=-2pt]image.south west)"
        lines.append(rf"\coordinate (on{n}) at ({x:.4f},{y:.4f});")  # a spy outlives the scope of the coordinates
        lines.append(rf"\spy[draw=box{n % colours + 1}] on (on{n}) in node[anchor=north west] at {place};")
    values = [_score(cell, metric) for metric in metrics if metric in cell.scores]
    below = rf"\par\{'scriptsize' if small else 'footnotesize'} {escape(cell.label)}" + (
        rf"\\ {' / '.join(values)}" if values else ""
    )
    return [*lines, r"\end{scope}", r"\end{tikzpicture}", below, r"\end{minipage}%"]


def _score(cell: Cell, metric: str) -> str:
    value = text.number(cell.scores[metric], text.style(metric).decimals)
    return rf"\textbf{{{value}}}" if metric in cell.best else value
