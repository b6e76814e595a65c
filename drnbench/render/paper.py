"""paper.tex: a document that includes every table and figure of a report, and compiles as it is."""

from __future__ import annotations

import re
from collections.abc import Sequence

from drnbench.render import latex_text, math_text
from drnbench.render.latex_text import GLYPHS, breakable, escape
from drnbench.render.style import COLUMN_IN, CaptionedFigure

NARROW_EM = 15.0
"""A word wider than this may be broken in a column."""
FLOATS = 8
"""Floats between two page breaks: LaTeX keeps 52 waiting ones at most, and IEEEtran's older kernels 18."""
CLASS = r"\documentclass[twocolumn]{article}\usepackage[margin=2cm,columnsep=22pt]{geometry}"
"""The line to replace by the class of a paper."""
OTHER_SCRIPTS = r"""% Names in Chinese, Japanese or Korean: compile with XeLaTeX or LuaLaTeX and a font below (Debian: texlive-xetex or
% texlive-luatex, and fonts-noto-cjk or, smaller, fonts-wqy-microhei). pdfLaTeX shows their code points; with CJKutf8 and its fonts
% (latex-cjk-all) define instead
% \newcommand{\drnglyphs}[2]{\begin{CJK}{UTF8}{gbsn}#1\end{CJK}}.
\ifdefined\Umathcode
\usepackage{fontspec}
\def\drnfirst#1#2\relax#3#4{\iffontchar\font`#1 #3\else\normalfont #4\fi}
\def\drncjk#1{\newfontfamily\drnfont{#1}\DeclareRobustCommand{\drnglyphs}[2]{{\drnfont\drnfirst##1\relax{##1}{##2}}}}
\IfFontExistsTF{Noto Serif CJK SC}{\drncjk{Noto Serif CJK SC}}{%
  \IfFontExistsTF{WenQuanYi Micro Hei}{\drncjk{WenQuanYi Micro Hei}}{}}
\fi
"""
INCLUDE = r"""\newcommand{\drnfigure}[1]{\sbox0{\includegraphics{#1}}% as large as it is drawn, unless that does not fit
  \ifdim\wd0>\linewidth\def\drnsize{width=\linewidth,height=.7\textheight,keepaspectratio}%
  \else\ifdim\ht0>.7\textheight\def\drnsize{width=\linewidth,height=.7\textheight,keepaspectratio}%
  \else\def\drnsize{}\fi\fi
  \expandafter\includegraphics\expandafter[\drnsize]{#1}}
"""


def render(
    title: str, text: str, tables: Sequence[tuple[str, str]], figures: Sequence[CaptionedFigure], label: str
) -> str:
    r"""Return the document.

    Args:
        title: the question of the study.
        text: its answer.
        tables: file stem and text of each table; the document includes the files.
        figures: those that were saved; their PDFs are included as large as they are drawn, unless that does not fit.
        label: of the study; figures are `\ref{fig:<label>-<name>}`.

    """
    label = latex_text.label(label)
    floats = [f"\\input{{{stem}}}\n" for stem, _ in tables] + [_figure(figure, label) for figure in figures]
    body = [f"\\noindent {_set(text)}\n"]
    for n, part in enumerate(floats, 1):
        body += [part, "\\clearpage\n" if n % FLOATS == 0 else ""]
    tables_text = "\n".join(part for _, part in tables)
    written = f"{title}\n{text}\n{tables_text}\n" + "\n".join(figure.caption for figure in figures)
    packages = ["booktabs", "graphicx", *sorted(math_text.packages(written))]
    head = [
        f"{CLASS} % or the class of your paper: IEEEtran, acmart, elsarticle, ...",
        *(f"\\usepackage{{{package}}}" if package != "amssymb" else AMSSYMB for package in packages),
        OTHER_SCRIPTS + GLYPHS if "\\drnglyphs{" in "".join([*body, tables_text, _set(title)]) else "",
        INCLUDE + r"\emergencystretch=3em",
        # Figures that fill a page with the space below them go to a page of figures: as text they would be too high.
        r"\renewcommand{\topfraction}{.9}\renewcommand{\dbltopfraction}{.9}",
        r"\input{macros}",
        HEAD.replace("TITLE", _set(title)),
    ]
    return "\n".join([*filter(None, head), *filter(None, body), END])


EDITABLE = (
    r"in place of the next line is the same as TikZ, to be edited: it needs \usepackage{tikz}\usetikzlibrary{spy}"
)
HEAD = r"""\begin{document}
\ifdefined\endfrontmatter\section*{TITLE}\else % elsarticle has a command of its own for titles
\title{TITLE}\author{drnbench}\date{}\maketitle\fi"""
END = r"""\clearpage % acmart balances the last page, and loses floats where it has no text
\noindent Study \drnStudy, profile \drnProfile, \drnTrialsDone\ of \drnTrialsPlanned\ trials: each number is a command of macros.tex.
\end{document}
"""
AMSSYMB = r"\ifdefined\mathbb\else\usepackage{amssymb}\fi"
"""Some classes bring these letters, and stop where the package defines them again."""


def _figure(figure: CaptionedFigure, label: str) -> str:
    """Return a float with the first sentence of the caption above the notes that the rest of it is."""
    wide = figure.figure.get_figwidth() > COLUMN_IN + 0.3
    environment = "figure*" if wide else "figure"
    caption, *notes = re.split(r"(?<=[.?!])\s+(?=[A-Z])", figure.caption, maxsplit=1)
    lines = [
        f"\\begin{{{environment}}}[tp]",
        r"\centering",
        *([f"% \\input{{{figure.name}{figure.editable}}} {EDITABLE}"] if figure.editable else []),
        f"\\drnfigure{{{figure.name}}}",
        f"\\caption{{{_set(caption)}}}",
        f"\\label{{fig:{label}-{latex_text.label(figure.name.removeprefix('figure_'))}}}",
        *(f"\\parbox{{\\linewidth}}{{\\scriptsize\\raggedright {_set(words)}}}" for words in notes),
        f"\\end{{{environment}}}",
        "",
    ]
    return "\n".join(lines)


def _set(text: str) -> str:
    return escape(breakable(text, NARROW_EM), glyphs=True)
