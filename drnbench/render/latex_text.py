"""Text for plain pdflatex: escaping and approximate widths."""

from __future__ import annotations

import functools
import hashlib
import itertools
import re
import unicodedata

from drnbench.render import math_text
from drnbench.render.spelling import GREEK, with_code_points

SPECIAL = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{",
    "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}",
    ">": r"\textgreater{}", "|": r"\textbar{}", "×": r"$\times$", "±": r"$\pm$", "−": r"$-$",
    "·": r"$\cdot$", "≥": r"$\geq$", "≤": r"$\leq$", "→": r"$\rightarrow$", "∞": r"$\infty$",
    "†": r"$^{\dagger}$", "‡": r"$^{\ddagger}$", "–": "--", "—": "---", "…": r"\ldots{}", "°": r"$^{\circ}$", "²": r"$^{2}$",
    "µ": r"$\mu$", "≈": r"$\approx$", "≠": r"$\neq$", "‘": "`", "’": "'", "“": "``", "”": "''",
    "\u00a0": "~", "\u200b": r"\hspace{0pt plus .2em}", "↑": r"$\uparrow$", "↓": r"$\downarrow$",
    # A straight double quote exists in T1 alone, not in pdflatex's default encoding.
    '"': "''", "*": r"$^{*}$",
}  # fmt: skip
BREAKABLE_EM = 30.0
"""A word wider than this has no room in a line of a caption."""
LATIN_CAPITALS = "ΑΒΕΖΗΙΚΜΝΡΤΧ"
GLYPHS = r"\providecommand{\drnglyphs}[2]{#2}"
"""Letters that plain pdflatex lacks (first argument) as code points (second) unless the paper says otherwise."""
NOT_IN_OT1 = frozenset("«»ÐÞðþĄąĐđĘęĦħĮįĸĿŀŉŊŋŦŧŲųſ")
"""Letters below U+0180 that pdflatex's default encoding lacks: each of them stops the paper."""


def _greek() -> dict[str, str]:
    table = {}
    for name, both in GREEK.items():
        small, capital = both[0], both[1]
        table[small] = f"$\\{name}$"
        # TeX has no command for capitals that look Latin.
        table[capital] = f"${name[0].upper()}$" if capital in LATIN_CAPITALS else f"$\\{name.capitalize()}$"
    return table


TABLE = str.maketrans({**SPECIAL, **_greek()})


def escape(text: str, *, glyphs: bool = False) -> str:
    r"""Return text that plain pdflatex sets as it reads; whitespace runs become one space.

    Formulas that are valid stay formulas (`$\mathcal{L}_1$`), anything else in dollar signs is text. Characters that neither
    the default encoding nor the tables above have (emoji, CJK) would stop the whole paper; they become their code points, so
    that two names stay two: `[U+4E2D U+6587]`.

    Args:
        text: any text.
        glyphs: letters of other scripts are written both ways, `\drnglyphs{中文}{[U+4E2D U+6587]}`: a paper whose engine and
            fonts have them defines the command accordingly (see `GLYPHS`), any other shows the code points.

    """
    parts = math_text.split(" ".join(text.split()))
    return "".join(part if is_math else _escaped(part, glyphs=glyphs) for is_math, part in parts)


def _escaped(text: str, *, glyphs: bool) -> str:
    if not glyphs:
        return with_code_points(text, _settable).translate(TABLE)
    runs = ((missing, "".join(run)) for missing, run in itertools.groupby(text, key=_is_missing_letter))
    return "".join(
        f"\\drnglyphs{{{run}}}{{{_escaped(run, glyphs=False)}}}" if missing else _escaped(run, glyphs=False)
        for missing, run in runs
    )


def _is_missing_letter(character: str) -> bool:
    return not _settable(character) and unicodedata.category(character)[0] in "LM"


def _settable(character: str) -> bool:
    if ord(character) in TABLE:
        return True
    return ord(character) < 0x180 and character.isprintable() and character not in NOT_IN_OT1


def comment(text: str) -> str:
    """Return text as a comment, which TeX ends at the next line end: line ends of every kind become spaces.

    Control characters, which some engines and editors take for line ends, become their code points.
    """
    spaced = "".join(" " if character.isspace() else character for character in text)
    return f"% {with_code_points(spaced, str.isprintable)}"


def label(name: str) -> str:
    r"""Return a name for `\label`: letters, digits and a few signs; a digest tells other names apart.

    >>> label("rho_sweep-7f3a"), label("a}b")
    ('rho_sweep-7f3a', 'a-b-538c54fe')
    """
    plain = re.sub(r"[^A-Za-z0-9_.:+-]", "-", name)
    return (
        plain if plain == name else f"{plain}-{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"
    )


def breakable(text: str, widest: float = BREAKABLE_EM) -> str:
    """Return text whose very long words may be broken: no line of a caption has room for a name of 200 letters.

    They may be broken anywhere, with some stretch at each place: TeX rather sets too long a line than one with gaps.
    """

    def parts(word: re.Match[str]) -> str:
        return re.sub(r"..(?=.)", "\\g<0>\u200b", word[0]) if em_width(word[0]) > widest else word[0]

    return "".join(part if is_math else re.sub(r"\S+", parts, part) for is_math, part in math_text.split(text))


@functools.lru_cache(1 << 15)  # of each cell, asked for again by every layout that is tried
def em_width(text: str) -> float:
    """Return the approximate width of text in Computer Modern, in em: enough to choose between layouts."""
    parts = math_text.split(text)
    text = "".join(math_text.visible(part) if is_math else with_code_points(part, _settable) for is_math, part in parts)
    narrow, wide = set(".,[]|:;'()i l"), set("±−+=→↑↓×Δ")
    return sum(0.3 if c in narrow else 0.8 if c in wide else 0.68 if c.isupper() else 0.53 for c in text)
